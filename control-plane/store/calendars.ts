/** The calendars of working days, one a year, as they were imported. */
import type { Selectable } from "kysely";
import { notFound, Refusal } from "../domain/refusal.ts";
import { addWorkingDays, calendarOf, isDay, isWeekend, type WorkingCalendar } from "../domain/working-days.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
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
  const shown = (row: CalendarRow | null) => row && { holidays: row.holidays, workingDays: row.working_days, source: row.source };
  await appendAudit(tx, act, {
    action: "calendar.set",
    subjectKind: "calendar",
    subjectId: String(after.year),
    departmentId: null,
    before: shown(before),
    after: { ...shown(after), deadlinesMoved: moved.length },
  });
}
