import { z } from "@hono/zod-openapi";
import { Id, pageOf } from "../../contract/common.ts";
import { StackUpdate, StackUpdateQuery } from "../../contract/stack-updates.ts";
import { notFound } from "../../domain/refusal.ts";
import { requireVisible, visibleDepartment } from "../../store/departments.ts";
import { findStackUpdate, listStackUpdates, type StackUpdateRow } from "../../store/stack-updates.ts";
import type { App, AppDeps } from "../deps.ts";
import { eventStream } from "../event-stream.ts";
import { defineRoute, jsonAnswer } from "../route.ts";

const path = "/api/v1/stack-updates";
const tags = ["stacks"];

const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Each run of the engine that could change a department's stack, newest first",
  request: { query: StackUpdateQuery },
  responses: { 200: jsonAnswer(pageOf(StackUpdate)) },
});
const events = defineRoute({
  method: "get",
  path: `${path}/{id}/events`,
  tags,
  summary: "What the engine reported in an update, from its first step; while it runs, as it happens",
  request: { params: z.object({ id: Id }) },
  responses: { 200: { description: "Each event's data is an Event", content: { "text/event-stream": { schema: z.string() } } } },
});

const show = (row: StackUpdateRow): StackUpdate => ({
  id: row.id,
  department: row.department_id,
  kind: row.kind,
  state: row.status,
  version: row.version,
  changes: row.changes,
  reason: row.fault ?? row.reason,
  startedAt: row.started_at?.toISOString() ?? null,
  finishedAt: row.finished_at?.toISOString() ?? null,
});

export function registerStackUpdates(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { department, ...ask } = c.req.valid("query");
    const { id } = await visibleDepartment(deps.db, c.get("principal"), department);
    const { items, next } = await listStackUpdates(deps.db, id, ask);
    return c.json({ items: items.map(show), next });
  });
  app.openapi(events, async (c) => {
    const { id } = c.req.valid("param");
    const update = await findStackUpdate(deps.db, id);
    if (!update) throw notFound("stack update", id);
    await requireVisible(deps.db, c.get("principal"), update.department_id, "stack update", id);
    return eventStream(c, deps, { updateId: id, start: "first" });
  });
}
