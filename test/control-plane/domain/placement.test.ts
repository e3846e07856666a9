import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { place, type PoolView, type Wish } from "../../../control-plane/domain/placement.ts";

const tiers = ["performance", "standard", "capacity"] as const;
const zones = ["extranet", "internet"] as const;
const anyPool: fc.Arbitrary<Omit<PoolView, "id" | "code">> = fc
  .record({
    kind: fc.constantFrom("compute", "storage", "backup"),
    tier: fc.constantFrom(...tiers),
    securityLevel: fc.integer({ min: 2, max: 4 }),
    zone: fc.constantFrom(...zones),
    driver: fc.constant("embedded"),
    endpoint: fc.constantFrom("/a", "/b"),
    state: fc.constantFrom("open", "open", "maintenance", "closed"),
    size: fc.integer({ min: 1, max: 100 }),
    taken: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ size, taken, ...pool }) => ({ ...pool, capacity: { hosts: size }, free: { hosts: size - Math.floor(size * taken) } }));
const pools = fc.array(anyPool, { maxLength: 8 }).map((list) => list.map((pool, index): PoolView => ({ ...pool, id: `pol_${index}`, code: `p${index}` })));
const wish: fc.Arbitrary<Wish> = fc.record({
  kind: fc.constantFrom("compute", "storage", "backup"),
  tier: fc.option(fc.constantFrom(...tiers), { nil: undefined }),
  securityLevel: fc.integer({ min: 1, max: 4 }),
  zone: fc.constantFrom(...zones),
  beside: fc.option(fc.constantFrom({ driver: "embedded", endpoint: "/a" }, { driver: "embedded", endpoint: "/b" }), { nil: undefined }),
  needs: fc.integer({ min: 1, max: 50 }).map((quantity) => [{ dimension: "hosts" as const, quantity }]),
});
const mayTake = (ask: Wish, pool: PoolView) =>
  pool.kind === ask.kind &&
  pool.state === "open" &&
  pool.securityLevel >= ask.securityLevel &&
  pool.zone === ask.zone &&
  (ask.tier === undefined || pool.tier === ask.tier) &&
  (ask.beside === undefined || pool.endpoint === ask.beside.endpoint);
const free = (pool: PoolView) => pool.free.hosts ?? 0;

describe("placement", () => {
  it("never goes below the level, into another zone, tier or place, or over capacity; takes the least taken; tells shortage from impossibility", () => {
    fc.assert(
      fc.property(pools, wish, (list, ask) => {
        const placed = place(ask, list);
        const may = list.filter((pool) => mayTake(ask, pool));
        const can = may.filter((pool) => free(pool) >= ask.needs[0]!.quantity);
        const share = (pool: PoolView) => 1 - free(pool) / (pool.capacity.hosts ?? 1);
        if (placed.pool) {
          expect(can).toContain(placed.pool);
          expect(share(placed.pool)).toBe(Math.min(...can.map(share)));
        } else {
          expect(can).toEqual([]);
          expect(placed.shortage).toBe(may.length > 0);
          if (may.length > 0) expect(may, "where it goes once there is room is where it may").toContain(placed.later);
          for (const pool of list) expect(placed.reason).toContain(`${pool.code}: `);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("does not depend on the order of the pools", () => {
    fc.assert(
      fc.property(pools, wish, (list, ask) => {
        expect(place(ask, list.toReversed()).pool?.id).toBe(place(ask, list).pool?.id);
      }),
    );
  });

  it("keeps to the pool that was named, by code or id", () => {
    fc.assert(
      fc.property(pools, wish, fc.nat(7), (list, ask, index) => {
        const { pool } = place({ ...ask, pool: index % 2 ? `p${index}` : `pol_${index}` }, list);
        if (pool) expect(pool.id).toBe(`pol_${index}`);
      }),
    );
  });
});
