import { PageQuery, pageOf, Reference } from "../../contract/common.ts";
import { Application, ApplicationChange, NewApplication } from "../../contract/applications.ts";
import { notFound } from "../../domain/refusal.ts";
import { type ApplicationRow, changeApplication, createApplication, getApplication, listApplications } from "../../store/applications.ts";
import { requireVisible, resolveDepartment, subtreeOf, visibleDepartment, visibleDepartments } from "../../store/departments.ts";
import { resolveProject } from "../../store/projects.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const tags = ["applications"];
const path = "/api/v1/applications";
const query = PageQuery.extend({ department: Reference.optional().meta({ description: "Of this department and everything below it" }) });
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Business systems that you may see",
  request: { query },
  responses: { 200: jsonAnswer(pageOf(Application)) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Add a business system",
  request: { body: jsonBody(NewApplication) },
  responses: { 201: jsonAnswer(Application, "Added") },
});
const read = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "A business system",
  request: byId,
  responses: { 200: jsonAnswer(Application) },
});
const change = defineRoute({
  method: "patch",
  path: `${path}/{id}`,
  tags,
  summary: "Change a business system",
  request: { ...byId, body: jsonBody(ApplicationChange) },
  responses: { 200: jsonAnswer(Application) },
});

function shown(row: ApplicationRow): Application {
  return {
    id: row.id,
    department: row.department_id,
    project: row.project_id,
    code: row.code,
    name: row.name,
    contact: row.contact,
    protectionLevel: row.protection_level,
    filingNumber: row.filing_number,
    zone: row.zone,
    antiAffinity: row.anti_affinity,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

export function registerApplications(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { department, ...ask } = c.req.valid("query");
    const viewer = c.get("principal");
    const departmentIds =
      department === undefined
        ? await visibleDepartments(deps.db, viewer)
        : await subtreeOf(deps.db, (await visibleDepartment(deps.db, viewer, department)).id);
    const { items, next } = await listApplications(deps.db, { ...ask, departmentIds });
    return c.json({ items: items.map(shown), next });
  });
  app.openapi(read, async (c) => {
    const { id } = c.req.valid("param");
    const row = await getApplication(deps.db, id);
    if (!row) throw notFound("application", id);
    await requireVisible(deps.db, c.get("principal"), row.department_id, "application", id);
    return c.json(shown(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const body = c.req.valid("json");
      const department = await resolveDepartment(tx, body.department);
      const project = await resolveProject(tx, department.id, body.project);
      const row = await createApplication(tx, c.get("act"), {
        department_id: department.id,
        project_id: project.id,
        code: body.code,
        name: body.name,
        contact: body.contact,
        protection_level: body.protectionLevel,
        filing_number: body.filingNumber,
        zone: body.zone,
        anti_affinity: body.antiAffinity,
      });
      return { status: 201, body: shown(row), headers: { location: `${path}/${row.id}`, etag: etag(row.revision) } };
    }),
  );
  app.openapi(change, async (c) => {
    const { name, contact, filingNumber, antiAffinity } = c.req.valid("json");
    const row = await deps.db
      .transaction()
      .execute((tx) =>
        changeApplication(tx, c.get("act"), c.req.valid("param").id, { name, contact, filing_number: filingNumber, anti_affinity: antiAffinity }, (revision) =>
          requireMatch(c, revision),
        ),
      );
    return c.json(shown(row), 200, { etag: etag(row.revision) });
  });
}
