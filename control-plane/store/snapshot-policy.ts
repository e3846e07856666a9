/** What an installation settles about snapshots: how many a volume has. */
import type { SnapshotPolicy, SnapshotPolicyChange } from "../contract/snapshots.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";

const key = "snapshot-policy";
const byDefault: SnapshotPolicy = { perVolume: 8, revision: 0 };

export async function snapshotPolicy(db: Db): Promise<SnapshotPolicy> {
  const row = await db.selectFrom("settings").select("value").where("key", "=", key).executeTakeFirst();
  return row ? (row.value as SnapshotPolicy) : byDefault;
}

/** Holds for what is taken from now on; what is there stays. @param check is given the revision as it is now, the row being locked; throws to refuse */
export async function setSnapshotPolicy(tx: Tx, act: Act, change: SnapshotPolicyChange, check: (revision: number) => void): Promise<SnapshotPolicy> {
  await tx
    .insertInto("settings")
    .values({ key, value: JSON.stringify(byDefault) })
    .onConflict((on) => on.doNothing())
    .execute();
  const row = await tx.selectFrom("settings").select("value").where("key", "=", key).forUpdate().executeTakeFirstOrThrow();
  const before = row.value as SnapshotPolicy;
  check(before.revision);
  const after = { ...change, revision: before.revision + 1 };
  await tx
    .updateTable("settings")
    .set({ value: JSON.stringify(after) })
    .where("key", "=", key)
    .execute();
  await appendAudit(tx, act, { action: "snapshot-policy.set", subjectKind: "setting", subjectId: key, departmentId: null, before, after });
  return after;
}
