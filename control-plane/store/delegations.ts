/** Delegation while on leave: who decides in whose name, for a period. No chains, and nobody to oneself. */
import { sql, type Selectable } from "kysely";
import { DecidingRole } from "../contract/approvals.ts";
import { isInForce } from "../domain/authority.ts";
import type { Holder } from "../domain/deciding.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { ancestorsOf } from "./departments.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { Delegations } from "./schema.ts";
import { bindingsOf } from "./subjects.ts";

export type DelegationRow = Selectable<Delegations>;
/** One who stands in now, and by what. */
export interface StandIn extends Holder {
  delegationId: string;
}

/** A person with the deciding roles that they hold now; undefined: they may not sign in. */
export async function holderOf(db: Db, id: string, now: Date): Promise<Holder | undefined> {
  const held = await bindingsOf(db, id, now);
  if (!held) return undefined;
  const decides = (role: string) => (DecidingRole.options as readonly string[]).includes(role);
  return { id, holds: held.filter((binding) => decides(binding.role) && isInForce(binding, now)) };
}

/** Those who are on leave at this moment and have named this person. */
export async function standsInFor(db: Db, id: string, now: Date): Promise<StandIn[]> {
  const rows = await db
    .selectFrom("delegations")
    .selectAll()
    .where("to_id", "=", id)
    .where("begins_at", "<=", now)
    .where("ends_at", ">", now)
    .where("ended_at", "is", null)
    .orderBy("id")
    .execute();
  const found: StandIn[] = [];
  for (const row of rows) {
    const holder = await holderOf(db, row.from_id, now);
    if (holder && !found.some((one) => one.id === holder.id)) found.push({ ...holder, delegationId: row.id });
  }
  return found;
}

/** Of everybody, or those that a person gave or got; newest first. */
export async function listDelegations(db: Db, personId: string | undefined, ask: PageAsk): Promise<Page<DelegationRow>> {
  let query = db.selectFrom("delegations").selectAll();
  if (personId !== undefined) query = query.where((where) => where.or([where("from_id", "=", personId), where("to_id", "=", personId)]));
  return page(query, { ...ask, by: "id", descending: true });
}

/**
 * The caller goes on leave and names who decides meanwhile.
 * @throws Refusal rule-broken: to oneself, to one who may not hold the role at that node, in a chain, for no time or a time that is over
 */
export async function delegate(tx: Tx, act: Act, ask: { to: string; begins: Date; ends: Date; reason: string }): Promise<DelegationRow> {
  const broken = (pointer: string, detail: string, remedy?: string) =>
    new Refusal("rule-broken", detail, { errors: [{ pointer, detail }], ...(remedy === undefined ? {} : { remedy }) });
  if (ask.to === act.actor) throw broken("/to", "Nobody delegates to themselves.");
  if (ask.ends <= ask.begins || ask.ends <= act.now) throw broken("/ends", "The period is empty, or over already.");
  // One at a time: two that would make a chain together must see each other.
  await sql`select pg_advisory_xact_lock(7302063)`.execute(tx);
  const to = await holderOf(tx, ask.to, act.now);
  if (!to) throw broken("/to", `There is nobody ${ask.to} who may sign in.`);
  const from = await holderOf(tx, act.actor, act.now);
  let shared = false;
  for (const mine of from?.holds ?? []) {
    const above = mine.department === null ? [] : await ancestorsOf(tx, mine.department);
    shared ||= to.holds.some((one) => one.role === mine.role && (one.department === null || above.includes(one.department)));
  }
  if (!from || !shared) throw broken("/to", "They hold none of your roles where you hold it, so that they may not decide in your name.");
  const overlapping = await tx
    .selectFrom("delegations")
    .selectAll()
    .where("ended_at", "is", null)
    .where("begins_at", "<", ask.ends)
    .where("ends_at", ">", ask.begins)
    .where((where) => where.or([where("from_id", "=", ask.to), where("to_id", "=", from.id), where("from_id", "=", from.id)]))
    .execute();
  if (overlapping.some((one) => one.from_id === from.id))
    throw broken("/begins", "You have delegated for a part of this period already.", "End that one first.");
  if (overlapping.some((one) => one.from_id === ask.to)) throw broken("/to", "They are on leave themselves for a part of this period: no chains.");
  if (overlapping.length > 0) throw broken("/begins", "You stand in for somebody else for a part of this period: no chains.");
  const row = await tx
    .insertInto("delegations")
    .values({
      id: newId("dlg", act.now),
      from_id: from.id,
      to_id: ask.to,
      begins_at: ask.begins,
      ends_at: ask.ends,
      reason: ask.reason,
      created_at: act.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "delegation.create",
    subjectKind: "delegation",
    subjectId: row.id,
    departmentId: null,
    after: { from: row.from_id, to: row.to_id, begins: row.begins_at, ends: row.ends_at, reason: row.reason },
  });
  return row;
}

/** Ends it early; again is no error. @throws Refusal not-found unless the caller gave it */
export async function endDelegation(tx: Tx, act: Act, fromId: string, id: string): Promise<void> {
  const row = await tx.selectFrom("delegations").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row || row.from_id !== fromId) throw notFound("delegation", id);
  if (row.ended_at !== null) return;
  await tx.updateTable("delegations").set({ ended_at: act.now }).where("id", "=", id).execute();
  await appendAudit(tx, act, { action: "delegation.end", subjectKind: "delegation", subjectId: id, departmentId: null, before: { to: row.to_id } });
}
