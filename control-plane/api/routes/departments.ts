import { z } from "@hono/zod-openapi";
import { PageQuery, pageOf, Reference } from "../../contract/common.ts";
import { Department, DepartmentChange, NewDepartment } from "../../contract/departments.ts";
import {
  changeDepartment,
  type CountedDepartment,
  createDepartment,
  getDepartment,
  listDepartments,
  resolveDepartment,
  visibleDepartment,
} from "../../store/departments.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byReference, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const tags = ["departments"];
const path = "/api/v1/departments";
const query = PageQuery.extend({
  parent: z
    .union([z.literal("none"), Reference])
    .optional()
    .meta({ description: "Only those directly below this one; none: the roots" }),
});
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Departments that you may see",
  request: { query },
  responses: { 200: jsonAnswer(pageOf(Department)) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Add a department",
  request: { body: jsonBody(NewDepartment) },
  responses: { 201: jsonAnswer(Department, "Added") },
});
const read = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "A department, by id or code",
  request: byReference,
  responses: { 200: jsonAnswer(Department) },
});
const change = defineRoute({
  method: "patch",
  path: `${path}/{id}`,
  tags,
  summary: "Change a department",
  request: { ...byReference, body: jsonBody(DepartmentChange) },
  responses: { 200: jsonAnswer(Department) },
});

function shown(row: CountedDepartment): Department {
  return {
    id: row.id,
    parent: row.parent_id,
    code: row.code,
    nameZh: row.name_zh,
    nameEn: row.name_en,
    level: row.level,
    line: row.line,
    children: row.children,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

export function registerDepartments(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { parent, ...ask } = c.req.valid("query");
    const viewer = c.get("principal");
    const parentId = parent === undefined ? undefined : parent === "none" ? null : (await visibleDepartment(deps.db, viewer, parent)).id;
    const { items, next } = await listDepartments(deps.db, viewer, { ...ask, parentId });
    return c.json({ items: items.map(shown), next });
  });
  app.openapi(read, async (c) => {
    const row = await getDepartment(deps.db, c.get("principal"), c.req.valid("param").id);
    return c.json(shown(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const { parent, ...ask } = c.req.valid("json");
      const parentId = parent === null ? null : (await resolveDepartment(tx, parent)).id;
      const row = await createDepartment(tx, c.get("act"), { ...ask, parentId });
      return { status: 201, body: shown({ ...row, children: 0 }), headers: { location: `${path}/${row.id}`, etag: etag(row.revision) } };
    }),
  );
  app.openapi(change, async (c) => {
    const { nameZh, nameEn, level, line } = c.req.valid("json");
    const row = await deps.db.transaction().execute(async (tx) => {
      const { id } = await resolveDepartment(tx, c.req.valid("param").id);
      // Kysely leaves out what is undefined.
      await changeDepartment(tx, c.get("act"), id, { name_zh: nameZh, name_en: nameEn, level, line }, (revision) => requireMatch(c, revision));
      return getDepartment(tx, c.get("principal"), id);
    });
    return c.json(shown(row), 200, { etag: etag(row.revision) });
  });
}
