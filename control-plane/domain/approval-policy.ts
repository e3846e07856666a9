/** Approval policies (审批流程): which stages a request goes through, who is asked in each, and what comes after a decision. Pure. */
import type { Stage } from "../contract/approvals.ts";

/** What holds where no department above has a policy of its own. */
export const defaultStages: readonly Stage[] = [
  { name: "部门审批 / Department approval", kind: "department-approval", role: "approver", approvers: [], mode: "serial", needed: null, days: 3 },
  { name: "主管部门审批 / Authority approval", kind: "authority-approval", role: "authority", approvers: [], mode: "serial", needed: null, days: 5 },
];

/** Where a policy is wrong, by JSON Pointer; empty: nowhere. */
export function policyErrors(stages: readonly Stage[]): { pointer: string; detail: string }[] {
  return stages.flatMap((stage, index) => {
    const at = (place: string, detail: string) => ({ pointer: `/stages/${index}/${place}`, detail });
    const errors: { pointer: string; detail: string }[] = [];
    if (stage.kind === "department-approval" && stages.slice(0, index).some((one) => one.kind === "authority-approval"))
      errors.push(at("kind", "the department approves before the authority does"));
    if (new Set(stage.approvers).size < stage.approvers.length) errors.push(at("approvers", "names somebody twice"));
    if (stage.approvers.length > 0 && stage.needed !== null) {
      if (stage.mode === "serial") errors.push(at("needed", "those who are named and asked one after the other all decide"));
      else if (stage.needed > stage.approvers.length) errors.push(at("needed", "is more than are named"));
    }
    return errors;
  });
}

/** A step as a policy lays it out: one decision of one person. */
export interface PlannedStep {
  /** Of the stage in the policy, from 0. */
  stage: number;
  /** In the whole, from 0. */
  position: number;
  name: string;
  kind: Stage["kind"];
  role: Stage["role"];
  /** Who alone may decide it, or stand-ins; null: anybody with the role. */
  approver: string | null;
  mode: Stage["mode"];
  /** How many of its stage must approve. */
  needed: number;
  days: number;
}

export function stepsOf(stages: readonly Stage[]): PlannedStep[] {
  return stages
    .flatMap(({ approvers, needed, ...stage }, index) => {
      const asked: (string | null)[] = approvers.length > 0 ? approvers : Array.from({ length: needed ?? 1 }, () => null);
      const step = { name: stage.name, kind: stage.kind, role: stage.role, mode: stage.mode, days: stage.days };
      return asked.map((approver) => ({ ...step, stage: index, approver, needed: needed ?? asked.length }));
    })
    .map((step, position) => ({ ...step, position }));
}

/** The same stages where two decide at least; else those of the default policy: what ends data takes two people, whatever a policy says. */
export const byTwo = (stages: readonly Stage[]): readonly Stage[] =>
  stages.reduce((sum, stage) => sum + (stage.needed ?? Math.max(1, stage.approvers.length)), 0) >= 2 ? stages : defaultStages;

/** What of a step the next move depends on. */
export interface Standing {
  id: string;
  stage: number;
  position: number;
  kind: Stage["kind"];
  mode: Stage["mode"];
  needed: number;
  state: "waiting" | "open" | "asked" | "approved" | "rejected" | "skipped";
}

/**
 * What comes next for the steps of a request that nobody has rejected.
 * @returns the steps to be opened and those that nobody needs to decide any more; `at`: the kind of the stage where it stands now, undefined when all stages have passed
 */
export function advance(steps: readonly Standing[]): { open: string[]; skip: string[]; at: Stage["kind"] | undefined } {
  const skip: string[] = [];
  const stages = [...Map.groupBy(steps, (step) => step.stage)].toSorted(([a], [b]) => a - b);
  for (const [, unordered] of stages) {
    const stage = unordered.toSorted((a, b) => a.position - b.position);
    const { mode, needed, kind } = stage[0]!;
    const pending = stage.filter((step) => step.state === "waiting" || step.state === "open" || step.state === "asked");
    if (stage.filter((step) => step.state === "approved").length >= needed) {
      skip.push(...pending.map((step) => step.id));
      continue;
    }
    const waiting = pending.filter((step) => step.state === "waiting").map((step) => step.id);
    const busy = pending.some((step) => step.state !== "waiting");
    return { open: mode === "parallel" ? waiting : busy ? [] : waiting.slice(0, 1), skip, at: kind };
  }
  return { open: [], skip, at: undefined };
}
