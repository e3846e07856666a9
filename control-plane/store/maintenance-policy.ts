/** What an installation settles about maintenance windows: how early they are announced, and how long they may be. */
import type { MaintenancePolicy, MaintenancePolicyChange } from "../contract/maintenance.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";

const key = "maintenance-policy";
const byDefault: MaintenancePolicy = { noticeDays: 3, longestHours: 72, revision: 0 };

export async function maintenancePolicy(db: Db): Promise<MaintenancePolicy> {
  const row = await db.selectFrom("settings").select("value").where("key", "=", key).executeTakeFirst();
  return row ? (row.value as MaintenancePolicy) : byDefault;
}

/** Holds for what is announced from now on. @param check is given the revision as it is now, the row being locked; throws to refuse */
export async function setMaintenancePolicy(tx: Tx, act: Act, change: MaintenancePolicyChange, check: (revision: number) => void): Promise<MaintenancePolicy> {
  await tx
    .insertInto("settings")
    .values({ key, value: JSON.stringify(byDefault) })
    .onConflict((on) => on.doNothing())
    .execute();
  const row = await tx.selectFrom("settings").select("value").where("key", "=", key).forUpdate().executeTakeFirstOrThrow();
  const before = row.value as MaintenancePolicy;
  check(before.revision);
  const after = { ...change, revision: before.revision + 1 };
  await tx
    .updateTable("settings")
    .set({ value: JSON.stringify(after) })
    .where("key", "=", key)
    .execute();
  await appendAudit(tx, act, { action: "maintenance-policy.set", subjectKind: "setting", subjectId: key, departmentId: null, before, after });
  return after;
}
