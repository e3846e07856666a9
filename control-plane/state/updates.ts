/** One run of the engine on a stack: made, started (which takes the stack's lock), fed with journal entries, ended. */
import { sql } from "kysely";
import type { Db } from "../store/database.ts";
import { newId } from "../store/ids.ts";
import { thisProcess } from "./owner.ts";
import type { UpdateKind, UpdateStatus } from "./schema.ts";
import type { StackName } from "./stack-name.ts";
import { getStack, type Queries, type Stack, StackLocked } from "./stacks.ts";
import { hashToken, newToken } from "./tokens.ts";

/** The engine takes a lease to last so long, and renews it after half of that. Seconds. */
export const leaseSeconds = 300;

/** The update token is wrong or was revoked: the update was ended, maybe by somebody else. */
export class UpdateRevoked extends Error {
  override readonly name = "UpdateRevoked";
}

export interface NewUpdate {
  /** Left out: a new one. */
  id?: string | undefined;
  kind: UpdateKind;
  fence: number;
  message: string;
  environment: Record<string, string>;
}

/** @returns the update's id. It holds nothing before `startUpdate`. */
export async function createUpdate(db: Queries, stack: Stack, { id: given, kind, fence, message, environment }: NewUpdate): Promise<string> {
  const now = new Date();
  const id = given ?? newId("upd", now);
  await db
    .insertInto("state_updates")
    .values({
      id,
      stack_id: stack.id,
      kind,
      status: "requested",
      fence,
      message,
      environment: JSON.stringify(environment),
      base_version: stack.version,
      ...thisProcess,
      created_at: now,
    })
    .execute();
  return id;
}

export interface Started {
  token: string;
  /** The version that will come of it (a preview's is the present one). */
  version: number;
  expires: Date;
}

/** Starts an update. All but previews take the stack's lock. @throws StackLocked @throws UpdateRevoked when it isn't waiting to be started */
export async function startUpdate(db: Db, stack: Stack, id: string): Promise<Started> {
  const token = newToken();
  const now = new Date();
  const expires = leaseEnd(now);
  try {
    const row = await db.transaction().execute(async (trx) => {
      // The row is locked first: who imports, renames or removes at the same time would otherwise leave us with a base that isn't the current one any more.
      const held = await trx.selectFrom("state_stacks").select("version").where("id", "=", stack.id).forUpdate().executeTakeFirst();
      if (!held) return undefined;
      await requireCurrent(trx, stack, id);
      return trx
        .updateTable("state_updates")
        .set({ status: "running", token_hash: hashToken(token), base_version: held.version, started_at: now, lease_expires_at: expires })
        .where("id", "=", id)
        .where("stack_id", "=", stack.id)
        .where("status", "=", "requested")
        .returning(["base_version", "kind"])
        .executeTakeFirst();
    });
    if (!row) throw new UpdateRevoked(`The update ${id} isn't waiting to be started.`);
    return { token, expires, version: row.base_version + (row.kind === "preview" ? 0 : 1) };
  } catch (error) {
    if (!isLockConflict(error)) throw error;
    const holder = await runningUpdate(db, stack);
    throw new StackLocked(
      `Another update of ${stack.stack} is in progress: ${holder?.kind ?? "an update"} ${holder?.id ?? ""}, started ${holder?.startedAt?.toISOString() ?? "just now"}.`,
    );
  }
}

/**
 * A statement of its own after the lock: what was begun before something passed to or from the department would run on a state that isn't what it was made for.
 * @throws UpdateRevoked
 */
async function requireCurrent(trx: Queries, { stack }: Stack, id: string): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    select u.id from state_updates u join estates e on e.department_id = ${stack} where u.id = ${id} and u.kind <> 'preview' and u.fence < e.fence`.execute(
    trx,
  );
  if (rows.length > 0) throw new UpdateRevoked(`The update ${id} was made for the department as it was before: its lease has passed on.`);
}

function isLockConflict(error: unknown): boolean {
  const { code, constraint } = error as { code?: string; constraint?: string };
  return code === "23505" && constraint === "state_updates_lock";
}

function leaseEnd(now: Date): Date {
  return new Date(now.getTime() + leaseSeconds * 1000);
}

/**
 * Takes a batch of journal entries; they are durable when this returns. Entries that are there already are dropped.
 * The update's row is locked in the same statement, so that nothing is added once it is being folded.
 * @throws UpdateRevoked
 */
export async function appendEntries(db: Db, id: string, token: string, entries: readonly { sequenceID: number; text: string }[]): Promise<void> {
  const sequences = entries.map((entry) => entry.sequenceID);
  const texts = entries.map((entry) => entry.text);
  const { rows } = await sql<{ held: number }>`
    with held as (select id from state_updates where id = ${id} and token_hash = ${hashToken(token)} and status = 'running' for share),
    added as (
      insert into state_journal (update_id, sequence_id, entry)
      select held.id, batch.sequence_id, batch.entry from held, unnest(${sequences}::bigint[], ${texts}::text[]) as batch(sequence_id, entry)
      on conflict do nothing)
    select count(*)::int as held from held`.execute(db);
  if (rows[0]?.held !== 1) throw revoked(id);
}

/** Takes a full state instead of entries, from an engine that writes no journal. @throws UpdateRevoked */
export async function putCheckpoint(db: Db, id: string, token: string, checkpoint: string): Promise<void> {
  await changeRunning(db, id, token, { checkpoint });
}

/** @returns when it ends now @throws UpdateRevoked */
export async function renewLease(db: Db, id: string, token: string): Promise<Date> {
  const expires = leaseEnd(new Date());
  await changeRunning(db, id, token, { lease_expires_at: expires });
  return expires;
}

/** Keeps the engine's own count of what it did. @throws UpdateRevoked */
export async function recordChanges(db: Db, id: string, token: string, changes: Record<string, number>): Promise<void> {
  await changeRunning(db, id, token, { changes: JSON.stringify(changes) });
}

async function changeRunning(db: Db, id: string, token: string, change: { checkpoint?: string; lease_expires_at?: Date; changes?: string }): Promise<void> {
  const { numUpdatedRows } = await db
    .updateTable("state_updates")
    .set(change)
    .where("id", "=", id)
    .where("token_hash", "=", hashToken(token))
    .where("status", "=", "running")
    .executeTakeFirst();
  if (Number(numUpdatedRows) !== 1) throw revoked(id);
}

function revoked(id: string): UpdateRevoked {
  return new UpdateRevoked(`The update ${id} has ended, or its token was revoked.`);
}

export interface UpdateRecord {
  id: string;
  kind: UpdateKind;
  status: UpdateStatus;
  /** The version that it made, if any. */
  version: number | undefined;
  fence: number;
  message: string;
  environment: Record<string, string>;
  changes: Record<string, number> | undefined;
  /** Operations whose end was never recorded. */
  interrupted: { type: string; urn: string }[];
  reason: string | undefined;
  /** Why its state was refused. */
  fault: string | undefined;
  startedAt: Date | undefined;
  finishedAt: Date | undefined;
}

const columns = [
  "id",
  "kind",
  "status",
  "version",
  "fence",
  "message",
  "environment",
  "changes",
  "interrupted",
  "reason",
  "fault",
  "started_at",
  "finished_at",
] as const;

/** The stack's updates, newest first, previews left out. @throws StackNotFound */
export async function history(db: Db, name: StackName, options: { limit?: number; offset?: number } = {}): Promise<UpdateRecord[]> {
  const stack = await getStack(db, name);
  const rows = await db
    .selectFrom("state_updates")
    .select(columns)
    .where("stack_id", "=", stack.id)
    .where("kind", "<>", "preview")
    .where("status", "<>", "requested")
    .orderBy("created_at", "desc")
    .limit(options.limit ?? 50)
    .offset(options.offset ?? 0)
    .execute();
  return rows.map(record);
}

/** The update that holds the stack now. @throws StackNotFound */
export async function runningUpdate(db: Db, name: StackName): Promise<UpdateRecord | undefined> {
  const stack = await getStack(db, name);
  const row = await db
    .selectFrom("state_updates")
    .select(columns)
    .where("stack_id", "=", stack.id)
    .where("kind", "<>", "preview")
    .where("status", "in", ["running", "settling"])
    .executeTakeFirst();
  return row && record(row);
}

/** One update of the stack, previews too. */
export async function findUpdate(db: Db, stack: Stack, id: string): Promise<UpdateRecord | undefined> {
  const row = await db.selectFrom("state_updates").select(columns).where("id", "=", id).where("stack_id", "=", stack.id).executeTakeFirst();
  return row && record(row);
}

interface Row {
  id: string;
  kind: UpdateKind;
  status: UpdateStatus;
  version: number | null;
  fence: number;
  message: string;
  environment: Record<string, string>;
  changes: Record<string, number> | null;
  interrupted: { type: string; urn: string }[] | null;
  reason: string | null;
  fault: string | null;
  started_at: Date | null;
  finished_at: Date | null;
}

function record({ started_at, finished_at, version, changes, interrupted, reason, fault, ...row }: Row): UpdateRecord {
  return {
    ...row,
    version: version ?? undefined,
    changes: changes ?? undefined,
    interrupted: interrupted ?? [],
    reason: reason ?? undefined,
    fault: fault ?? undefined,
    startedAt: started_at ?? undefined,
    finishedAt: finished_at ?? undefined,
  };
}
