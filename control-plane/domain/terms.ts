/** Terms (期限) and trials (试运行): what they make of a request, derived from the hosts and volumes that it made and that are left. Pure. */
import type { RequestEvent } from "./lifecycle.ts";

const dayMs = 86_400_000;
/** Days before the end of a term at which its owner is told, beside the policy's first. */
export const reminders: readonly number[] = [7, 1, 0];

/** What of a request its term depends on. */
export interface Lived {
  state: string;
  /** How many of the hosts and volumes that it made are left. */
  left: number;
  /** Ends first of those that are left; null: none of them has a term. */
  term: Date | null;
}

export const addDays = (at: Date, days: number): Date => new Date(at.getTime() + days * dayMs);

/** What the terms of its resources do to a request now; undefined: it stays what it is. The first term counts: one that wasn't extended keeps it expiring. */
export function termEvent({ state, left, term }: Lived, now: Date, noticeDays: number): Extract<RequestEvent, "expire" | "renew" | "reclaim"> | undefined {
  if ((state === "expiring" || state === "on-trial") && left === 0) return "reclaim";
  const near = term !== null && term <= addDays(now, noticeDays);
  if (state === "active" && near) return "expire";
  // A trial is answered before its resources' term is looked at, unless the term has ended meanwhile.
  if (state === "on-trial" && term !== null && term <= now) return "expire";
  if (state === "expiring" && !near) return "renew";
  return undefined;
}

/** Which reminder is due: the nearest that was passed, of several missed ones only that. @returns a name that differs for each term, and the days */
export function reminderDue(term: Date, now: Date, noticeDays: number): { key: string; days: number } | undefined {
  const left = (term.getTime() - now.getTime()) / dayMs;
  const days = [noticeDays, ...reminders].filter((one) => one <= noticeDays && left <= one).toSorted((a, b) => a - b)[0];
  return days === undefined ? undefined : { key: `${term.toISOString()}/${days}`, days: Math.max(0, Math.ceil(left)) };
}

/** What a trial waits for. `remind`: it has ended without an answer; `accept`: long enough ago to count as accepted. */
export function trialDue(until: Date, now: Date, answerDays: number | null): "remind" | "accept" | undefined {
  if (now < until) return undefined;
  return answerDays !== null && now >= addDays(until, answerDays) ? "accept" : "remind";
}
