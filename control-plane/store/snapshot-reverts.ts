/** Reverts: a volume is put back to one of its snapshots, asked for by one person and decided on by another of the department. */
import { type Selectable, sql } from "kysely";
import type { RevertState } from "../contract/snapshots.ts";
import { audiences } from "../domain/notifying.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import { hasLapsed, requireTyped } from "../domain/snapshots.ts";
import type { Act } from "./act.ts";
import { holdersOf } from "./audience.ts";
import { appendAudit } from "./audit.ts";
import { requireOwner } from "./consents.ts";
import type { Db, Tx } from "./database.ts";
import { mayView, type Viewer } from "./departments.ts";
import { appendEvent } from "./events.ts";
import { newId } from "./ids.ts";
import { nameOf, namesOf } from "./names.ts";
import { notify } from "./notices.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { SnapshotReverts } from "./schema.ts";
import { lockVolume, type SnapshotRow } from "./snapshots.ts";

export type RevertRow = Selectable<SnapshotReverts>;
const openStates = ["asked", "pending", "running"] as const;

const named = (db: Db) =>
  db
    .selectFrom("snapshot_reverts as r")
    .innerJoin("snapshots as s", "s.id", "r.snapshot_id")
    .innerJoin("resources as v", "v.id", "r.volume_id")
    .selectAll("r")
    .select(["s.name as snapshot_name", "s.taken_at", "v.name as volume_name"])
    .select([nameOf("r.asked_by").as("asked_by_name"), nameOf("r.decided_by").as("decided_by_name")]);
export type NamedRevert = Awaited<ReturnType<ReturnType<typeof named>["executeTakeFirstOrThrow"]>>;

export interface RevertFilter extends PageAsk {
  departmentIds?: readonly string[] | undefined;
  volume?: string | undefined;
  state?: RevertState | "open" | undefined;
}
/** Newest first. */
export function listReverts(db: Db, { departmentIds, volume, state, ...ask }: RevertFilter): Promise<Page<NamedRevert>> {
  let query = named(db);
  if (departmentIds) query = query.where("r.department_id", "in", [...departmentIds]);
  if (volume) query = query.where("r.volume_id", "=", volume);
  if (state) query = query.where("r.state", "in", state === "open" ? openStates : [state]);
  return page(query, { ...ask, by: "r.id", descending: true });
}
/** @throws Refusal not-found */
export async function getRevert(db: Db, viewer: Viewer, id: string): Promise<NamedRevert> {
  const row = await named(db).where("r.id", "=", id).executeTakeFirst();
  if (!row || !(await mayView(db, viewer, row.department_id))) throw notFound("revert", id);
  return row;
}

/** A complete snapshot of a live volume, both locked. @throws Refusal not-found, conflict */
async function lockSnapshot(tx: Tx, viewer: Viewer, id: string): Promise<{ snapshot: SnapshotRow; volume: Awaited<ReturnType<typeof lockVolume>> }> {
  const seen = await tx.selectFrom("snapshots").select(["volume_id", "department_id"]).where("id", "=", id).executeTakeFirst();
  if (!seen || !(await mayView(tx, viewer, seen.department_id))) throw notFound("snapshot", id);
  const volume = await lockVolume(tx, viewer, seen.volume_id);
  const snapshot = await tx.selectFrom("snapshots").selectAll().where("id", "=", id).forUpdate().executeTakeFirstOrThrow();
  if (snapshot.state !== "complete")
    throw new Refusal("conflict", `Snapshot ${snapshot.name} is ${snapshot.state}: a volume is put back to a complete one only.`);
  return { snapshot, volume };
}

/** What was written to the volume since is going to be lost: somebody else must agree. @throws Refusal not-found, conflict, invalid-body */
export async function askRevert(tx: Tx, act: Act, viewer: Viewer, ask: { snapshot: string; volumeName: string; reason: string }): Promise<RevertRow> {
  const { snapshot, volume } = await lockSnapshot(tx, viewer, ask.snapshot);
  requireTyped(ask.volumeName, volume.name);
  const open = await tx.selectFrom("snapshot_reverts").select("state").where("volume_id", "=", volume.id).where("state", "in", openStates).executeTakeFirst();
  if (open)
    throw new Refusal("conflict", `A revert of volume ${volume.name} is ${open.state} already.`, {
      remedy: open.state === "asked" ? "Withdraw that one first." : "Wait until it has ended.",
    });
  const row = await tx
    .insertInto("snapshot_reverts")
    .values({
      id: newId("rvt", act.now),
      department_id: volume.department_id,
      snapshot_id: snapshot.id,
      volume_id: volume.id,
      state: "asked",
      reason: ask.reason,
      asked_by: act.actor,
      asked_at: act.now,
      updated_at: act.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await audit(tx, act, row, "snapshot-revert.ask", { snapshot: snapshot.id, volume: volume.id, reason: ask.reason });
  await tell(tx, act, row, await holdersOf(tx, audiences["revert.asked"], row.department_id, act.now));
  return row;
}

/** One that waits for a second person. @throws Refusal not-found, conflict */
async function lockAsked(tx: Tx, act: Act, viewer: Viewer, id: string, check: (revision: number) => void): Promise<RevertRow> {
  const row = await tx.selectFrom("snapshot_reverts").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row || !(await mayView(tx, viewer, row.department_id))) throw notFound("revert", id);
  check(row.revision);
  if (row.state === "asked" && hasLapsed(row.asked_at, act.now))
    throw new Refusal("conflict", "The revert has lapsed: nobody agreed to it in time.", { remedy: "Ask for it anew." });
  if (row.state !== "asked") throw new Refusal("conflict", `The revert is ${row.state}: it waits for nobody's decision.`);
  return row;
}

/** Somebody else of the owning department agrees. @throws Refusal self-approval, forbidden, not-found, conflict, invalid-body */
export async function confirmRevert(
  tx: Tx,
  act: Act,
  viewer: Viewer,
  id: string,
  answer: { volumeName: string; reason: string },
  check: (revision: number) => void,
): Promise<RevertRow> {
  const seen = await tx.selectFrom("snapshot_reverts").select(["snapshot_id", "department_id"]).where("id", "=", id).executeTakeFirst();
  if (!seen || !(await mayView(tx, viewer, seen.department_id))) throw notFound("revert", id);
  // The volume first, then its snapshot, then its revert: always in this order.
  const { volume } = await lockSnapshot(tx, viewer, seen.snapshot_id);
  const row = await lockAsked(tx, act, viewer, id, check);
  if (row.asked_by === act.actor) throw new Refusal("self-approval", "Whoever asks for a revert does not agree to it: somebody else of the department does.");
  await requireOwner(tx, act, row);
  requireTyped(answer.volumeName, volume.name);
  const after = await set(tx, act, row, { state: "pending", decided_by: act.actor, decided_at: act.now, decision_reason: answer.reason });
  await audit(tx, act, row, "snapshot-revert.confirm", { snapshot: row.snapshot_id, volume: row.volume_id, reason: answer.reason });
  await tell(tx, act, after);
  return after;
}

/** Whoever asked takes it back; somebody of the owning department says no. @throws Refusal forbidden, not-found, conflict */
export async function cancelRevert(tx: Tx, act: Act, viewer: Viewer, id: string, reason: string, check: (revision: number) => void): Promise<RevertRow> {
  const row = await lockAsked(tx, act, viewer, id, check);
  const own = row.asked_by === act.actor;
  if (!own) await requireOwner(tx, act, row);
  const state = own ? "withdrawn" : "refused";
  const after = await set(tx, act, row, { state, decided_by: own ? null : act.actor, decided_at: act.now, decision_reason: reason, ended_at: act.now });
  await audit(tx, act, row, own ? "snapshot-revert.withdraw" : "snapshot-revert.refuse", { reason });
  await tell(tx, act, after, own ? [] : [row.asked_by], "revert.refused");
  return after;
}

/** Asks that nobody answered in time, as the schedule says. */
export async function lapseReverts(tx: Tx, act: Act): Promise<void> {
  const asked = await tx.selectFrom("snapshot_reverts").selectAll().where("state", "=", "asked").forUpdate().skipLocked().execute();
  for (const row of asked) if (hasLapsed(row.asked_at, act.now)) await lapse(tx, act, row, "Nobody agreed to it in time.");
}
/** What was asked for by people of a department that has given its volumes away. */
export async function lapseRevertsOf(tx: Tx, act: Act, volumeIds: readonly string[], why: string): Promise<void> {
  if (volumeIds.length === 0) return;
  const asked = await tx
    .selectFrom("snapshot_reverts")
    .selectAll()
    .where("volume_id", "in", [...volumeIds])
    .where("state", "=", "asked")
    .forUpdate()
    .execute();
  for (const row of asked) await lapse(tx, act, row, why);
}
async function lapse(tx: Tx, act: Act, row: RevertRow, why: string): Promise<void> {
  const after = await set(tx, act, row, { state: "lapsed", ended_at: act.now, error: why });
  await audit(tx, act, row, "snapshot-revert.lapse", { why });
  await tell(tx, act, after);
}

/** @returns undefined when it is not to be done (again) */
export async function startRevert(tx: Tx, act: Act, id: string): Promise<RevertRow | undefined> {
  return tx
    .updateTable("snapshot_reverts")
    .set({ state: "running", started_at: sql<Date>`coalesce(started_at, ${act.now})`, updated_at: act.now })
    .where("id", "=", id)
    .where("state", "in", ["pending", "running"])
    .returningAll()
    .executeTakeFirst();
}
/** The result, once. */
export async function finishRevert(tx: Tx, act: Act, id: string, error: string | null): Promise<void> {
  const row = await tx.selectFrom("snapshot_reverts").selectAll().where("id", "=", id).forUpdate().executeTakeFirstOrThrow();
  if (row.state !== "pending" && row.state !== "running") return;
  const after = await set(tx, act, row, { state: error === null ? "complete" : "failed", ended_at: act.now, error: error?.slice(0, 500) ?? null });
  await audit(tx, act, row, "snapshot-revert.finish", { snapshot: row.snapshot_id, volume: row.volume_id, error }, error === null ? "done" : "failed");
  await tell(tx, act, after, [row.asked_by, row.decided_by!], error === null ? "revert.complete" : "revert.failed");
}

/** Whether a volume is being put back now: nothing else reads or writes it as a whole. */
export async function isReverting(db: Db, volumeId: string): Promise<boolean> {
  const row = await db.selectFrom("snapshot_reverts").select("id").where("volume_id", "=", volumeId).where("state", "=", "running").executeTakeFirst();
  return row !== undefined;
}

const set = (tx: Tx, act: Act, row: RevertRow, change: Partial<Omit<RevertRow, "id">>) =>
  tx
    .updateTable("snapshot_reverts")
    .set({ ...change, revision: row.revision + 1, updated_at: act.now })
    .where("id", "=", row.id)
    .returningAll()
    .executeTakeFirstOrThrow();

async function tell(
  tx: Tx,
  act: Act,
  row: RevertRow,
  to: readonly string[] = [],
  kind: "revert.asked" | "revert.refused" | "revert.complete" | "revert.failed" = "revert.asked",
): Promise<void> {
  const names = await tx
    .selectFrom("snapshots as s")
    .innerJoin("resources as v", "v.id", "s.volume_id")
    .select(["s.name as snapshot", "v.name as volume"])
    .where("s.id", "=", row.snapshot_id)
    .executeTakeFirstOrThrow();
  const who = (await namesOf(tx, [act.actor])).get(act.actor) ?? act.actor;
  const data = { ...names, name: who, reason: row.reason, error: row.error, volumeId: row.volume_id };
  if (to.length > 0) await notify(tx, act, { kind, to, departmentId: row.department_id, requestId: null, subjectId: row.id, data });
  await appendEvent(tx, { at: act.now, departmentId: row.department_id, requestId: null, type: `revert.${row.state}`, subjectId: row.id, data });
}

const audit = (tx: Tx, act: Act, row: RevertRow, action: string, after: object, result: "done" | "failed" = "done") =>
  appendAudit(tx, act, {
    action,
    subjectKind: "snapshot-revert",
    subjectId: row.id,
    departmentId: row.department_id,
    before: { state: row.state },
    after,
    result,
  });
