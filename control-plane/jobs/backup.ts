/** Backups and restores: the driver's calls are idempotent by name, so that a killed job is simply run again. */
import { fault } from "../../infra/drivers/fault.ts";
import type { BackupPolicySpec } from "../../infra/spec.ts";
import { expireBackup, finishBackup, finishRestore, getBackup, startBackup, startRestore, surplusBackups } from "../store/backups.ts";
import { currentFence } from "../store/applying.ts";
import { isMoving } from "../store/operation-steps.ts";
import { isReverting } from "../store/snapshot-reverts.ts";
import { change, type JobContext } from "./context.ts";

const message = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** The driver that holds a volume. */
export async function driverOf(context: JobContext, volumeId: string) {
  const row = await context.db
    .selectFrom("resources as r")
    .innerJoin("pools as p", "p.id", "r.pool_id")
    .select(["p.driver", "p.endpoint"])
    .where("r.id", "=", volumeId)
    .executeTakeFirstOrThrow();
  return context.driver(row.driver, row.endpoint);
}

export async function runBackup(context: JobContext, id: string): Promise<void> {
  const asked = await getBackup(context.db, id);
  // The tick that looks for unfinished work takes it up again.
  if (asked?.state === "pending" && ((await isMoving(context.db, asked.volume_id)) || (await isReverting(context.db, asked.volume_id)))) return;
  const backup = await change(context, (tx, act) => startBackup(tx, act, id));
  if (!backup) return;
  fault("backup.started");
  const call = { scope: backup.department_id, fence: await currentFence(context.db, backup.department_id) };
  try {
    const driver = await driverOf(context, backup.volume_id);
    const { sizeBytes, sha256 } = await driver.backup(backup.volume_id, id, backup.pool_id, call);
    fault("backup.made");
    await change(context, (tx, act) => finishBackup(tx, act, id, { sizeBytes, sha256 }));
    if (backup.policy_id !== null) await prune(context, backup.policy_id);
  } catch (error) {
    context.log.warn({ backup: id, error: message(error) }, "a backup failed");
    await change(context, (tx, act) => finishBackup(tx, act, id, { error: message(error) }));
  }
}

/** Recovery points beyond those that the policy keeps. */
async function prune(context: JobContext, policyId: string): Promise<void> {
  const policy = await context.db.selectFrom("resources").select(["wanted"]).where("id", "=", policyId).executeTakeFirst();
  if (!policy) return;
  for (const old of await surplusBackups(context.db, policyId, (policy.wanted as BackupPolicySpec).keep)) {
    const driver = await driverOf(context, old.volume_id);
    await driver.deleteBackup(old.id, { scope: old.department_id, fence: await currentFence(context.db, old.department_id) });
    await change(context, (tx, act) => expireBackup(tx, act, old.id));
  }
}

export async function runRestore(context: JobContext, id: string): Promise<void> {
  const asked = await context.db.selectFrom("restores").select(["state", "volume_id"]).where("id", "=", id).executeTakeFirst();
  if (asked?.state === "pending" && (await isMoving(context.db, asked.volume_id))) return;
  const restore = await change(context, (tx, act) => startRestore(tx, act, id));
  if (!restore) return;
  fault("restore.started");
  try {
    const backup = await getBackup(context.db, restore.backup_id);
    const driver = await driverOf(context, restore.volume_id);
    const { bytes, sha256 } = await driver.restore(restore.backup_id, restore.volume_id, {
      scope: restore.department_id,
      fence: await currentFence(context.db, restore.department_id),
    });
    if (sha256 !== backup?.sha256) throw new Error(`the backup's SHA-256 is ${sha256}, not ${backup?.sha256} as it was taken`);
    fault("restore.made");
    await change(context, (tx, act) => finishRestore(tx, act, id, { bytes }));
  } catch (error) {
    context.log.warn({ restore: id, error: message(error) }, "a restore failed");
    await change(context, (tx, act) => finishRestore(tx, act, id, { error: message(error) }));
  }
}
