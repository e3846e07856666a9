/** The chain's rows: where it ends, what waits to be linked, checkpoints and keys. What a link is made of, `control-plane/audit` knows. */
import { type Selectable, sql } from "kysely";
import type { AuditRow } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { AuditChain, AuditCheckpoints, AuditKeys, HashAlgorithm } from "./schema.ts";

export type ChainRow = Selectable<AuditChain>;
export type CheckpointRow = Selectable<AuditCheckpoints>;
export type AuditKeyRow = Selectable<AuditKeys>;
/** An entry that has its place in the chain. */
export type LinkedRow = AuditRow & { sequence: number; algorithm: HashAlgorithm; previous: string; hash: string };

export interface LinkRow {
  id: number;
  sequence: number;
  algorithm: HashAlgorithm;
  previous: string;
  hash: string;
}

/** A linker that stops with the chain's lock in its hands loses it after so long: PostgreSQL ends its session, and with it all that it did. */
const pausedMs = 5_000;

/**
 * Takes the chain for this transaction: of several control planes one has it, so that nothing is linked twice. Writers of entries don't wait for it.
 * @returns undefined while another has it
 */
export async function takeChain(tx: Tx): Promise<ChainRow | undefined> {
  const { rows } = await sql<ChainRow>`select audit_chain.*, set_config('idle_in_transaction_session_timeout', ${String(pausedMs)}, true) as timeout
    from audit_chain for update skip locked`.execute(tx);
  return rows[0];
}

export async function readChain(db: Db): Promise<ChainRow> {
  return db.selectFrom("audit_chain").selectAll().executeTakeFirstOrThrow();
}

/** Whether something waits to be linked, and since when linked entries wait to be signed. */
export async function chainNeeds(db: Db): Promise<{ unlinked: boolean; unsigned: number; unsignedSince: Date | null }> {
  const { rows } = await sql<{ unlinked: boolean; unsigned: number; unsignedSince: Date | null }>`
    select exists (select from audit_entries where sequence is null) as unlinked, sequence - signed_sequence as unsigned, unsigned_since as "unsignedSince"
    from audit_chain`.execute(db);
  return rows[0]!;
}

/** Whatever is committed and has no place yet, one that was committed late under a small id included: never by "after the last id". */
export async function unlinkedEntries(tx: Tx, limit: number): Promise<AuditRow[]> {
  return tx.selectFrom("audit_entries").selectAll().where("sequence", "is", null).orderBy("id").limit(limit).execute();
}

/** @throws Error when one of them has been linked already: then nothing of the transaction may stay */
export async function writeLinks(tx: Tx, links: readonly LinkRow[]): Promise<void> {
  const { rows } = await sql<{ count: number }>`
    with written as (
      update audit_entries e set sequence = l.sequence, algorithm = l.algorithm, previous = l.previous, hash = l.hash
      from jsonb_to_recordset(${JSON.stringify(links)}::jsonb) as l(id bigint, sequence bigint, algorithm text, previous text, hash text)
      where e.id = l.id and e.sequence is null returning 1)
    select count(*)::int as count from written`.execute(tx);
  if (rows[0]!.count !== links.length) throw new Error(`Of ${links.length} audit entries ${rows[0]!.count} could be linked: another has linked the rest.`);
}

export async function moveChain(tx: Tx, to: { sequence: number; hash: string; at: Date; by: string }): Promise<void> {
  await tx
    .updateTable("audit_chain")
    .set({
      sequence: to.sequence,
      hash: to.hash,
      linked_at: to.at,
      linked_by: to.by,
      unsigned_since: sql<Date>`coalesce(unsigned_since, ${to.at}::timestamptz)`,
    })
    .execute();
}

export async function keepCheckpoint(tx: Tx, checkpoint: CheckpointRow): Promise<void> {
  await tx.insertInto("audit_checkpoints").values(checkpoint).execute();
  await tx.updateTable("audit_chain").set({ signed_sequence: checkpoint.sequence, unsigned_since: null }).execute();
}

export async function lastCheckpoint(db: Db): Promise<CheckpointRow | undefined> {
  return db.selectFrom("audit_checkpoints").selectAll().orderBy("number", "desc").limit(1).executeTakeFirst();
}

/** The nearest one that covers entries up to one before `sequence`. */
export async function checkpointBefore(db: Db, sequence: number): Promise<CheckpointRow | undefined> {
  return db.selectFrom("audit_checkpoints").selectAll().where("sequence", "<", sequence).orderBy("sequence", "desc").limit(1).executeTakeFirst();
}

/** The nearest one that covers an entry. */
export async function checkpointCovering(db: Db, sequence: number): Promise<CheckpointRow | undefined> {
  return db.selectFrom("audit_checkpoints").selectAll().where("sequence", ">=", sequence).orderBy("sequence").limit(1).executeTakeFirst();
}

/** Those of entries after one and up to another, in order. */
export async function checkpointsBetween(db: Db, after: number, last: number): Promise<CheckpointRow[]> {
  return db.selectFrom("audit_checkpoints").selectAll().where("sequence", ">", after).where("sequence", "<=", last).orderBy("sequence").execute();
}

/** Newest first. */
export async function listCheckpoints(db: Db, ask: PageAsk): Promise<Page<CheckpointRow>> {
  return page(db.selectFrom("audit_checkpoints").selectAll(), { ...ask, by: "number", descending: true, numeric: true });
}

/** Some of the chain's entries after one and up to another, in order. */
export async function linkedEntries(db: Db, after: number, last: number, limit: number): Promise<LinkedRow[]> {
  const rows = await db
    .selectFrom("audit_entries")
    .selectAll()
    .where("sequence", ">", after)
    .where("sequence", "<=", last)
    .orderBy("sequence")
    .limit(limit)
    .execute();
  return rows as LinkedRow[];
}

/** The first and the last place of entries of a period; undefined: there are none. */
export async function placesOf(db: Db, period: { from?: Date | undefined; to?: Date | undefined }): Promise<{ first: number; last: number } | undefined> {
  let query = db
    .selectFrom("audit_entries")
    .select((of) => [of.fn.min<number | null>("sequence").as("first"), of.fn.max<number | null>("sequence").as("last")])
    .where("sequence", "is not", null);
  if (period.from) query = query.where("at", ">=", period.from);
  if (period.to) query = query.where("at", "<", period.to);
  const found = await query.executeTakeFirstOrThrow();
  return found.first === null || found.last === null ? undefined : { first: found.first, last: found.last };
}

export async function countUnlinked(db: Db): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from audit_entries where sequence is null`.execute(db);
  return rows[0]!.count;
}

/** The key that signs now is the newest. */
export async function signingKey(db: Db): Promise<AuditKeyRow | undefined> {
  return db.selectFrom("audit_keys").selectAll().orderBy("created_at", "desc").orderBy("id").limit(1).executeTakeFirst();
}

export async function auditKeys(db: Db): Promise<AuditKeyRow[]> {
  return db.selectFrom("audit_keys").selectAll().orderBy("created_at").execute();
}

export async function keepAuditKey(tx: Tx, key: AuditKeyRow): Promise<void> {
  await tx.insertInto("audit_keys").values(key).execute();
}

/** What a signing key's sealed form is bound to. */
export const auditKeyContext = (id: string): string => `audit signing key ${id}`;

/** For the metrics. Ages are seconds; null: nothing waits, or there is no checkpoint. */
export async function chainFigures(
  db: Db,
  now: Date,
): Promise<{ linked: number; unlinked: number; unlinkedAge: number | null; unsignedAge: number | null; checkpointAge: number | null }> {
  const { rows } = await sql<{ linked: number; unlinked: number; oldest: Date | null; unsigned: Date | null; checkpoint: Date | null }>`
    select sequence as linked, unsigned_since as unsigned,
      (select count(*)::int from audit_entries where sequence is null) as unlinked,
      (select min(at) from audit_entries where sequence is null) as oldest,
      (select at from audit_checkpoints order by number desc limit 1) as checkpoint
    from audit_chain`.execute(db);
  const { linked, unlinked, oldest, unsigned, checkpoint } = rows[0]!;
  const age = (since: Date | null) => (since === null ? null : Math.max(0, (now.getTime() - since.getTime()) / 1000));
  return { linked, unlinked, unlinkedAge: age(oldest), unsignedAge: age(unsigned), checkpointAge: age(checkpoint) };
}
