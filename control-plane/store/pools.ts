/** Capacity of sites (资源池). */
import { type Selectable, sql } from "kysely";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { Dimension, Pools } from "./schema.ts";

export type PoolRow = Selectable<Pools>;
export type Amounts = Partial<Record<Dimension, number>>;
export type PoolWithAccounts = PoolRow & { capacity: Amounts; taken: Amounts };
export type PoolAsk = Pick<PoolRow, "code" | "name" | "kind" | "site" | "tier" | "security_level" | "zone" | "overcommit_percent" | "driver" | "endpoint"> & {
  capacity: Amounts;
};

export async function getPool(db: Db, idOrCode: string): Promise<PoolWithAccounts> {
  const row = await db
    .selectFrom("pools")
    .selectAll()
    .where((eb) => eb.or([eb("id", "=", idOrCode), eb("code", "=", idOrCode)]))
    .orderBy(sql`id = ${idOrCode}`, "desc")
    .executeTakeFirst();
  if (!row) throw notFound("pool", idOrCode);
  return (await withAccounts(db, [row]))[0]!;
}

export async function listPools(db: Db, ask: PageAsk): Promise<Page<PoolWithAccounts>> {
  const { items, next } = await page(db.selectFrom("pools").selectAll(), { ...ask, by: "id" });
  return { items: await withAccounts(db, items), next };
}

async function withAccounts(db: Db, pools: PoolRow[]): Promise<PoolWithAccounts[]> {
  if (pools.length === 0) return [];
  const accounts = await db
    .selectFrom("pool_accounts")
    .selectAll()
    .where(
      "pool_id",
      "in",
      pools.map((pool) => pool.id),
    )
    .execute();
  return pools.map((pool) => {
    const own = accounts.filter((account) => account.pool_id === pool.id);
    const amounts = (pick: (account: (typeof own)[number]) => number) =>
      Object.fromEntries(own.map((account) => [account.dimension, pick(account)])) as Amounts;
    return { ...pool, capacity: amounts((account) => account.capacity), taken: amounts((account) => account.taken) };
  });
}

/** @throws Refusal("conflict") when the code is taken */
export async function createPool(tx: Tx, act: Act, { capacity, ...ask }: PoolAsk): Promise<PoolRow> {
  const row = await tx
    .insertInto("pools")
    .values({ id: newId("pol", act.now), ...ask, state: "open", created_at: act.now, updated_at: act.now })
    .onConflict((on) => on.column("code").doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new Refusal("conflict", `There is a pool with the code "${ask.code}" already.`, { errors: [{ pointer: "/code", detail: "is taken" }] });
  await setCapacity(tx, row.id, capacity);
  await appendAudit(tx, act, { action: "pool.create", subjectKind: "pool", subjectId: row.id, departmentId: null, after: { ...ask, capacity } });
  return row;
}

export type PoolPatch = Partial<Pick<PoolRow, "name" | "state" | "overcommit_percent" | "driver" | "endpoint">> & { capacity?: Amounts | undefined };

/** Whether nothing is in a pool and nothing can come to it until the transaction ends: only such a one may pass to another driver. */
export async function isEmpty(tx: Tx, id: string): Promise<boolean> {
  const accounts = await tx.selectFrom("pool_accounts").select("taken").where("pool_id", "=", id).forUpdate().execute();
  if (accounts.some((one) => one.taken > 0)) return false;
  const held = tx.selectFrom("resources").select("id").where("pool_id", "=", id).where("phase", "in", ["wanted", "live", "retiring"]).limit(1);
  const kept = tx.selectFrom("backups").select("id").where("pool_id", "=", id).where("state", "not in", ["failed", "expired"]).limit(1);
  return (await held.executeTakeFirst()) === undefined && (await kept.executeTakeFirst()) === undefined;
}

/** @param check is given the revision as it is now, the row being locked; throws to refuse */
export async function changePool(
  tx: Tx,
  act: Act,
  id: string,
  { capacity, ...patch }: PoolPatch,
  check: (revision: number) => void,
): Promise<PoolWithAccounts> {
  const before = await tx.selectFrom("pools").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!before) throw notFound("pool", id);
  check(before.revision);
  if (capacity) await setCapacity(tx, id, capacity);
  await tx
    .updateTable("pools")
    .set({ ...patch, revision: before.revision + 1, updated_at: act.now })
    .where("id", "=", id)
    .execute();
  await appendAudit(tx, act, {
    action: "pool.change",
    subjectKind: "pool",
    subjectId: id,
    departmentId: null,
    before,
    after: { ...patch, ...(capacity ? { capacity } : {}) },
  });
  return getPool(tx, id);
}

/** Dimensions that are not named keep what they have. @throws Refusal("rule-broken") below what is taken */
async function setCapacity(tx: Tx, poolId: string, capacity: Amounts): Promise<void> {
  for (const [dimension, amount] of Object.entries(capacity) as [Dimension, number][]) {
    const done = await tx
      .insertInto("pool_accounts")
      .values({ pool_id: poolId, dimension, capacity: amount })
      .onConflict((on) => on.columns(["pool_id", "dimension"]).doUpdateSet({ capacity: amount }).where("pool_accounts.taken", "<=", amount))
      .returning("capacity")
      .executeTakeFirst();
    if (!done)
      throw new Refusal("rule-broken", `More of ${dimension} is taken than ${amount}.`, {
        errors: [{ pointer: `/capacity/${dimension}`, detail: "is less than what is taken" }],
      });
  }
}
