/** Calendar arithmetic. Beijing has had no daylight saving since 1991: UTC+8 all year. */
const offsetMs = 8 * 3_600_000;

/** Start of the calendar month in Asia/Shanghai. */
export function monthStart(now: Date): Date {
  const local = new Date(now.getTime() + offsetMs);
  return new Date(Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), 1) - offsetMs);
}

/** The fiscal year of a moment: the calendar year in Asia/Shanghai. */
export const fiscalYearOf = (now: Date): number => new Date(now.getTime() + offsetMs).getUTCFullYear();

/** First moment of a fiscal year; that of the next one is its end. */
export const yearStart = (year: number): Date => new Date(Date.UTC(year, 0, 1) - offsetMs);

/** End of the fiscal year that a moment belongs to. */
export const yearEnd = (now: Date): Date => yearStart(fiscalYearOf(now) + 1);

/** The parts of [from, to) that lie in each calendar month in Asia/Shanghai, with the month's days. */
export function monthsBetween(from: Date, to: Date): { ms: number; days: number }[] {
  const parts: { ms: number; days: number }[] = [];
  for (let at = from.getTime(); at < to.getTime();) {
    const local = new Date(at + offsetMs);
    const next = Date.UTC(local.getUTCFullYear(), local.getUTCMonth() + 1, 1) - offsetMs;
    const end = Math.min(next, to.getTime());
    parts.push({ ms: end - at, days: new Date(next + offsetMs - 1).getUTCDate() });
    at = end;
  }
  return parts;
}
