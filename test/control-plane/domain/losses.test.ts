import { describe, expect, it } from "vitest";
import type { Cluster, ClusterPool, Thing } from "../../../control-plane/domain/cluster.ts";
import { prospectOf, whyNotElsewhere } from "../../../control-plane/domain/losses.ts";
import { nextSteps } from "../../../control-plane/domain/operation-order.ts";
import { drawUp } from "../../../control-plane/domain/operation-plans.ts";

describe("what a policy does about a host whose member doesn't answer", () => {
  const since = new Date("2026-11-30T00:00:00Z");
  const host = { pool: "gold", member: "n2", sharedStorage: true, adopted: false, volumes: [] };
  it("acts after its time, and says why not where it doesn't", () => {
    const at = new Date("2026-11-30T00:10:00Z");
    expect(prospectOf({ action: "restart", afterSeconds: 600 }, host, since)).toEqual({ at, why: null });
    expect(prospectOf({ action: "propose", afterSeconds: 600 }, { ...host, sharedStorage: false }, since)).toEqual({ at, why: null });
    expect(prospectOf({ action: "wait", afterSeconds: 600 }, host, since).at).toBeNull();
    expect(prospectOf({ action: "restart", afterSeconds: 600 }, { ...host, sharedStorage: false }, since)).toEqual({
      at: null,
      why: "its disk lies on n2 alone: the members of pool gold share no storage",
    });
  });
  it("never takes what isn't known to be shared for shared", () => {
    expect(whyNotElsewhere(host)).toBeNull();
    expect(whyNotElsewhere({ ...host, sharedStorage: null })).toContain("has not been read");
    expect(whyNotElsewhere({ ...host, volumes: ["data"] })).toBe("data: on n2 alone");
    expect(whyNotElsewhere({ ...host, adopted: true })).toContain("before us");
  });
});

describe("a plan to start lost hosts elsewhere", () => {
  const pool: ClusterPool = {
    id: "p",
    code: "gold",
    kind: "compute",
    tier: "standard",
    securityLevel: 2,
    zone: "extranet",
    state: "open",
    overcommitPercent: 100,
    dedicatedTo: null,
    shared: true,
  };
  const host = (id: string, member: string, change: Partial<Thing> = {}): Thing => ({
    id,
    kind: "host",
    name: id,
    department: "d",
    application: "a",
    owner: { application: "a", departments: ["d"], protectionLevel: 2, zone: "extranet" },
    vm: false,
    apart: "preferred",
    pool,
    member,
    runs: true,
    vcpu: 1,
    memoryMib: 512,
    bytes: 1e12,
    usedBytes: 1e12,
    ...change,
  });
  const member = (name: string, state: "online" | "offline" = "online", vcpu = 4) => ({ name, state, groups: [], vcpu, memoryMib: 4096, freeDiskBytes: 1 });
  const cluster = (things: Thing[], members = [member("n1"), member("n2", "offline"), member("n3")]): Cluster => ({ members, things, strangers: [] });
  const plan = (of: Cluster, hosts: string[]) => drawUp({ kind: "restart-lost", member: "n2", hosts }, of, [pool]);

  it("places each as a new one: apart from its application's others, without room for its disk since nothing is copied", () => {
    const steps = plan(cluster([host("web", "n2"), host("db", "n1"), host("other", "n2"), host("stopped", "n2", { runs: false, application: "b" })]), [
      "web",
      "stopped",
    ]);
    expect(steps.map(({ action, subject, from, to, restarts, bytes, blocked }) => ({ action, subject, from, to, restarts, bytes, blocked }))).toEqual([
      { action: "restart-host", subject: "stopped", from: "n2", to: "n3", restarts: false, bytes: null, blocked: null },
      { action: "restart-host", subject: "web", from: "n2", to: "n3", restarts: true, bytes: null, blocked: null },
    ]);
    expect(nextSteps(steps.map((one) => ({ action: one.action, state: "planned" as const, from_member: one.from, to_member: one.to })))).toHaveLength(2);
  });
  it("says of each why it stays down, and goes on with the others", () => {
    const things = [
      host("bound", "n2", { bound: "its disk lies on n2 alone", memoryMib: 600 }),
      host("apart", "n2", { apart: "required" }),
      host("beside", "n1"),
      host("besides", "n3"),
      host("fits", "n2", { application: "b", memoryMib: 100 }),
      host("large", "n2", { application: "b", vcpu: 64 }),
    ];
    const steps = plan(cluster(things), ["bound", "apart", "fits", "large"]);
    const of = (id: string) => steps.find((one) => one.subject === id)!;
    expect(of("bound")).toMatchObject({ to: null, blocked: "its disk lies on n2 alone" });
    expect(of("apart").blocked).toContain("must be apart");
    expect(of("large").blocked).toContain("vCPU left");
    expect(of("fits")).toMatchObject({ blocked: null });
    expect(of("fits").to).not.toBeNull();
  });
  it("is refused when the member answers", () => {
    expect(() => plan(cluster([host("web", "n2")], [member("n1"), member("n2")]), ["web"])).toThrow("answers");
  });
});
