import { describe, expect, it } from "vitest";
import { Item } from "../../../control-plane/contract/requests.ts";
import type { PoolView } from "../../../control-plane/domain/placement.ts";
import type { HostSpec } from "../../../infra/spec.ts";
import { type Context, type Held, propose } from "../../../control-plane/domain/proposals.ts";
import { Refusal } from "../../../control-plane/domain/refusal.ts";

const small = { vcpu: 1, memoryMib: 1024, diskGib: 10 };
const standard = { vcpu: 2, memoryMib: 2048, diskGib: 20 };
const pool = (code: string, kind: PoolView["kind"], endpoint: string, room = 1000): PoolView => {
  const capacity = { hosts: room, vcpu: room, memory_mib: room * 1024, "storage_gib:standard": room, backup_gib: room };
  return {
    id: `pol_${code}`,
    code,
    kind,
    tier: "standard",
    securityLevel: 3,
    zone: "extranet",
    driver: "embedded",
    endpoint,
    state: "open",
    dedicatedTo: { department: "dep", application: null },
    strategy: "spread",
    overcommitPercent: 100,
    vm: false,
    capacity,
    free: { ...capacity },
  };
};
const heldHost = (id: string, changedBy: string | null = null): Held => ({
  id,
  kind: "host",
  name: `name-${id.slice(-1)}`,
  phase: "live",
  poolId: "pol_c1",
  changedBy,
  wanted: {
    name: id,
    hostname: "h",
    pool: "pol_c1",
    image: "base",
    flavour: standard,
    sshKeys: [],
    addresses: [],
    ports: [],
    power: "running",
    application: "app",
  },
});
const hostId = `hst_${"0".repeat(25)}1`;
const volumeId = `vol_${"0".repeat(25)}2`;
const attachmentId = `att_${"0".repeat(25)}3`;
const heldVolume: Held = {
  id: volumeId,
  kind: "volume",
  name: "data",
  phase: "live",
  poolId: "pol_s1",
  changedBy: null,
  wanted: { name: volumeId, pool: "pol_s1", tier: "standard", sizeGib: 10, application: "app" },
};
const heldAttachment: Held = {
  id: attachmentId,
  kind: "attachment",
  name: "web-data",
  phase: "live",
  poolId: null,
  changedBy: null,
  wanted: { name: attachmentId, host: hostId, volume: volumeId, path: "/data" },
};

function ask(items: unknown[], changes: Partial<Context> = {}) {
  let made = 0;
  const context: Context = {
    application: { id: "app", protectionLevel: 2, zone: "extranet", departments: ["dep"], antiAffinity: "preferred" },
    flavours: new Map([
      ["small", small],
      ["standard", standard],
    ]),
    images: new Set(["base"]),
    pools: [
      pool("c1", "compute", "/one"),
      pool("c2", "compute", "/two"),
      pool("s1", "storage", "/one"),
      pool("s2", "storage", "/two"),
      pool("b1", "backup", "/three"),
    ],
    held: [],
    newId: (kind) => `${kind}_${made++}`,
    ...changes,
  };
  return propose(
    items.map((item) => Item.parse(item)),
    context,
  );
}
const refusal = (work: () => unknown): Refusal => {
  try {
    work();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error("it was not refused");
};
const host = (name: string, rest: object = {}) => ({ action: "create", kind: "host", spec: { name, flavour: "standard", image: "base", ...rest } });
const volume = (name: string, rest: object = {}) => ({ action: "create", kind: "volume", spec: { name, sizeGib: 10, ...rest } });
const attach = (hostName: string, volumeName: string) => ({ action: "create", kind: "attachment", spec: { host: hostName, volume: volumeName } });

describe("proposals", () => {
  it("resolves names within the request and counts charges: a host, a volume, a policy by its volume's size", () => {
    const { items, shortages } = ask([
      host("web"),
      volume("data"),
      attach("web", "data"),
      { action: "create", kind: "backup-policy", spec: { name: "nightly", volume: "data" } },
    ]);
    expect(shortages).toEqual([]);
    const [web, data, joined, nightly] = items;
    expect(joined?.wanted).toMatchObject({ host: web?.resourceId, volume: data?.resourceId, path: "/data" });
    expect(nightly?.wanted).toMatchObject({ volume: data?.resourceId });
    expect(items.map((one) => one.charge)).toEqual([
      [
        { dimension: "hosts", quantity: 1 },
        { dimension: "vcpu", quantity: 2 },
        { dimension: "memory_mib", quantity: 2048 },
        { dimension: "storage_gib:standard", quantity: 20 },
      ],
      [{ dimension: "storage_gib:standard", quantity: 10 }],
      [],
      [{ dimension: "backup_gib", quantity: 10 }],
    ]);
  });

  it.each(["c1", "c2"])("puts a volume where the host that it is attached to can reach it (%s)", (compute) => {
    const where = (items: unknown[]) => ask(items).items.find((one) => one.kind === "volume")?.poolId;
    expect(where([host("web", { pool: compute }), volume("data"), attach("web", "data")])).toBe(`pol_s${compute[1]}`);
  });

  it("refuses an attachment that cannot be reached", () => {
    const refused = refusal(() => ask([host("web", { pool: "c1" }), volume("data", { pool: "s2" }), attach("web", "data")]));
    expect(refused.errors?.[0]).toMatchObject({ pointer: "/items/1/spec", detail: expect.stringContaining("cannot be reached") });
  });

  it("waits for room, and says where it is short", () => {
    const { shortages } = ask([host("web")], { pools: [pool("c1", "compute", "/one", 0)] });
    expect(shortages).toEqual([expect.stringContaining("c1: hosts has 0 left, 1 needed")]);
  });

  it("charges the difference of a resize, negative where it gives back; a disk never shrinks", () => {
    const { items } = ask([{ action: "resize", kind: "host", id: hostId, spec: { flavour: "small" } }], { held: [heldHost(hostId)] });
    expect(items[0]?.charge).toEqual([
      { dimension: "vcpu", quantity: -1 },
      { dimension: "memory_mib", quantity: -1024 },
    ]);
    expect((items[0]!.wanted as HostSpec).flavour.diskGib).toBe((heldHost(hostId).wanted as HostSpec).flavour.diskGib);
  });

  it("refuses two changes of one thing at once, in one request or in two; an extension goes along", () => {
    const resize = { action: "resize", kind: "host", id: hostId, spec: { flavour: "small" } };
    const stop = { action: "stop", kind: "host", id: hostId };
    const extend = { action: "extend", kind: "host", id: hostId, spec: { expiresAt: "2027-01-01T00:00:00Z" } };
    expect(refusal(() => ask([resize, stop], { held: [heldHost(hostId)] })).code).toBe("invalid-body");
    const busy = [heldHost(hostId, "2026-000007")];
    expect(refusal(() => ask([resize], { held: busy }))).toMatchObject({ code: "conflict", detail: expect.stringContaining("2026-000007") });
    expect(ask([extend], { held: busy }).items).toHaveLength(1);
    expect(ask([resize, extend], { held: [heldHost(hostId)] }).items).toHaveLength(2);
  });

  it("retires what is in use only together with its users, and lists them", () => {
    const held = [heldHost(hostId), heldVolume, heldAttachment];
    const retire = (kind: string, id: string) => ({ action: "retire", kind, id });
    for (const one of [retire("volume", volumeId), retire("host", hostId)]) {
      expect(refusal(() => ask([one], { held }))).toMatchObject({ code: "conflict", detail: expect.stringContaining(attachmentId) });
    }
    expect(ask([retire("attachment", attachmentId), retire("volume", volumeId), retire("host", hostId)], { held }).items).toHaveLength(3);
  });

  it("points at every item that cannot be, all at once", () => {
    const refused = refusal(() =>
      ask([
        host("a", { image: "none" }),
        host("b", { flavour: "none" }),
        host("c"),
        host("c"),
        attach("x", "y"),
        { action: "retire", kind: "host", id: hostId },
      ]),
    );
    expect(refused.code).toBe("invalid-body");
    expect(refused.errors?.map((one) => one.pointer).filter((one, index, all) => all.indexOf(one) === index)).toEqual([
      "/items/0/spec/image",
      "/items/1/spec/flavour",
      "/items/3/spec/name",
      "/items/4/spec/host",
      "/items/4/spec/volume",
      "/items/5/id",
    ]);
  });

  it("does not shrink a volume", () => {
    expect(refusal(() => ask([{ action: "resize", kind: "volume", id: volumeId, spec: { sizeGib: 5 } }], { held: [heldVolume] })).detail).toContain(
      "cannot shrink",
    );
  });
});
