/** Where things go: filter, then score; every step explained. Pure. */
import type { Dimension } from "../contract/common.ts";
import type { Quantity } from "./resources.ts";

export interface PoolView {
  id: string;
  code: string;
  kind: "compute" | "storage" | "backup";
  tier: "performance" | "standard" | "capacity";
  securityLevel: number;
  zone: "extranet" | "internet";
  driver: string;
  endpoint: string;
  state: "open" | "maintenance" | "closed";
  free: Partial<Record<Dimension, number>>;
  capacity: Partial<Record<Dimension, number>>;
}
export interface Wish {
  kind: PoolView["kind"];
  tier?: PoolView["tier"] | undefined;
  /** Code or id, when the applicant named one. */
  pool?: string | undefined;
  securityLevel: number;
  zone: PoolView["zone"];
  /** Where what it works with lies already: only pools of the same driver and endpoint can serve it. */
  beside?: { driver: string; endpoint: string } | undefined;
  needs: readonly Quantity[];
}
export type Placed =
  | { pool: PoolView; reason: string }
  | { pool: undefined; shortage: boolean; /** Where it would go once there is room. */ later: PoolView | undefined; reason: string };

/** The pool with the least share taken among those that may and can take it. `shortage`: one may, but none has room now. */
export function place(wish: Wish, pools: readonly PoolView[]): Placed {
  const refused: string[] = [];
  const may = pools.filter((pool) => {
    const why = whyNotHere(wish, pool);
    if (why) refused.push(`${pool.code}: ${why}`);
    return !why;
  });
  const can = may.filter((pool) => {
    const short = wish.needs.find(({ dimension, quantity }) => (pool.free[dimension] ?? 0) < quantity);
    if (short) refused.push(`${pool.code}: ${short.dimension} has ${pool.free[short.dimension] ?? 0} left, ${short.quantity} needed`);
    return !short;
  });
  const best = can.toSorted((a, b) => shareTaken(a, wish) - shareTaken(b, wish) || (a.code < b.code ? -1 : 1))[0];
  if (best)
    return { pool: best, reason: `least taken of ${can.length} fitting pool${can.length === 1 ? "" : "s"} (${Math.round(shareTaken(best, wish) * 100)} %)` };
  const large = may.filter((pool) => wish.needs.every(({ dimension, quantity }) => (pool.capacity[dimension] ?? 0) >= quantity));
  const later = (large.length > 0 ? large : may).toSorted((a, b) => shareTaken(a, wish) - shareTaken(b, wish) || (a.code < b.code ? -1 : 1))[0];
  return { pool: undefined, shortage: may.length > 0, later, reason: refused.join("; ") || `there is no ${wish.kind} pool` };
}

function whyNotHere(wish: Wish, pool: PoolView): string | undefined {
  if (pool.kind !== wish.kind) return `is for ${pool.kind}`;
  if (wish.pool !== undefined && pool.code !== wish.pool && pool.id !== wish.pool) return "another pool was asked for";
  if (pool.state !== "open") return `is in ${pool.state}`;
  if (pool.securityLevel < wish.securityLevel) return `protection level ${pool.securityLevel} is below ${wish.securityLevel}`;
  if (pool.zone !== wish.zone) return `is in the zone ${pool.zone}`;
  if (wish.tier !== undefined && pool.tier !== wish.tier) return `is of the tier ${pool.tier}`;
  if (wish.beside && (pool.driver !== wish.beside.driver || pool.endpoint !== wish.beside.endpoint))
    return "cannot be reached from where the host or volume lies";
  return undefined;
}

function shareTaken(pool: PoolView, wish: Wish): number {
  return Math.max(0, ...wish.needs.map(({ dimension }) => 1 - (pool.free[dimension] ?? 0) / Math.max(1, pool.capacity[dimension] ?? 1)));
}
