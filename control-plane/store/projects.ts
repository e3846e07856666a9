/** Projects of departments' annual plans (年度项目计划): filed, changed while they are, and taken from stage to stage. */
import { type Selectable, sql } from "kysely";
import type { NewFund, ProjectAdvance, ProjectStage, Supervisor } from "../contract/projects.ts";
import { isFunded, nextStage, type Stepper, supervisorMissing } from "../domain/project-stages.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvent } from "./events.ts";
import { passToFund } from "./fund-charges.ts";
import { setFunds } from "./funds.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { planPolicy } from "./plan-policy.ts";
import type { Projects, ProjectSteps } from "./schema.ts";

export type ProjectRow = Selectable<Projects>;
export type ProjectStepRow = Selectable<ProjectSteps>;
export interface ProjectAsk extends Pick<ProjectRow, "department_id" | "code" | "name" | "fiscal_year" | "budget_fen"> {
  supervisor?: Supervisor | null;
  /** Left out: filed. Others are for what was decided elsewhere. */
  stage?: ProjectStage;
  /** For a stage that has funds. None: the budget is the fund of its fiscal year. */
  funds?: readonly NewFund[];
}

export async function getProject(db: Db, id: string): Promise<ProjectRow | undefined> {
  return db.selectFrom("projects").selectAll().where("id", "=", id).executeTakeFirst();
}

export interface ProjectFilter extends PageAsk {
  /** Left out: all. */
  departmentIds?: string[] | undefined;
  stage?: ProjectStage | undefined;
  fiscalYear?: number | undefined;
}

export async function listProjects(db: Db, ask: ProjectFilter): Promise<Page<ProjectRow>> {
  let query = db.selectFrom("projects").selectAll();
  if (ask.departmentIds) query = query.where("department_id", "in", ask.departmentIds);
  if (ask.stage) query = query.where("stage", "=", ask.stage);
  if (ask.fiscalYear) query = query.where("fiscal_year", "=", ask.fiscalYear);
  return page(query, { limit: ask.limit, cursor: ask.cursor, by: "id" });
}

/** What was decided about a project, newest first. */
export async function listSteps(db: Db, projectId: string, ask: PageAsk): Promise<Page<ProjectStepRow>> {
  return page(db.selectFrom("project_steps").selectAll().where("project_id", "=", projectId), { ...ask, by: "id", descending: true });
}

const jsonOf = (value: unknown) => (value === null ? null : JSON.stringify(value));

/** @throws Refusal("conflict") when the department has a project with that code */
export async function createProject(tx: Tx, act: Act, ask: ProjectAsk): Promise<ProjectRow> {
  const { supervisor = null, stage = "filed", funds = [], ...own } = ask;
  const row = await tx
    .insertInto("projects")
    .values({ id: newId("prj", act.now), ...own, stage, supervisor: jsonOf(supervisor), filed_by: act.actor, created_at: act.now, updated_at: act.now })
    .onConflict((on) => on.columns(["department_id", "code"]).doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row)
    throw new Refusal("conflict", `The department has a project with the code "${ask.code}" already.`, { errors: [{ pointer: "/code", detail: "is taken" }] });
  await appendAudit(tx, act, { action: "project.create", subjectKind: "project", subjectId: row.id, departmentId: row.department_id, after: ask });
  if (!isFunded(stage)) return row;
  return fund(tx, act, row, fundsOr(stage, ask.fiscal_year, ask.budget_fen, funds));
}

/** The funds that are meant where none are named. */
export function fundsOr(stage: ProjectStage, fiscalYear: number, amountFen: number, funds: readonly NewFund[]): readonly NewFund[] {
  return funds.length > 0 ? funds : [{ kind: stage === "approved" ? "construction" : "operating", fiscalYear, amountFen }];
}

/** Sets funds of a locked project; its budget is their sum. @throws Refusal rule-broken without the supervisor that the sum needs */
async function fund(tx: Tx, act: Act, row: ProjectRow, funds: readonly NewFund[]): Promise<ProjectRow> {
  const sum = await setFunds(tx, act, row.id, funds);
  const missing = supervisorMissing(row.supervisor, sum, (await planPolicy(tx)).supervisorThresholdFen);
  if (missing.length > 0) throw new Refusal("rule-broken", missing[0]!, { errors: [{ pointer: "/supervisor", detail: missing[0]! }] });
  return tx.updateTable("projects").set({ budget_fen: sum }).where("id", "=", row.id).returningAll().executeTakeFirstOrThrow();
}

export interface ProjectPatch {
  name?: string | undefined;
  budget_fen?: number | undefined;
  supervisor?: Supervisor | null | undefined;
}

/** @param check is given the project as it is now, the row being locked; throws to refuse */
async function lockProject(tx: Tx, id: string, check: (revision: number) => void): Promise<ProjectRow> {
  const row = await tx.selectFrom("projects").selectAll().where("id", "=", id).forNoKeyUpdate().executeTakeFirst();
  if (!row) throw notFound("project", id);
  check(row.revision);
  return row;
}

/**
 * @param check is given the revision as it is now, the row being locked; throws to refuse
 * @throws Refusal conflict for a budget once it is reviewed, rule-broken for taking away the supervisor that it needs
 */
export async function changeProject(tx: Tx, act: Act, id: string, patch: ProjectPatch, check: (revision: number) => void): Promise<ProjectRow> {
  const before = await lockProject(tx, id, check);
  const { supervisor, ...plain } = patch;
  if (plain.budget_fen !== undefined && plain.budget_fen !== before.budget_fen && before.stage !== "filed")
    throw new Refusal("conflict", `The project is ${before.stage}: its budget changes by its funds, or after it was returned.`, {
      errors: [{ pointer: "/budgetFen", detail: "is settled" }],
    });
  if (supervisor === null && isFunded(before.stage)) {
    const missing = supervisorMissing(null, before.budget_fen, (await planPolicy(tx)).supervisorThresholdFen);
    if (missing.length > 0) throw new Refusal("rule-broken", missing[0]!, { errors: [{ pointer: "/supervisor", detail: missing[0]! }] });
  }
  const after = await tx
    .updateTable("projects")
    .set({ ...plain, ...(supervisor === undefined ? {} : { supervisor: jsonOf(supervisor) }), revision: before.revision + 1, updated_at: act.now })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, { action: "project.change", subjectKind: "project", subjectId: id, departmentId: after.department_id, before, after });
  return after;
}

/** Sets one fund of a project that has funds: more money, or a new year's. @throws Refusal conflict, rule-broken */
export async function changeFunds(
  tx: Tx,
  act: Act,
  id: string,
  funds: readonly NewFund[],
  reason: string,
  check: (revision: number) => void,
): Promise<ProjectRow> {
  const before = await lockProject(tx, id, check);
  if (!isFunded(before.stage) || before.stage === "closed") throw new Refusal("conflict", `A project that is ${before.stage} has no funds to set.`);
  const { budget_fen } = await fund(tx, act, before, funds);
  const after = await tx
    .updateTable("projects")
    .set({ revision: before.revision + 1, updated_at: act.now })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "project.fund",
    subjectKind: "project",
    subjectId: id,
    departmentId: before.department_id,
    before: { budgetFen: before.budget_fen },
    after: { budgetFen: budget_fen, funds, reason },
  });
  return after;
}

/**
 * Takes a project to its next stage. What runs under one that is accepted is paid from its operating fund from now on.
 * @throws Refusal conflict, forbidden, self-approval, invalid-body, rule-broken (domain/project-stages.ts)
 */
export async function advanceProject(
  tx: Tx,
  act: Act,
  id: string,
  step: ProjectAdvance,
  roles: Stepper["roles"],
  check: (revision: number) => void,
): Promise<ProjectRow> {
  const before = await lockProject(tx, id, check);
  if (step.funds.length > 0) await setFunds(tx, act, id, step.funds);
  const { rows } = await sql<{ budget: number; resources: number }>`
    select (select coalesce(sum(amount_fen), 0)::bigint from project_funds where project_id = ${id}) as budget,
      (select count(*)::int from resources where project_id = ${id} and phase in ('proposed', 'wanted', 'live', 'retiring')) as resources`.execute(tx);
  const { budget, resources } = rows[0]!;
  const { supervisorThresholdFen } = await planPolicy(tx);
  const standing = { stage: before.stage, filedBy: before.filed_by, supervisor: before.supervisor, budgetFen: budget, resources };
  const stage = nextStage(standing, step, { actor: act.actor, roles }, supervisorThresholdFen);
  const missing = isFunded(stage) && stage !== "closed" ? supervisorMissing(before.supervisor, budget, supervisorThresholdFen) : [];
  if (missing.length > 0) throw new Refusal("rule-broken", missing[0]!, { errors: [{ pointer: "/funds", detail: missing[0]! }] });
  const after = await tx
    .updateTable("projects")
    .set({ stage, ...(isFunded(stage) && stage !== "closed" ? { budget_fen: budget } : {}), revision: before.revision + 1, updated_at: act.now })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (isFunded(stage) && stage !== "closed") await passToFund(tx, act, id);
  await tx
    .insertInto("project_steps")
    .values({
      id: newId("pst", act.now),
      project_id: id,
      event: step.event,
      from_stage: before.stage,
      to_stage: stage,
      reason: step.reason,
      evidence: JSON.stringify(step.evidence),
      opinions: JSON.stringify(step.opinions),
      funds: JSON.stringify(step.funds),
      actor: act.actor,
      role: act.role,
      at: act.now,
    })
    .execute();
  await appendAudit(tx, act, {
    action: `project.${step.event}`,
    subjectKind: "project",
    subjectId: id,
    departmentId: before.department_id,
    before: { stage: before.stage, budgetFen: before.budget_fen },
    after: { stage, budgetFen: after.budget_fen, reason: step.reason, evidence: step.evidence, opinions: step.opinions, funds: step.funds },
  });
  await appendEvent(tx, {
    at: act.now,
    departmentId: before.department_id,
    requestId: null,
    type: `project.${stage}`,
    subjectId: id,
    data: { code: before.code, name: before.name, stage },
  });
  return after;
}

/** A department's project by id or code. @throws Refusal("not-found") */
export async function resolveProject(db: Db, departmentId: string, idOrCode: string): Promise<ProjectRow> {
  const row = await db
    .selectFrom("projects")
    .selectAll()
    .where("department_id", "=", departmentId)
    .where((eb) => eb.or([eb("id", "=", idOrCode), eb("code", "=", idOrCode)]))
    .executeTakeFirst();
  if (!row) throw notFound("project", idOrCode);
  return row;
}
