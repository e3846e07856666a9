import { z } from "@hono/zod-openapi";
import { Id, pageOf } from "../../contract/common.ts";
import { Approval, type ChangePlan, NewRequest, Rejection, Request, RequestQuery } from "../../contract/requests.ts";
import { isWithin } from "../../domain/authority.ts";
import { notFound, Refusal } from "../../domain/refusal.ts";
import type { Db, Tx } from "../../store/database.ts";
import { requireVisible } from "../../store/departments.ts";
import { page } from "../../store/page.ts";
import { type Ask, createRequests, submitRequest } from "../../store/acceptance.ts";
import { approve, type ItemRow, itemsOf, reject, type RequestRow, withdraw } from "../../store/requests.ts";
import type { ApiContext, App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent, idempotentInBatches } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { departmentsAsked } from "../scope.ts";

const params = z.object({ id: Id });
const path = "/api/v1/requests";
const tags = ["requests"];
const Nothing = z.strictObject({}).meta({ id: "Nothing" });

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
  summary: "Approve exactly this change plan",
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
const back = defineRoute({
  method: "post",
  path: `${path}/{id}/withdraw`,
  tags,
  summary: "Withdraw",
  conditional: true,
  request: { params, body: jsonBody(Nothing) },
  responses: { 200: jsonAnswer(Request) },
});

/** Requests as the contract shows them. */
async function show(db: Db, rows: readonly RequestRow[]): Promise<Request[]> {
  const items = await itemsOf(
    db,
    rows.map((row) => row.id),
  );
  return rows.map((row) => shown(row, items.get(row.id) ?? []));
}

function shown(row: RequestRow, items: readonly ItemRow[]): Request {
  return {
    id: row.id,
    number: row.number,
    department: row.department_id,
    project: row.project_id,
    application: row.application_id,
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
      error: item.error,
    })),
    plan: row.plan as ChangePlan | null,
    cost: row.cost as Request["cost"],
    error: row.error as Request["error"],
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

/** The request, when the principal may see it. @throws Refusal not-found */
export async function visibleRequest(db: Db, c: ApiContext, id: string): Promise<RequestRow> {
  const row = await db.selectFrom("requests").selectAll().where("id", "=", id).executeTakeFirst();
  if (!row || !isWithin(c.get("principal").period, row.created_at)) throw notFound("request", id);
  await requireVisible(db, c.get("principal"), row.department_id, "request", id);
  return row;
}

export function registerRequests(app: App, deps: AppDeps): void {
  const answerOf = (row: RequestRow, items: readonly ItemRow[], status: number) => ({
    status,
    body: shown(row, items),
    headers: { etag: etag(row.revision), location: `${path}/${row.id}` },
  });
  const answer = async (tx: Tx, row: RequestRow, status: number) => answerOf(row, (await itemsOf(tx, [row.id])).get(row.id) ?? [], status);
  /** A change of one request: visible, at the revision that was seen, once. */
  const change = (c: ApiContext, id: string, status: number, work: (tx: Tx, row: RequestRow) => Promise<RequestRow>) =>
    idempotent(c, deps, async (tx) => {
      const row = await visibleRequest(tx, c, id);
      requireMatch(c, row.revision);
      return answer(tx, await work(tx, row), status);
    });

  app.openapi(list, async (c) => {
    const { department, state, application, limit, cursor } = c.req.valid("query");
    const departments = await departmentsAsked(deps.db, c.get("principal"), department);
    let query = deps.db.selectFrom("requests").selectAll();
    if (departments) query = query.where("department_id", "in", departments);
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
    return c.json({ items: await show(deps.db, items), next });
  });
  app.openapi(get, async (c) => {
    const row = await visibleRequest(deps.db, c, c.req.valid("param").id);
    return c.json((await show(deps.db, [row]))[0], 200, { etag: etag(row.revision) });
  });
  const accept = idempotentInBatches(deps, async (tx, asks: readonly Ask[]) => {
    const outcomes = await createRequests(tx, asks, deps.seal);
    const submitted = outcomes.flatMap((one) => (one instanceof Refusal || one.row.state !== "submitted" ? [] : [one.row]));
    await deps.queue.plan(tx, submitted);
    return outcomes.map((one) => (one instanceof Refusal ? one : answerOf(one.row, one.items, 202)));
  });
  app.openapi(create, (c) => accept(c, { act: c.get("act"), principal: c.get("principal"), body: c.req.valid("json") }));
  app.openapi(submit, (c) =>
    change(c, c.req.valid("param").id, 202, async (tx, { id }) => {
      const row = await submitRequest(tx, c.get("act"), id, deps.seal, deps.unseal);
      if (row.state === "submitted") await deps.queue.plan(tx, [row]);
      return row;
    }),
  );
  app.openapi(yes, (c) =>
    change(c, c.req.valid("param").id, 202, async (tx, { id }) => {
      const row = await approve(tx, c.get("act"), c.get("principal"), id, c.req.valid("json"));
      await deps.queue.apply(tx, row.department_id);
      return row;
    }),
  );
  app.openapi(no, (c) => change(c, c.req.valid("param").id, 200, (tx, { id }) => reject(tx, c.get("act"), c.get("principal"), id, c.req.valid("json").reason)));
  app.openapi(back, (c) => change(c, c.req.valid("param").id, 200, (tx, { id }) => withdraw(tx, c.get("act"), id)));
}
