/** When a restart that an owner agreed to is to be. Pure. */
import type { RestartTime } from "../contract/requests.ts";

const minute = 60_000;
const dayMs = 86_400_000;
/** How much of a restart counts as planned time at most: what takes longer has gone wrong. */
export const plannedMinutes = 30;
/** How late one may begin that was agreed to for a moment: whoever agreed to a night didn't agree to the morning. */
export const graceMinutes = 30;
/** Its owner is told so long before. */
export const noticeMinutes = 60;
/** How far ahead one may be agreed to, days: quota is reserved meanwhile. */
export const mostDays = 90;

/** Why it cannot be agreed to; undefined: it can. */
export function timeFault(time: RestartTime, now: Date): string | undefined {
  if (time.when !== "at") return undefined;
  const at = new Date(time.at);
  if (at <= now) return "has passed";
  if (at.getTime() > now.getTime() + mostDays * dayMs) return `is more than ${mostDays} days ahead`;
  return undefined;
}

/** lapsed: it was missed, and takes another agreement. @param windowHolds whether a maintenance window of the host holds now */
export function restartTurn(time: RestartTime | null, now: Date, windowHolds: boolean): "waits" | "due" | "lapsed" {
  if (time === null) return "waits";
  if (time.when === "now") return "due";
  if (time.when === "window") return windowHolds ? "due" : "waits";
  const late = now.getTime() - new Date(time.at).getTime();
  return late < 0 ? "waits" : late <= graceMinutes * minute ? "due" : "lapsed";
}

/** Whether its owner is to be told now that it comes near. @param agreedAt who agreed to it less than that before knows it */
export function isSoon(time: RestartTime | null, agreedAt: Date, now: Date): boolean {
  if (time?.when !== "at") return false;
  const from = new Date(time.at).getTime() - noticeMinutes * minute;
  return now.getTime() >= from && agreedAt.getTime() < from;
}

/** Until when a restart that begins now counts as planned at most. */
export const plannedUntil = (now: Date): Date => new Date(now.getTime() + plannedMinutes * minute);
