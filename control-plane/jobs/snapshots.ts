/**
 * What is to be done with a volume's snapshots, one after the other: taken, deleted, and the volume put back to one. The database says what that is; the driver's
 * calls may be repeated, so that a job that was killed anywhere is run again from the start.
 */
import { DriverError } from "../../infra/drivers/driver.ts";
import { fault } from "../../infra/drivers/fault.ts";
import { nextWork, type SnapshotWork } from "../domain/snapshots.ts";
import { currentFence } from "../store/applying.ts";
import { isMoving } from "../store/operation-steps.ts";
import { finishRevert, lapseReverts, startRevert } from "../store/snapshot-reverts.ts";
import { expireSnapshots, finishSnapshot, isCopied, settleDeletion, startSnapshot, workOn } from "../store/snapshots.ts";
import { driverOf } from "./backup.ts";
import { change, type JobContext } from "./context.ts";

const message = (error: unknown) => (error instanceof Error ? error.message : String(error));
export async function runSnapshots(context: JobContext, volumeId: string): Promise<void> {
  for (;;) {
    // What moves or is copied is left alone; the tick that looks for unfinished work takes it up again.
    if ((await isMoving(context.db, volumeId)) || (await isCopied(context.db, volumeId))) return;
    const next = nextWork(await workOn(context.db, volumeId));
    if (!next) return;
    await doers[next.kind](context, volumeId, next.id);
  }
}

/** Of an endpoint that does not answer nobody knows what came of the call; a fence that became stale meanwhile is read anew. */
const again = new Set(["unreachable", "stale-fence"]);
/**
 * What the driver answered, or why it said no.
 * @throws DriverError what is to be tried again later, as often as it takes
 */
async function ask<T>(work: () => Promise<T>): Promise<{ done: T } | { error: string }> {
  try {
    return { done: await work() };
  } catch (error) {
    if (error instanceof DriverError && again.has(error.code)) throw error;
    return { error: message(error) };
  }
}

const doers: Record<SnapshotWork["kind"], (context: JobContext, volumeId: string, id: string) => Promise<void>> = {
  take: async (context, volumeId, id) => {
    const row = await change(context, (tx, act) => startSnapshot(tx, act, id));
    if (!row) return;
    fault("snapshot.started");
    const driver = await driverOf(context, volumeId);
    const call = await callOf(context, row.department_id);
    const answer = await ask(() => driver.snapshotVolume(volumeId, id, call));
    if ("error" in answer) {
      context.log.warn({ snapshot: id, error: answer.error }, "a snapshot failed");
      // Half of it may be there: while that cannot be taken away, it has not ended.
      await driver.deleteSnapshot(volumeId, id, call);
      return change(context, (tx, act) => finishSnapshot(tx, act, id, answer));
    }
    fault("snapshot.made");
    const { createdAt, sizeBytes = null } = answer.done;
    await change(context, (tx, act) => finishSnapshot(tx, act, id, { takenAt: new Date(createdAt), sizeBytes }));
  },
  delete: async (context, volumeId, id) => {
    const row = await context.db.selectFrom("snapshots").select("department_id").where("id", "=", id).executeTakeFirstOrThrow();
    const driver = await driverOf(context, volumeId);
    const call = await callOf(context, row.department_id);
    const answer = await ask(() => driver.deleteSnapshot(volumeId, id, call));
    fault("snapshot.removed");
    await change(context, (tx, act) => settleDeletion(tx, act, id, "error" in answer ? answer.error : null));
  },
  revert: async (context, volumeId, id) => {
    const row = await change(context, (tx, act) => startRevert(tx, act, id));
    if (!row) return;
    fault("revert.started");
    const driver = await driverOf(context, volumeId);
    const call = await callOf(context, row.department_id);
    const answer = await ask(() => driver.revertVolume(volumeId, row.snapshot_id, call));
    fault("revert.made");
    await change(context, (tx, act) => finishRevert(tx, act, id, "error" in answer ? answer.error : null));
  },
};

const callOf = async (context: JobContext, scope: string) => ({ scope, fence: await currentFence(context.db, scope) });

/** Deletes what has expired, and lets go of what nobody has agreed to in time. */
export async function keepSnapshots(context: JobContext): Promise<void> {
  await change(context, async (tx, act) => {
    for (const one of await expireSnapshots(tx, act)) await context.queue.snapshots(tx, one.volume_id, one.department_id);
    await lapseReverts(tx, act);
  });
}
