/** What departments have on the machines of a server or cluster, as the database knows it. */
import { sql } from "kysely";
import { groupOf, type HostSpec, serverOf, storageOf, type VolumeSpec } from "../../infra/spec.ts";
import type { ClusterPool } from "../domain/cluster.ts";
import type { Db } from "./database.ts";
import type { Endpoint } from "./images.ts";

/** A host or volume that is there, or is to be. */
export interface HeldThing {
  id: string;
  kind: "host" | "volume";
  name: string;
  phase: string;
  observedState: string;
  poolId: string;
  department: string;
  departmentZh: string;
  departmentEn: string;
  /** Its department's id, and those above it. */
  departments: string[];
  application: string;
  applicationName: string;
  level: number;
  zone: "extranet" | "internet";
  apart: "preferred" | "required";
  wanted: HostSpec | VolumeSpec;
  /** Where it was seen last. */
  member: string | null;
  /** Of a volume: the host that it is attached to. */
  attachedTo: string | null;
}
export type ServerPool = ClusterPool & Endpoint;

/** The pools of the server (`serverOf`) behind an endpoint. */
export async function poolsAt(db: Db, at: Endpoint): Promise<ServerPool[]> {
  const rows = await db.selectFrom("pools").selectAll().orderBy("code").execute();
  return rows
    .filter((row) => serverOf(row) === serverOf(at))
    .map((row) => ({
      id: row.id,
      code: row.code,
      kind: row.kind,
      tier: row.tier,
      securityLevel: row.security_level,
      zone: row.zone,
      dedicatedTo: row.dedicated_department === null ? null : { department: row.dedicated_department, application: row.dedicated_application },
      state: row.state,
      overcommitPercent: row.overcommit_percent,
      group: groupOf(row),
      storage: storageOf(row),
      ...(row.shared_storage === null ? {} : { shared: row.shared_storage }),
      driver: row.driver,
      endpoint: row.endpoint,
    }));
}
/** Each once, however many pools it has. */
export const endpointsAt = (pools: readonly ServerPool[]): Endpoint[] => [
  ...new Map(pools.map(({ driver, endpoint }) => [`${driver} ${endpoint}`, { driver, endpoint }])).values(),
];
/** One endpoint of each server. */
export async function servers(db: Db): Promise<Endpoint[]> {
  const rows = await db.selectFrom("pools").select(["driver", "endpoint"]).where("state", "<>", "closed").orderBy("code").execute();
  return [...new Map(rows.toReversed().map((row) => [serverOf(row), row])).values()].toReversed();
}

/** Everything of departments in these pools. */
export async function thingsIn(db: Db, poolIds: readonly string[]): Promise<HeldThing[]> {
  if (poolIds.length === 0) return [];
  const { rows } = await sql<HeldThing>`
    select r.id, r.kind, r.name, r.phase, r.observed_state as "observedState", r.pool_id as "poolId", r.department_id as department,
      d.name_zh as "departmentZh", d.name_en as "departmentEn", r.application_id as application, a.name as "applicationName",
      (select array_agg(u.ancestor_id) from department_ancestors u where u.department_id = r.department_id) as departments,
      a.protection_level as level, a.zone, a.anti_affinity as apart, r.wanted, r.member,
      (select t.wanted->>'host' from resources t where t.kind = 'attachment' and t.phase in ('wanted', 'live', 'retiring')
        and t.application_id = r.application_id and t.wanted->>'volume' = r.id limit 1) as "attachedTo"
    from resources r join departments d on d.id = r.department_id join applications a on a.id = r.application_id
    where r.kind in ('host', 'volume') and r.phase in ('wanted', 'live', 'retiring') and r.pool_id = any(${sql.val([...poolIds])}::text[])
    order by r.id`.execute(db);
  return rows;
}

/** What it was given; of a volume its room only. */
export function sizeOf(one: HeldThing): { vcpu: number | null; memoryMib: number | null; sizeGib: number } {
  if (one.kind === "volume") return { vcpu: null, memoryMib: null, sizeGib: (one.wanted as VolumeSpec).sizeGib };
  const { vcpu, memoryMib, diskGib } = (one.wanted as HostSpec).flavour;
  return { vcpu, memoryMib, sizeGib: diskGib };
}
