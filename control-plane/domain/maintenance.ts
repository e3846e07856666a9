/** When maintenance windows may be announced and changed, in what state they are, and what is to be told of them. Pure. */
import type { MaintenancePolicy, MaintenanceState } from "../contract/maintenance.ts";
import { addWorkingDays, type WorkingCalendar } from "./working-days.ts";

/** A window holds in [from, to). */
export interface Span {
  from: Date;
  to: Date;
}
export interface Fault {
  pointer: string;
  detail: string;
}
type Rules = Pick<MaintenancePolicy, "noticeDays" | "longestHours">;
export type Told = "announced" | "soon" | "begun" | "ended";

const dayMs = 86_400_000;
const hourMs = 3_600_000;

export function windowState({ from, to, cancelledAt }: Span & { cancelledAt: Date | null }, now: Date): MaintenanceState {
  if (cancelledAt && to <= from) return "cancelled";
  return now < from ? "announced" : now < to ? "holding" : "ended";
}

/** The first moment for which a window may be announced now that is no emergency. */
export function earliestStart(calendar: WorkingCalendar, now: Date, { noticeDays }: Pick<Rules, "noticeDays">): Date {
  return noticeDays === 0 ? now : new Date(addWorkingDays(calendar, now, noticeDays).getTime() + 1);
}

/** @param fresh from when on it covers time that it did not cover before; undefined: none */
function faults(span: Span, fresh: Date | undefined, emergency: boolean, rules: Rules, calendar: WorkingCalendar, now: Date): Fault[] {
  const found: Fault[] = [];
  if (span.to <= span.from) found.push({ pointer: "/to", detail: "is not after the start" });
  if (span.to.getTime() - span.from.getTime() > rules.longestHours * hourMs)
    found.push({ pointer: "/to", detail: `makes it longer than ${rules.longestHours} hours` });
  const earliest = earliestStart(calendar, now, rules);
  if (fresh && !emergency && fresh < earliest)
    found.push({ pointer: "/from", detail: `needs ${rules.noticeDays} working days of notice: from ${earliest.toISOString()} on; an emergency says why` });
  return found;
}

/** Why it may not be announced; empty: it may. */
export function announcingFaults(span: Span, emergency: boolean, rules: Rules, calendar: WorkingCalendar, now: Date): Fault[] {
  const past = span.from < now ? [{ pointer: "/from", detail: "has passed: what was down stays down" }] : [];
  return [...past, ...faults(span, span.from, emergency, rules, calendar, now)];
}

/** Why it may not become another; empty: it may. Until it begins it can be moved, until it ends it can be made longer or shorter. */
export function changingFaults(before: Span, after: Span, emergency: boolean, rules: Rules, calendar: WorkingCalendar, now: Date): Fault[] {
  const begun = before.from <= now;
  const found: Fault[] = [];
  if (begun && after.from.getTime() !== before.from.getTime()) found.push({ pointer: "/from", detail: "has passed: it has begun" });
  if (!begun && after.from < now) found.push({ pointer: "/from", detail: "has passed: what was down stays down" });
  if (after.to < now) found.push({ pointer: "/to", detail: "has passed: it held until now" });
  const apart = after.from >= before.to || after.from < before.from;
  const fresh = apart ? after.from : after.to > before.to ? before.to : undefined;
  return [...found, ...faults(after, fresh, emergency, rules, calendar, now)];
}

/** What those concerned are to be told by now and were not; what was missed and is over is not told late. */
export function dueTelling(window: Span & { told: Told; announcedAt: Date }, now: Date): Exclude<Told, "announced"> | undefined {
  const { from, to, told, announcedAt } = window;
  if (told === "ended") return undefined;
  if (now >= to) return "ended";
  if (told === "begun") return undefined;
  if (now >= from) return "begun";
  const dayBefore = new Date(from.getTime() - dayMs);
  return told === "announced" && now >= dayBefore && announcedAt < dayBefore ? "soon" : undefined;
}
