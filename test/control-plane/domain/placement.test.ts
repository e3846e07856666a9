import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Owner, type Protection, whyNotIn } from "../../../control-plane/domain/levels.ts";
import { Members } from "../../../control-plane/domain/members.ts";
import { place, type PoolView, type Wish } from "../../../control-plane/domain/placement.ts";
import { serverOf } from "../../../infra/spec.ts";

const tiers = ["performance", "standard", "capacity"] as const;
const zones = ["extranet", "internet"] as const;
const departments = ["root", "a", "b"];
const dedications = [null, { department: "root", application: null }, { department: "a", application: null }, { department: "a", application: "app" }];
const anyPool: fc.Arbitrary<Omit<PoolView, "id" | "code">> = fc
  .record({
    kind: fc.constantFrom("compute", "storage", "backup"),
    tier: fc.constantFrom(...tiers),
    securityLevel: fc.integer({ min: 2, max: 4 }),
    zone: fc.constantFrom(...zones),
    dedicatedTo: fc.constantFrom(...dedications),
    driver: fc.constant("lxd"),
    endpoint: fc.constantFrom("unix:/a?storage=x", "unix:/a?storage=y", "unix:/b?storage=x"),
    state: fc.constantFrom("open", "open", "maintenance", "closed"),
    strategy: fc.constantFrom("spread", "pack"),
    overcommitPercent: fc.constant(100),
    vm: fc.boolean(),
    size: fc.integer({ min: 1, max: 100 }),
    taken: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ size, taken, ...pool }) => ({ ...pool, capacity: { hosts: size }, free: { hosts: size - Math.floor(size * taken) } }));
const pools = fc.array(anyPool, { maxLength: 8 }).map((list) => list.map((pool, index): PoolView => ({ ...pool, id: `pol_${index}`, code: `p${index}` })));
const owner: fc.Arbitrary<Owner> = fc.record({
  application: fc.constantFrom("app", "other"),
  departments: fc.constantFrom(["a", "root"], ["b", "root"]),
  protectionLevel: fc.integer({ min: 1, max: 4 }),
  zone: fc.constantFrom(...zones),
});
const wish: fc.Arbitrary<Wish> = fc.record({
  kind: fc.constantFrom("compute", "storage", "backup"),
  tier: fc.option(fc.constantFrom(...tiers), { nil: undefined }),
  owner,
  beside: fc.option(fc.constantFrom("lxd unix:/a", "lxd unix:/b"), { nil: undefined }),
  needs: fc.integer({ min: 1, max: 50 }).map((quantity) => [{ dimension: "hosts" as const, quantity }]),
  host: fc.boolean().map((vm) => ({ vm, vcpu: 1, memoryMib: 1, apart: "preferred" as const })),
});
/** Said once more, in other words than the code's. */
const isAllowed = ({ owner: who, host }: Wish, pool: Protection) => {
  const owns =
    pool.dedicatedTo === null
      ? false
      : pool.dedicatedTo.application === null
        ? who.departments.includes(pool.dedicatedTo.department)
        : who.application === pool.dedicatedTo.application;
  return (
    pool.securityLevel >= who.protectionLevel &&
    pool.zone === who.zone &&
    (pool.dedicatedTo === null || owns) &&
    (pool.kind !== "compute" || pool.securityLevel < 3 || owns || host!.vm)
  );
};
const mayTake = (ask: Wish, pool: PoolView) =>
  pool.kind === ask.kind &&
  pool.state === "open" &&
  isAllowed(ask, pool) &&
  (pool.vm || !ask.host!.vm) &&
  (ask.tier === undefined || pool.tier === ask.tier) &&
  (ask.beside === undefined || serverOf(pool) === ask.beside);
const free = (pool: PoolView) => pool.free.hosts ?? 0;

describe("what may lie where", () => {
  it("is one rule: never below the level, never in another zone, only with its owner, and from level 3 on no containers of several owners", () => {
    fc.assert(
      fc.property(pools, wish, (list, ask) => {
        for (const pool of list) expect(whyNotIn(ask.owner, pool, { vm: ask.host!.vm }) === undefined).toBe(isAllowed(ask, pool));
      }),
    );
  });
  it("says why", () => {
    const who: Owner = { application: "app", departments, protectionLevel: 3, zone: "extranet" };
    const pool: Protection = { kind: "compute", securityLevel: 3, zone: "extranet", dedicatedTo: null };
    expect(whyNotIn(who, { ...pool, securityLevel: 2 })).toBe("protection level 2 is below 3");
    expect(whyNotIn(who, pool)).toContain("virtual machines only");
    expect(whyNotIn(who, pool, { vm: true })).toBeUndefined();
    expect(whyNotIn(who, { ...pool, kind: "storage" }), "volumes are no machines").toBeUndefined();
    expect(whyNotIn(who, { ...pool, dedicatedTo: { department: "elsewhere", application: null } }, { vm: true })).toBe("is dedicated to others");
  });
});

describe("placement", () => {
  it("never goes where it may not, into another tier or place, or over capacity; takes the least taken; tells shortage from impossibility", () => {
    fc.assert(
      fc.property(pools, wish, (list, ask) => {
        const placed = place(ask, list);
        const may = list.filter((pool) => mayTake(ask, pool));
        const can = may.filter((pool) => free(pool) >= ask.needs[0]!.quantity);
        const share = (pool: PoolView) => 1 - free(pool) / (pool.capacity.hosts ?? 1);
        const others = list.filter((pool) => pool.kind === ask.kind && pool !== placed.pool).map((pool) => pool.code);
        expect(placed.considered.map((one) => one.pool).toSorted(), "why each other one was not taken").toEqual(others.toSorted());
        if (placed.pool) {
          expect(can).toContain(placed.pool);
          expect(share(placed.pool)).toBe(Math.min(...can.map(share)));
        } else {
          expect(can).toEqual([]);
          expect(placed.shortage).toBe(may.length > 0);
          if (may.length > 0) expect(may, "where it goes once there is room is where it may").toContain(placed.later);
          for (const code of others) expect(placed.reason).toContain(`${code}: `);
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

  it("takes another pool where no member has room for it, and waits where none has, though the pools have", () => {
    const one = (code: string): PoolView => ({
      ...fc.sample(anyPool, 1)[0]!,
      id: `pol_${code}`,
      code,
      kind: "compute",
      securityLevel: 2,
      zone: "extranet",
      dedicatedTo: null,
      state: "open",
      strategy: "spread",
      vm: true,
      tier: "standard",
      endpoint: `unix:/${code}`,
      capacity: { hosts: 9 },
      free: { hosts: 9 },
    });
    const member = (code: string, name: string, left: number) => ({
      server: `lxd unix:/${code}`,
      name,
      state: "online" as const,
      groups: [],
      vcpu: 4,
      memoryMib: 1000,
      taken: { vcpu: 4 - left, memoryMib: 0 },
    });
    const members = new Members([member("a", "n1", 1), member("a", "n2", 1), member("b", "n1", 2), member("b", "n2", 3)]);
    const ask = (vcpu: number): Wish => ({
      kind: "compute",
      owner: { application: "app", departments, protectionLevel: 2, zone: "extranet" },
      needs: [{ dimension: "hosts", quantity: 1 }],
      host: { vm: false, vcpu, memoryMib: 10, apart: "preferred" },
    });
    expect(place(ask(1), [one("a"), one("b")], members)).toMatchObject({ pool: { code: "a" } });
    const second = place(ask(2), [one("a"), one("b")], members);
    expect(second).toMatchObject({ pool: { code: "b" }, member: "n2" });
    expect(second.considered).toContainEqual({ pool: "a", why: expect.stringContaining("members") });
    expect(place(ask(4), [one("a"), one("b")], members)).toMatchObject({ pool: undefined, shortage: true });
  });
});
