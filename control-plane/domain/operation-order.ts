/** Which steps of an operation plan may begin now. Pure. */
import type { OperationAction, OperationStepState } from "../contract/operation-plans.ts";

export interface OrderedStep {
  action: OperationAction;
  state: OperationStepState;
  from_member: string | null;
  to_member: string | null;
}

/** Moves of one plan at a time, however many members it has. */
const atOnce = 4;
/** That a member receives at a time. */
const receivedAtOnce = 2;

/**
 * A member is opened or closed when everything before is settled, and before everything after.
 * Between those, a member gives one thing at a time and receives two.
 */
export function nextSteps<Step extends OrderedStep>(steps: readonly Step[]): Step[] {
  const isMember = (step: Step) => step.action === "close-member" || step.action === "open-member";
  const running = steps.filter((one) => one.state === "running");
  const chosen: Step[] = [];
  for (const step of steps) {
    const under = [...running, ...chosen];
    if (step.state === "running" && isMember(step)) return chosen;
    if (step.state !== "planned") continue;
    if (isMember(step)) return under.length === 0 ? [step] : chosen;
    if (under.length >= atOnce) return chosen;
    // A member that doesn't answer copies nothing to anybody.
    const gives = step.action !== "restart-host" && under.some((one) => one.from_member !== null && one.from_member === step.from_member);
    const receives = under.filter((one) => one.to_member !== null && one.to_member === step.to_member).length;
    if (!gives && receives < receivedAtOnce) chosen.push(step);
  }
  return chosen;
}
