/** Uptime intervals of hosts: transitions are stored, not samples. They begin with the first reading of a live host, touch and never overlap. */
import { sql } from "kysely";
import type { Act } from "./act.ts";
import type { Tx } from "./database.ts";
import { newId } from "./ids.ts";

export type UptimeState = "up" | "down" | "unknown" | "stopped" | "maintenance";

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
