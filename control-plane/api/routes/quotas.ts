import { z } from "@hono/zod-openapi";
import { PageQuery, pageOf, Reference } from "../../contract/common.ts";
import { Quota, QuotaChange, QuotaPath } from "../../contract/quotas.ts";
import { notFound } from "../../domain/refusal.ts";
import { resolveDepartment, visibleDepartment } from "../../store/departments.ts";
import { notifyEvents } from "../../store/events.ts";
import { pageOfRows } from "../../store/page.ts";
import { listQuotas, type QuotaRow, setLimit } from "../../store/quotas.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { departmentsAsked } from "../scope.ts";

const path = "/api/v1/quotas/{department}/{dimension}";
const list = defineRoute({
  method: "get",
  path: "/api/v1/quotas",
  tags: ["quotas"],
  summary: "Quota accounts",
  request: { query: PageQuery.extend({ department: Reference.optional() }) },
  responses: { 200: jsonAnswer(pageOf(Quota)) },
});
const get = defineRoute({
  method: "get",
  path,
  tags: ["quotas"],
  summary: "One quota account",
  request: { params: QuotaPath },
  responses: { 200: jsonAnswer(Quota) },
});
const put = defineRoute({
  method: "put",
  path,
  tags: ["quotas"],
  summary: "Set a limit",
  request: { params: QuotaPath, body: jsonBody(QuotaChange) },
  responses: { 200: jsonAnswer(Quota) },
});

const show = (row: QuotaRow): z.infer<typeof Quota> => ({
  department: row.department_id,
  dimension: row.dimension,
  limit: row.limit_value,
  reserved: row.reserved,
  used: row.used,
  revision: row.revision,
});

export function registerQuotas(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { department, ...ask } = c.req.valid("query");
    const rows = await listQuotas(deps.db, await departmentsAsked(deps.db, c.get("principal"), department));
    const { items, next } = pageOfRows(rows, ask, (row) => `${row.department_id}/${row.dimension}`);
    return c.json({ items: items.map(show), next });
  });
  app.openapi(get, async (c) => {
    const { department, dimension } = c.req.valid("param");
    const { id } = await visibleDepartment(deps.db, c.get("principal"), department);
    const row = (await listQuotas(deps.db, [id])).find((one) => one.dimension === dimension);
    if (!row) throw notFound("quota account", `${department}/${dimension}`);
    return c.json(show(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(put, async (c) => {
    const { department, dimension } = c.req.valid("param");
    const row = await deps.db.transaction().execute(async (tx) => {
      const { id } = await resolveDepartment(tx, department);
      const before = (await listQuotas(tx, [id])).find((one) => one.dimension === dimension);
      if (!before) throw notFound("quota account", `${department}/${dimension}`);
      requireMatch(c, before.revision);
      return setLimit(tx, c.get("act"), id, dimension, c.req.valid("json").limit, before.revision);
    });
    notifyEvents();
    return c.json(show(row), 200, { etag: etag(row.revision) });
  });
}
