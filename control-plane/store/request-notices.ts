/** What people are told of requests and their steps (domain/notifying.ts says whom). */
import type { Selectable } from "kysely";
import type { NoticeData, NoticeKind } from "../contract/notices.ts";
import { isDueSoon } from "../domain/notifying.ts";
import { addWorkingDays } from "../domain/working-days.ts";
import type { Act } from "./act.ts";
import { decidersOf } from "./audience.ts";
import { workingCalendar } from "./calendars.ts";
import type { Tx } from "./database.ts";
import { notify } from "./notices.ts";
import type { ApprovalSteps, Requests } from "./schema.ts";

type RequestRow = Selectable<Requests>;
type StepRow = Selectable<ApprovalSteps>;
type Noted = Pick<RequestRow, "id" | "number" | "title" | "department_id" | "requested_by" | "submitted_by" | "authors">;

const authorsOf = (row: Noted) => [...new Set([...row.authors, row.requested_by, ...(row.submitted_by === null ? [] : [row.submitted_by])])];
const about = (row: Noted) => ({ departmentId: row.department_id, requestId: row.id, subjectId: row.id });

/** To those who asked for it, or to others that are named. */
export async function notifyOfRequest(
  tx: Tx,
  act: Act,
  kind: NoticeKind,
  row: Noted,
  data: NoticeData = {},
  to: readonly string[] = authorsOf(row),
): Promise<void> {
  await notify(tx, act, { kind, to, ...about(row), data: { number: row.number, title: row.title, ...data } });
}

/** To whoever may decide it. @param steps all that count of the request */
export async function notifyDeciders(
  tx: Tx,
  act: Act,
  kind: "step.opened" | "step.due-soon",
  row: Noted,
  step: StepRow,
  due: Date,
  steps: readonly StepRow[],
): Promise<void> {
  const decisions = steps.flatMap((one) => (one.state === "approved" && one.id !== step.id ? [{ by: one.decided_by!, for: one.decided_for }] : []));
  const to = await decidersOf(tx, step, step.department_id ?? row.department_id, { authors: authorsOf(row), decisions }, act.now);
  await notifyOfRequest(tx, act, kind, row, { stage: step.name, due: due.toISOString() }, to);
}

/** Of steps that ask the same people one: whoever may decide one of several is told once. */
export const askingDifferently = (steps: readonly StepRow[]): StepRow[] => [
  ...new Map(steps.toReversed().map((step) => [`${step.request_id} ${step.department_id ?? ""} ${step.role} ${step.approver ?? ""}`, step])).values(),
];

/** Says once of each due time that it comes near. @returns how many steps were reminded of */
export async function remindDeciders(tx: Tx, act: Act): Promise<number> {
  const tomorrow = addWorkingDays(await workingCalendar(tx), act.now, 1);
  const steps = await tx
    .selectFrom("approval_steps")
    .selectAll()
    .where("state", "=", "open")
    .where("invalidated_at", "is", null)
    .where("due_at", "<=", tomorrow)
    .where("due_at", ">", act.now)
    .where((of) => of.or([of("reminded_for", "is", null), of("reminded_for", "<>", of.ref("due_at"))]))
    .orderBy("due_at")
    .limit(500)
    .forUpdate()
    .skipLocked()
    .execute();
  const near = steps.filter((step) => isDueSoon({ openedAt: step.opened_at!, dueAt: step.due_at! }, act.now, tomorrow));
  for (const step of askingDifferently(near)) {
    const row = await tx.selectFrom("requests").selectAll().where("id", "=", step.request_id).executeTakeFirstOrThrow();
    const counting = await tx.selectFrom("approval_steps").selectAll().where("request_id", "=", row.id).where("invalidated_at", "is", null).execute();
    await notifyDeciders(tx, act, "step.due-soon", row, step, step.due_at!, counting);
  }
  for (const step of near) await tx.updateTable("approval_steps").set({ reminded_for: step.due_at }).where("id", "=", step.id).execute();
  return near.length;
}
