/** Backups and restores, from the request to the result. */
import { sql, type Selectable } from "kysely";
import { backupsOf, type BackupPolicySpec, serverOf, type VolumeSpec } from "../../infra/spec.ts";
import { whyNotIn } from "../domain/levels.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvent } from "./events.ts";
import { newId } from "./ids.ts";
import { page, type Page, type PageAsk } from "./page.ts";
import { protectionOf, readOwner } from "./pools.ts";
import type { Backups, Restores } from "./schema.ts";
import { requireNoSnapshots } from "./snapshots.ts";

export type BackupRow = Selectable<Backups>;
export type RestoreRow = Selectable<Restores>;

const levelOf = async (db: Db, applicationId: string): Promise<number> =>
  (await db.selectFrom("applications").select("protection_level").where("id", "=", applicationId).executeTakeFirstOrThrow()).protection_level;

/** A backup of a live volume. Its id is the driver's name of the recovery point. @throws Refusal conflict, rule-broken */
export async function requestBackup(tx: Tx, act: Act, volumeId: string, policyId: string | null = null): Promise<BackupRow> {
  // Shared: it passes to no other department at the same moment.
  const volume = await tx.selectFrom("resources").selectAll().where("id", "=", volumeId).where("kind", "=", "volume").forShare().executeTakeFirst();
  if (!volume) throw notFound("volume", volumeId);
  if (volume.phase !== "live") throw new Refusal("conflict", `Volume ${volume.name} is ${volume.phase}: only a live one can be backed up.`);
  const policies = await tx
    .selectFrom("resources")
    .selectAll()
    .where("kind", "=", "backup-policy")
    .where("department_id", "=", volume.department_id)
    .where("phase", "=", "live")
    .execute();
  const policy = policies.find((one) => (policyId ? one.id === policyId : (one.wanted as BackupPolicySpec).volume === volumeId));
  const pool = await backupPool(tx, volume.application_id, policy?.pool_id ?? null);
  const row = await tx
    .insertInto("backups")
    .values({
      id: newId("bak", act.now),
      department_id: volume.department_id,
      volume_id: volumeId,
      policy_id: policyId,
      pool_id: pool,
      state: "pending",
      requested_by: act.actor,
      created_at: act.now,
      protection_level: await levelOf(tx, volume.application_id),
      volume_gib: (volume.wanted as VolumeSpec).sizeGib,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "backup.create",
    subjectKind: "backup",
    subjectId: row.id,
    departmentId: row.department_id,
    after: { volume: volumeId },
  });
  return row;
}

/** Of the policy, or the first that may hold it. @throws Refusal rule-broken: what is protected more is never backed up to where less is protected */
async function backupPool(tx: Tx, applicationId: string, ofPolicy: string | null): Promise<string> {
  const pools = tx.selectFrom("pools").selectAll().orderBy("id");
  const asked = await (ofPolicy === null ? pools.where("kind", "=", "backup").where("state", "=", "open") : pools.where("id", "=", ofPolicy)).execute();
  const owner = await readOwner(tx, applicationId);
  const refused = asked.map((one) => ({ one, why: whyNotIn(owner, protectionOf(one)) }));
  const found = refused.find(({ why }) => why === undefined);
  if (found) return found.one.id;
  const detail =
    refused.length === 0 ? "There is no open backup pool." : `No backup pool may hold it: ${refused.map(({ one, why }) => `${one.code} ${why}`).join("; ")}.`;
  throw new Refusal("rule-broken", detail, { remedy: "Operations can add one." });
}

/** @returns undefined when it is not to be started (again): it has ended */
export async function startBackup(tx: Tx, act: Act, id: string): Promise<BackupRow | undefined> {
  return tx
    .updateTable("backups")
    .set({ state: "running", started_at: act.now })
    .where("id", "=", id)
    .where("state", "in", ["pending", "running"])
    .returningAll()
    .executeTakeFirst();
}

/** The result, once. */
export async function finishBackup(tx: Tx, act: Act, id: string, result: { sizeBytes: number; sha256: string } | { error: string }): Promise<void> {
  const change =
    "error" in result ? { state: "failed" as const, error: result.error } : { state: "complete" as const, size_bytes: result.sizeBytes, sha256: result.sha256 };
  const row = await tx
    .updateTable("backups")
    .set({ ...change, completed_at: act.now })
    .where("id", "=", id)
    .where("state", "in", ["pending", "running"])
    .returningAll()
    .executeTakeFirst();
  if (!row) return;
  await appendAudit(tx, act, {
    action: "backup.finish",
    subjectKind: "backup",
    subjectId: id,
    departmentId: row.department_id,
    result: "error" in result ? "failed" : "done",
    after: change,
  });
  await appendEvent(tx, {
    at: act.now,
    departmentId: row.department_id,
    requestId: null,
    type: `backup.${row.state}`,
    subjectId: id,
    data: { volume: row.volume_id, sizeBytes: row.size_bytes, error: row.error },
  });
}

/**
 * Complete backups of a policy beyond those that it keeps, oldest first: to be removed by the driver, then marked by expireBackup.
 * One that a volume is to be made with stays until that is done or given up.
 */
export async function surplusBackups(db: Db, policyId: string, keep: number): Promise<BackupRow[]> {
  const rows = await db
    .selectFrom("backups")
    .selectAll()
    .where("policy_id", "=", policyId)
    .where("state", "=", "complete")
    .orderBy("created_at", "desc")
    .execute();
  const surplus = rows.slice(keep).toReversed();
  if (surplus.length === 0) return surplus;
  const waited = await db
    .selectFrom("resources")
    .select(sql<string>`wanted->'backup'->>'name'`.as("backup"))
    .where("department_id", "=", surplus[0]!.department_id)
    .where("kind", "=", "volume")
    .where("phase", "in", ["proposed", "wanted"])
    .where(sql<boolean>`wanted ? 'backup'`)
    .execute();
  return surplus.filter((one) => !waited.some(({ backup }) => backup === one.id));
}

export async function expireBackup(tx: Tx, act: Act, id: string): Promise<void> {
  const row = await tx.updateTable("backups").set({ state: "expired" }).where("id", "=", id).where("state", "=", "complete").returningAll().executeTakeFirst();
  if (row) await appendAudit(tx, act, { action: "backup.expire", subjectKind: "backup", subjectId: id, departmentId: row.department_id });
}

/** Puts a backup's content into its own volume or another of the department. @throws Refusal conflict, not-found */
export async function requestRestore(tx: Tx, act: Act, backup: BackupRow, volumeId: string = backup.volume_id): Promise<RestoreRow> {
  if (backup.state !== "complete") throw new Refusal("conflict", `The backup is ${backup.state}: only a complete one can be restored.`);
  const volume = await tx
    .selectFrom("resources")
    .selectAll()
    .where("id", "=", volumeId)
    .where("kind", "=", "volume")
    .where("department_id", "=", backup.department_id)
    .forShare()
    .executeTakeFirst();
  if (!volume) throw notFound("volume", volumeId);
  if (volume.phase !== "live") throw new Refusal("conflict", `Volume ${volume.name} is ${volume.phase}: only a live one can take a restore.`);
  await requireNoSnapshots(tx, volume);
  if (volumeId !== backup.volume_id) await requireLevel(tx, backup, volume);
  const row = await tx
    .insertInto("restores")
    .values({
      id: newId("rst", act.now),
      department_id: backup.department_id,
      backup_id: backup.id,
      volume_id: volumeId,
      state: "pending",
      requested_by: act.actor,
      created_at: act.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "restore.create",
    subjectKind: "restore",
    subjectId: row.id,
    departmentId: row.department_id,
    after: { backup: backup.id, volume: volumeId },
  });
  return row;
}

/** What is protected more is never put where less is protected. @throws Refusal rule-broken */
async function requireLevel(tx: Tx, backup: BackupRow, volume: { id: string; name: string; application_id: string }): Promise<void> {
  const pools = await tx
    .selectFrom("pools as p")
    .innerJoin("resources as r", "r.pool_id", "p.id")
    .selectAll("p")
    .select("r.id as volume")
    .where("r.id", "in", [volume.id, backup.volume_id])
    .execute();
  const [pool, from] = [volume.id, backup.volume_id].map((id) => pools.find((one) => one.volume === id));
  if (pool && from && (serverOf(pool) !== serverOf(from) || backupsOf(pool) !== backupsOf(from)))
    throw new Refusal("rule-broken", `Volume ${volume.name} cannot be reached from where the backup is kept.`, {
      remedy: "Restore it to a volume of the same server.",
    });
  const owner = await readOwner(tx, volume.application_id);
  const there = Math.min(owner.protectionLevel, pool?.security_level ?? 0);
  // As if what is restored were the volume's own: a level that nobody knows is restored nowhere.
  const why = pool && whyNotIn({ ...owner, protectionLevel: backup.protection_level ?? Number.POSITIVE_INFINITY }, protectionOf(pool));
  if (why === undefined && (backup.protection_level ?? Number.POSITIVE_INFINITY) <= there) return;
  throw new Refusal(
    "rule-broken",
    `The backup is of protection level ${backup.protection_level ?? "unknown"}; volume ${volume.name} is protected by level ${there}.`,
    {
      remedy: "Restore it to its own volume, or to a new one of its own level.",
    },
  );
}

export async function startRestore(tx: Tx, act: Act, id: string): Promise<RestoreRow | undefined> {
  return tx
    .updateTable("restores")
    .set({ state: "running", started_at: act.now })
    .where("id", "=", id)
    .where("state", "in", ["pending", "running"])
    .returningAll()
    .executeTakeFirst();
}

export async function finishRestore(tx: Tx, act: Act, id: string, result: { bytes: number } | { error: string }): Promise<void> {
  const change = "error" in result ? { state: "failed" as const, error: result.error } : { state: "complete" as const, bytes: result.bytes };
  const row = await tx
    .updateTable("restores")
    .set({ ...change, completed_at: act.now })
    .where("id", "=", id)
    .where("state", "in", ["pending", "running"])
    .returningAll()
    .executeTakeFirst();
  if (!row) return;
  await appendAudit(tx, act, {
    action: "restore.finish",
    subjectKind: "restore",
    subjectId: id,
    departmentId: row.department_id,
    result: "error" in result ? "failed" : "done",
    after: change,
  });
  await appendEvent(tx, {
    at: act.now,
    departmentId: row.department_id,
    requestId: null,
    type: `restore.${row.state}`,
    subjectId: id,
    data: { volume: row.volume_id, backup: row.backup_id, error: row.error },
  });
}

export interface BackupFilter extends PageAsk {
  departmentIds?: readonly string[] | undefined;
  volume?: string | undefined;
}
export async function listBackups(db: Db, filter: BackupFilter): Promise<Page<BackupRow>> {
  let query = db.selectFrom("backups").selectAll();
  if (filter.departmentIds) query = query.where("department_id", "in", [...filter.departmentIds]);
  if (filter.volume) query = query.where("volume_id", "=", filter.volume);
  return page(query, { limit: filter.limit, cursor: filter.cursor, by: "id", descending: true });
}
export async function listRestores(db: Db, filter: BackupFilter): Promise<Page<RestoreRow>> {
  let query = db.selectFrom("restores").selectAll();
  if (filter.departmentIds) query = query.where("department_id", "in", [...filter.departmentIds]);
  if (filter.volume) query = query.where("volume_id", "=", filter.volume);
  return page(query, { limit: filter.limit, cursor: filter.cursor, by: "id", descending: true });
}
export const getBackup = (db: Db, id: string): Promise<BackupRow | undefined> => db.selectFrom("backups").selectAll().where("id", "=", id).executeTakeFirst();
export const getRestore = (db: Db, id: string): Promise<RestoreRow | undefined> =>
  db.selectFrom("restores").selectAll().where("id", "=", id).executeTakeFirst();
