/** What is under way is on the queue. */
import { volumesWithWork } from "../store/snapshots.ts";
import { change, type JobContext } from "./context.ts";

/**
 * The database says what is under way: whatever a kill took from the queue, or was given up after its last retry, is put there again.
 * At the start, and from time to time; what waits or runs already is not doubled, since each has its key.
 */
export async function resume(context: JobContext): Promise<void> {
  const [requests, backups, restores, looks, archives, operations] = await Promise.all([
    context.db.selectFrom("requests").select(["id", "department_id", "state"]).where("state", "in", ["submitted", "approved", "applying"]).execute(),
    context.db.selectFrom("backups").select(["id", "department_id"]).where("state", "in", ["pending", "running"]).execute(),
    context.db.selectFrom("restores").select(["id", "department_id"]).where("state", "in", ["pending", "running"]).execute(),
    context.db.selectFrom("stack_operations").select(["id", "department_id", "kind"]).where("state", "in", ["pending", "running"]).execute(),
    context.db.selectFrom("system_backups").select(["id"]).where("state", "in", ["pending", "running"]).execute(),
    context.db.selectFrom("operation_plans").select(["id"]).where("state", "in", ["planning", "confirmed", "running"]).execute(),
  ]);
  const failed = await context.db
    .selectFrom("quota_charges as c")
    .innerJoin("resources as r", "r.id", "c.resource_id")
    .select("r.department_id")
    .distinct()
    .where("r.phase", "=", "failed")
    .where("c.state", "<>", "released")
    .execute();
  const back = await context.db.selectFrom("drift_findings").select("department_id").distinct().where("state", "=", "putting-back").execute();
  const snapshots = await volumesWithWork(context.db);
  await change(context, async (tx) => {
    await context.queue.plan(
      tx,
      requests.filter((one) => one.state === "submitted"),
    );
    const departments = new Set([...requests.filter((one) => one.state !== "submitted"), ...failed, ...back].map((one) => one.department_id));
    for (const departmentId of departments) await context.queue.apply(tx, departmentId);
    for (const one of backups) await context.queue.backup(tx, one.id, one.department_id);
    for (const one of restores) await context.queue.restore(tx, one.id, one.department_id);
    for (const one of snapshots) await context.queue.snapshots(tx, one.id, one.department_id);
    for (const one of archives) await context.queue.systemBackup(tx, one.id);
    for (const one of operations) await context.queue.operation(tx, one.id);
    for (const one of looks) await context.queue.stackOperation(tx, one);
  });
  const count = requests.length + backups.length + restores.length;
  if (count > 0) context.log.info({ requests: requests.length, backups: backups.length, restores: restores.length }, "resuming what was under way");
}
