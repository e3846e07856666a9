/**
 * Working days (工作日) as China's State Council sets them each year: weekends, public holidays, and weekends that are worked instead (调休).
 * Days are those of Asia/Shanghai, which has had no daylight saving since 1991, written YYYY-MM-DD. Pure: the days come from the table `calendars`.
 */

/** A year's notice: which days are free beside the weekends, and which days of weekends are worked. */
export interface YearCalendar {
  year: number;
  holidays: readonly string[];
  workingDays: readonly string[];
}
/** Days that differ from the plain week. A year without a notice follows the plain week. */
export interface WorkingCalendar {
  years: ReadonlySet<number>;
  holidays: ReadonlySet<string>;
  workingDays: ReadonlySet<string>;
}

const dayMs = 86_400_000;
const offsetMs = 8 * 3_600_000;

export const calendarOf = (years: readonly YearCalendar[]): WorkingCalendar => ({
  years: new Set(years.map((one) => one.year)),
  holidays: new Set(years.flatMap((one) => one.holidays)),
  workingDays: new Set(years.flatMap((one) => one.workingDays)),
});

/** The day in Asia/Shanghai on which a moment lies. */
export const dayOf = (at: Date): string => new Date(at.getTime() + offsetMs).toISOString().slice(0, 10);
/** First moment of a day. */
export const startOfDay = (day: string): Date => new Date(Date.parse(`${day}T00:00:00.000Z`) - offsetMs);
/** Last millisecond of a day: until then a deadline that ends with it is kept. */
export const endOfDay = (day: string): Date => new Date(startOfDay(day).getTime() + dayMs - 1);
const shifted = (day: string, days: number): string => new Date(Date.parse(`${day}T00:00:00.000Z`) + days * dayMs).toISOString().slice(0, 10);
const nextDay = (day: string): string => shifted(day, 1);

/** Whether a text is a day that exists. */
export function isDay(text: string): boolean {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00.000Z`) : Number.NaN;
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text);
}

export function isWeekend(day: string): boolean {
  const weekday = new Date(`${day}T00:00:00.000Z`).getUTCDay();
  return weekday === 0 || weekday === 6;
}

export function isWorkingDay(calendar: WorkingCalendar, day: string): boolean {
  if (calendar.workingDays.has(day)) return true;
  return !calendar.holidays.has(day) && !isWeekend(day);
}

/**
 * When a period of working days ends. The day on which it begins doesn't count (期间开始之日不计算在内), so that one working day
 * from a Monday ends with Tuesday.
 * @param days 0 or more; 0 ends with the day itself
 * @returns the last millisecond of the last day
 */
export function addWorkingDays(calendar: WorkingCalendar, from: Date, days: number): Date {
  let day = dayOf(from);
  for (let left = days; left > 0;) {
    day = nextDay(day);
    if (isWorkingDay(calendar, day)) left--;
  }
  return endOfDay(day);
}

/**
 * The working day that lies so many working days before a day.
 * @param days 0 or more; 0: the day itself, or the last working day before it
 */
export function workingDaysBefore(calendar: WorkingCalendar, day: string, days: number): string {
  let at = day;
  for (let left = days; ; at = shifted(at, -1)) if (isWorkingDay(calendar, at) && left-- === 0) return at;
}

const yearOf = (at: Date): number => Number(dayOf(at).slice(0, 4));

/** Whether the time between two moments reaches into a year without a notice: only its weekends are known, so that a deadline there may move. */
export function isProvisional(calendar: WorkingCalendar, from: Date, to: Date): boolean {
  for (let year = yearOf(from); year <= yearOf(to); year++) if (!calendar.years.has(year)) return true;
  return false;
}

/** Years whose notice should be there: the present one, and from the first of December (when the State Council has published it) the next one too. */
export function missingYears(calendar: WorkingCalendar, now: Date): number[] {
  const year = yearOf(now);
  return [year, ...(dayOf(now) >= `${year}-12-01` ? [year + 1] : [])].filter((one) => !calendar.years.has(one));
}

/** How many working days lie after a moment's day, up to and with another's; 0 when that is not later. */
export function workingDaysBetween(calendar: WorkingCalendar, from: Date, to: Date): number {
  const last = dayOf(to);
  let count = 0;
  for (let day = dayOf(from); day < last;) {
    day = nextDay(day);
    if (isWorkingDay(calendar, day)) count++;
  }
  return count;
}
