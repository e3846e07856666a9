/** What an installation settles about its plans: from which budget on a third-party supervisor (监理) must be named. */
import type { PlanPolicy } from "../contract/projects.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import type { Tx } from "./database.ts";
import { settledPolicy } from "./settled-policy.ts";

/** One million yuan, as Suzhou has it. */
const policy = settledPolicy<PlanPolicy>("plan-policy", { supervisorThresholdFen: 100_000_000, revision: 0 });

export const planPolicy = policy.read;
/** Holds for approvals and funds from now on. @param check is given the revision as it is now, the row being locked; throws to refuse */
export function setPlanPolicy(tx: Tx, act: Act, change: Omit<PlanPolicy, "revision">, check: (revision: number) => void): Promise<PlanPolicy> {
  return policy.set(tx, act, change, (revision) => {
    check(revision);
    if (!Number.isSafeInteger(change.supervisorThresholdFen)) throw new Refusal("invalid-body", "The threshold is too large.");
  });
}
