/** Which kind of notice goes to whom: the one table. Pure. */
import type { NoticeKind } from "../contract/notices.ts";
import type { Role } from "../contract/roles.ts";
import type { RequestEvent } from "./lifecycle.ts";

/**
 * - `deciders`: whoever may decide the step, as the inbox has it: by role, by inheritance, or standing in for somebody
 * - `authors`: who wrote, submitted or changed the request
 * - `person`: whom it is about; the caller names them
 * - roles: whoever holds one of them at the department or above it
 */
export type Audience = "deciders" | "authors" | "person" | readonly Role[];

export const audiences = {
  "step.opened": "deciders",
  "step.due-soon": "deciders",
  "request.answered": "person",
  "request.returned": "authors",
  "request.approved": "authors",
  "request.rejected": "authors",
  "request.failed": "authors",
  "request.active": "authors",
  "request.expired": "authors",
  "request.on-trial": "authors",
  "trial.ended": "authors",
  "request.expiring": "authors",
  "request.stopping": "authors",
  "request.reclaiming": "authors",
  "request.reclaimed": "authors",
  // Whoever asks for a department's hosts.
  "restart.needed": ["applicant"],
  "restart.scheduled": ["applicant"],
  "restart.soon": ["applicant"],
  "restart.done": ["applicant"],
  "restart.failed": ["applicant"],
  "host.moving": ["applicant"],
  "host.moved": ["applicant"],
  "quota.nearly-full": ["approver", "authority"],
  "drift.found": ["operations"],
  "role.elevated": ["audit-admin"],
  // The owner's people; who asked; both.
  "consent.asked": ["applicant", "approver"],
  "consent.granted": "person",
  "consent.refused": "person",
  "consent.revoked": "person",
  // Whoever may agree to it; who asked; both.
  "revert.asked": ["applicant", "approver"],
  "revert.refused": "person",
  "revert.complete": "person",
  "revert.failed": "person",
  "host-session.break-glass": ["applicant", "approver", "audit-admin"],
  "account.locked": "person",
  "calendar.missing": ["system-admin", "supervision"],
  "webhook.paused": ["system-admin"],
  "webhook.test": "person",
  "maintenance.announced": ["applicant", "approver", "operations"],
  "maintenance.changed": ["applicant", "approver", "operations"],
  "maintenance.cancelled": ["applicant", "approver", "operations"],
  "maintenance.soon": ["applicant", "approver", "operations"],
  "maintenance.begun": ["applicant", "approver", "operations"],
  "maintenance.ended": ["applicant", "approver", "operations"],
  "member.lost": ["operations"],
  "member.returned": ["operations"],
  "member.asked": ["operations"],
  "member.filed": ["operations"],
  "member.elsewhere": ["operations"],
  "member.held": ["operations"],
  "member.removed": ["operations"],
  "hosts.down": ["applicant", "approver", "operations"],
  "request.restoring": "authors",
  // 电子监察 knows the person, their superior and the board.
  "supervision.reminder": "person",
  "supervision.yellow": "person",
  "supervision.red": "person",
  "supervision.answered": "person",
  "supervision.accepted": "person",
  "supervision.correction": "person",
} as const satisfies Record<NoticeKind, Audience>;

/** What is said of a request that changes its state. */
export const noticeOfEvent: Partial<Record<RequestEvent, NoticeKind>> = {
  return: "request.returned",
  approve: "request.approved",
  reject: "request.rejected",
  fail: "request.failed",
  finish: "request.active",
  try: "request.on-trial",
  reclaim: "request.reclaimed",
};

/** When a decision comes near its deadline: within a working day, and not in the first half of its time. @param tomorrow end of the next working day */
export function isDueSoon(step: { openedAt: Date; dueAt: Date }, now: Date, tomorrow: Date): boolean {
  const half = step.openedAt.getTime() + (step.dueAt.getTime() - step.openedAt.getTime()) / 2;
  return step.dueAt <= tomorrow && now.getTime() >= half;
}
