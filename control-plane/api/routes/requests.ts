import { z } from "@hono/zod-openapi";
import { Id, pageOf } from "../../contract/common.ts";
import { Answer, Approval, type ApprovalStep, DecisionOffer, Question, Rejection } from "../../contract/approvals.ts";
import { Amendment, type ChangePlan, NewRequest, Nothing, Request, RequestQuery, RestartAgreement, TrialRefusal } from "../../contract/requests.ts";
import { isWithin } from "../../domain/authority.ts";
import { notFound, Refusal } from "../../domain/refusal.ts";
import type { Db, Tx } from "../../store/database.ts";
import { namesOf } from "../../store/names.ts";
import { mayView, requireVisible } from "../../store/departments.ts";
import { page } from "../../store/page.ts";
import { amendRequest, createRequests, submitRequest } from "../../store/acceptance.ts";
import type { Ask } from "../../store/candidates.ts";
import { stepsOfRequests } from "../../store/approval-steps.ts";
import { answer, approve, decisionOf, reject, requireReplannable, returnWithQuestion } from "../../store/approving.ts";
import { appendComment } from "../../store/comments.ts";
import { type ItemRow, itemsOf, type RequestRow, withdraw } from "../../store/requests.ts";
import { agreeRestart, dueTimes, timeOf } from "../../store/restarts.ts";
import { acceptTrial, refuseTrial } from "../../store/trials.ts";
import { workingCalendar } from "../../store/calendars.ts";
import { shownStep, timeLeft } from "../approvals.ts";
import type { ApiContext, App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent, idempotentInBatches } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { departmentsAsked } from "../scope.ts";

const params = z.object({ id: Id });
const path = "/api/v1/requests";
const tags = ["requests"];

const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Requests, newest first",
  request: { query: RequestQuery },
  responses: { 200: jsonAnswer(pageOf(Request)) },
});
const get = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "A request with its items and change plan",
  request: { params },
  responses: { 200: jsonAnswer(Request) },
});
const offer = defineRoute({
  method: "get",
  path: `${path}/{id}/decision`,
  tags,
  summary: "Whether the caller may decide on it now, on which step, in whose name; or why not",
  request: { params },
  responses: { 200: jsonAnswer(DecisionOffer) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Ask for hosts, volumes, backups",
  request: { body: jsonBody(NewRequest) },
  responses: { 202: jsonAnswer(Request, "Taken") },
});
const submit = defineRoute({
  method: "post",
  path: `${path}/{id}/submit`,
  tags,
  summary: "Submit a draft",
  conditional: true,
  request: { params, body: jsonBody(Nothing) },
  responses: { 202: jsonAnswer(Request, "Taken") },
});
const yes = defineRoute({
  method: "post",
  path: `${path}/{id}/approve`,
  tags,
  summary: "Approve one's step, and exactly this change plan; the last step approves the request",
  conditional: true,
  request: { params, body: jsonBody(Approval) },
  responses: { 202: jsonAnswer(Request, "Taken") },
});
const no = defineRoute({
  method: "post",
  path: `${path}/{id}/reject`,
  tags,
  summary: "Reject; what was reserved is free again",
  conditional: true,
  request: { params, body: jsonBody(Rejection) },
  responses: { 200: jsonAnswer(Request) },
});
const question = defineRoute({
  method: "post",
  path: `${path}/{id}/return`,
  tags,
  summary: "Ask the applicant: nobody decides until they have answered or changed the request",
  conditional: true,
  request: { params, body: jsonBody(Question) },
  responses: { 200: jsonAnswer(Request) },
});
const check = defineRoute({
  method: "post",
  path: `${path}/{id}/check-plan`,
  tags,
  summary: "Plan it anew; where the plan has moved, it goes back to its first approver with the difference",
  conditional: true,
  request: { params, body: jsonBody(Nothing) },
  responses: { 202: jsonAnswer(Request, "Taken") },
});
const reply = defineRoute({
  method: "post",
  path: `${path}/{id}/answer`,
  tags,
  summary: "Answer the approver who asked",
  conditional: true,
  request: { params, body: jsonBody(Answer) },
  responses: { 200: jsonAnswer(Request) },
});
const amend = defineRoute({
  method: "post",
  path: `${path}/{id}/amend`,
  tags,
  summary: "Change what an approver asked about; it is planned and decided on anew",
  conditional: true,
  request: { params, body: jsonBody(Amendment) },
  responses: { 202: jsonAnswer(Request, "Taken") },
});
const back = defineRoute({
  method: "post",
  path: `${path}/{id}/withdraw`,
  tags,
  summary: "Withdraw",
  conditional: true,
  request: { params, body: jsonBody(Nothing) },
  responses: { 200: jsonAnswer(Request) },
});
const agree = defineRoute({
  method: "post",
  path: `${path}/{id}/agree-restart`,
  tags,
  summary: "Say when hosts may be restarted for what cannot be changed while they run, or change that until it begins: by the owning department alone",
  conditional: true,
  request: { params, body: jsonBody(RestartAgreement) },
  responses: { 200: jsonAnswer(Request) },
});
const acceptTrialRoute = defineRoute({
  method: "post",
  path: `${path}/{id}/accept-trial`,
  tags,
  summary: "Accept what is on trial: the request is active",
  conditional: true,
  request: { params, body: jsonBody(Nothing) },
  responses: { 200: jsonAnswer(Request) },
});
const refuseTrialRoute = defineRoute({
  method: "post",
  path: `${path}/{id}/refuse-trial`,
  tags,
  summary: "Refuse what is on trial: answers the request by which it is retired",
  conditional: true,
  request: { params, body: jsonBody(TrialRefusal) },
  responses: { 202: jsonAnswer(Request, "Taken") },
});

/** Requests as the contract shows them. */
async function show(db: Db, rows: readonly RequestRow[], now: Date): Promise<Request[]> {
  const ids = rows.map((row) => row.id);
  const items = await itemsOf(db, ids);
  const due = await dueTimes(db, [...items.values()].flat(), now);
  const steps = Map.groupBy(await stepsOfRequests(db, ids), (step) => step.request_id);
  const calendar = await workingCalendar(db);
  const shownSteps = (id: string) => (steps.get(id) ?? []).map((step) => shownStep(step, calendar));
  return rows.map((row) => shown(row, items.get(row.id) ?? [], shownSteps(row.id), due));
}

function shown(row: RequestRow, items: readonly ItemRow[], steps: readonly ApprovalStep[] = [], due: ReadonlyMap<string, Date> = new Map()): Request {
  return {
    id: row.id,
    number: row.number,
    department: row.department_id,
    project: row.project_id,
    application: row.application_id,
    receiver: row.to_department_id === null ? null : { department: row.to_department_id, project: row.to_project_id! },
    state: row.state,
    title: row.title,
    reason: row.reason,
    requestedBy: row.requested_by,
    decidedBy: row.decided_by,
    decidedAt: row.decided_at?.toISOString() ?? null,
    decisionReason: row.decision_reason,
    items: items.map((item) => ({
      id: item.id,
      position: item.position,
      action: item.action,
      kind: item.kind,
      resource: item.resource_id,
      name: item.name,
      spec: item.spec,
      state: item.state,
      restart: item.action === "resize" ? restartOf(item, due.get(item.id)) : null,
      error: item.error,
      expiresAt: item.expires_at?.toISOString() ?? null,
    })),
    origin: row.origin,
    about: row.about_id,
    trialDays: row.trial_days,
    trialUntil: row.trial_until?.toISOString() ?? null,
    cost: row.cost as Request["cost"],
    // Plans of before there were differences have none.
    plan:
      row.plan === null
        ? null
        : {
            ...(row.plan as ChangePlan),
            differences: (row.plan as Partial<ChangePlan>).differences ?? [],
            restarts: (row.plan as Partial<ChangePlan>).restarts ?? [],
          },
    approvals: [...steps],
    error: row.error as Request["error"],
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

function restartOf({ restart_need: need, restart, restart_begun_at }: ItemRow, due: Date | undefined): Request["items"][number]["restart"] {
  if (!need && !restart) return null;
  return {
    why: need?.why ?? null,
    time: timeOf(restart),
    agreedBy: restart?.by ?? null,
    agreedAt: restart?.agreedAt ?? null,
    dueAt: due?.toISOString() ?? null,
    begunAt: restart_begun_at?.toISOString() ?? null,
  };
}

/** The request, when the principal may see it: of a transfer both sides may. @throws Refusal not-found */
export async function visibleRequest(db: Db, c: ApiContext, id: string): Promise<RequestRow> {
  const row = await db.selectFrom("requests").selectAll().where("id", "=", id).executeTakeFirst();
  if (!row || !isWithin(c.get("principal").period, row.created_at)) throw notFound("request", id);
  if (row.to_department_id === null || !(await mayView(db, c.get("principal"), row.to_department_id)))
    await requireVisible(db, c.get("principal"), row.department_id, "request", id);
  return row;
}

/** Whoever receives something decides on it, but doesn't speak for who asks. @throws Refusal forbidden */
async function requireAsking(db: Db, c: ApiContext, row: RequestRow): Promise<RequestRow> {
  if (!(await mayView(db, c.get("principal"), row.department_id)))
    throw new Refusal("forbidden", "This request is the giving department's: the receiving one only decides on it.");
  return row;
}

export function registerRequests(app: App, deps: AppDeps): void {
  const answerWith = (row: RequestRow, body: Request, status: number) => ({
    status,
    body,
    headers: { etag: etag(row.revision), location: `${path}/${row.id}` },
  });
  /** A change of one request: visible, at the revision that was seen, once. */
  const change = (c: ApiContext, id: string, status: number, work: (tx: Tx, row: RequestRow) => Promise<RequestRow>) =>
    idempotent(c, deps, async (tx) => {
      const row = await visibleRequest(tx, c, id);
      requireMatch(c, row.revision);
      const after = await work(tx, row);
      return answerWith(after, (await show(tx, [after], deps.now()))[0]!, status);
    });

  app.openapi(list, async (c) => {
    const { department, state, application, limit, cursor } = c.req.valid("query");
    const departments = await departmentsAsked(deps.db, c.get("principal"), department);
    let query = deps.db.selectFrom("requests").selectAll();
    if (departments) query = query.where((where) => where.or([where("department_id", "in", departments), where("to_department_id", "in", departments)]));
    const { period } = c.get("principal");
    if (period) query = query.where("created_at", ">=", period.from).where("created_at", "<", period.to);
    if (state) query = query.where("state", "=", state);
    if (application)
      query = query.where("application_id", "in", (from) =>
        from
          .selectFrom("applications")
          .select("id")
          .where((where) => where.or([where("id", "=", application), where("code", "=", application)])),
      );
    const { items, next } = await page(query, { limit, cursor, by: "id", descending: true });
    return c.json({ items: await show(deps.db, items, deps.now()), next });
  });
  app.openapi(get, async (c) => {
    const row = await visibleRequest(deps.db, c, c.req.valid("param").id);
    return c.json((await show(deps.db, [row], deps.now()))[0], 200, { etag: etag(row.revision) });
  });
  app.openapi(offer, async (c) => {
    const row = await visibleRequest(deps.db, c, c.req.valid("param").id);
    const found = await decisionOf(deps.db, c.get("principal"), row, deps.now());
    const step = found instanceof Refusal ? undefined : found.step;
    const holder = found instanceof Refusal ? undefined : found.standsInFor;
    const names = await namesOf(deps.db, holder ? [holder.id] : []);
    const body: DecisionOffer = {
      step: step?.id ?? null,
      onBehalfOf: holder ? { id: holder.id, name: names.get(holder.id) ?? holder.id } : null,
      code: found instanceof Refusal ? found.code : null,
      why: found instanceof Refusal ? found.detail : null,
      ...timeLeft(step, await workingCalendar(deps.db), deps.now()),
    };
    return c.json(body);
  });
  const accept = idempotentInBatches(deps, async (tx, asks: readonly Ask[]) => {
    const outcomes = await createRequests(tx, asks, deps.seal);
    const submitted = outcomes.flatMap((one) => (one instanceof Refusal || one.row.state !== "submitted" ? [] : [one.row]));
    await deps.queue.plan(tx, submitted);
    return outcomes.map((one) => (one instanceof Refusal ? one : answerWith(one.row, shown(one.row, one.items), 202)));
  });
  app.openapi(create, (c) => accept(c, { act: c.get("act"), principal: c.get("principal"), body: c.req.valid("json") }));
  app.openapi(submit, (c) =>
    change(c, c.req.valid("param").id, 202, async (tx, seen) => {
      const { id } = await requireAsking(tx, c, seen);
      const row = await submitRequest(tx, c.get("act"), id, deps.seal, deps.unseal);
      if (row.state === "submitted") await deps.queue.plan(tx, [row]);
      return row;
    }),
  );
  app.openapi(yes, (c) =>
    change(c, c.req.valid("param").id, 202, async (tx, { id }) => {
      const row = await approve(tx, c.get("act"), c.get("principal"), id, c.req.valid("json"));
      if (row.state === "approved") await deps.queue.apply(tx, row.department_id);
      return row;
    }),
  );
  app.openapi(no, (c) => change(c, c.req.valid("param").id, 200, (tx, { id }) => reject(tx, c.get("act"), c.get("principal"), id, c.req.valid("json"))));
  app.openapi(question, (c) =>
    change(c, c.req.valid("param").id, 200, (tx, { id }) => returnWithQuestion(tx, c.get("act"), c.get("principal"), id, c.req.valid("json"))),
  );
  app.openapi(check, (c) =>
    change(c, c.req.valid("param").id, 202, async (tx, { id }) => {
      const row = await requireReplannable(tx, c.get("act"), id);
      await deps.queue.plan(tx, [row]);
      return row;
    }),
  );
  app.openapi(reply, (c) =>
    change(c, c.req.valid("param").id, 200, async (tx, row) => answer(tx, c.get("act"), (await requireAsking(tx, c, row)).id, c.req.valid("json").text)),
  );
  app.openapi(amend, (c) =>
    change(c, c.req.valid("param").id, 202, async (tx, seen) => {
      const { id } = await requireAsking(tx, c, seen);
      const body = c.req.valid("json");
      const { row, differences } = await amendRequest(tx, c.get("act"), id, body, deps.seal, deps.unseal);
      await appendComment(tx, c.get("act"), row, { kind: "amendment", text: [body.text, ...differences].join("\n"), stepId: null });
      if (row.state === "submitted") await deps.queue.plan(tx, [row]);
      return row;
    }),
  );
  app.openapi(agree, (c) =>
    change(c, c.req.valid("param").id, 200, async (tx, row) => agreeRestart(tx, c.get("act"), (await requireAsking(tx, c, row)).id, c.req.valid("json"))),
  );
  app.openapi(acceptTrialRoute, (c) => change(c, c.req.valid("param").id, 200, (tx, { id }) => acceptTrial(tx, c.get("act"), id)));
  app.openapi(refuseTrialRoute, (c) =>
    change(c, c.req.valid("param").id, 202, async (tx, { id }) => {
      const row = await refuseTrial(tx, c.get("act"), id, c.req.valid("json").reason, deps.seal);
      await deps.queue.plan(tx, [row]);
      return row;
    }),
  );
  app.openapi(back, (c) => change(c, c.req.valid("param").id, 200, async (tx, row) => withdraw(tx, c.get("act"), (await requireAsking(tx, c, row)).id)));
}
