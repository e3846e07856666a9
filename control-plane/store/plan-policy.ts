/** What an installation settles about its plans: from which budget on a third-party supervisor (监理) must be named. */
import type { PlanPolicy } from "../contract/projects.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";

const key = "plan-policy";
/** One million yuan, as Suzhou has it. */
const byDefault: PlanPolicy = { supervisorThresholdFen: 100_000_000, revision: 0 };

export async function planPolicy(db: Db): Promise<PlanPolicy> {
  const row = await db.selectFrom("settings").select("value").where("key", "=", key).executeTakeFirst();
  return row ? (row.value as PlanPolicy) : byDefault;
}

/** Holds for approvals and funds from now on. @param check is given the revision as it is now, the row being locked; throws to refuse */
export async function setPlanPolicy(tx: Tx, act: Act, change: Omit<PlanPolicy, "revision">, check: (revision: number) => void): Promise<PlanPolicy> {
  await tx
    .insertInto("settings")
    .values({ key, value: JSON.stringify(byDefault) })
    .onConflict((on) => on.doNothing())
    .execute();
  const row = await tx.selectFrom("settings").select("value").where("key", "=", key).forUpdate().executeTakeFirstOrThrow();
  const before = row.value as PlanPolicy;
  check(before.revision);
  if (!Number.isSafeInteger(change.supervisorThresholdFen)) throw new Refusal("invalid-body", "The threshold is too large.");
  const after = { ...change, revision: before.revision + 1 };
  await tx
    .updateTable("settings")
    .set({ value: JSON.stringify(after) })
    .where("key", "=", key)
    .execute();
  await appendAudit(tx, act, { action: "plan-policy.set", subjectKind: "setting", subjectId: key, departmentId: null, before, after });
  return after;
}
