import { describe, expect, it } from "vitest";
import { announcingFaults, changingFaults, dueTelling, earliestStart, windowState } from "../../../control-plane/domain/maintenance.ts";
import { calendarOf } from "../../../control-plane/domain/working-days.ts";

const at = (text: string) => new Date(text);
// 1 to 3 January 2027 are free, Saturday 9 January is worked.
const calendar = calendarOf([{ year: 2027, holidays: ["2027-01-01"], workingDays: ["2027-01-09"] }]);
const rules = { noticeDays: 3, longestHours: 24 };
const now = at("2027-01-06T02:00:00Z");
const announce = (from: string, to: string, emergency = false) =>
  announcingFaults({ from: at(from), to: at(to) }, emergency, rules, calendar, now).map((one) => one.pointer);

describe("a maintenance window is announced", () => {
  it("so many whole working days ahead, by the calendar of Shanghai", () => {
    // Wednesday: Thursday, Friday and the Saturday that is worked lie between.
    expect(earliestStart(calendar, now, rules)).toEqual(at("2027-01-09T16:00:00.000Z"));
    expect(announce("2027-01-09T16:00:00Z", "2027-01-09T20:00:00Z")).toEqual([]);
    expect(announce("2027-01-09T15:59:59Z", "2027-01-09T20:00:00Z")).toEqual(["/from"]);
  });
  it("later only in an emergency, and never for time that has passed", () => {
    expect(announce("2027-01-06T02:00:00Z", "2027-01-06T03:00:00Z", true)).toEqual([]);
    expect(announce("2027-01-06T01:59:59Z", "2027-01-06T03:00:00Z", true)).toEqual(["/from"]);
  });
  it("with an end after its start, and no longer than allowed", () => {
    expect(announce("2027-01-20T00:00:00Z", "2027-01-20T00:00:00Z")).toEqual(["/to"]);
    expect(announce("2027-01-20T00:00:00Z", "2027-01-21T00:00:01Z")).toEqual(["/to"]);
  });
});

describe("a change of one", () => {
  const change = (before: [string, string], after: [string, string], emergency = false) =>
    changingFaults({ from: at(before[0]), to: at(before[1]) }, { from: at(after[0]), to: at(after[1]) }, emergency, rules, calendar, now).map(
      (one) => one.pointer,
    );
  const holding: [string, string] = ["2027-01-06T00:00:00Z", "2027-01-06T06:00:00Z"];
  it("that holds ends it no earlier than now, and begins it never anew", () => {
    expect(change(holding, [holding[0], "2027-01-06T03:00:00Z"])).toEqual([]);
    expect(change(holding, [holding[0], "2027-01-06T01:00:00Z"])).toEqual(["/to"]);
    expect(change(holding, ["2027-01-05T23:00:00Z", holding[1]], true)).toEqual(["/from"]);
  });
  it("that takes in more time needs notice for that, or an emergency", () => {
    expect(change(holding, [holding[0], "2027-01-06T08:00:00Z"])).toEqual(["/from"]);
    expect(change(holding, [holding[0], "2027-01-06T08:00:00Z"], true)).toEqual([]);
    const coming: [string, string] = ["2027-01-07T00:00:00Z", "2027-01-07T06:00:00Z"];
    expect(change(coming, ["2027-01-07T01:00:00Z", "2027-01-07T06:00:00Z"])).toEqual([]);
    expect(change(coming, ["2027-01-06T23:00:00Z", "2027-01-07T06:00:00Z"])).toEqual(["/from"]);
    expect(change(coming, ["2027-01-07T08:00:00Z", "2027-01-07T09:00:00Z"])).toEqual(["/from"]);
    expect(change(coming, ["2027-01-06T01:00:00Z", "2027-01-07T00:30:00Z"], true)).toEqual(["/from"]);
  });
});

it("tells what is due once, and nothing late that is over", () => {
  const window = { from: at("2027-01-12T00:00:00Z"), to: at("2027-01-12T04:00:00Z"), announcedAt: now };
  const due = (told: "announced" | "soon" | "begun" | "ended", when: string) => dueTelling({ ...window, told }, at(when));
  expect(due("announced", "2027-01-10T23:59:59Z")).toBeUndefined();
  expect(due("announced", "2027-01-11T00:00:00Z")).toBe("soon");
  expect(due("soon", "2027-01-11T00:00:00Z")).toBeUndefined();
  expect(due("announced", "2027-01-12T00:00:00Z")).toBe("begun");
  expect(due("begun", "2027-01-12T03:59:59Z")).toBeUndefined();
  expect(due("announced", "2027-01-12T04:00:00Z")).toBe("ended");
  expect(due("ended", "2027-01-13T00:00:00Z")).toBeUndefined();
  expect(dueTelling({ ...window, told: "announced", announcedAt: at("2027-01-11T12:00:00Z") }, at("2027-01-11T13:00:00Z"))).toBeUndefined();
});

it("is cancelled when it never held, and ended when it did", () => {
  const [from, to] = [at("2027-01-12T00:00:00Z"), at("2027-01-12T04:00:00Z")];
  expect(windowState({ from, to: from, cancelledAt: now }, now)).toBe("cancelled");
  expect(windowState({ from, to, cancelledAt: to }, to)).toBe("ended");
  expect(windowState({ from, to, cancelledAt: null }, from)).toBe("holding");
  expect(windowState({ from, to, cancelledAt: null }, new Date(from.getTime() - 1))).toBe("announced");
});
