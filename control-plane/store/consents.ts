/** Consents (授权) of owners to operations: asked for, answered, revoked. */
import { type Selectable, sql } from "kysely";
import type { ConsentState } from "../contract/consents.ts";
import { askDays } from "../contract/consents.ts";
import { audiences } from "../domain/notifying.ts";
import { mayConsent, stateOf } from "../domain/host-access.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { holdersOf } from "./audience.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { ancestorsOf, mayView, requireVisible, type Viewer } from "./departments.ts";
import { appendEvent } from "./events.ts";
import { heldWithIds, placeOf } from "./host-access.ts";
import { newId } from "./ids.ts";
import { nameOf, namesOf } from "./names.ts";
import { notify } from "./notices.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { Consents } from "./schema.ts";

export type ConsentRow = Selectable<Consents>;

const named = (db: Db) =>
  db
    .selectFrom("consents as c")
    .innerJoin("applications as a", "a.id", "c.application_id")
    .leftJoin("resources as h", "h.id", "c.host_id")
    .selectAll("c")
    .select(["a.name as application_name", "h.name as host_name"])
    .select([nameOf("c.grantee_id").as("grantee_name"), nameOf("c.asked_by").as("asked_by_name"), nameOf("c.decided_by").as("decided_by_name")]);
export type NamedConsent = Awaited<ReturnType<ReturnType<typeof named>["executeTakeFirstOrThrow"]>>;

export interface ConsentFilter extends PageAsk {
  departmentIds?: readonly string[] | undefined;
  hostId?: string | undefined;
  state?: ConsentState | undefined;
  now: Date;
}

/** Newest first. */
export function listConsents(db: Db, { departmentIds, hostId, state, now, ...ask }: ConsentFilter): Promise<Page<NamedConsent>> {
  let query = named(db);
  if (departmentIds) query = query.where("c.department_id", "in", [...departmentIds]);
  if (hostId) query = query.where("c.host_id", "=", hostId);
  const lapse = new Date(now.getTime() - askDays * 86_400_000);
  if (state === "asked") query = query.where("c.state", "=", "asked").where("c.asked_at", ">=", lapse);
  else if (state === "lapsed") query = query.where("c.state", "=", "asked").where("c.asked_at", "<", lapse);
  else if (state === "granted") query = query.where("c.state", "=", "granted").where("c.valid_until", ">", now);
  else if (state === "over") query = query.where("c.state", "=", "granted").where("c.valid_until", "<=", now);
  else if (state) query = query.where("c.state", "=", state);
  return page(query, { ...ask, by: "c.id", descending: true });
}

/** @throws Refusal not-found */
export async function getConsent(db: Db, viewer: Viewer, id: string): Promise<NamedConsent> {
  const row = await named(db).where("c.id", "=", id).executeTakeFirst();
  if (!row || !(await mayView(db, viewer, row.department_id))) throw notFound("consent", id);
  return row;
}

export interface ConsentAsk {
  hostId: string | null;
  applicationId: string | null;
  /** null: operations at large. */
  granteeId: string | null;
  purpose: string;
  minutes: number;
}

/** @throws Refusal not-found */
export async function askConsent(tx: Tx, act: Act, viewer: Viewer, ask: ConsentAsk): Promise<ConsentRow> {
  const place = ask.hostId === null ? await applicationPlace(tx, viewer, ask.applicationId!) : await placeOf(tx, viewer, ask.hostId);
  const row = await tx
    .insertInto("consents")
    .values({
      id: newId("cns", act.now),
      department_id: place.departmentId,
      host_id: ask.hostId,
      application_id: place.applicationId,
      grantee_id: ask.granteeId,
      purpose: ask.purpose,
      minutes: ask.minutes,
      state: "asked",
      asked_by: act.actor,
      asked_at: act.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await tell(tx, act, row, "consent.asked", await holdersOf(tx, audiences["consent.asked"], row.department_id, act.now), place.name);
  await audit(tx, act, row, "consent.ask", { host: ask.hostId, application: place.applicationId, to: ask.granteeId ?? "operations", minutes: ask.minutes });
  return row;
}

async function applicationPlace(tx: Tx, viewer: Viewer, id: string) {
  const row = await tx.selectFrom("applications").select(["name", "department_id"]).where("id", "=", id).executeTakeFirst();
  if (!row) throw notFound("application", id);
  await requireVisible(tx, viewer, row.department_id, "application", id);
  return { departmentId: row.department_id, applicationId: id, name: row.name };
}

/**
 * Somebody of the owning department says yes or no; from a yes on it holds for as long as was asked.
 * @throws Refusal not-found, self-approval, forbidden to operators, conflict when it was answered or has lapsed
 */
export async function answerConsent(tx: Tx, act: Act, viewer: Viewer, id: string, answer: { grant: boolean; reason: string }): Promise<ConsentRow> {
  const row = await lock(tx, viewer, id);
  if (row.asked_by === act.actor || row.grantee_id === act.actor) throw new Refusal("self-approval", "This consent is for yourself: somebody else answers it.");
  await requireOwner(tx, act, row);
  const state = stateOf({ state: row.state, askedAt: row.asked_at, validUntil: row.valid_until }, act.now);
  if (state !== "asked") throw new Refusal("conflict", `The consent is ${state}: it is not asked for any more.`);
  const valid = answer.grant ? { valid_from: act.now, valid_until: new Date(act.now.getTime() + row.minutes * 60_000) } : {};
  const after = await change(tx, id, {
    state: answer.grant ? "granted" : "refused",
    decided_by: act.actor,
    decided_at: act.now,
    reason: answer.reason,
    ...valid,
  });
  await tell(tx, act, after, answer.grant ? "consent.granted" : "consent.refused", [row.asked_by, ...(row.grantee_id ? [row.grantee_id] : [])]);
  await audit(tx, act, after, answer.grant ? "consent.grant" : "consent.refuse", { reason: answer.reason, until: after.valid_until });
  return after;
}

/**
 * At once: whoever is inside by it is out within a second. Whoever asked takes it back; somebody of the owner or a security administrator revokes it.
 * Again is no error.
 * @throws Refusal not-found, forbidden
 */
export async function revokeConsent(tx: Tx, act: Act, viewer: Viewer, id: string, reason: string): Promise<ConsentRow> {
  const row = await lock(tx, viewer, id);
  const own = row.asked_by === act.actor || row.grantee_id === act.actor;
  if (!own && !act.role.split(",").includes("security-admin")) await requireOwner(tx, act, row);
  const state = stateOf({ state: row.state, askedAt: row.asked_at, validUntil: row.valid_until }, act.now);
  if (state !== "asked" && state !== "granted") return row;
  const after = await change(tx, id, { state: state === "granted" ? "revoked" : "withdrawn", ended_by: act.actor, ended_at: act.now });
  await tell(tx, act, after, "consent.revoked", [row.asked_by, ...(row.grantee_id ? [row.grantee_id] : []), ...(row.decided_by ? [row.decided_by] : [])]);
  await audit(tx, act, after, "consent.revoke", { reason, was: state });
  return after;
}

async function lock(tx: Tx, viewer: Viewer, id: string): Promise<ConsentRow> {
  const row = await tx.selectFrom("consents").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row || !(await mayView(tx, viewer, row.department_id))) throw notFound("consent", id);
  return row;
}

/** @throws Refusal forbidden for whoever does not speak for the owning department */
export async function requireOwner(tx: Tx, act: Act, row: { department_id: string }): Promise<void> {
  const held = (await heldWithIds(tx, act.actor, act.now)) ?? [];
  if (!mayConsent(held, await ancestorsOf(tx, row.department_id), act.now))
    throw new Refusal("forbidden", "For a department speaks who holds the role applicant or approver there for good, and is no operator.", {
      remedy: "Ask somebody of the owning department.",
    });
}

const change = (tx: Tx, id: string, set: Partial<ConsentRow>) =>
  tx.updateTable("consents").set(set).where("id", "=", id).returningAll().executeTakeFirstOrThrow();

async function tell(
  tx: Tx,
  act: Act,
  row: ConsentRow,
  kind: "consent.asked" | "consent.granted" | "consent.refused" | "consent.revoked",
  to: readonly string[],
  what?: string,
): Promise<void> {
  const name = what ?? (await nameOfSubject(tx, row));
  const who = (await namesOf(tx, [act.actor])).get(act.actor) ?? act.actor;
  const data = { name: who, what: name, purpose: row.purpose, minutes: row.minutes, until: row.valid_until?.toISOString() ?? null };
  await notify(tx, act, { kind, to, departmentId: row.department_id, requestId: null, subjectId: row.id, data });
  await appendEvent(tx, { at: act.now, departmentId: row.department_id, requestId: null, type: kind, subjectId: row.id, data });
}

async function nameOfSubject(tx: Tx, row: ConsentRow): Promise<string> {
  const { rows } = await sql<{ name: string }>`select coalesce((select name from resources where id = ${row.host_id}),
    (select name from applications where id = ${row.application_id})) as name`.execute(tx);
  return rows[0]!.name;
}

async function audit(tx: Tx, act: Act, row: ConsentRow, action: string, after: object): Promise<void> {
  await appendAudit(tx, act, { action, subjectKind: "consent", subjectId: row.id, departmentId: row.department_id, after: { purpose: row.purpose, ...after } });
}
