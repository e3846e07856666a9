/**
 * The lifecycle of a request: one table, for the API, the console and the tests.
 * A plan is made, then the stages of the approval policy decide (domain/approval-policy.ts): `ask-…` takes a request to the next stage's kind.
 */
import type { RequestState } from "../contract/requests.ts";
import type { z } from "zod";

type State = z.infer<typeof RequestState>;
export type RequestEvent =
  | "submit"
  | "plan"
  | "shortage"
  | "capacity"
  | "ask-department"
  | "ask-authority"
  | "return"
  | "approve"
  | "reject"
  | "withdraw"
  | "apply"
  | "schedule"
  | "restart"
  | "finish"
  | "try"
  | "accept"
  | "expire"
  | "renew"
  | "reclaim"
  | "fail"
  | "replan";

/** State → event → next state. What is not here is not allowed. */
export const lifecycle: Record<State, Partial<Record<RequestEvent, State>>> = {
  draft: { submit: "submitted", withdraw: "withdrawn" },
  submitted: { plan: "planned", fail: "failed", withdraw: "withdrawn", reject: "rejected" },
  // Approved, and in the queue for capacity. Elsewhere than approved it is another plan.
  waiting: { capacity: "approved", replan: "submitted", withdraw: "withdrawn", reject: "rejected" },
  // Passed through: the first stage is asked in the transaction that records the plan.
  // What only stops hosts whose term is over is granted by the policy that their owners were told of, and asks nobody.
  planned: { "ask-department": "department-approval", "ask-authority": "authority-approval", approve: "approved" },
  "department-approval": {
    "ask-authority": "authority-approval",
    approve: "approved",
    return: "needs-information",
    reject: "rejected",
    withdraw: "withdrawn",
    replan: "submitted",
  },
  "authority-approval": { approve: "approved", return: "needs-information", reject: "rejected", withdraw: "withdrawn", replan: "submitted" },
  // The applicant answers: back to who asked. Or changes the request: it is submitted anew.
  "needs-information": {
    "ask-department": "department-approval",
    "ask-authority": "authority-approval",
    submit: "submitted",
    withdraw: "withdrawn",
  },
  approved: { shortage: "waiting", apply: "applying", finish: "active", fail: "failed" },
  applying: { schedule: "scheduled", finish: "active", try: "on-trial", fail: "failed", apply: "applying", replan: "submitted" },
  // What could be made live is made; the rest waits for the restart that its owner agrees to. What else has moved by then is another plan.
  scheduled: { restart: "applying", replan: "submitted", withdraw: "withdrawn", finish: "active" },
  "on-trial": { accept: "active", expire: "expiring", reclaim: "reclaimed" },
  // What it made lives: its terms move it (domain/terms.ts).
  active: { expire: "expiring" },
  expiring: { renew: "active", reclaim: "reclaimed" },
  reclaimed: {},
  failed: {},
  rejected: {},
  withdrawn: {},
};

/** The next state, or undefined when the event doesn't fit. */
export const nextState = (state: State, event: RequestEvent): State | undefined => lifecycle[state][event];

/** Why an event doesn't fit a state, for people; undefined when it does. */
export function whyNot(state: State, event: RequestEvent): string | undefined {
  if (nextState(state, event)) return undefined;
  const able = (Object.keys(lifecycle) as State[]).filter((one) => lifecycle[one][event]);
  return `A request that is ${state} cannot ${event}: only one that is ${able.join(" or ")}.`;
}

/** Where somebody is asked to decide. */
export const isDeciding = (state: State): boolean => lifecycle[state].return !== undefined;
/** States with a reservation that nobody has approved. */
export const undecidedStates: readonly State[] = ["submitted", "planned", "department-approval", "authority-approval", "needs-information"];
/** States of a request that was granted and whose resources are there, or were. */
export const grantedStates: readonly State[] = ["approved", "applying", "scheduled", "on-trial", "active", "expiring", "reclaimed"];
