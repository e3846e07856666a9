/**
 * Uptime intervals of hosts: transitions are stored, not samples. They begin with the first reading of a live host, touch and never overlap.
 * They say what was seen. What of it counts as maintenance is computed from the windows, and from restarts that were agreed to, whenever it is asked, so that a window has exactly its own borders.
 */
import { type RawBuilder, sql } from "kysely";
import type { Act } from "./act.ts";
import type { Tx } from "./database.ts";
import { newId } from "./ids.ts";

export type UptimeState = "up" | "down" | "unknown" | "stopped";
/** As it counts: down or unknown within a maintenance window, or in a restart that its owner agreed to, is maintenance. */
export type CountedState = UptimeState | "maintenance";

/**
 * A subquery: the intervals within [from, to) as they count, with `resource_id`, `department_id`, `state`, `from_at`, `to_at` and `seconds`. They touch where the
 * stored ones do, and never overlap; several windows at once are as good as one.
 * @param only of the stored intervals `u`
 */
export function countedUptime(from: Date, to: Date, only: RawBuilder<boolean> = sql`true`): RawBuilder<unknown> {
  const seen = sql`select u.resource_id, u.department_id, u.state, tstzmultirange(tstzrange(greatest(u.from_at, ${from}::timestamptz), least(coalesce(u.to_at, ${to}::timestamptz), ${to}::timestamptz))) as span
    from uptime_intervals u where u.from_at < ${to} and (u.to_at is null or u.to_at > ${from}) and ${only}`;
  const held = sql`select x.resource_id, range_agg(x.span) as span from (
    select h.resource_id, tstzrange(greatest(w.from_at, h.since), least(w.to_at, h.until)) as span
      from maintenance_hosts h join maintenance_windows w on w.id = h.window_id
      where w.from_at < ${to} and w.to_at > ${from} and greatest(w.from_at, h.since) < least(w.to_at, h.until)
    union all select p.resource_id, tstzrange(p.from_at, p.to_at) from planned_restarts p where p.from_at < ${to} and p.to_at > ${from}) x group by 1`;
  return sql`(select p.resource_id, p.department_id, p.state, lower(r) as from_at, upper(r) as to_at, extract(epoch from upper(r) - lower(r)) as seconds
    from (select s.resource_id, s.department_id, s.state, s.span - coalesce(m.span, '{}') as span from (${seen}) s left join (${held}) m
        on m.resource_id = s.resource_id and s.state in ('down', 'unknown')
      union all select s.resource_id, s.department_id, 'maintenance', s.span * m.span from (${seen}) s join (${held}) m
        on m.resource_id = s.resource_id and s.state in ('down', 'unknown')) p
    cross join lateral unnest(p.span) r)`;
}

/** Which uptime an observed state counts for: stopped by its owner is no downtime. */
export function uptimeOf(state: string, power: "running" | "stopped"): UptimeState {
  if (state === "running") return "up";
  if (state === "unknown") return "unknown";
  return power === "stopped" ? "stopped" : "down";
}

/** These hosts are in this state from now on; where one is so already, its interval goes on. */
export async function turnUptime(tx: Tx, act: Act, hosts: readonly { id: string; department_id: string; state: UptimeState }[]): Promise<void> {
  if (hosts.length === 0) return;
  const open = await tx
    .selectFrom("uptime_intervals")
    .select(["resource_id", "state"])
    .where(
      "resource_id",
      "in",
      hosts.map((host) => host.id),
    )
    .where("to_at", "is", null)
    .execute();
  const states = new Map(open.map((row) => [row.resource_id, row.state]));
  const turned = hosts.filter((host) => states.get(host.id) !== host.state);
  await closeUptime(
    tx,
    act,
    turned.map((host) => host.id),
  );
  await insert(tx, act, turned);
}

export async function closeUptime(tx: Tx, act: Act, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await tx
    .updateTable("uptime_intervals")
    .set({ to_at: sql<Date>`greatest(from_at, ${act.now}::timestamptz)` })
    .where("resource_id", "in", [...ids])
    .where("to_at", "is", null)
    .execute();
}

async function insert(tx: Tx, act: Act, hosts: readonly { id: string; department_id: string; state: UptimeState }[]): Promise<void> {
  if (hosts.length === 0) return;
  const ended = await sql<{
    resource_id: string;
    at: Date;
  }>`select resource_id, max(to_at) as at from uptime_intervals where resource_id = any(${sql.val(hosts.map((host) => host.id))}::text[]) group by 1`.execute(
    tx,
  );
  const floor = new Map(ended.rows.map((row) => [row.resource_id, row.at?.getTime() ?? 0]));
  await tx
    .insertInto("uptime_intervals")
    .values(
      hosts.map((host) => ({
        id: newId("upt", act.now),
        resource_id: host.id,
        department_id: host.department_id,
        state: host.state,
        from_at: new Date(Math.max(act.now.getTime(), floor.get(host.id) ?? 0)),
      })),
    )
    .execute();
}

/** Hosts that pass to another department: in the same state, from this moment on counted there. */
export async function passUptime(tx: Tx, act: Act, ids: readonly string[], departmentId: string): Promise<void> {
  if (ids.length === 0) return;
  const open = await tx
    .selectFrom("uptime_intervals")
    .select(["resource_id as id", "state"])
    .where("resource_id", "in", [...ids])
    .where("to_at", "is", null)
    .execute();
  await closeUptime(tx, act, ids);
  await insert(
    tx,
    act,
    open.map((one) => ({ ...one, department_id: departmentId })),
  );
}
