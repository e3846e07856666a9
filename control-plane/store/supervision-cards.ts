/** Supervision cards (预警, 黄牌, 红牌): read, answered with a reason, accepted. Supervision itself issues them (supervising.ts). */
import { type SelectQueryBuilder, type Selectable, sql } from "kysely";
import { type CardColour, type CardState, openCardStates, type RuleKind } from "../contract/supervision.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import { boardOf } from "../domain/supervision-reach.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { ancestorsOf } from "./departments.ts";
import { nameOf } from "./names.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { Database, SupervisionCards, SupervisionEntries } from "./schema.ts";
import { appendEntries, holdersOf } from "./supervising.ts";
import { tell } from "./supervision-telling.ts";

export type CardRow = Selectable<SupervisionCards>;
export type NamedEntry = Selectable<SupervisionEntries> & { by_name: string | null };
export interface CardPersonRow {
  id: string;
  name: string | null;
  part: "concerned" | "superior";
}
export type NamedCard = CardRow & {
  rule_name: string;
  department_name: string;
  request_number: string;
  request_title: string;
  people: CardPersonRow[] | null;
};

const named = (db: Db) =>
  db
    .selectFrom("supervision_cards as c")
    .innerJoin("supervision_rules as u", "u.id", "c.rule_id")
    .innerJoin("departments as d", "d.id", "c.department_id")
    .innerJoin("requests as r", "r.id", "c.request_id")
    .selectAll("c")
    .select(["u.name as rule_name", "d.name_zh as department_name", "r.number as request_number", "r.title as request_title"])
    .select(
      sql<
        CardPersonRow[] | null
      >`(select jsonb_agg(jsonb_build_object('id', p.subject_id, 'name', ${nameOf("p.subject_id")}, 'part', p.part) order by p.part, p.subject_id)
        from supervision_card_people p where p.card_id = c.id)`.as("people"),
    );

export interface CardFilter extends PageAsk {
  state?: CardState | "pending" | "all" | undefined;
  colour?: CardColour | undefined;
  rule?: string | undefined;
  kind?: RuleKind | undefined;
  request?: string | undefined;
  /** Of these departments only. */
  departmentIds?: readonly string[] | undefined;
  /** Only those that name this person. */
  person?: string | undefined;
  /** Issued in this time: what an external auditor may see. */
  from?: Date | undefined;
  to?: Date | undefined;
}

function filtered<Row>(query: SelectQueryBuilder<Database & { c: SupervisionCards }, "c", Row>, filter: CardFilter) {
  let rest = query;
  if (filter.state === "pending") rest = rest.where("c.state", "in", [...openCardStates]);
  else if (filter.state !== undefined && filter.state !== "all") rest = rest.where("c.state", "=", filter.state);
  if (filter.colour) rest = rest.where("c.colour", "=", filter.colour);
  if (filter.rule) rest = rest.where("c.rule_id", "=", filter.rule);
  if (filter.kind) rest = rest.where("c.kind", "=", filter.kind);
  if (filter.request) rest = rest.where("c.request_id", "=", filter.request);
  if (filter.departmentIds) rest = rest.where("c.department_id", "=", sql<string>`any(${filter.departmentIds}::text[])`);
  if (filter.person) rest = rest.where(sql<boolean>`exists (select from supervision_card_people p where p.card_id = c.id and p.subject_id = ${filter.person})`);
  if (filter.from) rest = rest.where("c.issued_at", ">=", filter.from);
  if (filter.to) rest = rest.where("c.issued_at", "<", filter.to);
  return rest;
}

/** Newest first. */
export const listCards = (db: Db, filter: CardFilter): Promise<Page<NamedCard>> =>
  page(filtered(named(db) as never, filter) as unknown as ReturnType<typeof named>, {
    limit: filter.limit,
    cursor: filter.cursor,
    by: "c.id",
    descending: true,
  });

/** @throws Refusal not-found for one that the filter leaves out */
export async function getCard(db: Db, id: string, filter: CardFilter = {}): Promise<NamedCard> {
  const row = await (filtered(named(db) as never, filter) as unknown as ReturnType<typeof named>).where("c.id", "=", id).executeTakeFirst();
  if (!row) throw notFound("supervision card", id);
  return row;
}

/** What happened to it, in its order. */
export const timelineOf = (db: Db, cardId: string): Promise<NamedEntry[]> =>
  db
    .selectFrom("supervision_entries as e")
    .selectAll("e")
    .select(nameOf("e.by_id").as("by_name"))
    .where("e.card_id", "=", cardId)
    .orderBy("e.at")
    .orderBy("e.id")
    .execute();

export async function countCards(db: Db, filter: CardFilter, now: Date) {
  const cards = filtered(db.selectFrom("supervision_cards as c") as never, filter) as unknown as SelectQueryBuilder<
    Database & { c: SupervisionCards },
    "c",
    object
  >;
  const colours = await cards
    .select([
      "c.colour",
      sql<number>`count(*)::int`.as("all"),
      sql<number>`(count(*) filter (where c.state in ('open','answered','correcting')))::int`.as("pending"),
    ])
    .groupBy("c.colour")
    .execute();
  const [late] = await cards
    .select(sql<number>`count(*)::int`.as("n"))
    .where("c.state", "=", "open")
    .where("c.answer_due_at", "<", now)
    .execute();
  const [corrections] = await cards
    .innerJoin("corrections as k", "k.card_id", "c.id")
    .select([
      sql<number>`(count(*) filter (where k.state <> 'closed'))::int`.as("open"),
      sql<number>`(count(*) filter (where k.state = 'open' and k.due_at < ${now}))::int`.as("overdue"),
    ])
    .execute();
  return { colours, answersOverdue: late?.n ?? 0, correctionsOpen: corrections?.open ?? 0, correctionsOverdue: corrections?.overdue ?? 0 };
}

/** @throws Refusal not-found */
export async function lockCard(tx: Tx, id: string): Promise<CardRow> {
  const row = await tx.selectFrom("supervision_cards").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row) throw notFound("supervision card", id);
  return row;
}

export const peopleOf = (tx: Tx, cardId: string) =>
  tx.selectFrom("supervision_card_people").selectAll().where("card_id", "=", cardId).orderBy("subject_id").execute();

/** Its next state, in one way: the revision goes up, the audit says so. */
export async function moveCard(tx: Tx, act: Act, card: CardRow, state: CardState, action: string, after: Record<string, unknown>): Promise<void> {
  await tx
    .updateTable("supervision_cards")
    .set({ state, revision: card.revision + 1 })
    .where("id", "=", card.id)
    .execute();
  await appendAudit(tx, act, {
    action,
    subjectKind: "supervision-card",
    subjectId: card.id,
    departmentId: card.department_id,
    before: { state: card.state },
    after: { state, ...after },
  });
}

/** Whether whom it concerns may say something. */
export const takesAnswers = (state: CardState): boolean => openCardStates.includes(state);

/**
 * The reason, by one whom it concerns: the first answers the card, what is said later is added to it.
 * @param check is given the revision as it is now; throws to refuse
 * @throws Refusal not-found, forbidden, conflict
 */
export async function answerCard(tx: Tx, act: Act, id: string, text: string, check: (revision: number) => void): Promise<void> {
  const card = await lockCard(tx, id);
  const people = await peopleOf(tx, id);
  const own = people.find((one) => one.subject_id === act.actor);
  if (!own) throw notFound("supervision card", id);
  check(card.revision);
  if (own.part !== "concerned") throw new Refusal("forbidden", "This card concerns somebody else: they answer it.");
  if (!takesAnswers(card.state)) throw new Refusal("conflict", `The card is ${card.state}: it takes no more answers.`);
  const first = card.state === "open";
  await appendEntries(tx, act, [{ card_id: id, kind: first ? "answer" : "addition", text }]);
  await moveCard(tx, act, card, first ? "answered" : card.state, "supervision.answer", { text });
  await tell(tx, act, { kind: "supervision.answered", card, to: await officersOf(tx, act, card.department_id) });
}

/** The reason is enough. @throws Refusal not-found, conflict, self-approval */
export async function acceptAnswer(tx: Tx, act: Act, id: string, note: string, check: (revision: number) => void): Promise<void> {
  const card = await lockCard(tx, id);
  check(card.revision);
  await requireNotOwn(tx, act, id);
  if (card.state !== "answered") throw new Refusal("conflict", `The card is ${card.state}: there is no answer to accept.`);
  await appendEntries(tx, act, [{ card_id: id, kind: "accepted", text: note }]);
  await moveCard(tx, act, card, "accepted", "supervision.accept", { note });
  await tell(tx, act, { kind: "supervision.accepted", card, to: (await peopleOf(tx, id)).map((one) => one.subject_id) });
}

/** @throws Refusal self-approval: nobody supervises themselves */
export async function requireNotOwn(tx: Tx, act: Act, cardId: string): Promise<void> {
  if ((await peopleOf(tx, cardId)).some((one) => one.subject_id === act.actor && one.part === "concerned"))
    throw new Refusal("self-approval", "This card concerns you: another supervision officer decides on it.");
}

/** The supervision board of a department. */
export async function officersOf(tx: Tx, act: Act, departmentId: string): Promise<string[]> {
  return boardOf(await ancestorsOf(tx, departmentId), await holdersOf(tx, act.now));
}
