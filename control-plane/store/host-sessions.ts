/** Sessions in hosts (主机会话): made with a one-time ticket, opened, ended; who, when, from where, why and by what right is kept for ever. */
import { type Selectable, sql } from "kysely";
import type { SessionBasis, SessionEnd } from "../contract/host-sessions.ts";
import { isWithin } from "../domain/authority.ts";
import type { Period } from "../domain/authority.ts";
import type { Right } from "../domain/host-access.ts";
import { audiences } from "../domain/notifying.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import { type Act, systemAct } from "./act.ts";
import { holdersOf } from "./audience.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { ancestorsOf, mayView, type Viewer } from "./departments.ts";
import { appendEvent } from "./events.ts";
import { type HostPlace, rightsNow } from "./host-access.ts";
import { newId } from "./ids.ts";
import { nameOf, namesOf } from "./names.ts";
import { notify } from "./notices.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { HostSessions } from "./schema.ts";
import { sessionHolds } from "./sessions.ts";
import { hashSecret, isUsable, newSecret } from "./tokens.ts";

export type HostSessionRow = Selectable<HostSessions>;

/** How long a ticket opens the socket, seconds. */
export const ticketSeconds = 60;
/** The longest that a session lasts, hours. */
export const sessionHours = 12;

const named = (db: Db) =>
  db
    .selectFrom("host_sessions as s")
    .innerJoin("resources as h", "h.id", "s.host_id")
    .leftJoin("role_bindings as b", "b.id", "s.binding_id")
    .selectAll("s")
    .select(["h.name as host_name", "b.reviewed_at", nameOf("s.person_id").as("person_name")]);
export type NamedHostSession = Awaited<ReturnType<ReturnType<typeof named>["executeTakeFirstOrThrow"]>>;

export interface HostSessionFilter extends PageAsk {
  departmentIds?: readonly string[] | undefined;
  hostId?: string | undefined;
  state?: HostSessionRow["state"] | undefined;
  basis?: SessionBasis | undefined;
  unreviewed?: boolean | undefined;
  /** Of an external auditor. */
  period: Period | null;
}

/** Newest first. */
export function listHostSessions(db: Db, filter: HostSessionFilter): Promise<Page<NamedHostSession>> {
  const { departmentIds, hostId, state, basis, unreviewed, period, ...ask } = filter;
  let query = named(db);
  if (departmentIds) query = query.where("s.department_id", "in", [...departmentIds]);
  if (hostId) query = query.where("s.host_id", "=", hostId);
  if (state) query = query.where("s.state", "=", state);
  if (basis) query = query.where("s.basis", "=", basis);
  if (unreviewed) query = query.where("s.binding_id", "is not", null).where("b.reviewed_at", "is", null);
  if (period) query = query.where("s.created_at", ">=", period.from).where("s.created_at", "<", period.to);
  return page(query, { ...ask, by: "s.id", descending: true });
}

/** @throws Refusal not-found */
export async function getHostSession(db: Db, viewer: Viewer & { period?: Period | null }, id: string): Promise<NamedHostSession> {
  const row = await named(db).where("s.id", "=", id).executeTakeFirst();
  if (!row || !(await mayView(db, viewer, row.department_id)) || !isWithin(viewer.period ?? null, row.created_at)) throw notFound("host session", id);
  return row;
}

export interface SessionAsk {
  kind: "shell" | "exec";
  purpose: string;
  argv: string[] | null;
  cols: number;
  rows: number;
  signInId: string | undefined;
}

/** @throws Refusal forbidden without a right to it */
export async function requireRight(db: Db, person: string, place: HostPlace, now: Date): Promise<Right> {
  const [right] = await rightsNow(db, person, place, now);
  if (right) return right;
  throw new Refusal("forbidden", `${place.name} is its department's: an operator enters it by its owner's consent, or in an emergency by break-glass.`, {
    remedy: "Ask its owner: zhengyun consents ask; or take a role that you are eligible for: zhengyun roles elevate.",
  });
}

/** @returns the ticket, which nobody can read again */
export async function createHostSession(tx: Tx, act: Act, place: HostPlace, ask: SessionAsk): Promise<{ id: string; ticket: string }> {
  const right = await requireRight(tx, act.actor, place, act.now);
  const id = newId("hsn", act.now);
  const ticket = newSecret("zyt");
  await tx
    .insertInto("host_sessions")
    .values({
      id,
      department_id: place.departmentId,
      host_id: place.hostId,
      kind: ask.kind,
      purpose: ask.purpose,
      argv: ask.argv === null ? null : JSON.stringify(ask.argv),
      person_id: act.actor,
      role: right.role,
      source: act.source,
      correlation_id: act.correlationId,
      sign_in_id: ask.signInId ?? null,
      basis: right.basis,
      consent_id: right.consentId,
      binding_id: right.bindingId,
      state: "ready",
      ticket_hash: hashSecret(ticket),
      ticket_until: new Date(act.now.getTime() + ticketSeconds * 1000),
      cols: ask.cols,
      rows: ask.rows,
      created_at: act.now,
    })
    .execute();
  await appendAudit(tx, act, {
    action: "host-session.create",
    subjectKind: "host-session",
    subjectId: id,
    departmentId: place.departmentId,
    after: {
      host: place.hostId,
      kind: ask.kind,
      argv: ask.argv,
      purpose: ask.purpose,
      basis: right.basis,
      consent: right.consentId,
      elevation: right.bindingId,
    },
  });
  return { id, ticket };
}

/**
 * Opens a session, once: by its ticket, or by whoever made it for a single command.
 * @throws Refusal not-found for another's, forbidden for a ticket that is wrong, used or too old, or when the right to it is gone meanwhile
 */
export async function openHostSession(tx: Tx, act: Act, viewer: Viewer, id: string, ticket: string | undefined, replicaId: string): Promise<HostSessionRow> {
  const row = await tx.selectFrom("host_sessions").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row || row.person_id !== act.actor || !(await mayView(tx, viewer, row.department_id))) throw notFound("host session", id);
  const fits = row.kind === "exec" ? ticket === undefined : ticket !== undefined && hashSecret(ticket) === row.ticket_hash;
  if (!fits || row.state !== "ready" || row.ticket_until === null || row.ticket_until <= act.now)
    throw new Refusal("forbidden", "This ticket opens nothing: it was used, is too old, or is another session's.", { remedy: "Ask for a new session." });
  const over = await whyOver(tx, row, act.now);
  if (over) throw new Refusal("forbidden", "The right to this session has ended meanwhile.");
  const opened = await tx
    .updateTable("host_sessions")
    .set({ state: "open", ticket_hash: null, ticket_until: null, replica_id: replicaId, opened_at: act.now })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  const data = await told(tx, opened);
  await appendAudit(tx, act, {
    action: "host-session.open",
    subjectKind: "host-session",
    subjectId: id,
    departmentId: row.department_id,
    after: { host: row.host_id, basis: row.basis, consent: row.consent_id, elevation: row.binding_id },
  });
  await appendEvent(tx, { at: act.now, departmentId: row.department_id, requestId: null, type: "host-session.opened", subjectId: id, data });
  if (row.basis === "break-glass")
    await notify(tx, act, {
      kind: "host-session.break-glass",
      to: await holdersOf(tx, audiences["host-session.break-glass"], row.department_id, act.now),
      departmentId: row.department_id,
      requestId: null,
      subjectId: id,
      data,
    });
  return opened;
}

async function told(tx: Tx, row: HostSessionRow) {
  const host = await tx.selectFrom("resources").select("name").where("id", "=", row.host_id).executeTakeFirstOrThrow();
  return { name: (await namesOf(tx, [row.person_id])).get(row.person_id) ?? row.person_id, what: host.name, purpose: row.purpose, source: row.source };
}

/** Why a session may not go on; undefined: it may. */
export async function whyOver(db: Db, row: HostSessionRow, now: Date): Promise<SessionEnd | undefined> {
  const fresh = await db.selectFrom("host_sessions").select(["state", "end_asked_at"]).where("id", "=", row.id).executeTakeFirst();
  if (!fresh || fresh.state === "ended" || fresh.end_asked_at) return "ended";
  if (now.getTime() - row.created_at.getTime() > sessionHours * 3_600_000) return "time-limit";
  if (row.sign_in_id !== null && !(await sessionHolds(db, row.sign_in_id, now))) return "authority-over";
  const [, token] = row.source.split(" ");
  if (token !== undefined) {
    const held = await db.selectFrom("tokens").selectAll().where("id", "=", token).executeTakeFirst();
    if (!held || !isUsable(held, now)) return "authority-over";
  }
  const host = await db.selectFrom("resources").select(["department_id", "application_id", "phase"]).where("id", "=", row.host_id).executeTakeFirstOrThrow();
  // With a host that has gone to another department goes the right to be in it.
  if (host.department_id !== row.department_id) return "authority-over";
  const departments = await ancestorsOf(db, host.department_id);
  const rights = await rightsNow(db, row.person_id, { hostId: row.host_id, applicationId: host.application_id, departments }, now);
  // By the right by which it was opened: another one would be another session, with another reason.
  if (rights.some((one) => one.basis === row.basis && one.consentId === row.consent_id && one.bindingId === row.binding_id)) return undefined;
  return row.basis === "consent" ? "consent-over" : "authority-over";
}

/** Asks that a session ends; the control plane that carries it sees to it within a second. @throws Refusal not-found, forbidden */
export async function endHostSession(tx: Tx, act: Act, viewer: Viewer, id: string): Promise<HostSessionRow> {
  const row = await tx.selectFrom("host_sessions").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row || !(await mayView(tx, viewer, row.department_id))) throw notFound("host session", id);
  if (row.person_id !== act.actor && act.role.split(",").every((role) => role === "operations"))
    throw new Refusal("forbidden", "This session is another one's: its owner ends it, or a security or system administrator.");
  if (row.state === "ended" || row.end_asked_at) return row;
  await tx.updateTable("host_sessions").set({ end_asked_by: act.actor, end_asked_at: act.now }).where("id", "=", id).execute();
  await appendAudit(tx, act, {
    action: "host-session.end",
    subjectKind: "host-session",
    subjectId: id,
    departmentId: row.department_id,
    after: { host: row.host_id, person: row.person_id },
  });
  // Nobody carries what nobody has opened.
  if (row.state === "ready") await closeHostSession(tx, act.now, id, { reason: "ended", exitCode: null, sha256: null, bytes: 0 });
  return row;
}

export interface Closing {
  reason: SessionEnd;
  exitCode: number | null;
  /** Of the recording; null: there is none. */
  sha256: string | null;
  bytes: number;
}

/** Says how it ended; of several who say it the first one counts. @returns whether this was it */
export async function closeHostSession(tx: Tx, now: Date, id: string, { reason, exitCode, sha256, bytes }: Closing): Promise<boolean> {
  const row = await tx
    .updateTable("host_sessions")
    .set({
      state: "ended",
      ended_at: now,
      end_reason: reason,
      exit_code: exitCode,
      recording_sha256: sha256,
      recording_bytes: bytes,
      ticket_hash: null,
      ticket_until: null,
    })
    .where("id", "=", id)
    .where("state", "<>", "ended")
    .returningAll()
    .executeTakeFirst();
  if (!row) return false;
  const own = reason === "exited" || reason === "closed";
  const act = own ? { actor: row.person_id, role: row.role, source: row.source, correlationId: row.correlation_id, now } : systemAct(now, row.correlation_id);
  await appendAudit(tx, act, {
    action: "host-session.close",
    subjectKind: "host-session",
    subjectId: id,
    departmentId: row.department_id,
    after: {
      host: row.host_id,
      person: row.person_id,
      consent: row.consent_id,
      elevation: row.binding_id,
      reason,
      exitCode,
      recordingSha256: sha256,
      recordingBytes: bytes,
    },
  });
  const data = { ...(await told(tx, row)), reason };
  await appendEvent(tx, { at: now, departmentId: row.department_id, requestId: null, type: "host-session.ended", subjectId: id, data });
  return true;
}

/** Those that nobody carries any more: their control plane is gone. @param own those of this one are carried */
export async function cutSessions(db: Db, own: string): Promise<HostSessionRow[]> {
  return db
    .selectFrom("host_sessions")
    .selectAll()
    .where("state", "=", "open")
    .where("replica_id", "<>", own)
    .where("replica_id", "not in", (of) => of.selectFrom("replicas").select("id"))
    .execute();
}

/** Those that were never opened in time. */
export async function lapsedSessions(db: Db, now: Date): Promise<HostSessionRow[]> {
  return db.selectFrom("host_sessions").selectAll().where("state", "=", "ready").where("ticket_until", "<", now).execute();
}

/** Whether the closing audit entry names this digest: an altered recording shows, even to who altered the session's row with it. */
export async function digestInAudit(db: Db, id: string): Promise<string | null | undefined> {
  const { rows } = await sql<{ sha256: string | null }>`select after->>'recordingSha256' as sha256 from audit_entries
    where subject_id = ${id} and action = 'host-session.close' order by id limit 1`.execute(db);
  return rows[0]?.sha256;
}
