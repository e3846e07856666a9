/** A copy of the whole system as a file; killed, it is simply made anew under the same name. */
import { statfsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fault } from "../../infra/drivers/fault.ts";
import { finishSystemBackup, startSystemBackup } from "../store/system-backups.ts";
import { writeArchive } from "../system/index.ts";
import { change, type JobContext } from "./context.ts";

/** Below it the disk is needed for the database itself. */
const leastFreeBytes = 64 * 1024 * 1024;

export async function runSystemBackup(context: JobContext, id: string): Promise<void> {
  if (!(await change(context, (tx) => startSystemBackup(tx, id)))) return;
  fault("system-backup.started");
  try {
    await mkdir(context.archives, { recursive: true, mode: 0o700 });
    const disk = statfsSync(context.archives);
    if (disk.bavail * disk.bsize < leastFreeBytes) throw new Error(`less than ${leastFreeBytes / 1024 / 1024} MiB are free at ${context.archives}`);
    const made = await writeArchive(context.db, join(context.archives, `${id}.tar`), { now: context.now(), version: context.version });
    fault("system-backup.made");
    await change(context, (tx, act) => finishSystemBackup(tx, act, id, made));
  } catch (error) {
    context.log.warn({ backup: id, error: String(error) }, "a backup of the system failed");
    await change(context, (tx, act) => finishSystemBackup(tx, act, id, { error: error instanceof Error ? error.message : String(error) }));
  }
}
