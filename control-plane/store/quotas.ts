/** Quota accounts (配额): reserved at submission, used at apply, released exactly once; counted at the department and each ancestor. */
import { sql, type Selectable } from "kysely";
import { type Dimension, dimensions } from "../contract/common.ts";
import { type Account, Ledger, type SoftWarning, warningOf } from "../domain/ledger.ts";
import { type Quantity, sumByDimension } from "../domain/resources.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Allowance } from "../../infra/spec.ts";
import type { Act } from "./act.ts";
import type { Db, Tx } from "./database.ts";
import { endCosts, settleCosts, shrinkCosts } from "./fund-charges.ts";
import { newId } from "./ids.ts";
import { insertRows } from "./rows.ts";
import type { QuotaAccounts } from "./schema.ts";

export type QuotaRow = Selectable<QuotaAccounts>;

/** What an item reserves for a resource. */
export interface Charge extends Quantity {
  departmentId: string;
  /** Protection level of its application. */
  level: number;
  requestId: string;
  resourceId: string;
  itemId: string;
}

/** A row for each dimension, without a limit. Called when departments are made. */
export async function ensureAccounts(tx: Tx, departmentIds: string | readonly string[]): Promise<void> {
  const ids = [departmentIds].flat();
  if (ids.length === 0) return;
  await sql`insert into quota_accounts (department_id, dimension) select d, m from unnest(${sql.val(ids)}::text[]) d, unnest(${sql.val(dimensions)}::text[]) m on conflict do nothing`.execute(
    tx,
  );
}

/** Locks the accounts of a department and its ancestors, always in one order, so that no two transactions wait for each other. */
export async function lockChain(tx: Tx, departmentId: string, of: readonly Dimension[]): Promise<void> {
  await sql`
    select from department_ancestors a join quota_accounts q on q.department_id = a.ancestor_id
    where a.department_id = ${departmentId} and q.dimension = any(${sql.val(of)}::text[])
    order by q.department_id, q.dimension, q.level for update of q`.execute(tx);
}

/** Locks every account of a department and its ancestors, before several charges are settled. */
export async function lockAccounts(tx: Tx, departmentId: string): Promise<void> {
  await lockChain(tx, departmentId, dimensions);
}

/** What resources are charged for as used, by dimension: exactly that is what they hold. */
export async function usedBy(db: Db, resourceIds: readonly string[]): Promise<Map<string, Quantity[]>> {
  if (resourceIds.length === 0) return new Map();
  const { rows } = await sql<Quantity & { resource_id: string }>`
    select resource_id, dimension, sum(quantity)::bigint as quantity from quota_charges where resource_id = any(${sql.val(resourceIds)}::text[]) and state = 'used' group by 1, 2`.execute(
    db,
  );
  return Map.groupBy(rows, (row) => row.resource_id);
}

/** All that a department itself is charged for, reserved or used, without the departments below it. */
export async function allowanceOf(db: Db, departmentId: string): Promise<Allowance> {
  const { rows } = await sql<Quantity>`
    select dimension, sum(quantity)::bigint as quantity from quota_charges where department_id = ${departmentId} and state in ('reserved', 'used') group by 1`.execute(
    db,
  );
  const sumOf = (ours: (dimension: Dimension) => boolean) => rows.filter((row) => ours(row.dimension)).reduce((sum, row) => sum + row.quantity, 0);
  return {
    hosts: sumOf((one) => one === "hosts"),
    vcpu: sumOf((one) => one === "vcpu"),
    memoryMib: sumOf((one) => one === "memory_mib"),
    storageGib: sumOf((one) => one.startsWith("storage_gib:")),
  };
}

const accountColumns = sql`q.department_id, d.parent_id, d.name_zh, q.dimension, q.level, q.limit_value, q.soft_limit, q.guaranteed, q.borrow_cap, q.lends, q.reserved, q.used`;

/** Locks and reads the accounts of departments and their ancestors. @param lock false: only reads, for what changes nothing */
export async function lockLedger(tx: Tx, departmentIds: readonly string[], lock = true): Promise<Ledger> {
  const { rows } = await sql<Account & { of: string; distance: number }>`
    select a.department_id as of, a.distance, ${accountColumns}
    from department_ancestors a join quota_accounts q on q.department_id = a.ancestor_id join departments d on d.id = q.department_id
    where a.department_id = any(${sql.val(departmentIds)}::text[])
    order by q.department_id, q.dimension, q.level ${lock ? sql`for update of q` : sql``}`.execute(tx);
  const lines = Map.groupBy(rows, (row) => row.of);
  const nearestFirst = (of: readonly (typeof rows)[number][]) => [...new Set(of.toSorted((a, b) => a.distance - b.distance).map((row) => row.department_id))];
  const beside = await accountsBeside(tx, [...new Set(rows.map((row) => row.department_id))]);
  return new Ledger(rows, new Map([...lines].map(([id, of]) => [id, nearestFirst(of)])), beside);
}

/**
 * Accounts of the children of departments: all where the parent lends, those with a guarantee elsewhere. Who changes a child's account holds the parent's lock,
 * so that they stay as they are while the caller holds it; a statement of its own, since it must see what was committed while the lock was waited for.
 */
async function accountsBeside(tx: Tx, parentIds: readonly string[]): Promise<Account[]> {
  const parents = sql`any(${sql.val(parentIds)}::text[])`;
  const { rows } = await sql<Account>`
    select ${accountColumns} from quota_accounts p join departments d on d.parent_id = p.department_id
      join quota_accounts q on q.department_id = d.id and q.dimension = p.dimension and q.level = p.level
      where p.lends and p.department_id = ${parents}
    union
    select ${accountColumns} from quota_accounts q join departments d on d.id = q.department_id where q.guaranteed > 0 and d.parent_id = ${parents}`.execute(
    tx,
  );
  return rows;
}

/**
 * Writes reservations that the ledger allowed, in the same transaction.
 * @throws Refusal quota-exceeded should an account pass its limit all the same: whatever the lock and the ledger are worth, none can
 */
export async function writeReservations(tx: Tx, act: Act, charges: readonly Charge[], expiresAt: Date): Promise<void> {
  const sums = [...Map.groupBy(charges, (charge) => `${charge.departmentId} ${charge.level}`).values()].flatMap((of) =>
    sumByDimension(of).map((sum) => ({ departmentId: of[0]!.departmentId, level: of[0]!.level, ...sum })),
  );
  if (charges.length === 0) return;
  const { rows } = await sql<{ within: boolean }>`
    update quota_accounts q set reserved = q.reserved + w.quantity
    from (
      select a.ancestor_id, s.dimension, l.level, sum(s.quantity)::bigint as quantity
      from unnest(${sql.val(sums.map((sum) => sum.departmentId))}::text[], ${sql.val(sums.map((sum) => sum.level))}::int[], ${sql.val(sums.map((sum) => sum.dimension))}::text[], ${sql.val(sums.map((sum) => sum.quantity))}::bigint[]) as s(department_id, level, dimension, quantity)
      join department_ancestors a on a.department_id = s.department_id cross join lateral (values (0), (s.level)) l(level) group by 1, 2, 3 having sum(s.quantity) <> 0) w
      join departments d on d.id = w.ancestor_id
      left join quota_accounts p on p.department_id = d.parent_id and p.dimension = w.dimension and p.level = w.level
    where q.department_id = w.ancestor_id and q.dimension = w.dimension and q.level = w.level
    returning q.limit_value is null or q.reserved + q.used <= q.limit_value + case when p.lends then coalesce(q.borrow_cap, ${Number.MAX_SAFE_INTEGER}::bigint - q.limit_value) else 0 end as within`.execute(
    tx,
  );
  if (!rows.every((row) => row.within))
    throw new Refusal("quota-exceeded", "The quota was taken by somebody else at the same moment.", { remedy: "Try again." });
  await insertRows(
    tx,
    "quota_charges",
    charges.map((charge) => ({
      id: newId("chg", act.now),
      department_id: charge.departmentId,
      resource_id: charge.resourceId,
      request_id: charge.requestId,
      item_id: charge.itemId,
      dimension: charge.dimension,
      level: charge.level,
      quantity: charge.quantity,
      state: "reserved" as const,
      expires_at: expiresAt,
      created_at: act.now,
    })),
  );
}

/** Reserved charges of these items become used, or are released; what they cost their funds goes along. Done already: nothing happens. */
export async function settleCharges(tx: Tx, act: Act, itemIds: readonly string[], to: "used" | "released"): Promise<void> {
  if (itemIds.length === 0) return;
  await moveCharges(tx, act, sql`item_id = any(${sql.val(itemIds)}::text[]) and state = 'reserved'`, to);
  await settleCosts(tx, act, itemIds, to);
}

/**
 * What resources are charged for passes to another department: the giver's charges are released and those that the item reserved are used, in one transaction and
 * in an order in which no account ever counts less than nothing or more than it may. The accounts of both sides are locked.
 */
export async function passCharges(tx: Tx, act: Act, itemId: string, resourceIds: readonly string[]): Promise<void> {
  await moveCharges(tx, act, sql`resource_id = any(${sql.val(resourceIds)}::text[]) and state = 'used'`, "released");
  await moveCharges(tx, act, sql`item_id = ${itemId} and state = 'reserved' and quantity < 0`, "released");
  await moveCharges(tx, act, sql`item_id = ${itemId} and state = 'reserved'`, "used");
}

/** Everything that a resource still holds is given back. */
export async function releaseResources(tx: Tx, act: Act, resourceIds: readonly string[]): Promise<void> {
  if (resourceIds.length === 0) return;
  await moveCharges(tx, act, sql`resource_id = any(${sql.val(resourceIds)}::text[]) and state <> 'released'`, "released");
  await endCosts(tx, act, resourceIds);
}

async function moveCharges(tx: Tx, act: Act, which: ReturnType<typeof sql>, to: "used" | "released"): Promise<void> {
  const affected = await sql<{
    department_id: string;
    dimension: Dimension;
  }>`select distinct department_id, dimension from quota_charges where ${which}`.execute(tx);
  for (const departmentId of [...new Set(affected.rows.map((row) => row.department_id))].toSorted()) {
    await lockChain(tx, departmentId, [...new Set(affected.rows.filter((row) => row.department_id === departmentId).map((row) => row.dimension))]);
  }
  // The charges' own state decides: what was moved by somebody else is not counted twice.
  await sql`
    with before as (select id, state as was from quota_charges where ${which} for update),
    moved as (update quota_charges c set state = ${to}, settled_at = ${act.now} from before b where c.id = b.id returning c.department_id, c.dimension, c.level, c.quantity, b.was),
    sums as (
      select a.ancestor_id, m.dimension, l.level, sum(case when m.was = 'reserved' then m.quantity else 0 end) as reserved, sum(case when m.was = 'used' then m.quantity else 0 end) as used
      from moved m join department_ancestors a on a.department_id = m.department_id cross join lateral (values (0), (m.level)) l(level) group by 1, 2, 3)
    update quota_accounts q set reserved = q.reserved - s.reserved, used = q.used - s.used ${to === "used" ? sql`+ s.reserved` : sql``}
    from sums s where q.department_id = s.ancestor_id and q.dimension = s.dimension and q.level = s.level`.execute(tx);
}

/**
 * A resource that has become smaller gives back the difference, once for each item: as a charge of its own with a negative quantity.
 * @returns what was given back now
 */
export async function giveBackDifference(
  tx: Tx,
  act: Act,
  ask: { departmentId: string; requestId: string; itemId: string; resourceId: string; less: readonly Quantity[] },
): Promise<Quantity[]> {
  const given = await tx.selectFrom("quota_charges").select("id").where("item_id", "=", ask.itemId).where("quantity", "<", 0).executeTakeFirst();
  if (given || ask.less.length === 0) return [];
  await lockChain(
    tx,
    ask.departmentId,
    ask.less.map((one) => one.dimension),
  );
  // The level under which it was charged.
  const { level } = await tx
    .selectFrom("quota_charges")
    .select("level")
    .where("resource_id", "=", ask.resourceId)
    .orderBy("id")
    .limit(1)
    .executeTakeFirstOrThrow();
  await tx
    .insertInto("quota_charges")
    .values(
      ask.less.map((one) => ({
        id: newId("chg", act.now),
        department_id: ask.departmentId,
        resource_id: ask.resourceId,
        request_id: ask.requestId,
        item_id: ask.itemId,
        dimension: one.dimension,
        level,
        quantity: -one.quantity,
        state: "used" as const,
        expires_at: null,
        created_at: act.now,
        settled_at: act.now,
      })),
    )
    .execute();
  await sql`
    update quota_accounts q set used = q.used - w.quantity
    from unnest(${sql.val(ask.less.map((one) => one.dimension))}::text[], ${sql.val(ask.less.map((one) => one.quantity))}::bigint[]) as w(dimension, quantity), department_ancestors a
    where a.department_id = ${ask.departmentId} and q.department_id = a.ancestor_id and q.dimension = w.dimension and q.level in (0, ${level})`.execute(tx);
  await shrinkCosts(tx, act, ask.resourceId, ask.less);
  return [...ask.less];
}

/** Accounts over their soft limit among those that a department's charges of these dimensions and this level count in. */
export async function softWarnings(db: Db, departmentId: string, level: number, of: readonly Dimension[]): Promise<SoftWarning[]> {
  if (of.length === 0) return [];
  const { rows } = await sql<Account>`
    select ${accountColumns} from department_ancestors a join quota_accounts q on q.department_id = a.ancestor_id join departments d on d.id = q.department_id
    where a.department_id = ${departmentId} and q.level in (0, ${level}) and q.dimension = any(${sql.val(of)}::text[]) and q.reserved + q.used > q.soft_limit
    order by a.distance, q.dimension, q.level`.execute(db);
  return rows.map(warningOf);
}

/** Accounts of these departments (all: undefined), in one order. */
export async function listQuotas(db: Db, departmentIds?: readonly string[]): Promise<QuotaRow[]> {
  let query = db.selectFrom("quota_accounts").selectAll().orderBy("department_id").orderBy("dimension").orderBy("level");
  if (departmentIds) query = query.where("department_id", "in", [...departmentIds]);
  return query.execute();
}
