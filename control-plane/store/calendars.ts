/** The calendars of working days, one a year, as they were imported. */
import { type Selectable, sql } from "kysely";
import { audiences } from "../domain/notifying.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import { addWorkingDays, calendarOf, isDay, isWeekend, missingYears, type WorkingCalendar } from "../domain/working-days.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import { holdersOf } from "./audience.ts";
import type { Db, Tx } from "./database.ts";
import { notify } from "./notices.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { inboxKey } from "./inbox-key.ts";
import type { Calendars } from "./schema.ts";

export type CalendarRow = Selectable<Calendars>;
export interface CalendarAsk {
  year: number;
  source: string;
  holidays: readonly string[];
  workingDays: readonly string[];
}

/** Every year that is known, as one calendar. */
export async function workingCalendar(db: Db): Promise<WorkingCalendar> {
  const rows = await db.selectFrom("calendars").selectAll().execute();
  return calendarOf(rows.map((row) => ({ year: row.year, holidays: row.holidays, workingDays: row.working_days })));
}

export const listCalendars = (db: Db, ask: PageAsk): Promise<Page<CalendarRow>> =>
  page(db.selectFrom("calendars").selectAll(), { ...ask, by: "year", numeric: true });

/** @throws Refusal not-found */
export async function getCalendar(db: Db, year: number): Promise<CalendarRow> {
  const row = await db.selectFrom("calendars").selectAll().where("year", "=", year).executeTakeFirst();
  if (!row) throw notFound("calendar", String(year));
  return row;
}

/** @throws Refusal invalid-body with the days that cannot be */
function requireSound({ year, holidays, workingDays }: CalendarAsk): void {
  const wrong = (place: string, days: readonly string[], why: (day: string) => string | undefined) =>
    days.flatMap((day, index) => {
      const detail = !isDay(day) ? "is no day" : !day.startsWith(`${year}-`) ? `is not in ${year}` : days.indexOf(day) < index ? "stands twice" : why(day);
      return detail === undefined ? [] : [{ pointer: `/${place}/${index}`, detail: `${day} ${detail}` }];
    });
  const errors = [
    ...wrong("holidays", holidays, () => undefined),
    ...wrong("workingDays", workingDays, (day) =>
      holidays.includes(day) ? "is a holiday too" : isWeekend(day) ? undefined : "is a working day anyway: only days of weekends are made up",
    ),
  ];
  if (errors.length > 0) throw new Refusal("invalid-body", errors[0]!.detail, { errors });
}

/** @throws Refusal invalid-body; conflict when the year is there already */
export async function createCalendar(tx: Tx, act: Act, ask: CalendarAsk): Promise<CalendarRow> {
  requireSound(ask);
  const row = await tx
    .insertInto("calendars")
    .values({ year: ask.year, ...columnsOf(ask), updated_at: act.now })
    .onConflict((on) => on.column("year").doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new Refusal("conflict", `The year ${ask.year} has a calendar already.`, { remedy: "Change that one." });
  await tell(tx, act, null, row);
  return row;
}

/** @param check is given the revision as it is now, the row being locked; throws to refuse */
export async function changeCalendar(tx: Tx, act: Act, ask: CalendarAsk, check: (revision: number) => void): Promise<CalendarRow> {
  const before = await tx.selectFrom("calendars").selectAll().where("year", "=", ask.year).forUpdate().executeTakeFirst();
  if (!before) throw notFound("calendar", String(ask.year));
  check(before.revision);
  requireSound(ask);
  const row = await tx
    .updateTable("calendars")
    .set({ ...columnsOf(ask), revision: before.revision + 1, updated_at: act.now })
    .where("year", "=", ask.year)
    .returningAll()
    .executeTakeFirstOrThrow();
  await tell(tx, act, before, row);
  return row;
}

const columnsOf = (ask: CalendarAsk) => ({
  source: ask.source,
  holidays: JSON.stringify(ask.holidays.toSorted()),
  working_days: JSON.stringify(ask.workingDays.toSorted()),
});

/** Audits the change, and moves the deadlines of what is being decided now. */
async function tell(tx: Tx, act: Act, before: CalendarRow | null, after: CalendarRow): Promise<void> {
  const calendar = await workingCalendar(tx);
  const open = await tx.selectFrom("approval_steps").selectAll().where("state", "=", "open").where("invalidated_at", "is", null).forUpdate().execute();
  const moved = open
    .map((step) => ({ step, due: addWorkingDays(calendar, step.opened_at!, step.days + step.extra_days) }))
    .filter(({ step, due }) => step.due_at!.getTime() !== due.getTime());
  for (const { step, due } of moved)
    await tx
      .updateTable("approval_steps")
      .set({ due_at: due, inbox_key: inboxKey(due, step.id) })
      .where("id", "=", step.id)
      .execute();
  const cards = await moveAnswers(tx, calendar);
  const shown = (row: CalendarRow | null) => row && { holidays: row.holidays, workingDays: row.working_days, source: row.source };
  await appendAudit(tx, act, {
    action: "calendar.set",
    subjectKind: "calendar",
    subjectId: String(after.year),
    departmentId: null,
    before: shown(before),
    after: { ...shown(after), deadlinesMoved: moved.length + cards },
  });
}

/** Until when supervision cards that wait for an answer are to be answered. @returns how many moved */
async function moveAnswers(tx: Tx, calendar: WorkingCalendar): Promise<number> {
  const open = await tx
    .selectFrom("supervision_cards as c")
    .innerJoin("supervision_rule_versions as v", (on) => on.onRef("v.rule_id", "=", "c.rule_id").onRef("v.version", "=", "c.rule_version"))
    .select(["c.id", "c.issued_at", "c.answer_due_at", "v.answer_days"])
    .where("c.state", "=", "open")
    .forUpdate("c")
    .execute();
  const moved = open
    .map((card) => ({ card, due: addWorkingDays(calendar, card.issued_at, card.answer_days) }))
    .filter(({ card, due }) => card.answer_due_at.getTime() !== due.getTime());
  for (const { card, due } of moved) await tx.updateTable("supervision_cards").set({ answer_due_at: due }).where("id", "=", card.id).execute();
  return moved.length;
}

const toldKey = "calendar-told";
/** How often it is said again that a calendar is missing. */
const tellAgainMs = 7 * 86_400_000;

/** Years whose calendar should be there and isn't. */
export const calendarsMissing = async (db: Db, now: Date): Promise<number[]> => missingYears(await workingCalendar(db), now);

/** Says which years have no calendar to those who import them, at once and then every week. @returns the years that were told of now */
export async function tellMissing(tx: Tx, act: Act): Promise<number[]> {
  // Two control planes that look at the same moment say it once.
  await sql`select pg_advisory_xact_lock(7302065)`.execute(tx);
  const years = await calendarsMissing(tx, act.now);
  const row = await tx.selectFrom("settings").select("value").where("key", "=", toldKey).executeTakeFirst();
  const told = row?.value as { at: string; years: number[] } | undefined;
  const known = told !== undefined && years.every((year) => told.years.includes(year));
  if (years.length === 0 || (known && act.now.getTime() - Date.parse(told.at) < tellAgainMs)) return [];
  const kind = "calendar.missing";
  await notify(tx, act, {
    kind,
    to: await holdersOf(tx, audiences[kind], null, act.now),
    departmentId: null,
    requestId: null,
    subjectId: String(years[0]),
    data: { years: years.join("、") },
  });
  const value = JSON.stringify({ at: act.now.toISOString(), years });
  await tx
    .insertInto("settings")
    .values({ key: toldKey, value })
    .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
    .execute();
  return years;
}
