/** Business systems (业务系统): what hosts are for. */
import type { Selectable } from "kysely";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { Applications } from "./schema.ts";

export type ApplicationRow = Selectable<Applications>;
export type ApplicationAsk = Pick<
  ApplicationRow,
  "department_id" | "project_id" | "code" | "name" | "contact" | "protection_level" | "filing_number" | "zone"
> &
  Partial<Pick<ApplicationRow, "anti_affinity">>;

export async function getApplication(db: Db, id: string): Promise<ApplicationRow | undefined> {
  return db.selectFrom("applications").selectAll().where("id", "=", id).executeTakeFirst();
}

/** The lock of all that it has: requests on it are looked at by one transaction at a time. */
export async function lockApplication(tx: Tx, id: string): Promise<ApplicationRow> {
  return tx.selectFrom("applications").selectAll().where("id", "=", id).forNoKeyUpdate().executeTakeFirstOrThrow();
}

/** @param ask.departmentIds left out: all */
export async function listApplications(db: Db, ask: PageAsk & { departmentIds?: string[] | undefined }): Promise<Page<ApplicationRow>> {
  let query = db.selectFrom("applications").selectAll();
  if (ask.departmentIds) query = query.where("department_id", "in", ask.departmentIds);
  return page(query, { limit: ask.limit, cursor: ask.cursor, by: "id" });
}

/** @throws Refusal when the code is taken within the department, or the project is another department's */
export async function createApplication(tx: Tx, act: Act, ask: ApplicationAsk): Promise<ApplicationRow> {
  const project = await tx.selectFrom("projects").select("department_id").where("id", "=", ask.project_id).executeTakeFirst();
  if (project?.department_id !== ask.department_id) {
    throw new Refusal("rule-broken", "An application belongs to a project of its own department.", {
      errors: [{ pointer: "/project", detail: "is not a project of this department" }],
    });
  }
  const row = await tx
    .insertInto("applications")
    .values({ id: newId("app", act.now), ...ask, created_at: act.now, updated_at: act.now })
    .onConflict((on) => on.columns(["department_id", "code"]).doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row)
    throw new Refusal("conflict", `The department has an application with the code "${ask.code}" already.`, {
      errors: [{ pointer: "/code", detail: "is taken" }],
    });
  await appendAudit(tx, act, { action: "application.create", subjectKind: "application", subjectId: row.id, departmentId: row.department_id, after: ask });
  return row;
}

export type ApplicationPatch = Partial<Pick<ApplicationRow, "name" | "contact" | "filing_number" | "anti_affinity">>;

/** @param check is given the revision as it is now, the row being locked; throws to refuse */
export async function changeApplication(tx: Tx, act: Act, id: string, patch: ApplicationPatch, check: (revision: number) => void): Promise<ApplicationRow> {
  const before = await tx.selectFrom("applications").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!before) throw notFound("application", id);
  check(before.revision);
  const after = await tx
    .updateTable("applications")
    .set({ ...patch, revision: before.revision + 1, updated_at: act.now })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, { action: "application.change", subjectKind: "application", subjectId: id, departmentId: after.department_id, before, after });
  return after;
}
