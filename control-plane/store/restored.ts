/**
 * What a restore of an older copy leaves behind: a mark, until operations acknowledge it. What was asked for before the restore may
 * exist without the database knowing: it is listed, and no sweep takes it for a leftover of its own.
 */
import { sql } from "kysely";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { timeOf } from "./ids.ts";

const key = "restored";

/** Times are RFC 3339. */
export interface RestoreMark {
  at: string;
  /** The moment that the copy was of. */
  archivedAt: string;
  /** The last comparison with the drivers that reached every endpoint; null: none since the restore. */
  comparedAt: string | null;
  acknowledgedAt: string | null;
}

export async function restoreMark(db: Db): Promise<RestoreMark | undefined> {
  const row = await db.selectFrom("settings").select("value").where("key", "=", key).executeTakeFirst();
  return row?.value as RestoreMark | undefined;
}

async function putMark(tx: Tx, mark: RestoreMark): Promise<void> {
  const value = JSON.stringify(mark);
  await tx
    .insertInto("settings")
    .values({ key, value })
    .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
    .execute();
}

/** Makes a restored copy fit to be started. In the transaction that ends the restore. */
export async function settleRestored(tx: Tx, act: Act, archive: { createdAt: string; digest: string }): Promise<void> {
  // Drivers refuse fencing tokens below the highest they have seen, and the copy's are older: seconds since the epoch are above any count of
  // operations, and above those of an earlier restore.
  const fence = Math.floor(act.now.getTime() / 1000);
  await sql`insert into estates (department_id) select id from departments on conflict do nothing`.execute(tx);
  await tx
    .updateTable("estates")
    .set({ fence: sql<number>`greatest(fence, ${fence}::bigint)`, applied_hash: null, engine_pid: null, engine_started: null, operation_id: null })
    .execute();
  // A volume's restore that was under way then would now overwrite what was written since.
  await tx
    .updateTable("restores")
    .set({ state: "failed", error: "the control plane was restored from a copy made meanwhile; ask for it again if it is still wanted", completed_at: act.now })
    .where("state", "in", ["pending", "running"])
    .execute();
  await tx
    .updateTable("system_backups")
    .set({ state: "failed", error: "the control plane was restored from a copy made meanwhile", completed_at: act.now })
    .where("state", "in", ["pending", "running"])
    .execute();
  await tx.deleteFrom("unknown_things").execute();
  await putMark(tx, { at: act.now.toISOString(), archivedAt: archive.createdAt, comparedAt: null, acknowledgedAt: null });
  await appendAudit(tx, act, {
    action: "system.restore",
    subjectKind: "system",
    subjectId: "archive",
    departmentId: null,
    after: { archivedAt: archive.createdAt, digest: archive.digest },
  });
}

/** Notes a comparison that reached every endpoint. */
export async function noteCompared(tx: Tx, now: Date): Promise<void> {
  const mark = await restoreMark(tx);
  if (mark) await putMark(tx, { ...mark, comparedAt: now.toISOString() });
}

/**
 * Operations have seen the list: from now on only what stands in it is kept from sweeps, for good; it is still never deleted.
 * @throws Refusal when nothing was restored, or the drivers haven't all been asked yet
 */
export async function acknowledgeRestore(tx: Tx, act: Act): Promise<void> {
  const mark = await restoreMark(tx);
  if (!mark) throw new Refusal("conflict", "This control plane was not restored from a copy: there is nothing to acknowledge.");
  if (mark.acknowledgedAt !== null) return;
  if (mark.comparedAt === null)
    throw new Refusal("conflict", "Not every driver has been asked since the restore.", {
      remedy: "See that every pool's endpoint answers, and try again in a minute.",
    });
  const kept = await tx.updateTable("unknown_things").set({ kept: true }).returning("id").execute();
  await putMark(tx, { ...mark, acknowledgedAt: act.now.toISOString() });
  await appendAudit(tx, act, { action: "system.acknowledge", subjectKind: "system", subjectId: "unknown", departmentId: null, after: { kept: kept.length } });
}

/** What a sweep must leave alone, by a thing's id at its driver and its name there. */
export async function sparedBySweeps(db: Db): Promise<(thing: { id: string; name: string }) => boolean> {
  const mark = await restoreMark(db);
  if (!mark) return () => false;
  const kept = new Set((await db.selectFrom("unknown_things").select("id").where("kept", "=", true).execute()).map((row) => row.id));
  const before = mark.acknowledgedAt === null ? Date.parse(mark.at) : undefined;
  // A name that tells no time is nobody's that we know: spared as well.
  return ({ id, name }) => kept.has(id) || (before !== undefined && (timeOf(name) ?? 0) <= before);
}
