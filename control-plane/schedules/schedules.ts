/** node-cron ticks: each only enqueues. Due times are in the database, so that what was missed while nothing ran is caught up. */
import { schedule, type ScheduledTask } from "node-cron";

const ticks: Record<string, string> = {
  "backups-due": "*/20 * * * * *",
  waiting: "*/30 * * * * *",
  "quota-check": "15 * * * * *",
  // A minute after midnight too: what is asked for before that does the same for its own project.
  "fiscal-year": "5 1 * * * *",
  "quota-reconcile": "35 */15 * * * *",
  supervision: "40 * * * * *",
  drift: "10,40 * * * * *",
  images: "*/10 * * * * *",
  terms: "25 * * * * *",
  maintenance: "*/10 * * * * *",
  snapshots: "5,35 * * * * *",
  losses: "*/5 * * * * *",
  restarts: "*/5 * * * * *",
  overdue: "50 * * * * *",
  calendars: "55 5 * * * *",
  remind: "40 * * * * *",
  unknown: "20 * * * * *",
  unfinished: "30 */2 * * * *",
  housekeeping: "45 */10 * * * *",
};

/** Begins to tick, once at once for each: that is the catching up. Returns what ends it. */
export async function startSchedules(tick: (name: string) => Promise<void>, onError: (error: unknown) => void): Promise<() => Promise<void>> {
  const enqueue = (name: string) => tick(name).catch(onError);
  const tasks: ScheduledTask[] = Object.entries(ticks).map(([name, expression]) => schedule(expression, () => void enqueue(name), { timezone: "UTC" }));
  await Promise.all(Object.keys(ticks).map(enqueue));
  return async () => {
    await Promise.all(tasks.map(async (task) => task.destroy()));
  };
}
