/** Waiting for something that the control plane does in its own time. */

/**
 * Asks again until `done` says so.
 * @param intervalMs pause between questions
 * @throws Error after `timeoutMs`, with the last answer in its message
 */
export async function waitFor<T>(ask: () => Promise<T>, done: (answer: T) => boolean, { timeoutMs = 600_000, intervalMs = 200 } = {}): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (done(answer)) return answer;
    if (Date.now() > end) throw new Error(`Still not done after ${Math.round(timeoutMs / 1000)} s; last seen: ${JSON.stringify(answer).slice(0, 300)}`);
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}

/** States that a request, backup or restore does not leave by itself. */
export const settled = (state: string) =>
  ["active", "on-trial", "expiring", "reclaimed", "failed", "rejected", "withdrawn", "waiting", "scheduled", "complete", "expired"].includes(state);

/** States in which a request waits for somebody's decision. */
export const undecided = (state: string) => state === "department-approval" || state === "authority-approval";
