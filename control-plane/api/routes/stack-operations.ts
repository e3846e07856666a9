import { z } from "@hono/zod-openapi";
import { Id } from "../../contract/common.ts";
import { NewStackOperation, StackOperation } from "../../contract/stacks.ts";
import { notFound } from "../../domain/refusal.ts";
import { visibleDepartment, requireVisible } from "../../store/departments.ts";
import { getStackOperation, requestStackOperation, type StackOperationRow } from "../../store/stack-operations.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/stack-operations";
const tags = ["stacks"];
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "A real Pulumi preview or refresh of a department as it is wanted now",
  request: { body: jsonBody(NewStackOperation) },
  responses: { 202: jsonAnswer(StackOperation, "Taken") },
});
const get = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "Its result",
  request: { params: z.object({ id: Id }) },
  responses: { 200: jsonAnswer(StackOperation) },
});

const show = (row: StackOperationRow): StackOperation => ({
  id: row.id,
  department: row.department_id,
  kind: row.kind,
  state: row.state,
  steps: row.steps as StackOperation["steps"],
  error: row.error,
  requestedBy: row.requested_by,
  createdAt: row.created_at.toISOString(),
  completedAt: row.completed_at?.toISOString() ?? null,
});

export function registerStackOperations(app: App, deps: AppDeps): void {
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const body = c.req.valid("json");
      const { id } = await visibleDepartment(tx, c.get("principal"), body.department);
      const row = await requestStackOperation(tx, c.get("act"), id, body.kind);
      await deps.queue.stackOperation(tx, row);
      return { status: 202, body: show(row), headers: { location: `${path}/${row.id}` } };
    }),
  );
  app.openapi(get, async (c) => {
    const { id } = c.req.valid("param");
    const row = await getStackOperation(deps.db, id);
    if (!row) throw notFound("stack operation", id);
    await requireVisible(deps.db, c.get("principal"), row.department_id, "stack operation", id);
    return c.json(show(row));
  });
}
