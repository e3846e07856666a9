/** What departments have on the machines behind an endpoint, as the database knows it. */
import { sql } from "kysely";
import type { ClusterPool } from "../domain/cluster.ts";
import type { HostSpec, VolumeSpec } from "../../infra/spec.ts";
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
  application: string;
  applicationName: string;
  level: number;
  zone: "extranet" | "internet";
  wanted: HostSpec | VolumeSpec;
  /** Of a volume: the host that it is attached to. */
  attachedTo: string | null;
}

/** The pools of one endpoint. */
export async function poolsAt(db: Db, { driver, endpoint }: Endpoint): Promise<ClusterPool[]> {
  const rows = await db.selectFrom("pools").selectAll().where("driver", "=", driver).where("endpoint", "=", endpoint).orderBy("code").execute();
  return rows.map((row) => ({
    id: row.id,
    code: row.code,
    kind: row.kind,
    tier: row.tier,
    securityLevel: row.security_level,
    zone: row.zone,
    state: row.state,
    overcommitPercent: row.overcommit_percent,
  }));
}

/** Everything of departments in these pools. */
export async function thingsIn(db: Db, poolIds: readonly string[]): Promise<HeldThing[]> {
  if (poolIds.length === 0) return [];
  const { rows } = await sql<HeldThing>`
    select r.id, r.kind, r.name, r.phase, r.observed_state as "observedState", r.pool_id as "poolId", r.department_id as department,
      d.name_zh as "departmentZh", d.name_en as "departmentEn", r.application_id as application, a.name as "applicationName",
      a.protection_level as level, a.zone, r.wanted,
      (select t.wanted->>'host' from resources t where t.kind = 'attachment' and t.phase in ('wanted', 'live', 'retiring')
        and t.application_id = r.application_id and t.wanted->>'volume' = r.id limit 1) as "attachedTo"
    from resources r join departments d on d.id = r.department_id join applications a on a.id = r.application_id
    where r.kind in ('host', 'volume') and r.phase in ('wanted', 'live', 'retiring') and r.pool_id = any(${sql.val([...poolIds])}::text[])
    order by r.id`.execute(db);
  return rows;
}

/** Each once, however many pools it has. */
export const endpointsOf = (db: Db): Promise<Endpoint[]> =>
  db.selectFrom("pools").select(["driver", "endpoint"]).distinct().where("state", "<>", "closed").orderBy("driver").orderBy("endpoint").execute();
