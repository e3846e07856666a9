/** What departments held and used: from allocation and uptime intervals, in a fixed number of statements however many departments there are. */
import { sql } from "kysely";
import type { DepartmentUsage } from "../contract/usage.ts";
import type { Dimension } from "../contract/common.ts";
import { borrowedOf } from "../domain/ledger.ts";
import type { Db } from "./database.ts";
import { countedUptime } from "./uptime.ts";

export interface UsageAsk {
  /** Departments of the answer, in its order; see departments.ts for who may see which. */
  departmentIds: readonly string[];
  from: Date;
  to: Date;
}

type Sums = Partial<Record<Dimension, number>>;

export async function usage(db: Db, { departmentIds, from, to }: UsageAsk): Promise<DepartmentUsage[]> {
  if (departmentIds.length === 0) return [];
  const ids = sql.val(departmentIds);
  const departments = await sql<{ id: string; code: string; name_zh: string; name_en: string; level: string; parent_id: string | null; children: number }>`
    select d.id, d.code, d.name_zh, d.name_en, d.level, d.parent_id, (select count(*) from departments c where c.parent_id = d.id) as children from departments d where d.id = any(${ids}::text[])`.execute(
    db,
  );
  const held = await sql<{ department_id: string; meter: Dimension; own: number; tree: number; own_seconds: number; tree_seconds: number }>`
    select a.ancestor_id as department_id, i.meter,
      coalesce(sum(i.held) filter (where a.distance = 0), 0)::float8 as own, sum(i.held)::float8 as tree,
      coalesce(sum(i.seconds) filter (where a.distance = 0), 0)::float8 as own_seconds, sum(i.seconds)::float8 as tree_seconds
    from (select department_id, meter, sum(case when from_at <= ${to} and (to_at is null or to_at > ${to}) then quantity else 0 end) as held,
        sum(quantity * greatest(0, extract(epoch from least(coalesce(to_at, ${to}), ${to}) - greatest(from_at, ${from})))) as seconds
      from allocations where from_at <= ${to} and (to_at is null or to_at > ${from}) group by 1, 2) i
    join department_ancestors a on a.department_id = i.department_id where a.ancestor_id = any(${ids}::text[]) group by 1, 2`.execute(db);
  const quotas = await sql<{
    department_id: string;
    dimension: Dimension;
    limit_value: number | null;
    soft_limit: number | null;
    reserved: number;
    used: number;
  }>`
    select department_id, dimension, limit_value, soft_limit, reserved, used from quota_accounts where level = 0 and department_id = any(${ids}::text[]) order by dimension`.execute(
    db,
  );
  const hosts = await sql<{ department_id: string; state: string; n: number }>`
    select a.ancestor_id as department_id, r.observed_state as state, count(*) as n from resources r join department_ancestors a on a.department_id = r.department_id
    where r.kind = 'host' and r.phase = 'live' and a.ancestor_id = any(${ids}::text[]) group by 1, 2`.execute(db);
  const backups = await sql<{ department_id: string; n: number; bytes: number; last: Date | null }>`
    select a.ancestor_id as department_id, count(*) as n, coalesce(sum(b.size_bytes), 0)::bigint as bytes, max(b.completed_at) as last
    from backups b join department_ancestors a on a.department_id = b.department_id where b.state = 'complete' and a.ancestor_id = any(${ids}::text[]) group by 1`.execute(
    db,
  );
  const uptime = await sql<{ department_id: string; up: number; counted: number; maintenance: number }>`
    select a.ancestor_id as department_id, sum(i.up)::float8 as up, sum(i.counted)::float8 as counted, sum(i.maintenance)::float8 as maintenance
    from (select department_id, coalesce(sum(seconds) filter (where state = 'up'), 0) as up, coalesce(sum(seconds) filter (where state in ('up', 'down', 'unknown')), 0) as counted,
        coalesce(sum(seconds) filter (where state = 'maintenance'), 0) as maintenance
      from ${countedUptime(from, to)} x group by 1) i
    join department_ancestors a on a.department_id = i.department_id where a.ancestor_id = any(${ids}::text[]) group by 1`.execute(db);

  const group = <T extends { department_id: string }>(rows: readonly T[]) => Map.groupBy(rows, (row) => row.department_id);
  const [byHeld, byQuota, byHosts] = [group(held.rows), group(quotas.rows), group(hosts.rows)];
  const byBackups = new Map(backups.rows.map((row) => [row.department_id, row]));
  const byUptime = new Map(uptime.rows.map((row) => [row.department_id, row]));
  const order = new Map(departmentIds.map((id, index) => [id, index]));
  return departments.rows
    .toSorted((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0))
    .map((department) => {
      const meters = byHeld.get(department.id) ?? [];
      const pick = (key: "own" | "tree" | "own_seconds" | "tree_seconds"): Sums =>
        Object.fromEntries(meters.filter((row) => row[key] > 0).map((row) => [row.meter, Math.floor(row[key])]));
      const backup = byBackups.get(department.id);
      const time = byUptime.get(department.id);
      return {
        department: department.id,
        code: department.code,
        nameZh: department.name_zh,
        nameEn: department.name_en,
        level: department.level,
        parent: department.parent_id,
        children: department.children,
        own: pick("own"),
        tree: pick("tree"),
        ownSeconds: pick("own_seconds"),
        treeSeconds: pick("tree_seconds"),
        quota: (byQuota.get(department.id) ?? []).map((row) => ({
          dimension: row.dimension,
          limit: row.limit_value,
          softLimit: row.soft_limit,
          borrowed: borrowedOf(row),
          reserved: row.reserved,
          used: row.used,
        })),
        hostsByState: Object.fromEntries((byHosts.get(department.id) ?? []).map((row) => [row.state, row.n])),
        backups: { count: backup?.n ?? 0, bytes: backup?.bytes ?? 0, lastSuccessAt: backup?.last?.toISOString() ?? null },
        uptimeSeconds: time?.up ?? 0,
        maintenanceSeconds: time?.maintenance ?? 0,
        uptimeRatio: time && time.counted > 0 ? Math.min(1, time.up / time.counted) : null,
      };
    });
}
