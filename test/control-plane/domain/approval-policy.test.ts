import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Stage } from "../../../control-plane/contract/approvals.ts";
import { advance, defaultStages, policyErrors, type Standing, stepsOf } from "../../../control-plane/domain/approval-policy.ts";

const id = (n: number) => `tok_${String(n).padStart(26, "0")}`;
const stage = (more: Partial<Stage>) => Stage.parse({ name: "S", kind: "department-approval", role: "approver", ...more });
const standing = (stages: readonly Stage[]): (Standing & { approver: string | null })[] =>
  stepsOf(stages).map((step) => ({ ...step, id: String(step.position), state: "waiting" }));
/** Does what `advance` says. */
function settle(steps: Standing[]) {
  const next = advance(steps);
  for (const step of steps) if (next.open.includes(step.id)) step.state = "open";
  for (const step of steps) if (next.skip.includes(step.id)) step.state = "skipped";
  return next;
}
const open = (steps: Standing[]) => steps.filter((step) => step.state === "open").map((step) => step.id);
const approve = (steps: Standing[], which: string) => {
  steps.find((step) => step.id === which)!.state = "approved";
  return settle(steps);
};

describe("a policy", () => {
  it("asks the department and then the authority, one each, unless something else is said", () => {
    expect(policyErrors(defaultStages)).toEqual([]);
    const steps = standing(defaultStages);
    expect(settle(steps).at).toBe("department-approval");
    expect(open(steps)).toEqual(["0"]);
    expect(approve(steps, "0").at).toBe("authority-approval");
    expect(open(steps)).toEqual(["1"]);
    expect(approve(steps, "1").at).toBeUndefined();
  });
  it("asks those who are named one after the other", () => {
    const steps = standing([stage({ approvers: [id(1), id(2)] })]);
    settle(steps);
    expect(steps.map((step) => [step.approver, step.state])).toEqual([
      [id(1), "open"],
      [id(2), "waiting"],
    ]);
    approve(steps, "0");
    expect(open(steps)).toEqual(["1"]);
    expect(approve(steps, "1").at).toBeUndefined();
  });
  it("asks all at once, and goes on when enough have approved", () => {
    const steps = standing([stage({ approvers: [id(1), id(2), id(3)], mode: "parallel", needed: 2 }), stage({ kind: "authority-approval" })]);
    settle(steps);
    expect(open(steps)).toEqual(["0", "1", "2"]);
    expect(approve(steps, "2").at).toBe("department-approval");
    expect(approve(steps, "0").at).toBe("authority-approval");
    expect(steps.map((step) => step.state)).toEqual(["approved", "skipped", "approved", "open"]);
  });
  it("needs all in parallel unless it says how many", () => {
    const steps = standing([stage({ approvers: [id(1), id(2)], mode: "parallel" })]);
    settle(steps);
    expect(approve(steps, "0").at).toBe("department-approval");
    expect(approve(steps, "1").at).toBeUndefined();
  });
  it("asks so many people with the role", () => {
    const steps = standing([stage({ needed: 3, mode: "parallel" })]);
    settle(steps);
    expect(open(steps)).toHaveLength(3);
  });
  it("opens nothing while somebody's question is open", () => {
    const steps = standing([stage({ approvers: [id(1), id(2)] })]);
    settle(steps);
    steps[0]!.state = "asked";
    expect(settle(steps)).toEqual({ open: [], skip: [], at: "department-approval" });
  });
  it.each([
    ["the authority before the department", [stage({ kind: "authority-approval" }), stage({})], "/stages/1/kind"],
    ["somebody twice", [stage({ approvers: [id(1), id(1)] })], "/stages/0/approvers"],
    ["more than are named", [stage({ approvers: [id(1)], mode: "parallel", needed: 2 })], "/stages/0/needed"],
    ["some of those who are asked in turn", [stage({ approvers: [id(1), id(2)], needed: 1 })], "/stages/0/needed"],
  ])("cannot ask %s", (_what, stages, pointer) => {
    expect(policyErrors(stages).map((one) => one.pointer)).toEqual([pointer]);
  });
  it("ends, whoever decides in which order, with exactly as many approvals as it needs, and never goes back", () => {
    const stages = fc.array(
      fc.record({
        mode: fc.constantFrom("serial" as const, "parallel" as const),
        named: fc.integer({ min: 0, max: 4 }),
        needed: fc.integer({ min: 1, max: 4 }),
      }),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(stages, fc.infiniteStream(fc.nat()), (asked, choices) => {
        const steps = standing(
          asked.map(({ mode, named, needed }) =>
            stage({
              mode,
              approvers: Array.from({ length: named }, (_, index) => id(index)),
              needed: named === 0 ? needed : mode === "parallel" ? Math.min(needed, named) : null,
            }),
          ),
        );
        settle(steps);
        for (let turn = 0; turn < 50; turn++) {
          const now = open(steps);
          if (now.length === 0) break;
          // Only one stage is asked at a time.
          expect(new Set(steps.filter((step) => step.state === "open").map((step) => step.stage)).size).toBe(1);
          approve(steps, now[choices.next().value! % now.length]!);
        }
        expect(advance(steps).at).toBeUndefined();
        for (const [, of] of Map.groupBy(steps, (step) => step.stage)) {
          expect(of.filter((step) => step.state === "approved")).toHaveLength(of[0]!.needed);
          expect(of.every((step) => step.state === "approved" || step.state === "skipped")).toBe(true);
        }
      }),
    );
  });
});
