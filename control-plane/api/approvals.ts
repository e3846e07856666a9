/** Approvals as the contract shows them. */
import type { ApprovalStep } from "../contract/approvals.ts";
import { dayOf, isProvisional, type WorkingCalendar, workingDaysBetween } from "../domain/working-days.ts";
import type { NamedStep, StepRow } from "../store/approval-steps.ts";

const time = (at: Date | null) => at?.toISOString() ?? null;

/** Of what is still to be decided; what was decided moves no more. */
const provisional = (step: Pick<StepRow, "state" | "opened_at" | "due_at"> | undefined, calendar: WorkingCalendar): boolean =>
  step?.state === "open" && step.opened_at !== null && step.due_at !== null && isProvisional(calendar, step.opened_at, step.due_at);

export const shownStep = (step: NamedStep, calendar: WorkingCalendar): ApprovalStep => ({
  id: step.id,
  round: step.round,
  position: step.position,
  name: step.name,
  kind: step.kind,
  role: step.role,
  approver: step.approver,
  state: step.state,
  openedAt: time(step.opened_at),
  dueAt: time(step.due_at),
  provisional: provisional(step, calendar),
  decidedAt: time(step.decided_at),
  decidedBy: step.decided_by,
  decidedByName: step.decided_by_name,
  onBehalfOf: step.decided_for,
  onBehalfOfName: step.decided_for_name,
  reason: step.reason,
  planHash: step.plan_hash,
  invalidatedAt: time(step.invalidated_at),
});

/** Whether a step that is open is late, and how many working days are left after today; 0: today is the last. */
export function timeLeft(
  step: Pick<StepRow, "state" | "opened_at" | "due_at"> | undefined,
  calendar: WorkingCalendar,
  now: Date,
): { overdue: boolean; workingDaysLeft: number | null; provisional: boolean } {
  const due = step?.state === "open" ? step.due_at : null;
  const overdue = due !== null && due < now;
  const workingDaysLeft = due === null || overdue ? null : dayOf(due) === dayOf(now) ? 0 : workingDaysBetween(calendar, now, due);
  return { overdue, workingDaysLeft, provisional: provisional(step, calendar) };
}
