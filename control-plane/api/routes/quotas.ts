import { z } from "@hono/zod-openapi";
import { PageQuery, pageOf, Reference } from "../../contract/common.ts";
import { Quota, QuotaChange, QuotaLevelQuery, QuotaPath } from "../../contract/quotas.ts";
import { borrowedOf } from "../../domain/ledger.ts";
import { notFound } from "../../domain/refusal.ts";
import type { Db } from "../../store/database.ts";
import { resolveDepartment, visibleDepartment } from "../../store/departments.ts";
import { notifyEvents } from "../../store/events.ts";
import { pageOfRows } from "../../store/page.ts";
import { type AccountKey, readQuota, setQuota } from "../../store/quota-limits.ts";
import { listQuotas, type QuotaRow } from "../../store/quotas.ts";
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
  request: { params: QuotaPath, query: QuotaLevelQuery },
  responses: { 200: jsonAnswer(Quota) },
});
const put = defineRoute({
  method: "put",
  path,
  tags: ["quotas"],
  summary: "Set limits, guarantee and borrowing",
  request: { params: QuotaPath, query: QuotaLevelQuery, body: jsonBody(QuotaChange) },
  responses: { 200: jsonAnswer(Quota) },
});

const show = (row: QuotaRow): z.infer<typeof Quota> => ({
  department: row.department_id,
  dimension: row.dimension,
  level: row.level,
  limit: row.limit_value,
  softLimit: row.soft_limit,
  guaranteed: row.guaranteed,
  borrowCap: row.borrow_cap,
  lends: row.lends,
  borrowed: borrowedOf(row),
  reserved: row.reserved,
  used: row.used,
  revision: row.revision,
});

export function registerQuotas(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { department, ...ask } = c.req.valid("query");
    const rows = await listQuotas(deps.db, await departmentsAsked(deps.db, c.get("principal"), department));
    const { items, next } = pageOfRows(rows, ask, (row) => `${row.department_id}/${row.dimension}/${row.level}`);
    return c.json({ items: items.map(show), next });
  });
  /** @throws Refusal not-found */
  const read = async (db: Db, key: AccountKey, name: string) => {
    const row = await readQuota(db, key);
    if (!row) throw notFound("quota account", name);
    return row;
  };
  app.openapi(get, async (c) => {
    const { department, dimension } = c.req.valid("param");
    const { id } = await visibleDepartment(deps.db, c.get("principal"), department);
    const row = await read(deps.db, { departmentId: id, dimension, level: c.req.valid("query").level ?? 0 }, `${department}/${dimension}`);
    return c.json(show(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(put, async (c) => {
    const { department, dimension } = c.req.valid("param");
    const row = await deps.db.transaction().execute(async (tx) => {
      const { id } = await resolveDepartment(tx, department);
      const key = { departmentId: id, dimension, level: c.req.valid("query").level ?? 0 };
      const before = await read(tx, key, `${department}/${dimension}`);
      requireMatch(c, before.revision);
      return setQuota(tx, c.get("act"), key, c.req.valid("json"), before.revision);
    });
    notifyEvents();
    return c.json(show(row), 200, { etag: etag(row.revision) });
  });
}
