/** Which departments an answer may speak of. */
import { type Db } from "../store/database.ts";
import { subtreeOf, visibleDepartment, visibleDepartments } from "../store/departments.ts";
import type { Principal } from "./deps.ts";

/** Ids named by the query, within what the principal may see; undefined: all. @throws Refusal not-found */
export async function departmentsAsked(db: Db, principal: Principal, department: string | undefined, subtree = false): Promise<string[] | undefined> {
  if (department === undefined) return visibleDepartments(db, principal);
  const { id } = await visibleDepartment(db, principal, department);
  return subtree ? subtreeOf(db, id) : [id];
}
