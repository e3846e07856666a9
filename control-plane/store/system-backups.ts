/** Copies of the whole system: asked for by people, made by a job, kept as files in the data directory of the control plane that made them. */
import type { Selectable } from "kysely";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { SystemBackups } from "./schema.ts";

export type SystemBackupRow = Selectable<SystemBackups>;

export async function requestSystemBackup(tx: Tx, act: Act): Promise<SystemBackupRow> {
  const row = await tx
    .insertInto("system_backups")
    .values({ id: newId("arc", act.now), state: "pending", requested_by: act.actor, created_at: act.now })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, { action: "system.backup", subjectKind: "system-backup", subjectId: row.id, departmentId: null });
  return row;
}

export const getSystemBackup = (db: Db, id: string): Promise<SystemBackupRow | undefined> =>
  db.selectFrom("system_backups").selectAll().where("id", "=", id).executeTakeFirst();

/** Newest first. */
export const listSystemBackups = (db: Db, ask: PageAsk): Promise<Page<SystemBackupRow>> =>
  page(db.selectFrom("system_backups").selectAll(), { ...ask, by: "id", descending: true });

/** @returns false when it is done already */
export async function startSystemBackup(tx: Tx, id: string): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable("system_backups")
    .set({ state: "running" })
    .where("id", "=", id)
    .where("state", "in", ["pending", "running"])
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

export async function finishSystemBackup(tx: Tx, act: Act, id: string, result: { bytes: number; sha256: string } | { error: string }): Promise<void> {
  const change =
    "error" in result ? { state: "failed" as const, error: result.error } : { state: "complete" as const, size_bytes: result.bytes, sha256: result.sha256 };
  await tx
    .updateTable("system_backups")
    .set({ ...change, completed_at: act.now })
    .where("id", "=", id)
    .where("state", "=", "running")
    .execute();
}
