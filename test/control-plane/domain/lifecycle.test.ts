import { describe, expect, it } from "vitest";
import { RequestState } from "../../../control-plane/contract/requests.ts";
import { lifecycle, nextState, type RequestEvent, whyNot } from "../../../control-plane/domain/lifecycle.ts";

const states = RequestState.options;
const events: RequestEvent[] = [
  "submit",
  "plan",
  "shortage",
  "capacity",
  "ask-department",
  "ask-authority",
  "return",
  "approve",
  "reject",
  "withdraw",
  "apply",
  "schedule",
  "restart",
  "finish",
  "try",
  "accept",
  "expire",
  "renew",
  "reclaim",
  "fail",
  "replan",
];
/** Written a second time on purpose: every other pair is refused. */
const allowed = [
  "draft submit submitted",
  "draft withdraw withdrawn",
  "submitted plan planned",
  "submitted fail failed",
  "submitted withdraw withdrawn",
  "submitted reject rejected",
  "waiting capacity approved",
  "waiting replan submitted",
  "waiting withdraw withdrawn",
  "waiting reject rejected",
  "planned ask-department department-approval",
  "planned ask-authority authority-approval",
  "planned approve approved",
  "department-approval ask-authority authority-approval",
  "department-approval approve approved",
  "department-approval return needs-information",
  "department-approval reject rejected",
  "department-approval withdraw withdrawn",
  "department-approval replan submitted",
  "authority-approval approve approved",
  "authority-approval return needs-information",
  "authority-approval reject rejected",
  "authority-approval withdraw withdrawn",
  "authority-approval replan submitted",
  "needs-information ask-department department-approval",
  "needs-information ask-authority authority-approval",
  "needs-information submit submitted",
  "needs-information withdraw withdrawn",
  "approved shortage waiting",
  "approved apply applying",
  "approved finish active",
  "approved fail failed",
  "applying apply applying",
  "applying finish active",
  "applying replan submitted",
  "applying fail failed",
  "applying try on-trial",
  "applying schedule scheduled",
  "scheduled restart applying",
  "scheduled replan submitted",
  "scheduled withdraw withdrawn",
  "scheduled finish active",
  "on-trial accept active",
  "on-trial expire expiring",
  "on-trial reclaim reclaimed",
  "active expire expiring",
  "expiring renew active",
  "expiring reclaim reclaimed",
];

describe("the lifecycle of a request", () => {
  it("allows exactly these moves, of all states and events", () => {
    const found = states.flatMap((state) => events.flatMap((event) => (nextState(state, event) ? [`${state} ${event} ${nextState(state, event)}`] : [])));
    expect(found.toSorted()).toEqual(allowed.toSorted());
    expect(Object.keys(lifecycle).toSorted()).toEqual([...states].toSorted());
  });

  it.each(states.flatMap((state) => events.map((event) => ({ state, event }))))("says why where $state does not take $event", ({ state, event }) => {
    const why = whyNot(state, event);
    if (nextState(state, event)) expect(why).toBeUndefined();
    else expect(why).toMatch(new RegExp(`${state} cannot ${event}: only one that is \\w+`));
  });

  it("reaches every state from a draft, and leaves no end", () => {
    const reached = new Set<string>(["draft"]);
    for (const state of reached) for (const next of Object.values(lifecycle[state as keyof typeof lifecycle])) reached.add(next);
    expect([...reached].toSorted()).toEqual([...states].toSorted());
    for (const end of ["reclaimed", "failed", "rejected", "withdrawn"] as const) expect(lifecycle[end]).toEqual({});
  });
});
