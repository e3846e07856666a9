/** Members of the servers behind pools: written down as they were read, and read for placement with what is on each. */
import { type Selectable, sql } from "kysely";
import { groupOf, serverOf } from "../../infra/spec.ts";
import { type Company, Members, type MemberView } from "../domain/members.ts";
import type { PoolView } from "../domain/placement.ts";
import type { PoolMember } from "../contract/pools.ts";
import type { Db, Tx } from "./database.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { PoolRow } from "./pools.ts";
import type { PoolMembers } from "./schema.ts";

/** As a driver reads it; bytes. */
export interface MemberSeen {
  name: string;
  state: PoolMembers["state"];
  groups: string[];
  message: string;
  vcpu?: number | undefined;
  memory?: { totalBytes: number; freeBytes: number } | undefined;
  disk?: { totalBytes: number; freeBytes: number } | undefined;
}
export type MemberRow = Selectable<PoolMembers>;

/** How old what is written of a member may be while only its free bytes move. */
const refreshMs = 60_000;
const stateOf = (one: Pick<MemberRow, "state" | "groups" | "message" | "vcpu" | "memory_bytes" | "disk_bytes">) =>
  JSON.stringify([one.state, [...one.groups].toSorted(), one.message, one.vcpu, one.memory_bytes, one.disk_bytes]);

/** Whether a reading says something else of an endpoint's members than what is written, or that is old. One select: the usual case ends here. */
export async function membersMoved(db: Db, poolIds: readonly string[], seen: readonly MemberSeen[], now: Date): Promise<boolean> {
  const known = await db
    .selectFrom("pool_members")
    .selectAll()
    .where("pool_id", "in", [...poolIds])
    .execute();
  if (known.length !== seen.length * poolIds.length) return true;
  const written = new Map(known.map((one) => [`${one.pool_id} ${one.name}`, one]));
  return poolIds.some((pool) =>
    seen.some((one) => {
      const there = written.get(`${pool} ${one.name}`);
      return !there || now.getTime() - there.seen_at.getTime() >= refreshMs || stateOf(there) !== stateOf(rowOf(pool, one, there, now));
    }),
  );
}

/** Writes an endpoint's members as they are now; those that are members no more go. */
export async function recordMembers(tx: Tx, poolIds: readonly string[], seen: readonly MemberSeen[], now: Date): Promise<void> {
  const known = await tx
    .selectFrom("pool_members")
    .selectAll()
    .where("pool_id", "in", [...poolIds])
    .orderBy("pool_id")
    .orderBy("name")
    .forUpdate()
    .execute();
  const written = new Map(known.map((one) => [`${one.pool_id} ${one.name}`, one]));
  const rows = [...poolIds].toSorted().flatMap((pool) => seen.map((one) => rowOf(pool, one, written.get(`${pool} ${one.name}`), now)));
  if (rows.length > 0)
    await tx
      .insertInto("pool_members")
      .values(rows.map((row) => ({ ...row, groups: JSON.stringify(row.groups) })))
      .onConflict((on) =>
        on.columns(["pool_id", "name"]).doUpdateSet((eb) => ({
          state: eb.ref("excluded.state"),
          groups: eb.ref("excluded.groups"),
          message: eb.ref("excluded.message"),
          vcpu: eb.ref("excluded.vcpu"),
          memory_bytes: eb.ref("excluded.memory_bytes"),
          memory_free_bytes: eb.ref("excluded.memory_free_bytes"),
          disk_bytes: eb.ref("excluded.disk_bytes"),
          disk_free_bytes: eb.ref("excluded.disk_free_bytes"),
          since: eb.ref("excluded.since"),
          seen_at: eb.ref("excluded.seen_at"),
        })),
      )
      .execute();
  const names = seen.map((one) => one.name);
  await tx
    .deleteFrom("pool_members")
    .where("pool_id", "in", [...poolIds])
    .$if(names.length > 0, (query) => query.where("name", "not in", names))
    .execute();
}

/** One that doesn't answer keeps what was read of its size. */
function rowOf(pool: string, one: MemberSeen, before: MemberRow | undefined, now: Date): MemberRow {
  return {
    pool_id: pool,
    name: one.name,
    state: one.state,
    groups: one.groups,
    message: one.message,
    vcpu: one.vcpu ?? before?.vcpu ?? null,
    memory_bytes: one.memory?.totalBytes ?? before?.memory_bytes ?? null,
    memory_free_bytes: one.memory?.freeBytes ?? before?.memory_free_bytes ?? null,
    disk_bytes: one.disk?.totalBytes ?? before?.disk_bytes ?? null,
    disk_free_bytes: one.disk?.freeBytes ?? before?.disk_free_bytes ?? null,
    since: before?.state === one.state ? before.since : now,
    seen_at: now,
  };
}

/** What a host takes of its member, by where it was seen last or is to be made. What waits for capacity takes nothing. */
const placedHosts = (except: string) => sql`
  select p.driver || ' ' || split_part(p.endpoint, '?', 1) as server, coalesce(r.member, r.wanted->>'member', '') as member, r.application_id,
    (r.wanted->'flavour'->>'vcpu')::int as vcpu, (r.wanted->'flavour'->>'memoryMib')::int as memory
  from resources r join pools p on p.id = r.pool_id
  where r.kind = 'host' and r.request_id <> ${except} and r.phase in ('proposed', 'wanted', 'live', 'retiring')
    and not (r.phase = 'proposed' and exists (select from requests q where q.id = r.request_id and q.waits))`;

interface Applying {
  id: string;
  antiAffinity: "preferred" | "required";
}
/**
 * The members of these pools with what is on each, for placement. What is on one that is alone doesn't matter: its capacity is its pool's.
 * @param except a request whose new hosts don't count
 */
export async function readMembers(db: Db, pools: readonly PoolView[], applications: readonly Applying[], except = ""): Promise<Members> {
  const compute = pools.filter((pool) => pool.kind === "compute");
  if (compute.length === 0) return new Members();
  const rows = await db
    .selectFrom("pool_members")
    .selectAll()
    .where(
      "pool_id",
      "in",
      compute.map((pool) => pool.id),
    )
    .execute();
  const servers = new Map(compute.map((pool) => [pool.id, serverOf(pool)]));
  const clusters = new Set([...Map.groupBy(rows, (row) => row.pool_id)].filter(([, of]) => of.length > 1).map(([pool]) => servers.get(pool)!));
  const taken =
    clusters.size === 0
      ? []
      : (
          await sql<{ server: string; member: string; vcpu: number; memory: number }>`
            select server, member, sum(vcpu)::bigint as vcpu, sum(memory)::bigint as memory from (${placedHosts(except)}) h
            where server = any(${sql.val([...clusters])}::text[]) group by 1, 2`.execute(db)
        ).rows;
  const takenOf = new Map(taken.map((one) => [`${one.server} ${one.member}`, one]));
  const views = new Map<string, MemberView>();
  for (const row of rows) {
    const server = servers.get(row.pool_id)!;
    const { vcpu = 0, memory = 0 } = takenOf.get(`${server} ${row.name}`) ?? {};
    views.set(`${server} ${row.name}`, {
      server,
      name: row.name,
      state: row.state,
      groups: row.groups,
      vcpu: row.vcpu,
      memoryMib: row.memory_bytes === null ? null : Math.floor(row.memory_bytes / 2 ** 20),
      taken: { vcpu, memoryMib: memory },
    });
  }
  // On one machine alone only those ask who must be apart.
  const asking = clusters.size > 0 ? applications : applications.filter((one) => one.antiAffinity === "required");
  return new Members([...views.values()], await companyOf(db, [...new Set(asking.map((one) => one.id))], except));
}

async function companyOf(db: Db, applicationIds: readonly string[], except: string): Promise<Company[]> {
  if (applicationIds.length === 0) return [];
  const { rows } = await sql<Company>`
    select server, member, application_id as application, count(*)::int as hosts from (${placedHosts(except)}) h
    where application_id = any(${sql.val([...applicationIds])}::text[]) group by 1, 2, 3`.execute(db);
  return rows;
}

type PoolPlace = Pick<PoolRow, "id" | "driver" | "endpoint">;

/** How many members the hosts of each pool go to, by state. */
export async function memberCounts(db: Db, pools: readonly PoolPlace[]): Promise<Map<string, Record<MemberRow["state"], number>>> {
  const counts = new Map(pools.map((pool) => [pool.id, { online: 0, evacuated: 0, offline: 0 }]));
  if (pools.length === 0) return counts;
  const rows = await db
    .selectFrom("pool_members")
    .select(["pool_id", "state", "groups"])
    .where("pool_id", "in", [...counts.keys()])
    .execute();
  const groups = new Map(pools.map((pool) => [pool.id, groupOf(pool)]));
  for (const row of rows) if (isIn(row.groups, groups.get(row.pool_id))) counts.get(row.pool_id)![row.state]++;
  return counts;
}
const isIn = (groups: readonly string[], group: string | undefined) => group === undefined || groups.includes(group);

/** A pool's members in the order of their names, with what is on each. */
export async function pageOfMembers(db: Db, pool: PoolPlace, ask: PageAsk): Promise<Page<PoolMember>> {
  const { items, next } = await page(db.selectFrom("pool_members").selectAll().where("pool_id", "=", pool.id), { ...ask, by: "name" });
  const { rows } = await sql<{ member: string; hosts: number; vcpu: number; memory: number }>`
    select member, count(*)::int as hosts, sum(vcpu)::int as vcpu, sum(memory)::bigint as memory from (${placedHosts("")}) h
    where server = ${serverOf(pool)} and member = any(${sql.val(items.map((one) => one.name))}::text[]) group by 1`.execute(db);
  const on = new Map(rows.map((row) => [row.member, row]));
  const group = groupOf(pool);
  const bytes = (total: number | null, free: number | null) => (total === null ? null : { totalBytes: total, freeBytes: free ?? 0 });
  return {
    next,
    items: items.map((row) => ({
      name: row.name,
      state: row.state,
      since: row.since.toISOString(),
      message: row.message,
      groups: row.groups,
      inGroup: isIn(row.groups, group),
      vcpu: row.vcpu,
      memory: bytes(row.memory_bytes, row.memory_free_bytes),
      disk: bytes(row.disk_bytes, row.disk_free_bytes),
      hosts: on.get(row.name)?.hosts ?? 0,
      taken: { vcpu: on.get(row.name)?.vcpu ?? 0, memoryMib: on.get(row.name)?.memory ?? 0 },
      seenAt: row.seen_at.toISOString(),
    })),
  };
}
