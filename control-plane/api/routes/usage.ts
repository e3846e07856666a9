import { pipeline, Readable } from "node:stream";
import { z } from "@hono/zod-openapi";
import { sql } from "kysely";
import { stringify } from "csv-stringify";
import { Reference } from "../../contract/common.ts";
import { Usage, UsageQuery } from "../../contract/usage.ts";
import { within } from "../../domain/authority.ts";
import { Refusal } from "../../domain/refusal.ts";
import { monthStart } from "../../domain/time.ts";
import type { Db } from "../../store/database.ts";
import { visibleDepartment } from "../../store/departments.ts";
import { type RegisterRow, registerRows } from "../../store/register.ts";
import { usage } from "../../store/usage.ts";
import type { App, AppDeps, Principal } from "../deps.ts";
import { defineRoute, jsonAnswer } from "../route.ts";
import { departmentsAsked } from "../scope.ts";

const get = defineRoute({
  method: "get",
  path: "/api/v1/usage",
  tags: ["usage"],
  summary: "What departments held and used, against their quotas",
  request: { query: UsageQuery },
  responses: { 200: jsonAnswer(Usage) },
});
const register = defineRoute({
  method: "get",
  path: "/api/v1/register.csv",
  tags: ["usage"],
  summary: "The resource register (资源台账)",
  request: { query: z.object({ department: Reference.optional() }) },
  responses: { 200: { description: "CSV, UTF-8 with a byte order mark", content: { "text/csv": { schema: z.string() } } } },
});

/** Ids in the tree's order (parents first, by code), within what the principal may see, at most `depth` levels below the root. */
async function tree(db: Db, principal: Principal, root: string | undefined, depth: number | undefined): Promise<string[]> {
  const tops = root === undefined ? principal.nodes : [(await visibleDepartment(db, principal, root)).id];
  let query = db.selectFrom("departments as d").select(["d.id", "d.parent_id", "d.code"]);
  if (tops !== null)
    query = query.where("d.id", "in", (from) =>
      from
        .selectFrom("department_ancestors")
        .select("department_id")
        .where(sql<boolean>`ancestor_id = any(${tops}::text[])`),
    );
  const rows = await query.orderBy("d.code").execute();
  const known = new Set(rows.map((row) => row.id));
  const below = Map.groupBy(rows, (row) => (row.parent_id !== null && known.has(row.parent_id) ? row.parent_id : ""));
  const walk = (parent: string, level: number): string[] =>
    (below.get(parent) ?? []).flatMap((row) => [row.id, ...(depth === undefined || level < depth ? walk(row.id, level + 1) : [])]);
  return walk("", 0);
}

const titles: { key: keyof RegisterRow; title: string }[] = [
  { key: "departmentCode", title: "部门代码 Department code" },
  { key: "departmentZh", title: "部门 Department" },
  { key: "departmentEn", title: "Department (en)" },
  { key: "application", title: "业务系统 Application" },
  { key: "kind", title: "类型 Kind" },
  { key: "name", title: "名称 Name" },
  { key: "specification", title: "规格 Specification" },
  { key: "phase", title: "状态 Phase" },
  { key: "opened", title: "开通时间 Opened" },
  { key: "expires", title: "到期时间 Expires" },
  { key: "retired", title: "回收时间 Retired" },
  { key: "request", title: "申请编号 Request" },
  { key: "id", title: "编号 Id" },
];

/** A spreadsheet runs cells that begin like a formula: an apostrophe keeps them text (OWASP, CSV injection). */
const neutral = (value: string | Date | null): string => {
  const text = value instanceof Date ? value.toISOString() : (value ?? "");
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
};

export function registerUsage(app: App, deps: AppDeps): void {
  app.openapi(get, async (c) => {
    const query = c.req.valid("query");
    const now = deps.now();
    const asked = within(c.get("principal").period, query.from, query.to);
    const from = asked.from ?? monthStart(now);
    // Time that has not passed yet was used by nobody.
    const to = asked.to && asked.to < now ? asked.to : now;
    if (to < from) throw new Refusal("invalid-query", "`to` (at the latest now) is before `from`.", { errors: [{ pointer: "/to", detail: "is before from" }] });
    const items = await usage(deps.db, { departmentIds: await tree(deps.db, c.get("principal"), query.department, query.depth), from, to });
    return c.json({ from: from.toISOString(), to: to.toISOString(), items, next: null });
  });
  app.openapi(register, async (c) => {
    const departments = await departmentsAsked(deps.db, c.get("principal"), c.req.valid("query").department, true);
    const csv = stringify({ bom: true, header: false, record_delimiter: "windows" });
    csv.write(titles.map((one) => one.title));
    const rows = Readable.from(registerRows(deps.db, departments)).map((row: RegisterRow) => titles.map(({ key }) => neutral(row[key])));
    // A database that fails half way ends the answer in the middle, which its reader notices; it must not end the process.
    pipeline(rows, csv, (error) => error && deps.log.warn({ error: String(error) }, "the register was cut short"));
    return new Response(Readable.toWeb(csv) as ReadableStream, {
      headers: { "content-type": "text/csv; charset=utf-8", "content-disposition": 'attachment; filename="register.csv"' },
    });
  });
}
