/** A host or volume passes from one pool to another at the same endpoint: capacity, what is wanted and what is approved, all at once. */
import { type Selectable, sql } from "kysely";
import { whyNotIn } from "../domain/levels.ts";
import { type HostSpec, serverOf, storageOf } from "../../infra/spec.ts";
import { thingsIn } from "./cluster.ts";
import { specDigest } from "../../infra/approval.ts";
import type { Act } from "./act.ts";
import type { Tx } from "./database.ts";
import { lockPools, moveCapacity } from "./proposing.ts";
import type { Dimension, Resources } from "./schema.ts";

export class PoolMoveRefused extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** @throws PoolMoveRefused where the pool has no room, is closed, or its rules forbid it by now */
export async function moveToPool(tx: Tx, act: Act, resource: Selectable<Resources>, poolId: string, planId: string): Promise<void> {
  const pools = await lockPools(tx);
  const [from, to] = [pools.find((one) => one.id === resource.pool_id), pools.find((one) => one.id === poolId)];
  const [held] = (await thingsIn(tx, [resource.pool_id!])).filter((one) => one.id === resource.id);
  if (!from || !to || !held || serverOf(from) !== serverOf(to) || storageOf(from) !== storageOf(to))
    throw new PoolMoveRefused("unsupported", "The pool lies on another server, or in another storage of it.");
  const owner = { application: held.application, departments: held.departments, protectionLevel: held.level, zone: held.zone };
  const wrong = whyNotIn(owner, to, { vm: (resource.wanted as HostSpec).type === "vm" });
  if (wrong || to.tier !== from.tier || to.kind !== from.kind)
    throw new PoolMoveRefused("conflict", `Pool ${to.code} may not hold it: ${wrong ?? "its tier or kind is another"}.`);
  const { rows: charged } = await sql<{ dimension: Dimension; quantity: number }>`
    select dimension, sum(quantity)::bigint as quantity from quota_charges where resource_id = ${resource.id} and state <> 'released' group by 1 having sum(quantity) <> 0`.execute(
    tx,
  );
  const short = charged.find(({ dimension, quantity }) => (to.free[dimension] ?? 0) < quantity);
  if (short)
    throw new PoolMoveRefused("no-space", `Pool ${to.code} has ${to.free[short.dimension] ?? 0} of ${short.dimension} left, ${short.quantity} needed.`);
  await moveCapacity(
    tx,
    charged.flatMap(({ dimension, quantity }) => [
      { poolId: to.id, dimension, quantity },
      { poolId: from.id, dimension, quantity: -quantity },
    ]),
  );
  const inPool = (spec: unknown) => (spec === null ? null : JSON.stringify({ ...(spec as object), pool: poolId }));
  await tx
    .updateTable("resources")
    .set({
      pool_id: poolId,
      wanted: inPool(resource.wanted)!,
      applied: inPool(resource.applied),
      revision: resource.revision + 1,
      updated_at: act.now,
    })
    .where("id", "=", resource.id)
    .execute();
  const placed = { plan_id: planId, digest: specDigest(resource.kind, { ...(resource.wanted as object), pool: poolId }), at: act.now };
  await tx
    .insertInto("pool_moves")
    .values({ resource_id: resource.id, ...placed })
    .onConflict((on) => on.column("resource_id").doUpdateSet(placed))
    .execute();
}
