/** What an installation settles about terms: when owners are told, when what is over is stopped, and when it is proposed to reclaim it. */
import type { TermPolicy, TermPolicyChange } from "../contract/terms.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";

const key = "term-policy";
const byDefault: TermPolicy = { noticeDays: 30, graceDays: 30, stoppedDays: 7, trialAnswerDays: 7, revision: 0 };

export async function termPolicy(db: Db): Promise<TermPolicy> {
  const row = await db.selectFrom("settings").select("value").where("key", "=", key).executeTakeFirst();
  return row ? (row.value as TermPolicy) : byDefault;
}

/** Holds from now on, for what runs already too. @param check is given the revision as it is now, the row being locked; throws to refuse */
export async function setTermPolicy(tx: Tx, act: Act, change: TermPolicyChange, check: (revision: number) => void): Promise<TermPolicy> {
  await tx
    .insertInto("settings")
    .values({ key, value: JSON.stringify(byDefault) })
    .onConflict((on) => on.doNothing())
    .execute();
  const row = await tx.selectFrom("settings").select("value").where("key", "=", key).forUpdate().executeTakeFirstOrThrow();
  const before = row.value as TermPolicy;
  check(before.revision);
  const after = { ...change, revision: before.revision + 1 };
  await tx
    .updateTable("settings")
    .set({ value: JSON.stringify(after) })
    .where("key", "=", key)
    .execute();
  await appendAudit(tx, act, { action: "term-policy.set", subjectKind: "setting", subjectId: key, departmentId: null, before, after });
  return after;
}
