/** Calendar arithmetic. Beijing has had no daylight saving since 1991: UTC+8 all year. */
const offsetMs = 8 * 3_600_000;

/** Start of the calendar month in Asia/Shanghai. */
export function monthStart(now: Date): Date {
  const local = new Date(now.getTime() + offsetMs);
  return new Date(Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), 1) - offsetMs);
}
