/** Who is told, asked of the database: by the roles that people hold and by what they may decide. */
import { sql } from "kysely";
import type { Role } from "../contract/roles.ts";
import { type Asked, mayDecide, type Subject } from "../domain/deciding.ts";
import type { Tx } from "./database.ts";

interface Held {
  id: string;
  role: string;
  department: string | null;
}

/** Bindings in force of these roles that cover a node (null: of the whole platform), of those who may sign in. */
async function bindingsAt(tx: Tx, roles: readonly Role[], departmentId: string | null, now: Date): Promise<Held[]> {
  const { rows } = await sql<Held>`
    select b.subject_id as id, b.role, b.department_id as department from role_bindings b
    where b.role = any(${sql.val([...roles])}::text[]) and b.kind <> 'eligible' and b.revoked_at is null
      and b.valid_from <= ${now} and (b.valid_until is null or b.valid_until > ${now})
      and (b.department_id is null or b.department_id in (select ancestor_id from department_ancestors where department_id = ${departmentId}))
      and (exists (select from accounts a where a.id = b.subject_id and a.disabled_at is null)
        or exists (select from tokens t where t.id = b.subject_id and t.revoked_at is null and (t.expires_at is null or t.expires_at > ${now})))
    order by b.subject_id`.execute(tx);
  return rows;
}

/** Whoever holds one of these roles at a department or above it. */
export async function holdersOf(tx: Tx, roles: readonly Role[], departmentId: string | null, now: Date): Promise<string[]> {
  return [...new Set((await bindingsAt(tx, roles, departmentId, now)).map((one) => one.id))];
}

/** Whoever may decide a step now, by the same rule as the inbox. @param subject its departments are filled in here */
export async function decidersOf(
  tx: Tx,
  step: Asked & { role: Role },
  departmentId: string,
  subject: Omit<Subject, "departments">,
  now: Date,
): Promise<string[]> {
  const held = Map.groupBy(await bindingsAt(tx, [step.role], departmentId, now), (one) => one.id);
  if (held.size === 0) return [];
  const standIns = await tx
    .selectFrom("delegations")
    .select(["from_id", "to_id"])
    .where("to_id", "in", [...held.keys()])
    .where("begins_at", "<=", now)
    .where("ends_at", ">", now)
    .where("ended_at", "is", null)
    .execute();
  const departments = [...held.values()].flat().flatMap((one) => (one.department === null ? [] : [one.department]));
  const holder = (id: string) => ({ id, holds: held.get(id) ?? [] });
  return [...held.keys()].filter((id) => {
    const standsInFor = standIns.filter((one) => one.to_id === id).map((one) => holder(one.from_id));
    return !("code" in mayDecide({ ...holder(id), standsInFor }, step, { ...subject, departments }));
  });
}
