/** The lifecycle of a request: one table, for the API, the console and the tests. */
import type { RequestState } from "../contract/requests.ts";
import type { z } from "zod";

type State = z.infer<typeof RequestState>;
export type RequestEvent = "submit" | "plan" | "shortage" | "capacity" | "approve" | "reject" | "withdraw" | "apply" | "finish" | "fail" | "replan";

/** State → event → next state. What is not here is not allowed. */
export const lifecycle: Record<State, Partial<Record<RequestEvent, State>>> = {
  draft: { submit: "submitted", shortage: "waiting", withdraw: "withdrawn" },
  submitted: { plan: "planned", fail: "failed", withdraw: "withdrawn", reject: "rejected" },
  waiting: { capacity: "submitted", shortage: "waiting", withdraw: "withdrawn", reject: "rejected" },
  planned: { approve: "approved", reject: "rejected", withdraw: "withdrawn", replan: "submitted" },
  approved: { apply: "applying", finish: "active", fail: "failed" },
  applying: { finish: "active", fail: "failed", apply: "applying", replan: "submitted" },
  active: {},
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
