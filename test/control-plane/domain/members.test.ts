import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type HostNeed, type MemberPool, Members, type MemberView } from "../../../control-plane/domain/members.ts";

const server = "lxd unix:/a";
const pool = (changes: Partial<MemberPool> = {}): MemberPool => ({
  id: "pol",
  server,
  group: undefined,
  strategy: "spread",
  overcommitPercent: 100,
  ...changes,
});
const view = (name: string, changes: Partial<MemberView> = {}): MemberView => ({
  server,
  name,
  state: "online",
  groups: ["default"],
  vcpu: 8,
  memoryMib: 8000,
  taken: { vcpu: 0, memoryMib: 0 },
  ...changes,
});
const need = (changes: Partial<HostNeed> = {}): HostNeed => ({ application: "app", vcpu: 1, memoryMib: 100, apart: "preferred", ...changes });

const anyMember = fc.record({
  state: fc.constantFrom<MemberView["state"]>("online", "online", "online", "evacuated", "offline"),
  groups: fc.constantFrom(["default"], ["default", "gold"]),
  vcpu: fc.integer({ min: 1, max: 16 }),
  memoryMib: fc.integer({ min: 100, max: 4000 }),
});
const anyNeed: fc.Arbitrary<HostNeed> = fc.record({
  application: fc.constantFrom("one", "two", "three"),
  vcpu: fc.integer({ min: 1, max: 4 }),
  memoryMib: fc.integer({ min: 10, max: 1000 }),
  apart: fc.constantFrom("preferred", "required"),
});
const anyPool = fc.record({
  group: fc.constantFrom(undefined, "gold"),
  strategy: fc.constantFrom("spread", "pack"),
  overcommitPercent: fc.constantFrom(100, 250),
});

describe("members", () => {
  it("take no more than they have, with nobody who must be apart, only of the group and online, in the order of the strategy", () => {
    fc.assert(
      fc.property(fc.array(anyMember, { minLength: 2, maxLength: 9 }), anyPool, fc.array(anyNeed, { maxLength: 40 }), (list, options, needs) => {
        const views = list.map((one, index) => view(`n${index}`, one));
        const members = new Members(views);
        const where = pool(options);
        const there = new Map(views.map((one) => [one.name, { vcpu: 0, memoryMib: 0, hosts: [] as string[] }]));
        const usable = views.filter((one) => one.state === "online" && (options.group === undefined || one.groups.includes(options.group)));
        const inGroup = views.filter((one) => options.group === undefined || one.groups.includes(options.group));
        fc.pre(inGroup.length > 1);
        const offered = (one: MemberView) => Math.floor((one.vcpu! * options.overcommitPercent) / 100);
        const share = (one: MemberView) => Math.max(there.get(one.name)!.vcpu / offered(one), there.get(one.name)!.memoryMib / one.memoryMib!);
        for (const ask of needs) {
          const count = (one: MemberView) => there.get(one.name)!.hosts.filter((application) => application === ask.application).length;
          const fits = usable.filter((one) => {
            const { vcpu, memoryMib } = there.get(one.name)!;
            return vcpu + ask.vcpu <= offered(one) && memoryMib + ask.memoryMib <= one.memoryMib! && (ask.apart === "preferred" || count(one) === 0);
          });
          const chosen = members.choose(where, ask);
          if (fits.length === 0) {
            expect(chosen.member).toBeNull();
            continue;
          }
          const least = Math.min(...fits.map(count));
          const alike = fits.filter((one) => count(one) === least).map(share);
          const best = fits.find((one) => one.name === chosen.member)!;
          expect(count(best), "as far apart as can be").toBe(least);
          expect(share(best)).toBe(options.strategy === "spread" ? Math.min(...alike) : Math.max(...alike));
          expect(chosen.considered.length).toBeLessThanOrEqual(5);
          members.take(where, best.name, ask);
          const now = there.get(best.name)!;
          now.vcpu += ask.vcpu;
          now.memoryMib += ask.memoryMib;
          now.hosts.push(ask.application);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("are as they were when what was taken is given back", () => {
    fc.assert(
      fc.property(fc.array(anyNeed, { minLength: 1, maxLength: 30 }), (needs) => {
        const views = Array.from({ length: 5 }, (_, index) => view(`n${index}`, { vcpu: 1000, memoryMib: 1_000_000 }));
        const members = new Members(views);
        const [even, full] = [pool(), pool({ id: "other", strategy: "pack" })];
        const before = [members.list(even), members.list(full)].map((list) => [...list]);
        const taken = needs.map((ask) => {
          const { member } = members.choose(full, { ...ask, apart: "preferred" });
          members.take(full, member!, ask);
          return { member: member!, ask };
        });
        expect(members.list(even)).not.toEqual(before[0]);
        for (const { member, ask } of taken.toReversed()) members.take(full, member, ask, -1);
        expect([members.list(even), members.list(full)].map((list) => list.map((one) => one.share))).toEqual(
          before.map((list) => list.map((one) => one.share)),
        );
        expect(members.choose(even, need({ application: "one" })).member).toBe("n0");
      }),
    );
  });

  it("explain: who was passed over and why, who comes next; and that one machine alone is its pool's capacity", () => {
    const members = new Members([
      view("n1", { taken: { vcpu: 8, memoryMib: 0 } }),
      view("n2", { taken: { vcpu: 1, memoryMib: 0 } }),
      view("n3", { taken: { vcpu: 2, memoryMib: 0 } }),
      view("n4", { state: "offline" }),
    ]);
    expect(members.choose(pool(), need())).toEqual({
      member: "n2",
      reason: "least taken of 3 members (13 %)",
      considered: [
        { member: "n4", why: "is offline" },
        { member: "n3", why: "comes after it: 25 % taken" },
      ],
    });
    expect(members.choose(pool({ id: "packed", strategy: "pack" }), need())).toMatchObject({
      member: "n3",
      reason: "most taken that has room of 3 members (25 %)",
      considered: [{ member: "n1", why: "has 0 vCPU left" }, { member: "n4" }, { member: "n2" }],
    });
    expect(members.choose(pool({ id: "grouped", group: "gold" }), need())).toMatchObject({ member: null, reason: "no member is in the group gold" });
    const alone = new Members([view("n1", { vcpu: 1 })]);
    expect(alone.choose(pool(), need({ vcpu: 99 })).member).toBeUndefined();
    alone.take(pool(), "", need());
    expect(alone.choose(pool(), need()).member).toBeUndefined();
    expect(alone.choose(pool(), need({ apart: "required" }))).toMatchObject({ member: null, reason: expect.stringContaining("one member only") });
  });
});
