/** Reads what proposals are made from, under the locks that keep it true, and moves the capacity of pools. */
import { sql } from "kysely";
import type { Item } from "../contract/requests.ts";
import { undecidedStates } from "../domain/lifecycle.ts";
import { type Free, keyOf, type Need } from "../domain/capacity-queue.ts";
import type { PoolView } from "../domain/placement.ts";
import type { BackupView, Context, Held } from "../domain/proposals.ts";
import { Refusal } from "../domain/refusal.ts";
import { type AnySpec, type Quantity, sumByDimension } from "../domain/resources.ts";
import type { Flavour, HostSpec, SpecKind } from "../../infra/spec.ts";
import type { Db, Tx } from "./database.ts";
import type { Dimension, Projects } from "./schema.ts";
import type { Selectable } from "kysely";

/** Pools with what is free in each, their accounts locked. @param lock false: only read, for what changes nothing */
export async function lockPools(tx: Db, lock = true): Promise<PoolView[]> {
  const { rows } = await sql<Omit<PoolView, "free" | "capacity"> & { dimension: Dimension; capacity: number; taken: number }>`
    select p.id, p.code, p.kind, p.tier, p.security_level as "securityLevel", p.zone, p.driver, p.endpoint, p.state, p.strategy, p.vm,
      p.overcommit_percent as "overcommitPercent", a.dimension, a.capacity, a.taken, case when p.dedicated_department is not null
        then json_build_object('department', p.dedicated_department, 'application', p.dedicated_application) end as "dedicatedTo"
    from pool_accounts a join pools p on p.id = a.pool_id order by a.pool_id, a.dimension ${lock ? sql`for update of a for share of p` : sql``}`.execute(tx);
  return [...Map.groupBy(rows, (row) => row.id).values()]
    .map((accounts) => {
      const { dimension: _dimension, capacity: _capacity, taken: _taken, ...pool } = accounts[0]!;
      return {
        ...pool,
        free: Object.fromEntries(accounts.map((one) => [one.dimension, one.capacity - one.taken])),
        capacity: Object.fromEntries(accounts.map((one) => [one.dimension, one.capacity])),
      };
    })
    .toSorted((a, b) => (a.code < b.code ? -1 : 1));
}

export interface QueuedNeed extends Need {
  requestId: string;
  decidedAt: Date;
}
/** What approved requests in the queue for capacity need, first come first: by their approval. */
export async function queuedNeeds(db: Db): Promise<QueuedNeed[]> {
  const { rows } = await sql<QueuedNeed>`
    select q.id as "requestId", q.decided_at as "decidedAt", x.pool_id as "poolId", c.dimension, sum(c.quantity)::bigint as quantity
    from requests q join quota_charges c on c.request_id = q.id and c.state = 'reserved' and c.quantity > 0 join resources x on x.id = c.resource_id
    where q.state = 'waiting' and q.waits and q.decided_at is not null and x.pool_id is not null
    group by q.id, x.pool_id, c.dimension order by q.decided_at, q.id, x.pool_id, c.dimension`.execute(db);
  return rows;
}
/** Whether a place in the queue is before that of an approved request. */
export const isBefore = (need: QueuedNeed, row: { id: string; decided_at: Date | null }): boolean =>
  need.decidedAt < row.decided_at! || (need.decidedAt.getTime() === row.decided_at!.getTime() && need.requestId < row.id);
/** What one request has reserved and needs of pools. */
export async function needsOf(db: Db, requestId: string): Promise<Need[]> {
  const { rows } = await sql<Need>`
    select x.pool_id as "poolId", c.dimension, sum(c.quantity)::bigint as quantity from quota_charges c join resources x on x.id = c.resource_id
    where c.request_id = ${requestId} and c.state = 'reserved' and c.quantity > 0 and x.pool_id is not null group by 1, 2 order by 1, 2`.execute(db);
  return rows;
}
export const freeIn = (pools: readonly PoolView[]): Free =>
  new Map(
    pools.flatMap((pool) =>
      Object.entries(pool.free).map(([dimension, quantity]) => [keyOf({ poolId: pool.id, dimension: dimension as Dimension }), quantity] as const),
    ),
  );

/** Pools with what is free after the queue has been served: who asks now doesn't overtake who was approved before. */
export function afterQueue(pools: readonly PoolView[], needs: readonly Need[]): PoolView[] {
  const needed = Map.groupBy(needs, (need) => need.poolId);
  return pools.map((pool) => {
    const free = { ...pool.free };
    for (const { dimension, quantity } of needed.get(pool.id) ?? []) free[dimension] = Math.max(0, (free[dimension] ?? 0) - quantity);
    return { ...pool, free };
  });
}

/** What may be asked for. */
export async function readCatalogue(db: Db): Promise<Pick<Context, "flavours" | "images">> {
  const catalogue = await db.selectFrom("catalogue").selectAll().execute();
  return {
    flavours: new Map(catalogue.filter((entry) => entry.kind === "flavour").map((entry) => [entry.code, entry.spec as Flavour])),
    images: new Set(catalogue.filter((entry) => entry.kind === "image").map((entry) => entry.code)),
  };
}

/** The backups that items are to be made with, of the departments of these applications: by department, by id. */
export async function readBackups(db: Db, items: readonly Item[]): Promise<(departmentId: string) => Map<string, BackupView>> {
  const named = items.flatMap((item) => (item.action === "create" && item.kind === "volume" && item.spec.backup !== undefined ? [item.spec.backup] : []));
  const rows =
    named.length === 0
      ? []
      : await db
          .selectFrom("backups as b")
          .innerJoin("resources as r", "r.id", "b.volume_id")
          .innerJoin("pools as p", "p.id", "r.pool_id")
          .select(["b.id", "b.department_id", "b.state", "b.sha256", "b.protection_level", "b.volume_gib", "p.driver", "p.endpoint"])
          .where("b.id", "in", named)
          .execute();
  return (departmentId) =>
    new Map(
      rows
        .filter((row) => row.department_id === departmentId)
        .map(({ department_id: _department, protection_level, volume_gib, ...row }) => [
          row.id,
          { ...row, protectionLevel: protection_level, volumeGib: volume_gib },
        ]),
    );
}

/** Ids and names that items speak of: their own, and those of what they use. */
const spokenOf = (items: readonly Item[]): string[] => [
  ...new Set(
    items.flatMap((item) => [
      ...("id" in item ? [item.id] : []),
      ...Object.entries(item.spec).flatMap(([key, value]) => (["name", "host", "volume"].includes(key) ? [String(value)] : [])),
    ]),
  ),
];

/**
 * By application, its resources that items speak of, and their attachments and policies, by which other open request each is being changed.
 * Only these: an application may have thousands. Those that are gone are left out.
 */
export async function readHeld(db: Db, applicationIds: readonly string[], items: readonly Item[]): Promise<Map<string, Held[]>> {
  const spoken = sql`any(${sql.val(spokenOf(items))}::text[])`;
  const alone = items.every((item) => item.action === "create" && (item.kind === "host" || item.kind === "volume"));
  const named = sql<boolean>`(r.id = ${spoken} or r.name = ${spoken})`;
  const uses = sql<boolean>`(${named} or r.kind in ('attachment', 'backup-policy'))`;
  const rows = await db
    .selectFrom("resources as r")
    .select(["r.id", "r.application_id", "r.kind", "r.name", "r.phase", "r.pool_id", "r.wanted", "r.project_id", "r.member"])
    .select((where) =>
      where
        .selectFrom("request_items as i")
        .innerJoin("requests as q", "q.id", "i.request_id")
        .select("q.number")
        .whereRef("i.resource_id", "=", "r.id")
        .where("i.action", "not in", ["create", "extend"])
        .where("i.state", "in", ["pending", "scheduled", "applying"])
        .where("q.state", "in", [...undecidedStates, "waiting", "approved", "applying", "scheduled"])
        .limit(1)
        .as("changed_by"),
    )
    .where("r.application_id", "in", [...applicationIds])
    // What only makes hosts and volumes needs no more than the names that are taken.
    .where(alone ? named : uses)
    .where("r.phase", "in", ["proposed", "wanted", "live", "retiring"])
    .execute();
  const held = new Map<string, Held[]>(applicationIds.map((id) => [id, []]));
  for (const row of rows)
    held.get(row.application_id)!.push({
      id: row.id,
      kind: row.kind,
      name: row.name,
      phase: row.phase,
      poolId: row.pool_id,
      wanted: row.wanted as AnySpec,
      changedBy: row.changed_by,
      projectId: row.project_id,
      member: row.member,
    });
  return held;
}

/** Pool capacity to be taken, or given back where negative. */
export interface Take extends Quantity {
  poolId: string | null;
}

/** @throws a database error when a pool would hold more than its capacity: who takes has read it by lockPools */
export async function moveCapacity(tx: Tx, takes: readonly Take[]): Promise<void> {
  const sums = [...Map.groupBy(takes, (take) => take.poolId)].flatMap(([poolId, of]) =>
    poolId === null ? [] : sumByDimension(of).map((sum) => ({ poolId, ...sum })),
  );
  if (sums.length === 0) return;
  // Locked in one order, so that no two transactions wait for each other.
  await sql`
    with w as (select * from unnest(${sql.val(sums.map((one) => one.poolId))}::text[], ${sql.val(sums.map((one) => one.dimension))}::text[], ${sql.val(sums.map((one) => one.quantity))}::bigint[]) as w(pool_id, dimension, quantity)),
    locked as materialized (select a.pool_id, a.dimension, w.quantity from pool_accounts a join w using (pool_id, dimension) order by a.pool_id, a.dimension for update of a)
    update pool_accounts p set taken = p.taken + l.quantity from locked l where p.pool_id = l.pool_id and p.dimension = l.dimension`.execute(tx);
}

/** userData is a secret: it is sealed before it reaches a table, and never shown. */
export function sealed(wanted: AnySpec, kind: SpecKind, seal: (context: string, text: string) => string): AnySpec {
  const { userData, ...rest } = wanted as HostSpec;
  return kind === "host" && userData !== undefined ? { ...rest, userData: seal(wanted.name, userData) } : wanted;
}

/** @throws Refusal project-not-approved */
export function requireApproved(project: Pick<Selectable<Projects>, "code" | "name" | "stage">): void {
  if (project.stage === "approved" || project.stage === "operating") return;
  throw new Refusal("project-not-approved", `Project ${project.code} (${project.name}) is ${project.stage}.`, {
    remedy: "Resources are provisioned only under an approved or operating project of the annual plan.",
  });
}
