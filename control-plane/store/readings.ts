/** What the observer saw: only transitions are written. */
import { sql } from "kysely";
import type { Act } from "./act.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvents } from "./events.ts";
import { finishRequests } from "./finishing.ts";
import { endPlanned } from "./restarts.ts";
import { settleUnreachable } from "./losses.ts";
import { turnUptime, uptimeOf } from "./uptime.ts";

/** State of a thing by name (its resource id), as a driver reported it. A name that a readable endpoint didn't report is missing. */
export interface Seen {
  name: string;
  state: string;
  physicalId?: string;
  /** The member that it is on, where there is more than one. */
  member?: string | undefined;
  /** It is on a member that doesn't answer: nothing else is known of it. */
  unreachable?: boolean;
}
export interface Transition {
  id: string;
  department_id: string;
  kind: "host" | "volume";
  name: string;
  from: string;
  to: string;
  power: "running" | "stopped";
  physicalId: string | null;
  /** Null: not seen. */
  member: string | null;
  /** Whether its member doesn't answer; null: its endpoint could not be read, which says nothing of its member. */
  unreachable: boolean | null;
}

const readingsLock = 7_302_201;
/** Two control planes that see one transition write it once: the second compares with what the first has written. */
export async function lockReadings(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${sql.lit(readingsLock)})`.execute(tx);
}

/** Compares a reading of some pools with what was seen last. One select, no writes: the usual case ends here. */
export async function transitionsOf(db: Db, poolIds: readonly string[], seen: readonly Seen[] | "unreadable"): Promise<Transition[]> {
  if (poolIds.length === 0) return [];
  const known = await db
    .selectFrom("resources")
    .select(["id", "department_id", "kind", "name", "observed_state", "member", "unreachable_since", sql<"running" | "stopped">`wanted->>'power'`.as("power")])
    .where("kind", "in", ["host", "volume"])
    .where("phase", "in", ["live", "retiring"])
    .where("pool_id", "in", [...poolIds])
    .execute();
  const states = seen === "unreadable" ? undefined : new Map(seen.map((one) => [one.name, one]));
  return known.flatMap((row) => {
    const now = states ? states.get(row.id) : undefined;
    const unreachable = states ? now?.unreachable === true : null;
    const seenAs = states ? (now?.state ?? "missing") : "unknown";
    // Down since its member does not answer: it stays so until something else is known.
    const to = row.observed_state === "down" && unreachable !== false ? "down" : seenAs;
    const turned = unreachable !== null && unreachable !== (row.unreachable_since !== null);
    const moved = now?.member !== undefined && now.member !== row.member;
    if (to === row.observed_state && !moved && !turned) return [];
    return [
      {
        id: row.id,
        department_id: row.department_id,
        kind: row.kind as "host" | "volume",
        name: row.name,
        from: row.observed_state,
        to,
        power: row.power,
        physicalId: now?.physicalId ?? null,
        member: now?.member ?? null,
        unreachable,
      },
    ];
  });
}

/**
 * Writes transitions: states, members, uptime intervals, events; items that waited for a running host become active, and so do their requests.
 * Where a request went back to its approvers for another of its items, what of it runs is active all the same.
 */
export async function recordTransitions(tx: Tx, act: Act, transitions: readonly Transition[]): Promise<void> {
  if (transitions.length === 0) return;
  // What has been out of sight for long was down before it is what it is now.
  await settleUnreachable(
    tx,
    act,
    transitions.map((one) => one.id),
  );
  const { rows } = await sql<{ id: string; department_id: string }>`
    update resources r set observed_state = w.state, observed_at = ${act.now}, physical_id = coalesce(w.physical, r.physical_id), member = coalesce(w.member, r.member),
      unreachable_since = case when w.unreachable is null then r.unreachable_since when w.unreachable then coalesce(r.unreachable_since, ${act.now}) end
    from unnest(${sql.val(transitions.map((one) => one.id))}::text[], ${sql.val(transitions.map((one) => one.to))}::text[], ${sql.val(transitions.map((one) => one.physicalId))}::text[],
      ${sql.val(transitions.map((one) => one.member))}::text[], ${sql.val(transitions.map((one) => one.unreachable))}::boolean[]) as w(id, state, physical, member, unreachable)
    where r.id = w.id and r.phase in ('live', 'retiring') returning r.id, r.department_id`.execute(tx);
  // It may have passed to another department since it was read.
  const departmentOf = new Map(rows.map((row) => [row.id, row.department_id]));
  const hosts = transitions.filter((one) => one.kind === "host");
  await turnUptime(
    tx,
    act,
    hosts.map((one) => ({ id: one.id, department_id: departmentOf.get(one.id) ?? one.department_id, state: uptimeOf(one.to, one.power) })),
  );
  const running = hosts.filter((one) => one.to === "running").map((one) => one.id);
  await endPlanned(tx, act.now, running);
  if (running.length > 0) {
    const moved = await sql<{ department_id: string }>`
      update request_items i set state = 'active' from requests r, resources h
      where r.id = i.request_id and h.id = i.resource_id and h.phase = 'live' and i.state = 'applying' and i.resource_id = any(${sql.val(running)}::text[]) and i.action <> 'retire' and h.wanted = h.applied
      returning r.department_id`.execute(tx);
    for (const departmentId of new Set(moved.rows.map((row) => row.department_id))) await finishRequests(tx, act, departmentId);
  }
  await appendEvents(
    tx,
    transitions.map((one) => ({
      at: act.now,
      departmentId: one.department_id,
      requestId: null,
      type: `${one.kind}.${one.from !== one.to ? one.to : one.unreachable ? "unreachable" : "moved"}`,
      subjectId: one.id,
      data: { name: one.name, from: one.from, to: one.to, ...(one.member === null ? {} : { member: one.member }) },
    })),
  );
}
