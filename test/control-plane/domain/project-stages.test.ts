import { describe, expect, it } from "vitest";
import { ProjectAdvance, ProjectEvent, ProjectStage } from "../../../control-plane/contract/projects.ts";
import { stages, takenBy } from "../../../control-plane/contract/project-stages.ts";
import { fundKindOf, nextStage } from "../../../control-plane/domain/project-stages.ts";

const million = 100_000_000;
const standing = { stage: "filed" as ProjectStage, filedBy: "tok_filer", supervisor: null as unknown, budgetFen: 100, resources: 0 };
const decider = { actor: "tok_decider", roles: ["authority"] };
const opinion = { expert: "王工", organisation: "院", verdict: "support", opinion: "可行" };
/** What a step needs to be complete. */
const whole = (event: ProjectEvent, more: object = {}) =>
  ProjectAdvance.parse({
    event,
    reason: "因",
    ...(event === "review" ? { opinions: [opinion] } : {}),
    ...(event === "accept" || event === "evaluate" ? { evidence: [{ name: "报告" }] } : {}),
    ...more,
  });
const step = (event: ProjectEvent, now: Partial<typeof standing> = {}, by: Parameters<typeof nextStage>[2] = decider, more: object = {}) =>
  nextStage({ ...standing, ...now }, whole(event, more), by, million);

describe("stages of a project", () => {
  it("lead from filing to closing, and each pair that is not in the table is refused", () => {
    const path: [ProjectEvent, ProjectStage][] = [
      ["review", "reviewed"],
      ["approve", "approved"],
      ["accept", "accepted"],
      ["operate", "operating"],
      ["evaluate", "evaluated"],
      ["close", "closed"],
    ];
    let stage: ProjectStage = "filed";
    for (const [event, next] of path) {
      expect(step(event, { stage })).toBe(next);
      stage = next;
    }
    for (const from of ProjectStage.options)
      for (const event of ProjectEvent.options) {
        const next = stages[from][event];
        if (next) expect(step(event, { stage: from })).toBe(next);
        else expect(() => step(event, { stage: from })).toThrow(expect.objectContaining({ code: "conflict" }));
      }
    expect(Object.keys(stages.closed)).toEqual([]);
  });

  it("are taken by who may: a department only begins to operate", () => {
    for (const event of ProjectEvent.options) {
      const from = ProjectStage.options.find((one) => stages[one][event])!;
      const taken = () => step(event, { stage: from }, { actor: "tok_other", roles: ["applicant"] });
      if (takenBy[event].includes("applicant")) expect(taken).not.toThrow();
      else expect(taken).toThrow(expect.objectContaining({ code: "forbidden" }));
    }
  });

  it("are never judged by who filed it", () => {
    for (const [event, stage] of [
      ["review", "filed"],
      ["approve", "reviewed"],
      ["accept", "approved"],
      ["evaluate", "operating"],
    ] as const)
      expect(() => step(event, { stage }, { actor: "tok_filer", roles: ["authority"] })).toThrow(expect.objectContaining({ code: "self-approval" }));
  });

  it.each([
    ["a review without opinions", "review", "filed", { opinions: [] }, "/opinions"],
    ["an acceptance without its report", "accept", "approved", { evidence: [] }, "/evidence"],
    ["an evaluation without its report", "evaluate", "operating", { evidence: [] }, "/evidence"],
    ["a return that gives money", "return", "reviewed", { funds: [{ kind: "construction", fiscalYear: 2026, amountFen: 1 }] }, "/funds"],
  ] as const)("need what proves them: %s", (_what, event, stage, more, pointer) => {
    expect(() => step(event, { stage }, decider, more)).toThrow(
      expect.objectContaining({ code: "invalid-body", errors: [{ pointer, detail: expect.any(String) }] }),
    );
  });

  it("need a budget to be approved, and from the threshold on a supervisor", () => {
    expect(() => step("approve", { stage: "reviewed", budgetFen: 0 })).toThrow(/needs a budget/);
    expect(step("approve", { stage: "reviewed", budgetFen: million - 1 })).toBe("approved");
    expect(() => step("approve", { stage: "reviewed", budgetFen: million })).toThrow(/监理/);
    expect(step("approve", { stage: "reviewed", budgetFen: million, supervisor: { name: "监理公司" } })).toBe("approved");
  });

  it("are not closed over what still runs", () => {
    expect(() => step("close", { stage: "evaluated", resources: 2 })).toThrow(expect.objectContaining({ code: "rule-broken" }));
  });

  it("pay from the operating fund after acceptance", () => {
    expect(ProjectStage.options.map(fundKindOf)).toEqual([
      "construction",
      "construction",
      "construction",
      "operating",
      "operating",
      "operating",
      "construction",
    ]);
  });
});
