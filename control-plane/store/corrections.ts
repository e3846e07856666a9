/** Corrections (纠错): ordered by supervision on a card, done by the one whom it names, closed or opened again by supervision. */
import { type Selectable, sql } from "kysely";
import { type NewCorrection, openCardStates } from "../contract/supervision.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import { dayOf, endOfDay, isDay } from "../domain/working-days.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { nameOf } from "./names.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { Corrections } from "./schema.ts";
import { appendEntries } from "./supervising.ts";
import { lockCard, moveCard, officersOf, peopleOf, requireNotOwn } from "./supervision-cards.ts";
import { tell } from "./supervision-telling.ts";
import { bindingsOf } from "./subjects.ts";

export type CorrectionRow = Selectable<Corrections>;
export type NamedCorrection = Awaited<ReturnType<typeof getCorrection>>;

const named = (db: Db) =>
  db
    .selectFrom("corrections as k")
    .innerJoin("supervision_cards as c", "c.id", "k.card_id")
    .innerJoin("departments as d", "d.id", "c.department_id")
    .innerJoin("requests as r", "r.id", "c.request_id")
    .selectAll("k")
    .select(["c.colour", "c.department_id", "c.request_id", "d.name_zh as department_name", "r.number as request_number"])
    .select([nameOf("k.assignee").as("assignee_name"), nameOf("k.opened_by").as("opened_by_name")]);

export interface CorrectionFilter extends PageAsk {
  state?: CorrectionRow["state"] | "overdue" | undefined;
  departmentIds?: readonly string[] | undefined;
  assignee?: string | undefined;
  card?: string | undefined;
  /** Ordered in this time. */
  from?: Date | undefined;
  to?: Date | undefined;
}

/** Newest first. */
export function listCorrections(db: Db, filter: CorrectionFilter, now: Date): Promise<Page<NamedCorrection>> {
  let query = named(db);
  if (filter.state === "overdue") query = query.where("k.state", "=", "open").where("k.due_at", "<", now);
  else if (filter.state) query = query.where("k.state", "=", filter.state);
  if (filter.departmentIds) query = query.where("c.department_id", "=", sql<string>`any(${filter.departmentIds}::text[])`);
  if (filter.assignee) query = query.where("k.assignee", "=", filter.assignee);
  if (filter.card) query = query.where("k.card_id", "=", filter.card);
  if (filter.from) query = query.where("k.opened_at", ">=", filter.from);
  if (filter.to) query = query.where("k.opened_at", "<", filter.to);
  return page(query, { limit: filter.limit, cursor: filter.cursor, by: "k.id", descending: true });
}

/** @throws Refusal not-found */
export async function getCorrection(db: Db, id: string) {
  const row = await named(db).where("k.id", "=", id).executeTakeFirst();
  if (!row) throw notFound("correction", id);
  return row;
}

async function lock(tx: Tx, id: string): Promise<CorrectionRow> {
  const row = await tx.selectFrom("corrections").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row) throw notFound("correction", id);
  return row;
}

/** @returns its last moment @throws Refusal invalid-body for a day that is over */
function dueOn(act: Act, day: string): Date {
  if (!isDay(day) || day < dayOf(act.now)) {
    const detail = "is no day, or is over";
    throw new Refusal("invalid-body", `/due: ${detail}`, { errors: [{ pointer: "/due", detail }] });
  }
  return endOfDay(day);
}

/**
 * Orders a correction; the card waits for it.
 * @param check is given the card's revision as it is now; throws to refuse
 * @throws Refusal not-found, conflict, rule-broken, self-approval
 */
export async function orderCorrection(tx: Tx, act: Act, ask: NewCorrection, check: (revision: number) => void): Promise<string> {
  const card = await lockCard(tx, ask.card);
  check(card.revision);
  await requireNotOwn(tx, act, card.id);
  if (!openCardStates.includes(card.state)) throw new Refusal("conflict", `The card is ${card.state}: nothing is corrected under it any more.`);
  const wrong = (detail: string) => new Refusal("rule-broken", `assignee: ${detail}`, { errors: [{ pointer: "/assignee", detail }] });
  if (ask.assignee === act.actor) throw wrong("nobody orders a correction of themselves");
  if (!(await peopleOf(tx, card.id)).some((one) => one.subject_id === ask.assignee)) throw wrong("is not one of those whom the card names");
  if (!(await bindingsOf(tx, ask.assignee, act.now))) throw wrong("may not sign in any more");
  const due = dueOn(act, ask.due);
  const id = newId("cor", act.now);
  await tx
    .insertInto("corrections")
    .values({
      id,
      card_id: card.id,
      what: ask.what,
      assignee: ask.assignee,
      state: "open",
      due_at: due,
      opened_by: act.actor,
      opened_at: act.now,
      since: act.now,
    })
    .execute();
  await appendEntries(tx, act, [{ card_id: card.id, kind: "correction-ordered", text: ask.what }]);
  await moveCard(tx, act, card, "correcting", "supervision.correct", { correction: id, assignee: ask.assignee, due: ask.due, what: ask.what });
  await tell(tx, act, { kind: "supervision.correction", card, to: [ask.assignee] });
  return id;
}

/** What a step of a correction writes, in one way. */
async function step(
  tx: Tx,
  act: Act,
  row: CorrectionRow,
  change: Partial<Pick<CorrectionRow, "state" | "due_at" | "since" | "done_at" | "closed_at">>,
  { kind, action, note }: { kind: "correction-done" | "correction-reopened" | "correction-closed"; action: string; note: string },
): Promise<void> {
  const card = await lockCard(tx, row.card_id);
  await tx
    .updateTable("corrections")
    .set({ ...change, revision: row.revision + 1 })
    .where("id", "=", row.id)
    .execute();
  await appendEntries(tx, act, [{ card_id: card.id, kind, text: note }]);
  await appendAudit(tx, act, {
    action,
    subjectKind: "correction",
    subjectId: row.id,
    departmentId: card.department_id,
    before: { state: row.state, due: row.due_at },
    after: { state: change.state, due: change.due_at ?? row.due_at, note },
  });
  const to = kind === "correction-done" ? await officersOf(tx, act, card.department_id) : [row.assignee];
  await tell(tx, act, { kind: "supervision.correction", card, to });
}

/** It has been corrected: the one whom it names says how. @throws Refusal not-found, conflict */
export async function reportDone(tx: Tx, act: Act, id: string, note: string, check: (revision: number) => void): Promise<void> {
  const row = await lock(tx, id);
  if (row.assignee !== act.actor) throw notFound("correction", id);
  check(row.revision);
  if (row.state !== "open") throw new Refusal("conflict", `The correction is ${row.state}.`);
  await step(tx, act, row, { state: "done", done_at: act.now }, { kind: "correction-done", action: "correction.done", note });
}

/** What was done was not enough: until when it is to be done now. @throws Refusal not-found, conflict, self-approval */
export async function reopenCorrection(
  tx: Tx,
  act: Act,
  id: string,
  { note, due }: { note: string; due: string },
  check: (revision: number) => void,
): Promise<void> {
  const row = await lock(tx, id);
  check(row.revision);
  await requireNotOwn(tx, act, row.card_id);
  if (row.state !== "done") throw new Refusal("conflict", `The correction is ${row.state}: only what was said to be done is opened again.`);
  const change = { state: "open" as const, due_at: dueOn(act, due), since: act.now, done_at: null };
  await step(tx, act, row, change, { kind: "correction-reopened", action: "correction.reopen", note });
}

/** Corrected. The last one closes the card. @throws Refusal not-found, conflict, self-approval */
export async function closeCorrection(tx: Tx, act: Act, id: string, note: string, check: (revision: number) => void): Promise<void> {
  const row = await lock(tx, id);
  check(row.revision);
  if (row.assignee === act.actor) throw new Refusal("self-approval", "This correction is your own: another supervision officer closes it.");
  await requireNotOwn(tx, act, row.card_id);
  if (row.state !== "done") throw new Refusal("conflict", `The correction is ${row.state}: it is closed when it has been done.`);
  await step(tx, act, row, { state: "closed", closed_at: act.now }, { kind: "correction-closed", action: "correction.close", note });
  const left = await tx.selectFrom("corrections").select("id").where("card_id", "=", row.card_id).where("state", "<>", "closed").executeTakeFirst();
  if (left === undefined) await moveCard(tx, act, await lockCard(tx, row.card_id), "closed", "supervision.close", { correction: id });
}
