import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RuleTerms } from "../../../control-plane/contract/supervision.ts";
import {
  type AskedFact,
  type DecidedFact,
  type Facts,
  findings,
  type Rule,
  type StageFact,
  termsErrors,
  timesOf,
} from "../../../control-plane/domain/supervision.ts";
import { boardOf, reachOf, type RoleHolder } from "../../../control-plane/domain/supervision-reach.ts";
import {
  addWorkingDays,
  calendarOf,
  dayOf,
  endOfDay,
  isWorkingDay,
  startOfDay,
  workingDaysBefore,
  workingDaysBetween,
} from "../../../control-plane/domain/working-days.ts";

// The National Day holidays of 2026: 1 to 7 October are free, Saturday the 10th is worked.
const holidays = ["01", "02", "03", "04", "05", "06", "07"].map((day) => `2026-10-${day}`);
const calendar = calendarOf([{ year: 2026, holidays, workingDays: ["2026-10-10"] }]);
const long = new Date("2026-01-01T00:00:00Z");
const request = { id: "req_1", number: "2026-000001", departments: ["office", "bureau", "city"] };
const rule = <T extends RuleTerms>(terms: T, more: Partial<Rule<T>> = {}): Rule<T> => ({
  id: "srl_1",
  version: 1,
  department: null,
  since: long,
  terms,
  ...more,
});
const limit = { kind: "time-limit" as const, stage: "department-approval" as const, unit: "working-days" as const, limit: 3, remindBefore: 1, redAfter: 2 };
const stage = (more: Partial<StageFact> = {}): StageFact => ({
  key: "stp_1",
  stage: "department-approval",
  request,
  from: new Date("2026-09-29T02:00:00Z"),
  to: null,
  due: null,
  extraDays: 0,
  concern: { role: "approver", named: null },
  ...more,
});
const none: Facts = { stages: [], decided: [], asked: [] };
const find = (rules: Rule[], facts: Partial<Facts>, now: Date, counted = new Map<string, Set<string>>()) =>
  findings(rules, { ...none, ...facts }, counted, calendar, now);
const coloursAt = (now: Date, fact = stage(), terms: RuleTerms = limit) => find([rule(terms)], { stages: [fact] }, now).map((one) => one.colour);
const after = (day: string) => startOfDay(day);

describe("time limits", () => {
  it("count working days over a holiday and a day that is worked", () => {
    expect(timesOf(limit, stage(), calendar)).toEqual({ reminder: startOfDay("2026-10-09"), yellow: endOfDay("2026-10-09"), red: endOfDay("2026-10-12") });
    expect(coloursAt(new Date(+startOfDay("2026-10-09") + 1))).toEqual(["reminder"]);
    expect(coloursAt(endOfDay("2026-10-09")), "the last millisecond is in time").toEqual(["reminder"]);
    expect(coloursAt(after("2026-10-10")), "a reminder that nobody sent reminds of nothing").toEqual(["yellow"]);
    expect(coloursAt(after("2026-10-13"))).toEqual(["yellow", "red"]);
  });
  it("give back the days that somebody else took, and take a step's own deadline", () => {
    expect(timesOf(limit, stage({ extraDays: 1 }), calendar).yellow).toEqual(endOfDay("2026-10-10"));
    const due = new Date("2026-10-16T15:59:59.999Z");
    expect(timesOf({ ...limit, limit: null }, stage({ due }), calendar)).toMatchObject({ reminder: startOfDay("2026-10-16"), yellow: due });
    expect(timesOf({ ...limit, limit: null }, stage(), calendar)).toEqual({ reminder: null, yellow: null, red: null });
  });
  it("count hours around the clock", () => {
    const hours = { ...limit, unit: "hours" as const, limit: 4, remindBefore: 1, redAfter: 20 };
    const at = (hour: number) => new Date(+stage().from + hour * 3_600_000);
    expect(timesOf(hours, stage(), calendar)).toEqual({ reminder: at(3), yellow: at(4), red: at(24) });
  });
  it("card a stage that ended for what it was late before, and for nothing after", () => {
    expect(coloursAt(after("2026-11-01"), stage({ to: new Date("2026-10-12T02:00:00Z") }))).toEqual(["yellow"]);
    expect(coloursAt(after("2026-11-01"), stage({ to: new Date("2026-10-08T02:00:00Z") }))).toEqual([]);
  });
  it("hold for the rule's stage, in its subtree, from its making on", () => {
    const late = (more: Partial<Rule>, fact = stage()) => find([rule(limit, more as never)], { stages: [fact] }, after("2026-10-11")).length;
    expect(late({})).toBe(1);
    expect(late({ department: "bureau" })).toBe(1);
    expect(late({ department: "elsewhere" })).toBe(0);
    expect(late({}, stage({ stage: "authority-approval" }))).toBe(0);
    const since = after("2026-10-12");
    expect(late({ since }), "what goes on").toBe(1);
    expect(late({ since }, stage({ to: after("2026-10-11") })), "what was over").toBe(0);
  });

  const moment = fc.date({ min: new Date("2026-08-01"), max: new Date("2026-12-31"), noInvalidDate: true });
  const terms = fc.record({
    kind: fc.constant("time-limit" as const),
    stage: fc.constant("department-approval" as const),
    unit: fc.constantFrom("working-days" as const, "hours" as const),
    limit: fc.integer({ min: 1, max: 30 }),
    remindBefore: fc.option(fc.integer({ min: 1, max: 30 })),
    redAfter: fc.integer({ min: 1, max: 30 }),
  });
  it("are in order, and issue more as time goes on, never less, whatever they are", () => {
    fc.assert(
      fc.property(terms, moment, moment, moment, (some, from, one, other) => {
        fc.pre(termsErrors(some).length === 0);
        const fact = stage({ from });
        const { reminder, yellow, red } = timesOf(some, fact, calendar);
        expect(+yellow!).toBeGreaterThan(+from);
        expect(+red!).toBeGreaterThan(+yellow!);
        if (reminder) expect(+reminder >= +from && +reminder <= +yellow!).toBe(true);
        const [sooner, later] = [one, other].toSorted((a, b) => +a - +b) as [Date, Date];
        const cards = (now: Date) => coloursAt(now, fact, some).filter((colour) => colour !== "reminder");
        expect(cards(later).slice(0, cards(sooner).length)).toEqual(cards(sooner));
        // Ended then, it is carded as it was at that moment, whenever that is looked at.
        const ended = find([rule(some)], { stages: [{ ...fact, to: sooner }] }, later).map((found) => found.colour);
        expect(ended).toEqual(cards(sooner));
      }),
    );
  });
  it("a day so many working days before another has that many between them", () => {
    fc.assert(
      fc.property(moment, fc.integer({ min: 0, max: 15 }), (at, days) => {
        const day = dayOf(addWorkingDays(calendar, at, 20));
        const before = workingDaysBefore(calendar, day, days);
        expect(isWorkingDay(calendar, before)).toBe(true);
        expect(workingDaysBetween(calendar, startOfDay(before), startOfDay(day))).toBe(days);
      }),
    );
  });
  it("are refused where they cannot be", () => {
    const wrong = (some: RuleTerms) => termsErrors(some).map((one) => one.pointer);
    expect(wrong({ ...limit, stage: "planning", limit: null })).toEqual(["/terms/limit"]);
    expect(wrong({ ...limit, stage: "correction" })).toEqual(["/terms/limit"]);
    expect(wrong({ ...limit, unit: "hours", remindBefore: 3 })).toEqual(["/terms/remindBefore"]);
    expect(wrong({ ...limit, remindBefore: 4 })).toEqual(["/terms/remindBefore"]);
    expect(wrong({ kind: "split-requests", colour: "red", by: "project", measure: "hosts", windowDays: 1, threshold: null })).toEqual(["/terms/threshold"]);
    expect(wrong(limit)).toEqual([]);
  });
});

describe("requests that were decided on", () => {
  const policy = [
    { name: "A", kind: "department-approval" as const, approvers: [], needed: 2 },
    { name: "B", kind: "authority-approval" as const, approvers: [], needed: null },
  ];
  const by = (stageIndex: number, who: string, more: object = {}) => ({
    stage: stageIndex,
    kind: policy[stageIndex]!.kind,
    stageName: policy[stageIndex]!.name,
    by: who,
    for: null,
    planHash: "h",
    ...more,
  });
  const fact = (more: Partial<DecidedFact> = {}): DecidedFact => ({
    request,
    decidedAt: new Date("2026-10-09T02:00:00Z"),
    planHash: "h",
    authors: ["author"],
    decidedBy: "c",
    policy,
    approvals: [by(0, "a"), by(0, "b"), by(1, "c")],
    ...more,
  });
  const skipped = (more: Partial<DecidedFact>) =>
    find([rule({ kind: "skipped-step", colour: "red" })], { decided: [fact(more)] }, new Date()).map((one) => one.detail);
  const same = (more: Partial<DecidedFact>) =>
    find([rule({ kind: "same-person", colour: "red" })], { decided: [fact(more)] }, new Date()).map((one) => one.concern);

  it("lack a decision that the policy asked for, or have one about another plan", () => {
    expect(skipped({})).toEqual([]);
    expect(skipped({ approvals: [by(0, "a"), by(1, "c")] })).toEqual(["A: 1/2"]);
    expect(skipped({ approvals: [] })).toEqual(["A: 0/2; B: 0/1"]);
    expect(skipped({ approvals: [by(0, "a"), by(0, "b"), by(1, "c", { planHash: "other" })] })).toEqual(["B: other ≠ h"]);
    expect(skipped({ approvals: [], decidedAt: new Date(+long - 1) }), "before the rule was").toEqual([]);
  });
  it("have one person on both sides, on two steps, or behind a delegation", () => {
    expect(same({})).toEqual([]);
    expect(same({ authors: ["author", "b"] })).toEqual([{ people: ["b"] }]);
    expect(same({ approvals: [by(0, "a"), by(0, "b"), by(1, "a")] })).toEqual([{ people: ["a"] }]);
    expect(same({ approvals: [by(0, "a", { for: "author" }), by(0, "b"), by(1, "c")] })).toEqual([{ people: ["a", "author"] }]);
    expect(same({ approvals: [by(0, "a"), by(0, "b", { for: "c" }), by(1, "c")] })).toEqual([{ people: ["b", "c"] }]);
  });
});

describe("split requests", () => {
  const terms = {
    kind: "split-requests" as const,
    colour: "yellow" as const,
    by: "project" as const,
    measure: "cost" as const,
    windowDays: 10,
    threshold: 100,
  };
  const day = (index: number) => new Date(Date.UTC(2026, 8, 1) + index * 86_400_000);
  const asked = (index: number, at: number, costFen: number, project = "p"): AskedFact => ({
    request: { ...request, id: `req_${String(index).padStart(3, "0")}` },
    at: day(at),
    project,
    applicant: "x",
    costFen,
    quantities: { hosts: costFen },
  });
  const found = (facts: AskedFact[], more: object = {}, counted = new Map<string, Set<string>>()) =>
    find([rule({ ...terms, ...more })], { asked: facts }, new Date(), counted).map((one) => one.requests);

  it("are together at the threshold within the window, and each below it", () => {
    expect(found([asked(1, 0, 60), asked(2, 9, 40)])).toEqual([["req_001", "req_002"]]);
    expect(found([asked(1, 0, 60), asked(2, 10, 40)]), "a window apart").toEqual([]);
    expect(found([asked(1, 0, 60), asked(2, 1, 39)])).toEqual([]);
    expect(found([asked(1, 0, 100), asked(2, 1, 60)]), "that one was at the threshold itself").toEqual([]);
    expect(found([asked(1, 0, 60), asked(2, 1, 60, "q")])).toEqual([]);
    expect(found([asked(1, 0, 60), asked(2, 1, 60, "q")], { by: "applicant", measure: "hosts" })).toEqual([["req_001", "req_002"]]);
  });
  it("are in one card of a rule at most, however often it is looked, and whatever comes later", () => {
    const facts = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 130 })), { maxLength: 25 });
    fc.assert(
      fc.property(facts, fc.integer({ min: 0, max: 40 }), (some, until) => {
        const all = some.map(([at, cost], index) => asked(index, at, cost));
        const first = found(all.filter((one) => one.at <= day(until)));
        const counted = new Map([["srl_1", new Set(first.flat())]]);
        const second = found(all, {}, counted);
        const ids = [...first, ...second].flat();
        expect(new Set(ids).size).toBe(ids.length);
        for (const group of [...first, ...second]) {
          const members = group.map((id) => all.find((one) => one.request.id === id)!);
          expect(members.reduce((sum, one) => sum + one.costFen, 0)).toBeGreaterThanOrEqual(100);
          expect(members.length).toBeGreaterThan(1);
          expect(members.every((one) => one.costFen < 100)).toBe(true);
          expect(Math.max(...members.map((one) => +one.at)) - Math.min(...members.map((one) => +one.at))).toBeLessThan(10 * 86_400_000);
        }
        expect(found(all, {}, new Map([["srl_1", new Set(ids)]])), "nothing is left").toEqual([]);
      }),
    );
  });
});

describe("whom a card reaches", () => {
  const holds = (subject: string, role: RoleHolder["role"], department: string | null): RoleHolder => ({ subject, role, department });
  const holders = [
    holds("clerk", "approver", "office"),
    holds("head", "approver", "bureau"),
    holds("mayor", "approver", null),
    holds("ministry", "authority", "city"),
    holds("ops", "operations", null),
    holds("officer", "supervision", "bureau"),
    holds("chief", "supervision", null),
    holds("stranger", "supervision", "elsewhere"),
  ];
  const reach = (concern: Parameters<typeof reachOf>[0], some = holders, standsIn = new Map<string, string[]>()) =>
    reachOf(concern, request.departments, some, standsIn);
  const approver = { role: "approver" as const, named: null };

  it("is the nearest who hold the role, and those above them", () => {
    expect(reach(approver)).toEqual({ concerned: ["clerk"], superiors: ["head"] });
    expect(reach(approver, holders.slice(1))).toEqual({ concerned: ["head"], superiors: ["mayor"] });
    expect(reach(approver, holders.slice(2))).toEqual({ concerned: ["mayor"], superiors: ["ministry"] });
  });
  it("is the one who is named, with whoever stands in for them", () => {
    expect(reach({ role: "approver", named: "clerk" }, holders, new Map([["clerk", ["deputy"]]]))).toEqual({
      concerned: ["clerk", "deputy"],
      superiors: ["head"],
    });
  });
  it("of operations is the authority; of an applicant the department's approver; of who decided the authority", () => {
    expect(reach({ role: "operations", named: null })).toEqual({ concerned: ["ops"], superiors: ["ministry"] });
    expect(reach({ people: ["applicant"] })).toEqual({ concerned: ["applicant"], superiors: ["clerk"] });
    expect(reach({ people: ["clerk"] })).toEqual({ concerned: ["clerk"], superiors: ["ministry"] });
    expect(reach({ people: ["ministry"] }), "nobody is their own superior").toEqual({ concerned: ["ministry"], superiors: [] });
  });
  it("is the board of the department and above it", () => {
    expect(boardOf(request.departments, holders)).toEqual(["officer", "chief"]);
  });
});
