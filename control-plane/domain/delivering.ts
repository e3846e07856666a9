/** How often a delivery is tried. Pure. */
const second = 1000;
const firstMs = 10 * second;
const mostMs = 6 * 3600 * second;
/** With these the last attempt is about a day after the first: 10 s, 30 s, 90 s … 6 h. */
const attemptsInAll = 11;
/** What has waited for so many days is not sent by itself any more. */
export const giveUpDays = 7;

/**
 * How long to wait after an attempt that failed, in ms; undefined: it was the last.
 * @param attempts that were made
 * @param random between 0 and 1: receivers that come back are not asked by everybody at once
 */
export function retryAfter(attempts: number, random: number): number | undefined {
  if (attempts >= attemptsInAll) return undefined;
  const wait = Math.min(mostMs, firstMs * 3 ** (attempts - 1));
  return Math.round(wait * (0.8 + 0.4 * random));
}
