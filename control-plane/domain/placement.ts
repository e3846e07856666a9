/** Where things go: filter, then score; every step explained. Pure. */
import type { Dimension } from "../contract/common.ts";
import { groupOf, serverOf } from "../../infra/spec.ts";
import { type Owner, type Protection, whyNotIn } from "./levels.ts";
import type { Members } from "./members.ts";
import type { Quantity } from "./resources.ts";

export interface PoolView extends Protection {
  id: string;
  code: string;
  tier: "performance" | "standard" | "capacity";
  driver: string;
  endpoint: string;
  state: "open" | "maintenance" | "closed";
  strategy: "spread" | "pack";
  overcommitPercent: number;
  /** Whether virtual machines can be made there. */
  vm: boolean;
  free: Partial<Record<Dimension, number>>;
  capacity: Partial<Record<Dimension, number>>;
}
export interface Wish {
  kind: PoolView["kind"];
  tier?: PoolView["tier"] | undefined;
  /** Code or id, when the applicant named one. */
  pool?: string | undefined;
  owner: Owner;
  /** Server where what it works with lies already (`serverOf`): only pools there can serve it. */
  beside?: string | undefined;
  needs: readonly Quantity[];
  /** Of a host that gets a member of its pool's cluster. */
  host?: { vm: boolean; vcpu: number; memoryMib: number; apart: "preferred" | "required" } | undefined;
}
/** Another pool, or another member of the chosen one, and why not that. */
export interface Considered {
  pool: string;
  member?: string;
  why: string;
}
export type Placed =
  | { pool: PoolView; reason: string; member?: string | undefined; memberReason?: string | undefined; considered: Considered[] }
  | { pool: undefined; shortage: boolean; /** Where it would go once there is room. */ later: PoolView | undefined; reason: string; considered: Considered[] };

/** Most pools that a placement tells of. */
const toldMost = 12;

/**
 * The pool with the least share taken among those that may and can take it, and of a cluster the member that its strategy takes. `shortage`: one may, but
 * none has room now. @param members of the pools' servers; takes nothing of them
 */
export function place(wish: Wish, pools: readonly PoolView[], members?: Members): Placed {
  const considered: Considered[] = [];
  const refuse = (pool: PoolView, why: string) => void considered.push({ pool: pool.code, why });
  const may = pools.filter((pool) => {
    if (pool.kind !== wish.kind) return false;
    const why = whyNotHere(wish, pool);
    if (why) refuse(pool, why);
    return !why;
  });
  const can = may
    .filter((pool) => {
      const short = wish.needs.find(({ dimension, quantity }) => (pool.free[dimension] ?? 0) < quantity);
      if (short) refuse(pool, `${short.dimension} has ${pool.free[short.dimension] ?? 0} left, ${short.quantity} needed`);
      return !short;
    })
    .map((pool) => ({ pool, share: shareTaken(pool, wish) }))
    .toSorted((a, b) => a.share - b.share || (a.pool.code < b.pool.code ? -1 : 1));
  for (const [index, { pool, share }] of can.entries()) {
    const chosen = wish.host && members ? members.choose(memberPool(pool), { ...wish.host, application: wish.owner.application }) : undefined;
    if (chosen?.member === null) {
      refuse(pool, chosen.reason);
      continue;
    }
    for (const one of can.slice(index + 1)) refuse(one.pool, `${percent(one.share)} is taken, more than of ${pool.code}`);
    const reason = `least taken of ${can.length} fitting pool${can.length === 1 ? "" : "s"} (${percent(share)})`;
    const inside = (chosen?.considered ?? []).map((one) => ({ pool: pool.code, ...one }));
    return { pool, reason, member: chosen?.member, memberReason: chosen?.reason, considered: [...bounded(considered), ...inside] };
  }
  const large = may.filter((pool) => wish.needs.every(({ dimension, quantity }) => (pool.capacity[dimension] ?? 0) >= quantity));
  const later = (large.length > 0 ? large : may).toSorted((a, b) => shareTaken(a, wish) - shareTaken(b, wish) || (a.code < b.code ? -1 : 1))[0];
  const reason = considered.map(({ pool, why }) => `${pool}: ${why}`).join("; ") || `there is no ${wish.kind} pool`;
  return { pool: undefined, shortage: may.length > 0, later, reason, considered: bounded(considered) };
}

/** What of a pool its members are chosen by. */
export const memberPool = (pool: Pick<PoolView, "id" | "driver" | "endpoint" | "strategy" | "overcommitPercent">) => ({
  id: pool.id,
  server: serverOf(pool),
  group: groupOf(pool),
  strategy: pool.strategy,
  overcommitPercent: pool.overcommitPercent,
});

const bounded = (all: readonly Considered[]): Considered[] =>
  all.length <= toldMost ? [...all] : [...all.slice(0, toldMost), { pool: `+${all.length - toldMost}`, why: "no better" }];

function whyNotHere(wish: Wish, pool: PoolView): string | undefined {
  if (wish.pool !== undefined && pool.code !== wish.pool && pool.id !== wish.pool) return "another pool was asked for";
  if (pool.state !== "open") return `is in ${pool.state}`;
  const forbidden = whyNotIn(wish.owner, pool, { vm: wish.host?.vm ?? false });
  if (forbidden) return forbidden;
  if (wish.host?.vm && !pool.vm) return "has no virtual machines";
  if (wish.tier !== undefined && pool.tier !== wish.tier) return `is of the tier ${pool.tier}`;
  if (wish.beside !== undefined && serverOf(pool) !== wish.beside) return "cannot be reached from where the host or volume lies";
  return undefined;
}

function shareTaken(pool: PoolView, wish: Wish): number {
  return Math.max(0, ...wish.needs.map(({ dimension }) => 1 - (pool.free[dimension] ?? 0) / Math.max(1, pool.capacity[dimension] ?? 1)));
}
const percent = (share: number) => `${Math.round(share * 100)} %`;
