import { PageQuery, pageOf, Reference } from "../../contract/common.ts";
import { NewProject, Project, ProjectChange } from "../../contract/projects.ts";
import { notFound } from "../../domain/refusal.ts";
import { requireVisible, resolveDepartment, subtreeOf, visibleDepartment, visibleDepartments } from "../../store/departments.ts";
import { changeProject, createProject, getProject, listProjects, type ProjectRow } from "../../store/projects.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const tags = ["projects"];
const path = "/api/v1/projects";
const query = PageQuery.extend({ department: Reference.optional().meta({ description: "Of this department and everything below it" }) });
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Projects that you may see",
  request: { query },
  responses: { 200: jsonAnswer(pageOf(Project)) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Add a project",
  request: { body: jsonBody(NewProject) },
  responses: { 201: jsonAnswer(Project, "Added") },
});
const read = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "A project",
  request: byId,
  responses: { 200: jsonAnswer(Project) },
});
const change = defineRoute({
  method: "patch",
  path: `${path}/{id}`,
  tags,
  summary: "Change a project",
  request: { ...byId, body: jsonBody(ProjectChange) },
  responses: { 200: jsonAnswer(Project) },
});

function shown(row: ProjectRow): Project {
  return {
    id: row.id,
    department: row.department_id,
    code: row.code,
    name: row.name,
    fiscalYear: row.fiscal_year,
    budgetFen: row.budget_fen,
    stage: row.stage,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

export function registerProjects(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { department, ...ask } = c.req.valid("query");
    const viewer = c.get("principal");
    const departmentIds =
      department === undefined
        ? await visibleDepartments(deps.db, viewer)
        : await subtreeOf(deps.db, (await visibleDepartment(deps.db, viewer, department)).id);
    const { items, next } = await listProjects(deps.db, { ...ask, departmentIds });
    return c.json({ items: items.map(shown), next });
  });
  app.openapi(read, async (c) => {
    const { id } = c.req.valid("param");
    const row = await getProject(deps.db, id);
    if (!row) throw notFound("project", id);
    await requireVisible(deps.db, c.get("principal"), row.department_id, "project", id);
    return c.json(shown(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const { department, fiscalYear, budgetFen, ...ask } = c.req.valid("json");
      const node = await resolveDepartment(tx, department);
      const row = await createProject(tx, c.get("act"), { ...ask, department_id: node.id, fiscal_year: fiscalYear, budget_fen: budgetFen });
      return { status: 201, body: shown(row), headers: { location: `${path}/${row.id}`, etag: etag(row.revision) } };
    }),
  );
  app.openapi(change, async (c) => {
    const { name, budgetFen, stage } = c.req.valid("json");
    const row = await deps.db
      .transaction()
      .execute((tx) =>
        changeProject(tx, c.get("act"), c.req.valid("param").id, { name, budget_fen: budgetFen, stage }, (revision) => requireMatch(c, revision)),
      );
    return c.json(shown(row), 200, { etag: etag(row.revision) });
  });
}
