/** Decisions on requests: each by one person on one step, bound to the change plan that was looked at. */
import type { Selectable } from "kysely";
import { defaultStages } from "../domain/approval-policy.ts";
import { type Asked, type Decider, mayDecide, type Subject } from "../domain/deciding.ts";
import { isDeciding } from "../domain/lifecycle.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { askEvent } from "./planning.ts";
import { currentSteps, openNext, readSteps, reopenAsked, type StepRow } from "./approval-steps.ts";
import { policyOf } from "./approval-policies.ts";
import { appendAudit } from "./audit.ts";
import { appendComment } from "./comments.ts";
import type { Db, Tx } from "./database.ts";
import { holderOf, type StandIn, standsInFor } from "./delegations.ts";
import { ancestorsOf } from "./departments.ts";
import { appendEvent } from "./events.ts";
import { finalise, requireAsPlanned } from "./granting.ts";
import { inboxKey } from "./inbox-key.ts";
import { giveBack, lockRequest, move, type Principal, requireFits, type RequestRow } from "./requests.ts";
import type { Requests } from "./schema.ts";

/** The person, as the rule sees them. */
export interface Person extends Decider {
  standsInFor: readonly StandIn[];
}
export async function personOf(db: Db, id: string, now: Date): Promise<Person> {
  return { ...((await holderOf(db, id, now)) ?? { id, holds: [] }), standsInFor: await standsInFor(db, id, now) };
}

/** What of a request the rule depends on, for one of its steps. @param departments whose people the step asks: one and those above it */
export function subjectOf(
  row: Pick<Selectable<Requests>, "requested_by" | "submitted_by" | "authors">,
  departments: readonly string[],
  steps: readonly Pick<StepRow, "id" | "state" | "decided_by" | "decided_for">[],
  stepId: string | undefined,
): Subject {
  return {
    authors: [...new Set([...row.authors, row.requested_by, ...(row.submitted_by === null ? [] : [row.submitted_by])])],
    departments,
    decisions: steps.flatMap((step) => (step.state === "approved" && step.id !== stepId ? [{ by: step.decided_by!, for: step.decided_for }] : [])),
  };
}

export interface Decision {
  /** Left out: the plan of the revision that was named. */
  planHash?: string | undefined;
  reason: string;
  onBehalfOf?: string | undefined;
}

/**
 * One step approved; the last one approves the request.
 * @throws Refusal self-approval, second-decision, forbidden, plan-changed, precondition-failed, conflict, project-not-approved
 */
export async function approve(tx: Tx, act: Act, principal: Principal, id: string, decision: Decision, ifMatch?: number): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  // Others of a parallel stage wait too while one of them waits for the applicant's answer.
  if (!isDeciding(row.state)) throw waitsForNone(row);
  const found = await stepFor(tx, act, principal, row, decision.onBehalfOf);
  requireSamePlan(row, decision);
  await requireAsPlanned(tx, act, row);
  await decide(tx, act, row, found, "approved", decision);
  const kind = await openNext(tx, act, row);
  if (kind === undefined) return finalise(tx, act, row, { by: principal.id, reason: decision.reason });
  if (kind !== row.state) return move(tx, act, row, askEvent[kind], {});
  // The next one decides on what stands there now: this decision included.
  return tx
    .updateTable("requests")
    .set({ updated_at: act.now, revision: row.revision + 1 })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** One rejection ends it, whoever else is asked. */
export async function reject(tx: Tx, act: Act, principal: Principal, id: string, decision: Decision, ifMatch?: number): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  requireFits(row, "reject");
  const found = await stepFor(tx, act, principal, row, decision.onBehalfOf);
  requireSamePlan(row, decision);
  if (found.step) await decide(tx, act, row, found, "rejected", decision);
  await giveBack(tx, act, id);
  return move(tx, act, row, "reject", { decided_by: principal.id, decided_at: act.now, decision_reason: decision.reason });
}

/** The approver asks; until the applicant has answered or changed the request, nobody decides. */
export async function returnWithQuestion(
  tx: Tx,
  act: Act,
  principal: Principal,
  id: string,
  { question, ...decision }: Omit<Decision, "reason"> & { question: string },
  ifMatch?: number,
): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  requireFits(row, "return");
  const found = await stepFor(tx, act, principal, row, decision.onBehalfOf);
  requireSamePlan(row, decision);
  await decide(tx, act, row, found, "asked", { ...decision, reason: question });
  await appendComment(tx, act, row, { kind: "question", text: question, stepId: found.step?.id ?? null });
  return move(tx, act, row, "return", {});
}

/** The applicant's answer: the one who asked decides on. @throws Refusal conflict when nobody asked */
export async function answer(tx: Tx, act: Act, id: string, text: string, ifMatch?: number): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  const steps = await currentSteps(tx, id);
  const asked = steps.find((step) => step.state === "asked");
  if (steps.some((step) => step.decided_by === act.actor || step.decided_for === act.actor))
    throw new Refusal("self-approval", "You have a part in deciding on this request: its applicant answers.");
  if (row.state !== "needs-information" || !asked) throw new Refusal("conflict", `The request is ${row.state}: nobody waits for an answer.`);
  await appendComment(tx, act, row, { kind: "answer", text, stepId: asked.id });
  await reopenAsked(tx, act, row);
  // Whoever speaks for the applicant decides on it no more than its author does.
  const authors = JSON.stringify([...new Set([...row.authors, act.actor])]);
  await tx.updateTable("requests").set({ authors }).where("id", "=", id).execute();
  return move(tx, act, row, askEvent[asked.kind], {});
}

/** Asks for a new plan of what is being decided on; when it is the same, nothing changes. @throws Refusal conflict */
export async function requireReplannable(tx: Tx, act: Act, id: string, ifMatch?: number): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  if (!isDeciding(row.state)) throw new Refusal("conflict", `The request is ${row.state}: a plan is made anew while it is being decided on.`);
  await appendAudit(tx, act, { action: "request.check-plan", subjectKind: "request", subjectId: id, departmentId: row.department_id });
  return row;
}

export interface Found {
  /** undefined: the request has no steps yet. */
  step: StepRow | undefined;
  standsInFor: StandIn | undefined;
}

/** The open step that the principal may decide, its rows locked. @throws Refusal when there is none, with the reason of the nearest */
async function stepFor(tx: Tx, act: Act, principal: Principal, row: RequestRow, onBehalfOf: string | undefined): Promise<Found> {
  const found = await choose(tx, await personOf(tx, principal.id, act.now), row, await currentSteps(tx, row.id), onBehalfOf);
  if (found instanceof Refusal) throw found;
  return found;
}

/** What the principal could decide now, for pages; a Refusal says why nothing. */
export async function decisionOf(db: Db, principal: Principal, row: RequestRow, now: Date): Promise<Found | Refusal> {
  const steps = await readSteps(db, row.id);
  const found = await choose(db, await personOf(db, principal.id, now), row, steps, undefined);
  return found instanceof Refusal || isDeciding(row.state) ? found : waitsForNone(row);
}
const waitsForNone = (row: RequestRow) => new Refusal("conflict", `A request that is ${row.state} waits for no decision.`);

async function choose(db: Db, person: Person, row: RequestRow, steps: readonly StepRow[], onBehalfOf: string | undefined): Promise<Found | Refusal> {
  const open = steps.filter((step) => step.state === "open");
  // Before there are steps, whom the first stage will ask may reject.
  const first = async (): Promise<Asked> => ({ role: ((await policyOf(db, row.department_id)).stages[0] ?? defaultStages[0]!).role, approver: null });
  const asked: (Asked & { step?: StepRow })[] = open.length > 0 ? open.map((step) => ({ role: step.role, approver: step.approver, step })) : [await first()];
  let refusal: Refusal | undefined;
  for (const { step, ...one } of asked) {
    const departments = await ancestorsOf(db, step?.department_id ?? row.department_id);
    const verdict = mayDecide(person, one, subjectOf(row, departments, steps, step?.id), onBehalfOf);
    if (!("code" in verdict)) return { step, standsInFor: person.standsInFor.find((holder) => holder.id === verdict.for) };
    refusal ??= new Refusal(verdict.code, verdict.why);
  }
  return refusal!;
}

function requireSamePlan(row: RequestRow, { planHash }: { planHash?: string | undefined }): void {
  if (planHash !== undefined && row.plan_hash !== planHash)
    throw new Refusal("plan-changed", `The change plan is now ${row.plan_hash}.`, { remedy: "Read the request again and look at its plan." });
}

async function decide(
  tx: Tx,
  act: Act,
  row: RequestRow,
  { step, standsInFor }: Found,
  state: "approved" | "rejected" | "asked",
  { reason }: Decision,
): Promise<void> {
  if (!step) throw waitsForNone(row);
  await tx
    .updateTable("approval_steps")
    .set({
      state,
      plan_hash: row.plan_hash,
      decided_at: act.now,
      decided_by: act.actor,
      decided_for: standsInFor?.id ?? null,
      delegation_id: standsInFor?.delegationId ?? null,
      reason,
      inbox_key: inboxKey(act.now, step.id),
    })
    .where("id", "=", step.id)
    .execute();
  const told = { step: step.id, stage: step.name, by: act.actor, for: standsInFor?.id ?? null, reason };
  const action = { approved: "approve", rejected: "reject", asked: "return" }[state];
  await appendAudit(tx, act, {
    action: `approval.${action}`,
    subjectKind: "request",
    subjectId: row.id,
    departmentId: row.department_id,
    after: { ...told, planHash: row.plan_hash, delegation: standsInFor?.delegationId ?? null },
  });
  await appendEvent(tx, {
    at: act.now,
    departmentId: row.department_id,
    requestId: row.id,
    type: state === "asked" ? "approval.returned" : `approval.${state}`,
    subjectId: step.id,
    data: { ...told, text: reason },
  });
}
