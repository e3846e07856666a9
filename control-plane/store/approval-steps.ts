/** The steps of approval of a request: laid out by its policy when it is planned, opened one stage after the other. */
import type { Selectable } from "kysely";
import type { Stage } from "../contract/approvals.ts";
import { advance, byTwo, stepsOf } from "../domain/approval-policy.ts";
import { addWorkingDays, workingDaysBetween } from "../domain/working-days.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import { policyOf } from "./approval-policies.ts";
import { workingCalendar } from "./calendars.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvents } from "./events.ts";
import { newId } from "./ids.ts";
import { inboxKey } from "./inbox-key.ts";
import { nameOf } from "./names.ts";
import { askingDifferently, notifyDeciders, notifyOfRequest } from "./request-notices.ts";
import { insertRows } from "./rows.ts";
import type { SidedStage } from "../domain/transfers.ts";
import { stagesOfTransfer } from "./transferring.ts";
import type { ApprovalSteps, Requests } from "./schema.ts";

export type StepRow = Selectable<ApprovalSteps>;
export type Kind = StepRow["kind"];
type RequestRow = Selectable<Requests>;

const counting = (db: Db, requestId: string) =>
  db.selectFrom("approval_steps").selectAll().where("request_id", "=", requestId).where("invalidated_at", "is", null).orderBy("position");

/** The steps that count now, in their order. */
export const readSteps = (db: Db, requestId: string): Promise<StepRow[]> => counting(db, requestId).execute();
/** The same, locked: they are going to be changed. */
export const currentSteps = (tx: Tx, requestId: string): Promise<StepRow[]> => counting(tx, requestId).forUpdate().execute();

/** Lays out a new round of steps and opens the first stage's. @returns its kind; undefined: the policy asks nobody */
export async function beginRound(tx: Tx, act: Act, row: RequestRow): Promise<Kind | undefined> {
  const stages = await stagesFor(tx, row);
  const before = await tx
    .selectFrom("approval_steps")
    .select((of) => of.fn.max("round").as("round"))
    .where("request_id", "=", row.id)
    .executeTakeFirst();
  await insertRows(
    tx,
    "approval_steps",
    stepsOf(stages).map((step) => ({
      id: newId("stp", act.now),
      request_id: row.id,
      round: (before?.round ?? 0) + 1,
      state: "waiting" as const,
      reason: "",
      // null: the request's own.
      department_id: (stages[step.stage] as Partial<SidedStage>).department ?? null,
      ...step,
    })),
  );
  return openNext(tx, act, row);
}

async function stagesFor(tx: Tx, row: RequestRow): Promise<readonly Stage[]> {
  if (row.to_department_id !== null) return stagesOfTransfer(tx, row);
  const { stages } = await policyOf(tx, row.department_id);
  return row.origin === "term-reclaim" ? byTwo(stages) : stages;
}

/** Opens the steps whose turn has come and closes those that nobody needs to decide. @returns the kind of the stage that is asked now; undefined: all have approved */
export async function openNext(tx: Tx, act: Act, row: RequestRow): Promise<Kind | undefined> {
  const steps = await currentSteps(tx, row.id);
  const next = advance(steps);
  if (next.skip.length > 0)
    await tx.updateTable("approval_steps").set({ state: "skipped", decided_by: null, inbox_key: null }).where("id", "in", next.skip).execute();
  const opened = steps.filter((step) => next.open.includes(step.id));
  const calendar = opened.length === 0 ? undefined : await workingCalendar(tx);
  for (const step of opened) {
    const due = addWorkingDays(calendar!, act.now, step.days);
    await tx
      .updateTable("approval_steps")
      .set({ state: "open", opened_at: act.now, due_at: due, inbox_key: inboxKey(due, step.id) })
      .where("id", "=", step.id)
      .execute();
  }
  for (const step of askingDifferently(opened)) await notifyDeciders(tx, act, "step.opened", row, step, addWorkingDays(calendar!, act.now, step.days), steps);
  await appendEvents(
    tx,
    opened.map((step) => ({
      at: act.now,
      departmentId: row.department_id,
      requestId: row.id,
      type: "approval.opened",
      subjectId: step.id,
      data: { stage: step.name, due: addWorkingDays(calendar!, act.now, step.days).toISOString() },
    })),
  );
  return next.at;
}

/** The applicant has answered: who asked decides on, and the time that the answer took is given back, in working days. */
export async function reopenAsked(tx: Tx, act: Act, row: RequestRow): Promise<void> {
  const steps = await currentSteps(tx, row.id);
  const asked = steps.find((step) => step.state === "asked");
  if (!asked) return;
  if (asked.decided_by !== null) await notifyOfRequest(tx, act, "request.answered", row, { stage: asked.name }, [asked.decided_by]);
  const calendar = await workingCalendar(tx);
  const days = workingDaysBetween(calendar, asked.decided_at!, act.now);
  for (const step of steps.filter((one) => one.state === "asked" || one.state === "open")) {
    const extra = step.extra_days + days;
    const due = addWorkingDays(calendar, step.opened_at!, step.days + extra);
    const undecided = { decided_by: null, decided_at: null, decided_for: null, delegation_id: null, plan_hash: null, reason: "" };
    await tx
      .updateTable("approval_steps")
      .set({ state: "open", ...undecided, extra_days: extra, due_at: due, inbox_key: inboxKey(due, step.id) })
      .where("id", "=", step.id)
      .execute();
  }
}

/** The plan moved, or the request ended: what was decided or is open counts no more. */
export async function invalidateSteps(tx: Tx, act: Act, row: Pick<RequestRow, "id" | "department_id">, why: string): Promise<void> {
  const steps = await currentSteps(tx, row.id);
  if (steps.length === 0) return;
  await tx
    .updateTable("approval_steps")
    .set({ invalidated_at: act.now })
    .where(
      "id",
      "in",
      steps.map((step) => step.id),
    )
    .execute();
  const decided = steps.filter((step) => step.state === "approved").map((step) => ({ step: step.id, by: step.decided_by, for: step.decided_for }));
  await appendAudit(tx, act, {
    action: "approval.invalidate",
    subjectKind: "request",
    subjectId: row.id,
    departmentId: row.department_id,
    before: { decided },
    after: { why },
  });
  await appendEvents(tx, [
    { at: act.now, departmentId: row.department_id, requestId: row.id, type: "approval.invalidated", subjectId: row.id, data: { text: why } },
  ]);
}

/** Nobody is asked any more: the request has ended. */
export async function closeSteps(tx: Tx, requestId: string): Promise<void> {
  await tx
    .updateTable("approval_steps")
    .set({ state: "skipped", decided_by: null, inbox_key: null })
    .where("request_id", "=", requestId)
    .where("invalidated_at", "is", null)
    .where("state", "in", ["waiting", "open", "asked"])
    .execute();
}

/** All that there are of some requests, those that count no more included, with people's names. */
export async function stepsOfRequests(db: Db, requestIds: readonly string[]) {
  if (requestIds.length === 0) return [];
  return db
    .selectFrom("approval_steps as s")
    .selectAll("s")
    .select([nameOf("s.decided_by").as("decided_by_name"), nameOf("s.decided_for").as("decided_for_name")])
    .where("s.request_id", "in", [...requestIds])
    .orderBy("s.request_id")
    .orderBy("s.round")
    .orderBy("s.position")
    .execute();
}
export type NamedStep = Awaited<ReturnType<typeof stepsOfRequests>>[number];
