/** Snapshots of volumes (快照): taken, listed, deleted, expired. */
import { type Selectable, sql } from "kysely";
import type { SnapshotChange } from "../contract/snapshots.ts";
import { undecidedStates } from "../domain/lifecycle.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import { requireFuture, requireRoom, type SnapshotWork } from "../domain/snapshots.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { mayView, type Viewer } from "./departments.ts";
import { appendEvent } from "./events.ts";
import { newId } from "./ids.ts";
import { nameOf } from "./names.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { Snapshots } from "./schema.ts";
import { snapshotPolicy } from "./snapshot-policy.ts";

export type SnapshotRow = Selectable<Snapshots>;

const named = (db: Db) =>
  db
    .selectFrom("snapshots as s")
    .innerJoin("resources as v", "v.id", "s.volume_id")
    .selectAll("s")
    .select(["v.name as volume_name", nameOf("s.requested_by").as("requested_by_name")]);
export type NamedSnapshot = Awaited<ReturnType<ReturnType<typeof named>["executeTakeFirstOrThrow"]>>;

export interface SnapshotFilter extends PageAsk {
  departmentIds?: readonly string[] | undefined;
  volume?: string | undefined;
  state?: SnapshotRow["state"] | "kept" | "all" | undefined;
}
/** Newest first. */
export function listSnapshots(db: Db, { departmentIds, volume, state = "kept", ...ask }: SnapshotFilter): Promise<Page<NamedSnapshot>> {
  let query = named(db);
  if (departmentIds) query = query.where("s.department_id", "in", [...departmentIds]);
  if (volume) query = query.where("s.volume_id", "=", volume);
  if (state === "kept") query = query.where("s.state", "not in", ["failed", "deleted"]);
  else if (state !== "all") query = query.where("s.state", "=", state);
  return page(query, { ...ask, by: "s.id", descending: true });
}

/** @throws Refusal not-found */
export async function getSnapshot(db: Db, viewer: Viewer, id: string): Promise<NamedSnapshot> {
  const row = await named(db).where("s.id", "=", id).executeTakeFirst();
  if (!row || !(await mayView(db, viewer, row.department_id))) throw notFound("snapshot", id);
  return row;
}

/** Locks a live volume, so that what is counted and decided of it now still holds at the end. @throws Refusal not-found, conflict */
export async function lockVolume(tx: Tx, viewer: Viewer, id: string) {
  const volume = await tx.selectFrom("resources").selectAll().where("id", "=", id).where("kind", "=", "volume").forNoKeyUpdate().executeTakeFirst();
  if (!volume || !(await mayView(tx, viewer, volume.department_id))) throw notFound("volume", id);
  if (volume.phase !== "live") throw new Refusal("conflict", `Volume ${volume.name} is ${volume.phase}: only a live one has snapshots.`);
  return volume;
}

/** @throws Refusal not-found, conflict, rule-broken when the volume has as many as it may */
export async function takeSnapshot(
  tx: Tx,
  act: Act,
  viewer: Viewer,
  ask: { volume: string; name: string; note: string; expiresAt: Date | null },
): Promise<SnapshotRow> {
  requireFuture(ask.expiresAt, act.now);
  const volume = await lockVolume(tx, viewer, ask.volume);
  const there = await tx.selectFrom("snapshots").selectAll().where("volume_id", "=", volume.id).where("state", "not in", ["failed", "deleted"]).execute();
  if (there.some((one) => one.name === ask.name))
    throw new Refusal("conflict", `Volume ${volume.name} has a snapshot ${ask.name} already.`, { remedy: "Give it another name." });
  await requireNotRetiring(tx, volume);
  await requireNoRestore(tx, volume);
  const kept = there.filter((one) => one.state !== "deleting");
  requireRoom(
    volume.name,
    kept.map((one) => ({ name: one.name, createdAt: one.created_at, expiresAt: one.expires_at, complete: one.state === "complete" })),
    (await snapshotPolicy(tx)).perVolume,
  );
  const row = await tx
    .insertInto("snapshots")
    .values({
      id: newId("snp", act.now),
      department_id: volume.department_id,
      volume_id: volume.id,
      name: ask.name,
      note: ask.note,
      state: "pending",
      expires_at: ask.expiresAt,
      requested_by: act.actor,
      created_at: act.now,
      updated_at: act.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await audit(tx, act, row, "snapshot.take", { volume: volume.id, name: row.name, expiresAt: row.expires_at });
  return row;
}

/** Whoever decides on a retirement has seen which snapshots go with it: none is added meanwhile. */
async function requireNotRetiring(tx: Tx, volume: { id: string; name: string }): Promise<void> {
  const open = await tx
    .selectFrom("request_items as i")
    .innerJoin("requests as q", "q.id", "i.request_id")
    .select("q.number")
    .where("i.resource_id", "=", volume.id)
    .where("i.action", "=", "retire")
    .where("q.state", "in", [...undecidedStates, "waiting", "approved", "applying"])
    .where("i.state", "in", ["pending", "applying"])
    .executeTakeFirst();
  if (open)
    throw new Refusal("conflict", `Request ${open.number} retires volume ${volume.name}, and its snapshots with it.`, {
      remedy: "Withdraw that request first.",
    });
}
/** A restore puts another volume in its place, as a whole. */
async function requireNoRestore(tx: Tx, volume: { id: string; name: string }): Promise<void> {
  const open = await tx.selectFrom("restores").select("id").where("volume_id", "=", volume.id).where("state", "in", ["pending", "running"]).executeTakeFirst();
  if (open) throw new Refusal("conflict", `Volume ${volume.name} is being restored.`, { remedy: "Wait until that has ended." });
}

/** For a restore, which would end them with what they were taken of. @throws Refusal conflict */
export async function requireNoSnapshots(tx: Tx, volume: { id: string; name: string }): Promise<void> {
  const there = await tx
    .selectFrom("snapshots")
    .select("name")
    .where("volume_id", "=", volume.id)
    .where("state", "not in", ["failed", "deleted"])
    .orderBy("id")
    .execute();
  if (there.length > 0)
    throw new Refusal("conflict", `Volume ${volume.name} has snapshots, which a restore would end: ${there.map((one) => one.name).join(", ")}.`, {
      remedy: "Delete them first, restore to a new volume, or put the volume back to a snapshot.",
    });
}

async function lock(tx: Tx, viewer: Viewer, id: string, check: (revision: number) => void): Promise<SnapshotRow> {
  const row = await tx.selectFrom("snapshots").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row || !(await mayView(tx, viewer, row.department_id))) throw notFound("snapshot", id);
  check(row.revision);
  return row;
}
const set = (tx: Tx, act: Act, row: SnapshotRow, change: Partial<Omit<SnapshotRow, "id">>) =>
  tx
    .updateTable("snapshots")
    .set({ ...change, revision: row.revision + 1, updated_at: act.now })
    .where("id", "=", row.id)
    .returningAll()
    .executeTakeFirstOrThrow();

/** Its note, and how long it is kept. @throws Refusal not-found, conflict */
export async function changeSnapshot(tx: Tx, act: Act, viewer: Viewer, id: string, change: SnapshotChange, check: (revision: number) => void) {
  const row = await lock(tx, viewer, id, check);
  if (row.state !== "complete" && row.state !== "pending" && row.state !== "running")
    throw new Refusal("conflict", `Snapshot ${row.name} is ${row.state}: it is not changed any more.`);
  const expiresAt = change.expiresAt === undefined ? row.expires_at : change.expiresAt === null ? null : new Date(change.expiresAt);
  if (change.expiresAt !== undefined) requireFuture(expiresAt, act.now);
  const after = { note: change.note ?? row.note, expires_at: expiresAt };
  const changed = await set(tx, act, row, after);
  await audit(tx, act, row, "snapshot.change", after, { note: row.note, expires_at: row.expires_at });
  return changed;
}

/** It is going to be deleted; again is no error. @throws Refusal not-found, conflict while it is being taken, or a revert to it is open */
export async function deleteSnapshot(tx: Tx, act: Act, viewer: Viewer, id: string, check: (revision: number) => void): Promise<SnapshotRow> {
  const row = await lock(tx, viewer, id, check);
  if (row.state === "deleting" || row.state === "deleted") return row;
  if (row.state !== "complete") throw new Refusal("conflict", `Snapshot ${row.name} is ${row.state}: only a complete one is deleted.`);
  const revert = await openRevertOf(tx, id);
  if (revert)
    throw new Refusal("conflict", `The volume is to be put back to snapshot ${row.name} (${revert.state}).`, {
      remedy: revert.state === "asked" ? "Withdraw or refuse that first." : "Wait until that has ended.",
    });
  return letGo(tx, act, row, "asked");
}

const openRevertOf = (db: Db, snapshotId: string) =>
  db
    .selectFrom("snapshot_reverts")
    .select(["id", "state"])
    .where("snapshot_id", "=", snapshotId)
    .where("state", "in", ["asked", "pending", "running"])
    .executeTakeFirst();

async function letGo(tx: Tx, act: Act, row: SnapshotRow, why: "asked" | "expired"): Promise<SnapshotRow> {
  const changed = await set(tx, act, row, { state: "deleting", end_reason: why, deleted_by: act.actor, deleted_at: act.now, error: null });
  await audit(tx, act, row, why === "expired" ? "snapshot.expire" : "snapshot.delete", { name: row.name, volume: row.volume_id });
  return changed;
}

/** Those whose time is over are to be deleted, except while a revert of their volume is open. @returns what is to be deleted */
export async function expireSnapshots(tx: Tx, act: Act): Promise<SnapshotRow[]> {
  const due = await tx
    .selectFrom("snapshots as s")
    .selectAll("s")
    .where("s.state", "=", "complete")
    .where("s.expires_at", "<=", act.now)
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom("snapshot_reverts as r")
            .select("r.id")
            .whereRef("r.volume_id", "=", "s.volume_id")
            .where("r.state", "in", ["asked", "pending", "running"]),
        ),
      ),
    )
    .orderBy("s.id")
    .limit(500)
    .forUpdate()
    .skipLocked()
    .execute();
  const gone: SnapshotRow[] = [];
  // A revert that was asked for meanwhile has locked the snapshot, or waits for this and then finds it deleting.
  for (const row of due) if (!(await openRevertOf(tx, row.id))) gone.push(await letGo(tx, act, row, "expired"));
  return gone;
}

/** What went with its volume. */
export async function endSnapshotsOf(tx: Tx, act: Act, volumeIds: readonly string[]): Promise<void> {
  if (volumeIds.length === 0) return;
  const ended = await tx
    .updateTable("snapshots")
    .set({ state: "deleted", end_reason: "volume-gone", deleted_by: act.actor, deleted_at: act.now, updated_at: act.now, revision: sql<number>`revision + 1` })
    .where("volume_id", "in", [...volumeIds])
    .where("state", "not in", ["failed", "deleted"])
    .returningAll()
    .execute();
  for (const row of ended) {
    await audit(tx, act, row, "snapshot.end", { name: row.name, volume: row.volume_id, why: "volume-gone" });
    await tell(tx, act, row, "snapshot.deleted");
  }
}

/** What is to be done on a volume. */
export async function workOn(db: Db, volumeId: string): Promise<SnapshotWork[]> {
  const snapshots = await db
    .selectFrom("snapshots")
    .selectAll()
    .where("volume_id", "=", volumeId)
    .where("state", "in", ["pending", "running", "deleting"])
    .execute();
  const reverts = await db.selectFrom("snapshot_reverts").selectAll().where("volume_id", "=", volumeId).where("state", "in", ["pending", "running"]).execute();
  return [
    ...snapshots.map((row) =>
      row.state === "deleting"
        ? { kind: "delete" as const, id: row.id, begun: false, since: row.deleted_at! }
        : { kind: "take" as const, id: row.id, begun: row.state === "running", since: row.created_at },
    ),
    ...reverts.map((row) => ({ kind: "revert" as const, id: row.id, begun: row.state === "running", since: row.decided_at! })),
  ];
}
/** Volumes on which something is to be done. */
export async function volumesWithWork(db: Db): Promise<{ id: string; department_id: string }[]> {
  const { rows } = await sql<{ id: string; department_id: string }>`
    select volume_id as id, department_id from snapshots where state in ('pending', 'running', 'deleting')
    union select volume_id, department_id from snapshot_reverts where state in ('pending', 'running')`.execute(db);
  return rows;
}

/** @returns undefined when it is not to be taken (again) */
export async function startSnapshot(tx: Tx, act: Act, id: string): Promise<SnapshotRow | undefined> {
  return tx
    .updateTable("snapshots")
    .set({ state: "running", updated_at: act.now })
    .where("id", "=", id)
    .where("state", "in", ["pending", "running"])
    .returningAll()
    .executeTakeFirst();
}
export async function finishSnapshot(tx: Tx, act: Act, id: string, result: { takenAt: Date; sizeBytes: number | null } | { error: string }): Promise<void> {
  const row = await tx.selectFrom("snapshots").selectAll().where("id", "=", id).forUpdate().executeTakeFirstOrThrow();
  if (row.state !== "pending" && row.state !== "running") return;
  const failed = "error" in result;
  const change = failed
    ? { state: "failed" as const, error: result.error.slice(0, 500) }
    : { state: "complete" as const, taken_at: result.takenAt, size_bytes: result.sizeBytes };
  const changed = await set(tx, act, row, { ...change, completed_at: act.now });
  await audit(tx, act, row, "snapshot.finish", change, undefined, failed ? "failed" : "done");
  await tell(tx, act, changed, failed ? "snapshot.failed" : "snapshot.complete");
}
/** What came of a deletion: one that failed is there as before. */
export async function settleDeletion(tx: Tx, act: Act, id: string, error: string | null): Promise<void> {
  const row = await tx.selectFrom("snapshots").selectAll().where("id", "=", id).forUpdate().executeTakeFirstOrThrow();
  if (row.state !== "deleting") return;
  const change =
    error === null
      ? { state: "deleted" as const }
      : { state: "complete" as const, error: error.slice(0, 500), end_reason: null, deleted_by: null, deleted_at: null };
  const changed = await set(tx, act, row, change);
  await audit(tx, act, row, "snapshot.end", { name: row.name, why: row.end_reason, error }, undefined, error === null ? "done" : "failed");
  await tell(tx, act, changed, error === null ? "snapshot.deleted" : "snapshot.undeleted");
}

const tell = (tx: Tx, act: Act, row: SnapshotRow, type: string) =>
  appendEvent(tx, {
    at: act.now,
    departmentId: row.department_id,
    requestId: null,
    type,
    subjectId: row.id,
    data: { volume: row.volume_id, name: row.name, sizeBytes: row.size_bytes, error: row.error },
  });

const audit = (tx: Tx, act: Act, row: SnapshotRow, action: string, after: object, before?: object, result: "done" | "failed" = "done") =>
  appendAudit(tx, act, {
    action,
    subjectKind: "snapshot",
    subjectId: row.id,
    departmentId: row.department_id,
    result,
    after,
    ...(before ? { before } : {}),
  });

/** Of volumes that a request retires: what goes with them. */
export async function snapshotsGoing(db: Db, requestId: string): Promise<{ volume: string; volumeName: string; name: string; takenAt: string | null }[]> {
  const rows = await db
    .selectFrom("request_items as i")
    .innerJoin("snapshots as s", "s.volume_id", "i.resource_id")
    .innerJoin("resources as v", "v.id", "s.volume_id")
    .select(["s.volume_id", "v.name as volume_name", "s.name", "s.taken_at"])
    .where("i.request_id", "=", requestId)
    .where("i.action", "=", "retire")
    .where("i.kind", "=", "volume")
    .where("s.state", "not in", ["failed", "deleted"])
    .orderBy("s.id")
    .execute();
  return rows.map((row) => ({ volume: row.volume_id, volumeName: row.volume_name, name: row.name, takenAt: row.taken_at?.toISOString() ?? null }));
}

/** Whether a backup or a restore of a volume runs. */
export async function isCopied(db: Db, volumeId: string): Promise<boolean> {
  const { rows } = await sql`
    select 1 from backups where volume_id = ${volumeId} and state = 'running' union all select 1 from restores where volume_id = ${volumeId} and state = 'running' limit 1`.execute(
    db,
  );
  return rows.length > 0;
}
