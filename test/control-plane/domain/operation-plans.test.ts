import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Owner } from "../../../control-plane/domain/levels.ts";
import { Bench, type Cluster, type ClusterPool, type Thing, whyNotInPool } from "../../../control-plane/domain/cluster.ts";
import { type Ask, drawUp, hashOf, type PlannedStep, stepDifferences } from "../../../control-plane/domain/operation-plans.ts";

const pools: ClusterPool[] = [
  {
    id: "pol_2",
    code: "two",
    kind: "compute",
    tier: "standard",
    securityLevel: 2,
    zone: "extranet",
    dedicatedTo: null,
    state: "open",
    overcommitPercent: 200,
    group: "a",
  },
  {
    id: "pol_3",
    code: "three",
    kind: "compute",
    tier: "standard",
    securityLevel: 3,
    zone: "extranet",
    dedicatedTo: { department: "dep_1", application: null },
    state: "open",
    overcommitPercent: 100,
    group: "b",
  },
  {
    id: "pol_n",
    code: "net",
    kind: "compute",
    tier: "standard",
    securityLevel: 3,
    zone: "internet",
    dedicatedTo: { department: "dep_1", application: null },
    state: "open",
    overcommitPercent: 400,
  },
  {
    id: "pol_p",
    code: "fast",
    kind: "compute",
    tier: "performance",
    securityLevel: 3,
    zone: "extranet",
    dedicatedTo: { department: "dep_1", application: null },
    state: "open",
    overcommitPercent: 400,
  },
];
const owner = (protectionLevel: number): Owner => ({ application: "app_1", departments: ["dep_1"], protectionLevel, zone: "extranet" });
const names = ["n1", "n2", "n3", "n4", "n5"];
const memberOf = (name: string) =>
  fc.record({
    name: fc.constant(name),
    state: fc.constantFrom("online" as const, "online" as const, "online" as const, "evacuated" as const, "offline" as const),
    groups: fc.constantFrom(["a"], ["b"], ["a", "b"]),
    vcpu: fc.integer({ min: 4, max: 16 }),
    memoryMib: fc.integer({ min: 4096, max: 32_768 }),
    freeDiskBytes: fc.integer({ min: 0, max: 200 }),
  });
const thingOf = (index: number) =>
  fc
    .record({
      kind: fc.constantFrom("host" as const, "host" as const, "host" as const, "volume" as const),
      application: fc.constantFrom("app_1", "app_2", "app_3"),
      owner: fc.record({
        application: fc.constant("app_1"),
        departments: fc.constantFrom(["dep_1"], ["dep_2"]),
        protectionLevel: fc.integer({ min: 1, max: 3 }),
        zone: fc.constantFrom("extranet" as const, "extranet" as const, "internet" as const),
      }),
      vm: fc.boolean(),
      apart: fc.constantFrom("preferred" as const, "preferred" as const, "required" as const),
      pool: fc.constantFrom(...pools),
      member: fc.constantFrom(...names, undefined),
      runs: fc.boolean(),
      vcpu: fc.integer({ min: 1, max: 4 }),
      memoryMib: fc.integer({ min: 256, max: 4096 }),
      bytes: fc.integer({ min: 0, max: 40 }),
      usedBytes: fc.integer({ min: 0, max: 40 }),
    })
    .map((one): Thing => ({
      ...one,
      id: `thing_${index}`,
      name: `t${index}`,
      department: "dep_1",
      ...(one.kind === "volume" ? { vcpu: 0, memoryMib: 0, runs: false } : {}),
    }));
const clusters: fc.Arbitrary<Cluster> = fc.integer({ min: 2, max: 5 }).chain((size) =>
  fc.record({
    members: fc.tuple(...names.slice(0, size).map(memberOf)),
    things: fc.integer({ min: 0, max: 30 }).chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => thingOf(index)))),
    strangers: fc.array(fc.record({ name: fc.constantFrom("x1", "x2"), member: fc.constantFrom(...names) }), { maxLength: 2 }),
  }),
);
const moves = (steps: readonly PlannedStep[]) => steps.filter((one) => one.action.startsWith("move-") && one.blocked === null);
const sumOfSquares = (bench: Bench) =>
  [...bench.members.keys()].reduce((sum, one) => sum + (bench.members.get(one)!.vcpu === undefined ? 0 : bench.share(one) ** 2), 0);

/** Does the moves one after the other and looks at each whether every rule of placement holds. */
function replay(cluster: Cluster, steps: readonly PlannedStep[], opened?: string): Bench {
  const bench = new Bench({
    ...cluster,
    members: cluster.members.map((one) => (one.name === opened && one.state === "evacuated" ? { ...one, state: "online" as const } : one)),
  });
  for (const step of moves(steps)) {
    const thing = cluster.things.find((one) => one.id === step.subject)!;
    expect(bench.whyNot(thing, step.to!), `${thing.name} to ${step.to}`).toBeUndefined();
    expect(whyNotInPool(thing, thing.pool)).toBeUndefined();
    bench.move(thing, step.to!);
  }
  return bench;
}

describe("operation plans", () => {
  it("drain: everything on the member has its step, in no place that a rule forbids; what cannot go is blocked and says why", () => {
    fc.assert(
      fc.property(clusters, (cluster) => {
        const steps = drawUp({ kind: "drain-member", member: "n1" }, cluster, pools);
        expect(steps[0]).toMatchObject({ action: "close-member", subject: "n1" });
        const on = [
          ...cluster.things.filter((one) => one.member === "n1").map((one) => one.id),
          ...cluster.strangers.filter((one) => one.member === "n1").map((one) => one.name),
        ];
        expect(
          steps
            .slice(1)
            .map((one) => one.subject)
            .toSorted(),
        ).toEqual(on.toSorted());
        for (const step of steps.slice(1)) {
          expect(step.from).toBe("n1");
          expect(step.to).not.toBe("n1");
          expect(step.to === null).toBe(step.to === null && step.blocked !== null);
          if (step.blocked !== null) expect(step.blocked).not.toBe("");
        }
        replay(cluster, steps);
      }),
    );
  });

  it("replace: as a drain, with the successor opened first and taking whatever it may", () => {
    fc.assert(
      fc.property(clusters, (cluster) => {
        const steps = drawUp({ kind: "replace-member", member: "n1", successor: "n2" }, cluster, pools);
        expect(steps.slice(0, 2).map((one) => `${one.action} ${one.subject}`)).toEqual(["open-member n2", "close-member n1"]);
        replay(cluster, steps, "n2");
      }),
    );
  });

  it("rebalance: keeps every rule, spreads no application worse, evens out or does nothing, moves nothing twice, ends", () => {
    fc.assert(
      fc.property(clusters, fc.constantFrom(...pools), fc.integer({ min: 1, max: 10 }), (cluster, pool, maxMoves) => {
        const steps = drawUp({ kind: "rebalance", pool: pool.id, maxMoves }, cluster, pools);
        expect(steps.length).toBeLessThanOrEqual(maxMoves);
        expect(new Set(steps.map((one) => one.subject)).size).toBe(steps.length);
        const bench = new Bench(cluster);
        for (const step of steps) {
          const thing = cluster.things.find((one) => one.id === step.subject)!;
          expect(thing.pool.id).toBe(pool.id);
          expect(bench.companions(thing, step.to!)).toBeLessThanOrEqual(bench.companions(thing, step.from!));
          expect(bench.whyNot(thing, step.to!)).toBeUndefined();
          const before = sumOfSquares(bench);
          bench.move(thing, step.to!);
          expect(sumOfSquares(bench)).toBeLessThan(before);
        }
        if (steps.length > 0) expect(sumOfSquares(bench)).toBeLessThan(sumOfSquares(new Bench(cluster)));
      }),
    );
  });

  const host = (id: string, member: string, more: Partial<Thing> = {}): Thing => ({
    id,
    kind: "host",
    name: id,
    department: "dep_1",
    application: id,
    owner: owner(2),
    vm: false,
    apart: "preferred",
    pool: { ...pools[0]!, group: undefined },
    member,
    runs: true,
    vcpu: 1,
    memoryMib: 1024,
    bytes: 1,
    usedBytes: 1,
    ...more,
  });
  const even = (things: Thing[]): Cluster => ({
    members: ["n1", "n2", "n3"].map((name) => ({ name, state: "online" as const, groups: ["a"], vcpu: 8, memoryMib: 8192, freeDiskBytes: 100 })),
    things,
    strangers: [],
  });

  it("rebalance: fills an empty member that came back", () => {
    const cluster = even([host("a", "n1"), host("b", "n1"), host("c", "n1"), host("d", "n2"), host("e", "n2"), host("f", "n2")]);
    const steps = drawUp({ kind: "rebalance", pool: "pol_2", maxMoves: 20 }, cluster, pools);
    expect(steps.map((one) => one.to)).toEqual(["n3", "n3"]);
    expect(new Set(steps.map((one) => one.from))).toEqual(new Set(["n1", "n2"]));
    expect(steps[0]?.reason).toMatch(/^n1 38 % → 25 % taken, n3 0 % → 13 %$/);
  });

  it("keeps the hosts of one application apart where there is room", () => {
    const cluster = even([host("a", "n1", { application: "x" }), host("b", "n2", { application: "x" }), host("c", "n3"), host("d", "n3")]);
    expect(drawUp({ kind: "drain-member", member: "n1" }, cluster, pools)[1]).toMatchObject({ subject: "a", to: "n3", restarts: true });
  });

  it("a move to another pool: of its level, zone and tier or it is said why not; within one group it stays where it is", () => {
    const cluster = even([host("a", "n1", { owner: owner(3), pool: { ...pools[1]!, group: undefined } })]);
    const to = (toPool: string, toMember: string | null = null): Ask => ({ kind: "move-host", resource: "a", toPool, toMember });
    expect(drawUp(to("pol_2"), cluster, pools)[0]?.blocked).toMatch(/protection level 2 is below 3/);
    expect(drawUp(to("pol_n"), cluster, pools)[0]?.blocked).toMatch(/zone internet/);
    expect(drawUp(to("pol_p"), cluster, pools)[0]?.blocked).toMatch(/tier performance.*request/);
    const other = { ...pools[1]!, id: "pol_4", code: "four", group: "a" };
    expect(drawUp(to("pol_4"), cluster, [...pools, other])[0]).toMatchObject({ blocked: null, to: "n1", restarts: false, fromPool: "pol_3", toPool: "pol_4" });
    expect(drawUp(to("pol_4", "n2"), cluster, [...pools, other])[0]).toMatchObject({ blocked: null, to: "n2", restarts: true });
    expect(() => drawUp(to("pol_elsewhere"), cluster, pools)).toThrow(/another server/);
  });

  it("a member that is alone cannot be drained", () => {
    const alone: Cluster = { members: even([]).members.slice(0, 1), things: [host("a", "n1")], strangers: [] };
    expect(() => drawUp({ kind: "drain-member", member: "n1" }, alone, pools)).toThrow(/one machine only/);
    expect(() => drawUp({ kind: "drain-member", member: "n9" }, even([]), pools)).toThrow(/no member n9/);
  });

  it("says what differs between what was shown and what would be done now", () => {
    const before = drawUp({ kind: "drain-member", member: "n1" }, even([host("a", "n1"), host("b", "n1")]), pools);
    const later = drawUp({ kind: "drain-member", member: "n1" }, even([host("a", "n1"), host("c", "n1"), host("d", "n2"), host("e", "n2")]), pools);
    expect(stepDifferences(before, before)).toEqual([]);
    expect(hashOf(before)).not.toBe(hashOf(later));
    expect(stepDifferences(before, later)).toEqual([
      "move-host a: n1 → n3, restarts, was n1 → n2, restarts",
      "move-host b: no more",
      "move-host c: new, n1 → n3, restarts",
    ]);
  });
});
