/**
 * The queue for capacity (等待资源): requests that were approved when their pools had no room. First come, first served by the time of their approval;
 * what is free only elsewhere than approved is another plan, which goes back to its approvers.
 */
import { serve } from "../domain/capacity-queue.ts";
import type { PoolView } from "../domain/placement.ts";
import { Refusal } from "../domain/refusal.ts";
import { placedAnew } from "./acceptance.ts";
import type { Act } from "./act.ts";
import type { Db, Tx } from "./database.ts";
import { capacityTaken, enact, requireAsPlanned } from "./granting.ts";
import { sendBackToPlanning } from "./planning.ts";
import { afterQueue, freeIn, isBefore, lockPools, moveCapacity, queuedNeeds, sealed } from "./proposing.ts";
import { type Kept, lockRequest, move, type RequestRow, type Seal } from "./requests.ts";

/** Somebody else was faster: its turn comes again. */
export class NoRoom extends Error {}

/** Whose turn it is, read without a lock: `fits` has all that it needs as it is approved; the rest may fit elsewhere. */
export async function turns(db: Db): Promise<{ id: string; fits: boolean }[]> {
  const needs = await queuedNeeds(db);
  if (needs.length === 0) return [];
  const queue = [...Map.groupBy(needs, (need) => need.requestId)].map(([id, of]) => ({ id, needs: of }));
  return serve(queue, freeIn(await lockPools(db, false))).map(({ one, short }) => ({ id: one.id, fits: short.length === 0 }));
}

/**
 * Its turn has come: capacity is taken, and it is wanted from now on.
 * @returns undefined when it doesn't wait any more @throws NoRoom, and Refusal: what was approved can't be had any more
 */
export async function grantWaiting(tx: Tx, act: Act, id: string): Promise<RequestRow | undefined> {
  const row = await lockRequest(tx, id);
  if (row.state !== "waiting" || row.decided_at === null) return undefined;
  await requireAsPlanned(tx, act, row);
  const granted = await move(tx, act, row, "capacity", { error: null, waits: false });
  await enact(tx, act, granted);
  if (!(await capacityTaken(tx, row))) throw new NoRoom(`${row.number} has no room yet`);
  return granted;
}

/** What was approved can't be had any more, for its project, its fund or what it changes: planned anew, and decided on anew. */
export async function returnWaiting(tx: Tx, act: Act, id: string, { code, detail }: Refusal): Promise<RequestRow | undefined> {
  const row = await lockRequest(tx, id);
  return row.state === "waiting" ? sendBackToPlanning(tx, act, row, { code, message: detail }) : undefined;
}

/** Another pool has room: it is placed there, takes its capacity, and goes back to its approvers with the difference. @returns undefined: it waits on */
export async function placeElsewhere(tx: Tx, act: Act, id: string, seal: Seal, unseal: Seal): Promise<RequestRow | undefined> {
  const row = await lockRequest(tx, id);
  if (row.state !== "waiting" || row.decided_at === null) return undefined;
  const pools = await lockPools(tx);
  const ahead = (await queuedNeeds(tx)).filter((need) => isBefore(need, row));
  const proposals = await placedAnew(tx, act, row, afterQueue(pools, ahead), unseal).catch((error: unknown) => {
    if (error instanceof Refusal) return error;
    throw error;
  });
  if (proposals instanceof Refusal || proposals.shortages.length > 0) {
    const error =
      proposals instanceof Refusal ? { code: proposals.code, message: proposals.detail } : { code: "capacity", message: proposals.shortages.join("; ") };
    await tx
      .updateTable("requests")
      .set({ error: JSON.stringify(error) })
      .where("id", "=", id)
      .execute();
    return undefined;
  }
  const items = await tx.selectFrom("request_items").selectAll().where("request_id", "=", id).execute();
  const had = new Map((await tx.selectFrom("resources").select(["id", "pool_id"]).where("request_id", "=", id).execute()).map((one) => [one.id, one.pool_id]));
  const moved = proposals.items.filter((one) => one.action === "create" && had.get(one.resourceId) !== one.poolId);
  if (moved.length === 0) return undefined;
  for (const one of moved) {
    const wanted = sealed(one.wanted, one.kind, seal);
    const item = items.find((other) => other.resource_id === one.resourceId)!;
    const kept: Kept = { ...(item.spec as Kept), placement: one.placement, memberReason: one.memberReason, considered: one.considered, wanted };
    await tx
      .updateTable("resources")
      .set({ pool_id: one.poolId, wanted: JSON.stringify(wanted), updated_at: act.now })
      .where("id", "=", one.resourceId)
      .execute();
    await tx
      .updateTable("request_items")
      .set({ spec: JSON.stringify(kept) })
      .where("id", "=", item.id)
      .execute();
  }
  await moveCapacity(
    tx,
    proposals.items.flatMap((one) => one.charge.filter((charge) => charge.quantity > 0).map((charge) => ({ ...charge, poolId: one.poolId }))),
  );
  await tx.updateTable("requests").set({ waits: false }).where("id", "=", id).execute();
  const code = (poolId: string | null | undefined) => pools.find((pool: PoolView) => pool.id === poolId)?.code ?? "none";
  const message = `There is room elsewhere than approved. ${moved.map((one) => `${one.name}: ${code(had.get(one.resourceId))} → ${code(one.poolId)}`).join("; ")}`;
  return sendBackToPlanning(tx, act, row, { code: "placed-elsewhere", message });
}
