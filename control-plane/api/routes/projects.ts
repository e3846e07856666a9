/** Annual project plans: projects, their stages and funds, and a whole plan filed at once. */
import { PageQuery, pageOf, Reference } from "../../contract/common.ts";
import {
  FundChange,
  FundPath,
  NewProject,
  PlanPolicy,
  PlanPolicyChange,
  Project,
  ProjectAdvance,
  ProjectChange,
  type ProjectEvent,
  ProjectImport,
  ProjectImported,
  ProjectStage,
  ProjectStep,
} from "../../contract/projects.ts";
import type { Role } from "../../contract/roles.ts";
import { capacityOf } from "../../domain/authority.ts";
import { leftOf } from "../../domain/funds.ts";
import { takenBy } from "../../contract/project-stages.ts";
import { notFound, Refusal } from "../../domain/refusal.ts";
import type { Db, Tx } from "../../store/database.ts";
import { findDepartment, mayView, requireVisible, visibleDepartment } from "../../store/departments.ts";
import { type FundRow, fundsOf } from "../../store/funds.ts";
import { importPlan } from "../../store/plan-imports.ts";
import { planPolicy, setPlanPolicy } from "../../store/plan-policy.ts";
import {
  advanceProject,
  changeFunds,
  changeProject,
  createProject,
  getProject,
  listProjects,
  listSteps,
  type ProjectRow,
  type ProjectStepRow,
} from "../../store/projects.ts";
import type { ApiContext, App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { departmentsAsked } from "../scope.ts";
import { z } from "@hono/zod-openapi";

const tags = ["projects"];
const path = "/api/v1/projects";
const query = PageQuery.extend({
  department: Reference.optional().meta({ description: "Of this department and everything below it" }),
  stage: ProjectStage.optional(),
  fiscalYear: z.coerce.number().int().min(2000).max(2100).optional(),
});
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Projects that you may see, with their funds",
  request: { query },
  responses: { 200: jsonAnswer(pageOf(Project)) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "File a project (申报)",
  request: { body: jsonBody(NewProject) },
  responses: { 201: jsonAnswer(Project, "Filed") },
});
const read = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "A project with its funds",
  request: byId,
  responses: { 200: jsonAnswer(Project) },
});
const change = defineRoute({
  method: "patch",
  path: `${path}/{id}`,
  tags,
  summary: "Change a project; its applicant while it is filed",
  request: { ...byId, body: jsonBody(ProjectChange) },
  responses: { 200: jsonAnswer(Project) },
});
const advance = defineRoute({
  method: "post",
  path: `${path}/{id}/advance`,
  tags,
  summary: "Take a project to its next stage, with reason and evidence",
  conditional: true,
  request: { ...byId, body: jsonBody(ProjectAdvance) },
  responses: { 200: jsonAnswer(Project) },
});
const steps = defineRoute({
  method: "get",
  path: `${path}/{id}/steps`,
  tags,
  summary: "What was decided about a project, newest first",
  request: { ...byId, query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(ProjectStep)) },
});
const setFund = defineRoute({
  method: "put",
  path: `${path}/{id}/funds/{kind}/{year}`,
  tags,
  summary: "Set a fund of a project for a year; If-Match is the project's",
  request: { params: FundPath, body: jsonBody(FundChange) },
  responses: { 200: jsonAnswer(Project) },
});
const fileAll = defineRoute({
  method: "post",
  path: "/api/v1/project-imports",
  tags,
  summary: "File a whole annual plan, all or none; a dry run only says what would be done",
  request: { body: jsonBody(ProjectImport) },
  responses: { 200: jsonAnswer(ProjectImported, "Filed") },
});
const readPolicy = defineRoute({
  method: "get",
  path: "/api/v1/plan-policy",
  tags,
  summary: "From which budget on a third-party supervisor must be named",
  responses: { 200: jsonAnswer(PlanPolicy) },
});
const writePolicy = defineRoute({
  method: "put",
  path: "/api/v1/plan-policy",
  tags,
  summary: "Set it",
  request: { body: jsonBody(PlanPolicyChange) },
  responses: { 200: jsonAnswer(PlanPolicy) },
});

function shown(row: ProjectRow, funds: readonly FundRow[]): Project {
  return {
    id: row.id,
    department: row.department_id,
    code: row.code,
    name: row.name,
    fiscalYear: row.fiscal_year,
    budgetFen: row.budget_fen,
    stage: row.stage,
    supervisor: row.supervisor as Project["supervisor"],
    funds: funds
      .filter((fund) => fund.project_id === row.id)
      .map((fund) => ({
        kind: fund.kind,
        fiscalYear: fund.fiscal_year,
        amountFen: fund.amount_fen,
        reservedFen: fund.reserved_fen,
        committedFen: fund.committed_fen,
        spentFen: fund.spent_fen,
        leftFen: leftOf(fund),
      })),
    filedBy: row.filed_by,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}
const withFunds = async (db: Db, row: ProjectRow) => shown(row, await fundsOf(db, [row.id]));

const shownStep = (row: ProjectStepRow): ProjectStep => ({
  id: row.id,
  project: row.project_id,
  event: row.event,
  from: row.from_stage,
  to: row.to_stage,
  reason: row.reason,
  evidence: row.evidence as ProjectStep["evidence"],
  opinions: row.opinions as ProjectStep["opinions"],
  funds: row.funds as ProjectStep["funds"],
  actor: row.actor,
  role: row.role,
  at: row.at.toISOString(),
});

/** Roles for a step that are held where the project is: one held for another department counts for nothing here. */
async function rolesFor(db: Db, c: ApiContext, event: ProjectEvent, departmentId: string): Promise<Role[]> {
  const roles: Role[] = [];
  for (const role of takenBy[event]) {
    const capacity = capacityOf(c.get("holder").bindings, [role], c.get("act").now);
    if (capacity && (await mayView(db, capacity, departmentId))) roles.push(role);
  }
  return roles;
}

/** The project, when the principal may see it. @throws Refusal not-found */
async function visibleProject(db: Db, c: ApiContext, id: string): Promise<ProjectRow> {
  const row = await getProject(db, id);
  if (!row) throw notFound("project", id);
  await requireVisible(db, c.get("principal"), row.department_id, "project", id);
  return row;
}

export function registerProjects(app: App, deps: AppDeps): void {
  const once = (c: ApiContext, work: (tx: Tx) => Promise<ProjectRow>) =>
    idempotent(c, deps, async (tx) => {
      const row = await work(tx);
      return { status: 200, body: await withFunds(tx, row), headers: { etag: etag(row.revision) } };
    });

  app.openapi(list, async (c) => {
    const { department, ...ask } = c.req.valid("query");
    const { items, next } = await listProjects(deps.db, { ...ask, departmentIds: await departmentsAsked(deps.db, c.get("principal"), department, true) });
    const funds = await fundsOf(
      deps.db,
      items.map((row) => row.id),
    );
    return c.json({ items: items.map((row) => shown(row, funds)), next });
  });
  app.openapi(read, async (c) => {
    const row = await visibleProject(deps.db, c, c.req.valid("param").id);
    return c.json(await withFunds(deps.db, row), 200, { etag: etag(row.revision) });
  });
  app.openapi(steps, async (c) => {
    const row = await visibleProject(deps.db, c, c.req.valid("param").id);
    const { items, next } = await listSteps(deps.db, row.id, c.req.valid("query"));
    return c.json({ items: items.map(shownStep), next });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const { department, fiscalYear, budgetFen, ...ask } = c.req.valid("json");
      const node = await visibleDepartment(tx, c.get("principal"), department);
      const row = await createProject(tx, c.get("act"), { ...ask, department_id: node.id, fiscal_year: fiscalYear, budget_fen: budgetFen });
      return { status: 201, body: await withFunds(tx, row), headers: { location: `${path}/${row.id}`, etag: etag(row.revision) } };
    }),
  );
  app.openapi(change, async (c) => {
    const { name, budgetFen, supervisor } = c.req.valid("json");
    const body = await deps.db.transaction().execute(async (tx) => {
      const { id, stage } = await visibleProject(tx, c, c.req.valid("param").id);
      if (c.get("principal").role === "applicant" && stage !== "filed")
        throw new Refusal("conflict", `The project is ${stage}: its department changes it only while it is filed.`);
      const row = await changeProject(tx, c.get("act"), id, { name, budget_fen: budgetFen, supervisor }, (revision) => requireMatch(c, revision));
      return withFunds(tx, row);
    });
    return c.json(body, 200, { etag: etag(body.revision) });
  });
  app.openapi(advance, (c) =>
    once(c, async (tx) => {
      const { id, department_id } = await visibleProject(tx, c, c.req.valid("param").id);
      const step = c.req.valid("json");
      const roles = await rolesFor(tx, c, step.event, department_id);
      return advanceProject(tx, c.get("act"), id, step, roles, (revision) => requireMatch(c, revision));
    }),
  );
  app.openapi(setFund, async (c) => {
    const { id, kind, year } = c.req.valid("param");
    const { amountFen, reason } = c.req.valid("json");
    const body = await deps.db.transaction().execute(async (tx) => {
      await visibleProject(tx, c, id);
      const fund = { kind, fiscalYear: year, amountFen };
      return withFunds(tx, await changeFunds(tx, c.get("act"), id, [fund], reason, (revision) => requireMatch(c, revision)));
    });
    return c.json(body, 200, { etag: etag(body.revision) });
  });
  app.openapi(fileAll, (c) =>
    idempotent(c, deps, async (tx) => {
      const visible = async (idOrCode: string) => {
        const found = await findDepartment(tx, idOrCode);
        return found && (await visibleDepartment(tx, c.get("principal"), found.id).catch(() => undefined));
      };
      return { status: 200, body: await importPlan(tx, c.get("act"), c.req.valid("json"), visible) };
    }),
  );
  app.openapi(readPolicy, async (c) => {
    const policy = await planPolicy(deps.db);
    return c.json(policy, 200, { etag: etag(policy.revision) });
  });
  app.openapi(writePolicy, async (c) => {
    const policy = await deps.db.transaction().execute((tx) => setPlanPolicy(tx, c.get("act"), c.req.valid("json"), (revision) => requireMatch(c, revision)));
    return c.json(policy, 200, { etag: etag(policy.revision) });
  });
}
