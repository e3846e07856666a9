/** What things use costs some engines much to tell (LXD: 40 ms of CPU time for each host): that is read about a tenth of the time. */
const rest = 9;
/** Where hosts have come since, the next reading is longer, by how many of them there are; the rest grows with that to here, ms. */
const grownRestMs = 30_000;

/** A reading of what things use: how long it took, and how many hosts ran. */
export interface UsageReading {
  tookMs: number;
  running: number;
}

/** How long after such a reading, with so many hosts running now, the next one begins, ms. */
export function usageRestMs({ tookMs, running }: UsageReading, runningNow: number): number {
  const growth = Math.max(1, runningNow / Math.max(1, running));
  return Math.max(rest * tookMs, Math.min(rest * tookMs * growth, grownRestMs));
}
