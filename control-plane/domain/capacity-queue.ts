/** The queue for capacity (等待资源): approved requests in the order of their approval. Pure. */
import type { Dimension } from "../contract/common.ts";

/** What is needed of a pool, or free in it. */
export interface Need {
  poolId: string;
  dimension: Dimension;
  quantity: number;
}
export type Free = Map<string, number>;
export const keyOf = ({ poolId, dimension }: Pick<Need, "poolId" | "dimension">): string => `${poolId} ${dimension}`;

/** Takes it, whether it is there or not: nobody behind takes what one in front waits for. @returns what is short */
export function claim(needs: readonly Need[], free: Free): Need[] {
  const sums = [...Map.groupBy(needs, keyOf)].map(([key, of]) => ({ key, need: { ...of[0]!, quantity: of.reduce((sum, one) => sum + one.quantity, 0) } }));
  const short = sums.filter(({ key, need }) => (free.get(key) ?? 0) < need.quantity).map(({ need }) => need);
  for (const { key, need } of sums) free.set(key, (free.get(key) ?? 0) - need.quantity);
  return short;
}

/** First come, first served: each in its turn gets all that it needs, or keeps its place. @param free changed: what is left for who comes after them all */
export const serve = <One extends { needs: readonly Need[] }>(queue: readonly One[], free: Free): { one: One; short: Need[] }[] =>
  queue.map((one) => ({ one, short: claim(one.needs, free) }));
