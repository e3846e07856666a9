import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addWorkingDays,
  calendarOf,
  dayOf,
  endOfDay,
  isDay,
  isProvisional,
  isWorkingDay,
  missingYears,
  startOfDay,
  workingDaysBetween,
} from "../../../control-plane/domain/working-days.ts";

/** What the State Council's notice of 2025-11-04 says of 2026, written down a second time. */
const range = (month: string, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `2026-${month}-${String(from + index).padStart(2, "0")}`);
const calendar = calendarOf([
  {
    year: 2026,
    holidays: [
      range("01", 1, 3),
      range("02", 15, 23),
      range("04", 4, 6),
      range("05", 1, 5),
      range("06", 19, 21),
      range("09", 25, 27),
      range("10", 1, 7),
    ].flat(),
    workingDays: ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"],
  },
]);
const due = (from: string, days: number) => addWorkingDays(calendar, new Date(from), days).toISOString();

describe("working days", () => {
  it("are those of the week, but for holidays, and with the weekends that are made up", () => {
    expect(isWorkingDay(calendar, "2026-11-24")).toBe(true);
    expect(isWorkingDay(calendar, "2026-11-28"), "a Saturday").toBe(false);
    expect(isWorkingDay(calendar, "2026-10-01"), "a Thursday, the National Day").toBe(false);
    expect(isWorkingDay(calendar, "2026-10-10"), "a Saturday that is worked").toBe(true);
    expect(isWorkingDay(calendar, "2026-10-11"), "the Sunday after it").toBe(false);
  });
  it("of 2026 are 248, as the notice makes them", () => {
    expect(workingDaysBetween(calendar, new Date("2025-12-31T04:00:00Z"), new Date("2026-12-31T04:00:00Z"))).toBe(248);
  });
  it("of a year without a notice are those of the plain week", () => {
    expect(isWorkingDay(calendar, "2027-01-01")).toBe(true);
    expect(calendar.years.has(2027)).toBe(false);
  });
  it("are provisional where the time reaches into a year without a notice, as it is in Shanghai", () => {
    const at = (text: string) => new Date(text);
    expect(isProvisional(calendar, at("2026-12-01T00:00:00Z"), at("2026-12-31T15:59:59.999Z"))).toBe(false);
    expect(isProvisional(calendar, at("2026-12-01T00:00:00Z"), at("2026-12-31T16:00:00.000Z"))).toBe(true);
    expect(isProvisional(calendar, at("2024-06-01T00:00:00Z"), at("2026-06-01T00:00:00Z")), "a year between").toBe(true);
  });
  it("are missed for the present year always, and for the next one from the first of December", () => {
    expect(missingYears(calendar, new Date("2026-11-30T15:59:59.999Z"))).toEqual([]);
    expect(missingYears(calendar, new Date("2026-11-30T16:00:00.000Z"))).toEqual([2027]);
    expect(missingYears(calendar, new Date("2027-01-05T00:00:00Z"))).toEqual([2027]);
    expect(missingYears(calendar, new Date("2027-12-05T00:00:00Z"))).toEqual([2027, 2028]);
  });
  it("begin and end at midnight in Shanghai", () => {
    expect(dayOf(new Date("2026-11-24T15:59:59.999Z"))).toBe("2026-11-24");
    expect(dayOf(new Date("2026-11-24T16:00:00.000Z"))).toBe("2026-11-25");
    expect(startOfDay("2026-11-25").toISOString()).toBe("2026-11-24T16:00:00.000Z");
    expect(endOfDay("2026-11-25").toISOString()).toBe("2026-11-25T15:59:59.999Z");
  });
  it("exist, or not", () => {
    expect(["2026-02-28", "2028-02-29"].every(isDay)).toBe(true);
    expect(["2026-02-29", "2026-13-01", "2026-1-1", "", "2026-01-01T00:00"].some(isDay)).toBe(false);
  });
});

describe("a deadline in working days", () => {
  it("doesn't count the day on which it begins, and ends with the last one", () => {
    expect(due("2026-11-24T01:00:00Z", 3)).toBe("2026-11-27T15:59:59.999Z");
    expect(due("2026-11-24T17:00:00Z", 3), "after midnight in Shanghai").toBe("2026-11-30T15:59:59.999Z");
    expect(due("2026-11-24T01:00:00Z", 0)).toBe("2026-11-24T15:59:59.999Z");
  });
  it("waits out the National Day, and counts the Saturday that is made up", () => {
    expect(due("2026-09-30T01:00:00Z", 3)).toBe("2026-10-10T15:59:59.999Z");
    expect(due("2026-09-18T01:00:00Z", 1), "the Sunday before the Mid-Autumn Festival is worked").toBe("2026-09-20T15:59:59.999Z");
  });
  it("waits out nine days of the Spring Festival", () => {
    expect(due("2026-02-13T01:00:00Z", 2)).toBe("2026-02-24T15:59:59.999Z");
  });
  it("crosses into a year that is not known yet", () => {
    expect(due("2026-12-31T01:00:00Z", 1)).toBe("2027-01-01T15:59:59.999Z");
  });
  it("lies so many working days ahead, on a working day, whenever it begins", () => {
    const moment = fc.date({ min: new Date("2025-12-01T00:00:00Z"), max: new Date("2027-02-01T00:00:00Z"), noInvalidDate: true });
    fc.assert(
      fc.property(moment, fc.integer({ min: 1, max: 60 }), (from, days) => {
        const end = addWorkingDays(calendar, from, days);
        expect(workingDaysBetween(calendar, from, end)).toBe(days);
        expect(isWorkingDay(calendar, dayOf(end))).toBe(true);
        expect(addWorkingDays(calendar, from, days - 1) < end).toBe(true);
      }),
    );
  });
});
