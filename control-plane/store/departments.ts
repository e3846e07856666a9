/** The tree of departments (部门). Ancestry is kept as a closure, so that no question about it recurses. */
import { sql, type Selectable } from "kysely";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { ensureAccounts } from "./quotas.ts";
import type { Departments } from "./schema.ts";

export type DepartmentRow = Selectable<Departments>;
export type CountedDepartment = DepartmentRow & { children: number };

/** Who looks: null sees every department, ids their subtrees. */
export interface Viewer {
  nodes: readonly string[] | null;
}

const counted = (db: Db) =>
  db
    .selectFrom("departments")
    .selectAll("departments")
    .select(sql<number>`(select count(*)::int from departments child where child.parent_id = departments.id)`.as("children"));

/** @returns undefined when there is none */
export async function findDepartment(db: Db, idOrCode: string): Promise<DepartmentRow | undefined> {
  return db
    .selectFrom("departments")
    .selectAll()
    .where((eb) => eb.or([eb("id", "=", idOrCode), eb("code", "=", idOrCode)]))
    .orderBy(sql`id = ${idOrCode}`, "desc")
    .executeTakeFirst();
}

/** Chinese names by id. */
export async function departmentNames(db: Db, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db.selectFrom("departments").select(["id", "name_zh"]).where("id", "in", ids).execute();
  return new Map(rows.map((row) => [row.id, row.name_zh]));
}

/** @throws Refusal("not-found") */
export async function resolveDepartment(db: Db, idOrCode: string): Promise<DepartmentRow> {
  const found = await findDepartment(db, idOrCode);
  if (!found) throw notFound("department", idOrCode);
  return found;
}

/** The department that a viewer means. @throws Refusal("not-found") for one that the viewer may not see */
export async function visibleDepartment(db: Db, viewer: Viewer, idOrCode: string): Promise<DepartmentRow> {
  const found = await resolveDepartment(db, idOrCode);
  if (!(await mayView(db, viewer, found.id))) throw notFound("department", idOrCode);
  return found;
}

export async function mayView(db: Db, viewer: Viewer, departmentId: string | null): Promise<boolean> {
  if (viewer.nodes === null) return true;
  if (departmentId === null || viewer.nodes.length === 0) return false;
  if (viewer.nodes.includes(departmentId)) return true;
  const row = await db
    .selectFrom("department_ancestors")
    .select("distance")
    .where("department_id", "=", departmentId)
    .where("ancestor_id", "in", viewer.nodes)
    .executeTakeFirst();
  return row !== undefined;
}

/** @throws Refusal("not-found") unless the viewer may see things of that department */
export async function requireVisible(db: Db, viewer: Viewer, departmentId: string | null, kind: string, reference: string): Promise<void> {
  if (!(await mayView(db, viewer, departmentId))) throw notFound(kind, reference);
}

/** Ids of the department and its ancestors, nearest first. */
export async function ancestorsOf(db: Db, departmentId: string): Promise<string[]> {
  const rows = await db.selectFrom("department_ancestors").select("ancestor_id").where("department_id", "=", departmentId).orderBy("distance").execute();
  return rows.map((row) => row.ancestor_id);
}

/** Ids of the departments and everything below them. */
export async function subtreesOf(db: Db, departmentIds: readonly string[]): Promise<string[]> {
  if (departmentIds.length === 0) return [];
  const below = db.selectFrom("department_ancestors").select("department_id").distinct().where("ancestor_id", "in", departmentIds);
  return (await below.orderBy("department_id").execute()).map((row) => row.department_id);
}
export const subtreeOf = (db: Db, departmentId: string): Promise<string[]> => subtreesOf(db, [departmentId]);

/** Ids that a viewer may see; undefined: all. */
export async function visibleDepartments(db: Db, viewer: Viewer): Promise<string[] | undefined> {
  return viewer.nodes === null ? undefined : subtreesOf(db, viewer.nodes);
}

export async function getDepartment(db: Db, viewer: Viewer, idOrCode: string): Promise<CountedDepartment> {
  const { id } = await visibleDepartment(db, viewer, idOrCode);
  return counted(db).where("departments.id", "=", id).executeTakeFirstOrThrow();
}

export async function listDepartments(db: Db, viewer: Viewer, ask: PageAsk & { parentId?: string | null | undefined }): Promise<Page<CountedDepartment>> {
  let query = counted(db);
  const { nodes } = viewer;
  if (nodes !== null) {
    query = query.where("departments.id", "in", (eb) =>
      eb
        .selectFrom("department_ancestors")
        .select("department_id")
        .where("ancestor_id", "=", sql<string>`any(${nodes}::text[])`),
    );
  }
  if (ask.parentId === null) query = query.where("departments.parent_id", "is", null);
  else if (ask.parentId !== undefined) query = query.where("departments.parent_id", "=", ask.parentId);
  return page(query, { limit: ask.limit, cursor: ask.cursor, by: "departments.id" });
}

export interface DepartmentAsk {
  parentId: string | null;
  code: string;
  nameZh: string;
  nameEn: string;
  level: string;
  line: string | null;
}

/** @throws Refusal("conflict") when the code is taken */
export async function createDepartment(tx: Tx, act: Act, ask: DepartmentAsk): Promise<DepartmentRow> {
  const id = newId("dep", act.now);
  const row = await tx
    .insertInto("departments")
    .values({
      id,
      parent_id: ask.parentId,
      code: ask.code,
      name_zh: ask.nameZh,
      name_en: ask.nameEn,
      level: ask.level,
      line: ask.line,
      created_at: act.now,
      updated_at: act.now,
    })
    .onConflict((on) => on.column("code").doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new Refusal("conflict", `There is a department with the code "${ask.code}" already.`, { errors: [{ pointer: "/code", detail: "is taken" }] });
  await sql`insert into department_ancestors (department_id, ancestor_id, distance)
    select ${id}, ${id}, 0 union all
    select ${id}, ancestor_id, distance + 1 from department_ancestors where department_id = ${ask.parentId}`.execute(tx);
  await ensureAccounts(tx, [id]);
  await appendAudit(tx, act, {
    action: "department.create",
    subjectKind: "department",
    subjectId: id,
    departmentId: id,
    after: { code: row.code, nameZh: row.name_zh },
  });
  return row;
}

export type DepartmentPatch = Partial<Pick<DepartmentRow, "name_zh" | "name_en" | "level" | "line">>;

/** @param check is given the revision as it is now, the row being locked; throws to refuse */
export async function changeDepartment(tx: Tx, act: Act, id: string, patch: DepartmentPatch, check: (revision: number) => void): Promise<DepartmentRow> {
  const before = await tx.selectFrom("departments").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!before) throw notFound("department", id);
  check(before.revision);
  const after = await tx
    .updateTable("departments")
    .set({ ...patch, revision: before.revision + 1, updated_at: act.now })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, { action: "department.change", subjectKind: "department", subjectId: id, departmentId: id, before, after });
  return after;
}
