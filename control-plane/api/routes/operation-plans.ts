/** Operation plans (运维方案): asked for and looked at here, computed and carried out by a job. */
import { pageOf } from "../../contract/common.ts";
import { ConfirmOperationPlan, NewOperationPlan, OperationPlan, OperationPlanQuery, OperationPlanSummary } from "../../contract/operation-plans.ts";
import type { Db } from "../../store/database.ts";
import { showPlans } from "../../store/operation-views.ts";
import {
  askOperation,
  cancelOperation,
  confirmOperation,
  getOperation,
  listOperations,
  type PlanRow,
  recomputeOperation,
} from "../../store/operation-plans.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/operation-plans";
const tags = ["operation-plans"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Operation plans, newest first",
  request: { query: OperationPlanQuery },
  responses: { 200: jsonAnswer(pageOf(OperationPlanSummary)) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Have a plan drawn up: drain, restore or replace a member, even out a pool, move a host or volume. Nothing moves before somebody else confirms it",
  request: { body: jsonBody(NewOperationPlan) },
  responses: { 202: jsonAnswer(OperationPlan, "It is being computed") },
});
const read = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "A plan with its steps",
  request: byId,
  responses: { 200: jsonAnswer(OperationPlan) },
});
const confirm = defineRoute({
  method: "post",
  path: `${path}/{id}/confirm`,
  tags,
  summary: "Confirm what is shown, as somebody else than who drew it up: it begins if it is still that",
  request: { ...byId, body: jsonBody(ConfirmOperationPlan) },
  responses: { 202: jsonAnswer(OperationPlan, "It begins") },
});
const cancel = defineRoute({
  method: "post",
  path: `${path}/{id}/cancel`,
  tags,
  summary: "What hasn't begun is not done; what runs is brought to its end",
  request: byId,
  responses: { 200: jsonAnswer(OperationPlan) },
});
const recompute = defineRoute({
  method: "post",
  path: `${path}/{id}/recompute`,
  tags,
  summary: "Compute a draft again, as the machines are now",
  request: byId,
  responses: { 202: jsonAnswer(OperationPlan, "It is being computed") },
});

export function registerOperationPlans(app: App, deps: AppDeps): void {
  const one = async (db: Db, row: PlanRow): Promise<OperationPlan> => (await showPlans(db, [row]))[0]!;
  const headers = (row: PlanRow) => ({ location: `${path}/${row.id}`, etag: etag(row.revision) });
  app.openapi(list, async (c) => {
    const { items, next } = await listOperations(deps.db, c.req.valid("query"));
    const shown = await showPlans(deps.db, items);
    return c.json({ items: shown.map(({ steps: _steps, ...summary }): OperationPlanSummary => summary), next });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const row = await askOperation(tx, c.get("act"), c.req.valid("json"));
      await deps.queue.operation(tx, row.id);
      return { status: 202, body: await one(tx, row), headers: headers(row) };
    }),
  );
  app.openapi(read, async (c) => {
    const row = await getOperation(deps.db, c.req.valid("param").id);
    return c.json(await one(deps.db, row), 200, { etag: etag(row.revision) });
  });
  app.openapi(confirm, (c) =>
    idempotent(c, deps, async (tx) => {
      const { hash } = c.req.valid("json");
      const row = await confirmOperation(tx, c.get("act"), c.req.valid("param").id, hash, (revision) => requireMatch(c, revision));
      await deps.queue.operation(tx, row.id);
      return { status: 202, body: await one(tx, row), headers: headers(row) };
    }),
  );
  app.openapi(cancel, (c) =>
    idempotent(c, deps, async (tx) => {
      const row = await cancelOperation(tx, c.get("act"), c.req.valid("param").id, (revision) => requireMatch(c, revision));
      await deps.queue.operation(tx, row.id);
      return { status: 200, body: await one(tx, row), headers: headers(row) };
    }),
  );
  app.openapi(recompute, (c) =>
    idempotent(c, deps, async (tx) => {
      const row = await recomputeOperation(tx, c.get("act"), c.req.valid("param").id);
      await deps.queue.operation(tx, row.id);
      return { status: 202, body: await one(tx, row), headers: headers(row) };
    }),
  );
}
