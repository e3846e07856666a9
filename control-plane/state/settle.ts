/**
 * How an update ends: its journal is folded over its base, the result is checked and made the stack's next version, and
 * the lock is given back. By the engine itself (complete), or by us for an engine that is gone (settle) or unwanted (cancel).
 */
import type { Db } from "../store/database.ts";
import { InvalidState, type JournalEntry, type PendingOperation, type VersionedDeployment } from "./deployment.ts";
import { integrityFault } from "./integrity.ts";
import { replay } from "./journal.ts";
import { isGone } from "./owner.ts";
import type { UpdateKind } from "./schema.ts";
import { readVersion, writeVersion } from "./snapshots.ts";
import type { StackName } from "./stack-name.ts";
import { getStack, type Queries } from "./stacks.ts";
import { UpdateRevoked } from "./updates.ts";

/** The engine whose format we write; in every deployment's manifest. */
export const engineVersion = "3.250.0";

/** How many ended updates of a stack are remembered. */
const updatesKept = 100;

export type End = "succeeded" | "failed" | "cancelled";

/** What came of an update. */
export interface Settled {
  update: string;
  kind: UpdateKind;
  status: End;
  /** The stack's version now: a new one, or the old one when nothing was recorded or the new state wasn't sound. */
  version: number;
  /** Resources in the stack's state now. */
  resources: number;
  /** Operations that had begun and whose end is not known. The provider's are idempotent: the next `up` brings them to an end, what no spec wants any more is to be looked for in the driver by name. */
  interrupted: { type: PendingOperation["type"]; urn: string }[];
  /** Set when the state that came of it was refused. The stack keeps its previous version. */
  fault: string | undefined;
}

interface Ending {
  status: End;
  reason: string | null;
}

/**
 * Ends whatever update holds the stack, at once: to be called as soon as its engine's process is gone.
 * @returns what came of it, or undefined when none did
 * @throws StackNotFound
 */
export async function settleUpdate(db: Db, name: StackName, reason: string): Promise<Settled | undefined> {
  return endRunning(db, name, { status: "failed", reason });
}

/**
 * Takes the stack away from its update: the engine's next call is refused, and it stops. Prefer to interrupt the
 * engine, which ends what it has begun; what it is doing just now is not in the state after this, but in `interrupted`.
 * @throws StackNotFound
 */
export async function cancelUpdate(db: Db, name: StackName, reason = "cancelled"): Promise<Settled | undefined> {
  return endRunning(db, name, { status: "cancelled", reason });
}

/** An update left over, and what came of it. */
export type LeftOver = StackName & Settled;

/**
 * Ends the updates that control planes before this one left behind: those whose process on this machine is gone and those
 * whose lease ran out. Their engines must be ended before. `everything`: also all others (where only one control plane can be, as on PGlite).
 */
export async function settleAll(db: Db, options: { everything?: boolean; reason?: string } = {}): Promise<LeftOver[]> {
  const rows = await db
    .selectFrom("state_updates as update")
    .innerJoin("state_stacks as stack", "stack.id", "update.stack_id")
    .select(["update.id", "stack.organization", "stack.project", "stack.name as stack", "owner_host", "owner_pid", "owner_started", "lease_expires_at"])
    .where("update.status", "in", ["running", "settling"])
    .execute();
  const now = Date.now();
  const settled: LeftOver[] = [];
  for (const { id, organization, project, stack, lease_expires_at, ...owner } of rows) {
    const lapsed = lease_expires_at !== null && lease_expires_at.getTime() < now;
    if (!options.everything && !isGone(owner) && !lapsed) continue;
    const end = await endUpdate(db, id, { status: "failed", reason: options.reason ?? "the control plane that ran it is gone" });
    if (end) settled.push({ organization, project, stack, ...end });
  }
  return settled;
}

/** Stacks whose update belongs to a control plane of this machine that is gone: what it left running may be ended. */
export async function abandonedStacks(db: Db): Promise<StackName[]> {
  const rows = await db
    .selectFrom("state_updates as update")
    .innerJoin("state_stacks as stack", "stack.id", "update.stack_id")
    .select(["stack.organization", "stack.project", "stack.name as stack", "owner_host", "owner_pid", "owner_started"])
    .where("update.status", "in", ["running", "settling"])
    .execute();
  return rows.filter(isGone).map(({ organization, project, stack }) => ({ organization, project, stack }));
}

/** Ends what a control plane ran that has been silent for too long: its engines' next calls are refused. */
export async function settleReplica(db: Db, replica: string): Promise<LeftOver[]> {
  const rows = await db
    .selectFrom("state_updates as update")
    .innerJoin("state_stacks as stack", "stack.id", "update.stack_id")
    .select(["update.id", "stack.organization", "stack.project", "stack.name as stack"])
    .where("update.status", "in", ["running", "settling"])
    .where("update.owner_replica", "=", replica)
    .execute();
  const settled: LeftOver[] = [];
  for (const { id, ...name } of rows) {
    const end = await endUpdate(db, id, { status: "failed", reason: "the control plane that ran it is silent" });
    if (end) settled.push({ ...name, ...end });
  }
  return settled;
}

/** Ends the stack's update if its lease has run out, so that a new one may start. */
export async function settleLapsed(db: Db, name: StackName): Promise<Settled | undefined> {
  const row = await lockHolder(db, name);
  if (!row?.lease_expires_at || row.lease_expires_at.getTime() >= Date.now()) return undefined;
  return endUpdate(db, row.id, { status: "failed", reason: "its lease ran out" });
}

/** The engine's own end of its update. Repeating it does no harm. @throws UpdateRevoked */
export async function completeUpdate(db: Db, id: string, tokenHash: string, status: End): Promise<Settled> {
  const row = await db.selectFrom("state_updates").select("status").where("id", "=", id).where("token_hash", "=", tokenHash).executeTakeFirst();
  const own = row && (row.status === "running" || row.status === "settling" || row.status === status);
  const settled = own ? await endUpdate(db, id, { status, reason: null }) : undefined;
  if (!settled) throw new UpdateRevoked(`The update ${id} was ended by somebody else.`);
  return settled;
}

async function endRunning(db: Db, name: StackName, ending: Ending): Promise<Settled | undefined> {
  const row = await lockHolder(db, name);
  return row && endUpdate(db, row.id, ending);
}

async function lockHolder(db: Db, name: StackName) {
  const stack = await getStack(db, name);
  return db
    .selectFrom("state_updates")
    .select(["id", "lease_expires_at"])
    .where("stack_id", "=", stack.id)
    .where("kind", "<>", "preview")
    .where("status", "in", ["running", "settling"])
    .executeTakeFirst();
}

/**
 * Three short steps, each of which may be repeated after a kill: stop taking entries; read and fold them, outside of any
 * transaction; write the result. Of two that end one update at once the first to write decides, both return what it wrote.
 */
async function endUpdate(db: Db, id: string, ending: Ending): Promise<Settled | undefined> {
  await db.updateTable("state_updates").set({ status: "settling" }).where("id", "=", id).where("status", "=", "running").execute();
  const update = await db
    .selectFrom("state_updates")
    .select(["id", "stack_id", "kind", "base_version", "checkpoint"])
    .where("id", "=", id)
    .where("status", "=", "settling")
    .executeTakeFirst();
  if (update) await write(db, update, ending, await fold(db, update));
  return outcome(db, id);
}

interface Settling {
  id: string;
  stack_id: string;
  kind: UpdateKind;
  base_version: number;
  checkpoint: string | null;
}

interface Folded {
  /** Undefined when nothing was recorded, or when it isn't sound. */
  state: VersionedDeployment | undefined;
  interrupted: PendingOperation[];
  fault: string | undefined;
}

async function fold(db: Db, update: Settling): Promise<Folded> {
  if (update.kind === "preview") return { state: undefined, interrupted: [], fault: undefined };
  try {
    const recorded = update.checkpoint ? (JSON.parse(update.checkpoint) as VersionedDeployment) : await foldJournal(db, update);
    if (!recorded) return { state: undefined, interrupted: [], fault: undefined };
    const { state, interrupted } = withoutPending(recorded);
    const fault = integrityFault(state.deployment);
    return { state: fault ? undefined : state, interrupted, fault };
  } catch (error) {
    // A journal that can't be replayed is a fault of the state, not of the database: the update must end all the same.
    if (!(error instanceof InvalidState || error instanceof TypeError || error instanceof SyntaxError)) throw error;
    return { state: undefined, interrupted: [], fault: (error as Error).message };
  }
}

async function foldJournal(db: Db, update: Settling): Promise<VersionedDeployment | undefined> {
  const rows = await db.selectFrom("state_journal").select("entry").where("update_id", "=", update.id).orderBy("sequence_id").execute();
  if (rows.length === 0) return undefined;
  const base = await readVersion(db, update.stack_id, update.base_version);
  const entries = rows.map((row): JournalEntry => JSON.parse(row.entry));
  return replay(base.deployment, entries, { now: new Date(), engine: engineVersion });
}

/** Pulumi keeps interrupted creates in the state for ever and warns of them at each run; ours are idempotent by name (decision 0004). */
function withoutPending(recorded: VersionedDeployment): { state: VersionedDeployment; interrupted: PendingOperation[] } {
  const { pending_operations: interrupted = [], ...deployment } = recorded.deployment;
  return { state: { ...recorded, deployment }, interrupted };
}

async function write(db: Db, update: Settling, ending: Ending, { state, interrupted, fault }: Folded): Promise<void> {
  const version = state ? update.base_version + 1 : null;
  await db.transaction().execute(async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable("state_updates")
      .set({
        status: fault ? "failed" : ending.status,
        reason: ending.reason,
        fault: fault ?? null,
        version,
        checkpoint: fault ? update.checkpoint : null,
        interrupted: JSON.stringify(interrupted.map(({ type, resource }) => ({ type, urn: resource.urn }))),
        finished_at: new Date(),
      })
      .where("id", "=", update.id)
      .where("status", "=", "settling")
      .executeTakeFirst();
    if (Number(numUpdatedRows) !== 1) return;
    if (state) await writeVersion(trx, update.stack_id, version!, state);
    // What could not be folded stays, to be looked into.
    if (!fault) await trx.deleteFrom("state_journal").where("update_id", "=", update.id).execute();
    await forgetOldUpdates(trx, update.stack_id);
  });
}

/** What was never started, previews, and ended updates beyond the last ones; all after an hour, in which an engine may still ask. */
async function forgetOldUpdates(trx: Queries, stackId: string): Promise<void> {
  const hourAgo = new Date(Date.now() - 3_600_000);
  const oldest = trx
    .selectFrom("state_updates")
    .select("created_at")
    .where("stack_id", "=", stackId)
    .where("kind", "<>", "preview")
    .orderBy("created_at", "desc")
    .offset(updatesKept)
    .limit(1);
  const forgotten = trx
    .selectFrom("state_updates")
    .select("id")
    .where("stack_id", "=", stackId)
    .where("created_at", "<", hourAgo)
    .where((eb) => eb.or([eb("lease_expires_at", "is", null), eb("lease_expires_at", "<", hourAgo)]))
    .where((eb) =>
      eb.or([
        eb("status", "=", "requested"),
        eb("kind", "=", "preview"),
        eb.and([eb("status", "in", ["succeeded", "failed", "cancelled"]), eb("created_at", "<=", oldest)]),
      ]),
    );
  await trx.deleteFrom("state_journal").where("update_id", "in", forgotten).execute();
  await trx.deleteFrom("state_updates").where("id", "in", forgotten).execute();
}

async function outcome(db: Db, id: string): Promise<Settled | undefined> {
  const row = await db
    .selectFrom("state_updates as update")
    .innerJoin("state_stacks as stack", "stack.id", "update.stack_id")
    .leftJoin("state_snapshots as snapshot", (join) => join.onRef("snapshot.stack_id", "=", "stack.id").onRef("snapshot.version", "=", "stack.version"))
    .select(["update.id as update", "update.kind", "update.status", "update.interrupted", "update.fault", "stack.version", "snapshot.resources"])
    .where("update.id", "=", id)
    .executeTakeFirst();
  if (row?.status !== "succeeded" && row?.status !== "failed" && row?.status !== "cancelled") return undefined;
  return {
    ...row,
    status: row.status,
    interrupted: (row.interrupted ?? []) as Settled["interrupted"],
    fault: row.fault ?? undefined,
    resources: row.resources ?? 0,
  };
}
