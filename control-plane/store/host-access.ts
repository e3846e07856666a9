/** By what right somebody enters a host, asked of the database: always anew, so that what was taken away is gone at once. */
import { type HeldBinding, type Place, type Right, rightsTo } from "../domain/host-access.ts";
import { notFound } from "../domain/refusal.ts";
import type { Db } from "./database.ts";
import { ancestorsOf, requireVisible, type Viewer } from "./departments.ts";
import { bindingsOf } from "./subjects.ts";

export interface HostPlace extends Place {
  name: string;
  departmentId: string;
  driver: string;
  endpoint: string;
}

/** Of a host that is there. @throws Refusal not-found for one that isn't, or that the viewer may not see */
export async function placeOf(db: Db, viewer: Viewer, hostId: string): Promise<HostPlace> {
  const row = await db
    .selectFrom("resources as r")
    .innerJoin("pools as p", "p.id", "r.pool_id")
    .select(["r.name", "r.department_id", "r.application_id", "p.driver", "p.endpoint"])
    .where("r.id", "=", hostId)
    .where("r.kind", "=", "host")
    .where("r.phase", "in", ["live", "retiring"])
    .executeTakeFirst();
  if (!row) throw notFound("host", hostId);
  await requireVisible(db, viewer, row.department_id, "host", hostId);
  const { name, driver, endpoint, department_id: departmentId, application_id: applicationId } = row;
  return { hostId, applicationId, departmentId, departments: await ancestorsOf(db, departmentId), name, driver, endpoint };
}

/** What somebody holds, with the bindings' ids; undefined: they may not sign in. */
export async function heldWithIds(db: Db, person: string, now: Date): Promise<HeldBinding[] | undefined> {
  if (!(await bindingsOf(db, person, now))) return undefined;
  const rows = await db.selectFrom("role_bindings").selectAll().where("subject_id", "=", person).where("revoked_at", "is", null).execute();
  return rows.map((row) => ({
    id: row.id,
    role: row.role,
    kind: row.kind,
    department: row.department_id,
    validFrom: row.valid_from,
    validUntil: row.valid_until,
    period: null,
  }));
}

/** By what rights, the best first. */
export async function rightsNow(db: Db, person: string, place: Place, now: Date): Promise<Right[]> {
  const held = await heldWithIds(db, person, now);
  if (!held) return [];
  const consents = await db
    .selectFrom("consents")
    .selectAll()
    .where("application_id", "=", place.applicationId)
    .where("state", "=", "granted")
    .where("valid_until", ">", now)
    .orderBy("id", "desc")
    .execute();
  const given = consents.map((row) => ({
    id: row.id,
    departmentId: row.department_id,
    hostId: row.host_id,
    applicationId: row.application_id,
    granteeId: row.grantee_id,
    state: row.state,
    askedAt: row.asked_at,
    validUntil: row.valid_until,
  }));
  return rightsTo(person, held, place, given, now);
}
