/** Items of departments' annual project plans (项目). */
import type { Selectable } from "kysely";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { Projects } from "./schema.ts";

export type ProjectRow = Selectable<Projects>;
export type ProjectAsk = Pick<ProjectRow, "department_id" | "code" | "name" | "fiscal_year" | "budget_fen" | "stage">;

export async function getProject(db: Db, id: string): Promise<ProjectRow | undefined> {
  return db.selectFrom("projects").selectAll().where("id", "=", id).executeTakeFirst();
}

/** @param ask.departmentIds left out: all */
export async function listProjects(db: Db, ask: PageAsk & { departmentIds?: string[] | undefined }): Promise<Page<ProjectRow>> {
  let query = db.selectFrom("projects").selectAll();
  if (ask.departmentIds) query = query.where("department_id", "in", ask.departmentIds);
  return page(query, { limit: ask.limit, cursor: ask.cursor, by: "id" });
}

/** @throws Refusal("conflict") when the department has a project with that code */
export async function createProject(tx: Tx, act: Act, ask: ProjectAsk): Promise<ProjectRow> {
  const row = await tx
    .insertInto("projects")
    .values({ id: newId("prj", act.now), ...ask, created_at: act.now, updated_at: act.now })
    .onConflict((on) => on.columns(["department_id", "code"]).doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row)
    throw new Refusal("conflict", `The department has a project with the code "${ask.code}" already.`, { errors: [{ pointer: "/code", detail: "is taken" }] });
  await appendAudit(tx, act, { action: "project.create", subjectKind: "project", subjectId: row.id, departmentId: row.department_id, after: ask });
  return row;
}

export type ProjectPatch = Partial<Pick<ProjectRow, "name" | "budget_fen" | "stage">>;

/** @param check is given the revision as it is now, the row being locked; throws to refuse */
export async function changeProject(tx: Tx, act: Act, id: string, patch: ProjectPatch, check: (revision: number) => void): Promise<ProjectRow> {
  const before = await tx.selectFrom("projects").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!before) throw notFound("project", id);
  check(before.revision);
  const after = await tx
    .updateTable("projects")
    .set({ ...patch, revision: before.revision + 1, updated_at: act.now })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, { action: "project.change", subjectKind: "project", subjectId: id, departmentId: after.department_id, before, after });
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
