/** What is said to an LXD or Incus server, without one. */
import { describe, expect, it } from "vitest";
import { heldBytes, vmReason } from "../../infra/drivers/lxd/restarts.ts";
import { bodyOf, limited, settings } from "../../infra/drivers/lxd/bodies.ts";
import { fallsTo, settingsFor } from "../../infra/drivers/lxd/members.ts";
import { serverOf } from "../../infra/drivers/lxd/server.ts";
import type { HostSpec } from "../../infra/spec.ts";
import { hostSpec } from "./suite.ts";

const place = { storage: "default", network: "br0", kind: "lxd" } as const;
const body = (spec: HostSpec, where: Parameters<typeof bodyOf>[3] = place) => bodyOf({ id: "x.1", scope: "dep", spec }, spec, "abc", where);

describe("bodies", () => {
  it("makes a container with user ids of its own, without swap", () => {
    const { type, config } = body(hostSpec());
    expect(type).toBe("container");
    expect(config).toMatchObject({ "security.idmap.isolated": "true", "limits.memory.swap": "false", "limits.cpu": "1", "limits.memory": "128MiB" });
  });

  it("makes a virtual machine without what is a container's only", () => {
    const { type, config, devices } = body(hostSpec({ type: "vm", userData: "#cloud-config" }));
    expect(type).toBe("virtual-machine");
    expect(Object.keys(config).filter((name) => name.startsWith("security.idmap") || name === "limits.memory.swap")).toEqual([]);
    expect(config).toMatchObject({ "limits.cpu": "1", "limits.memory": "128MiB", "cloud-init.user-data": "#cloud-config" });
    expect(devices).toMatchObject({ root: { type: "disk", pool: "default", size: "10GiB" }, eth0: { type: "nic", network: "br0" } });
  });

  it("leaves out for Incus what it forbids in a restricted project", () => {
    expect(settings({ id: "x.1", scope: "dep", spec: hostSpec() }, hostSpec(), "incus")).not.toHaveProperty("limits.memory.swap");
  });

  it("limits disks and interface only where the flavour says so", () => {
    const flavour = { vcpu: 1, memoryMib: 128, diskGib: 10, diskMibPerSecond: 50, networkMbps: 200 };
    expect(body(hostSpec({ flavour })).devices).toMatchObject({
      root: { "limits.read": "50MiB", "limits.write": "50MiB" },
      eth0: { "limits.ingress": "200Mbit", "limits.egress": "200Mbit" },
    });
    expect(Object.keys(body(hostSpec()).devices["root"]!)).not.toContain("limits.read");
    const volume = { type: "disk", source: "vol-1", path: "/data" };
    const attached = limited({ "att-1": volume }, flavour);
    expect(attached["att-1"]).toEqual({ ...volume, "limits.read": "50MiB", "limits.write": "50MiB" });
    expect(limited(attached, hostSpec().flavour)).toEqual({ "att-1": volume });
  });
});

describe("servers", () => {
  const root = (server: string, driver: string) => ({ environment: { server, server_version: "6.0.4", driver } });
  it.each([
    ["incus", "incus"],
    ["lxd", "lxd"],
  ])("tells %s by what it calls itself", (server, kind) => expect(serverOf(root(server, "lxc | qemu"), [])).toEqual({ kind, version: "6.0.4" }));

  it("says why there are no virtual machines", () => {
    const warnings = [{ type: "Instance type not operational", last_message: "vhost_vsock kernel module not loaded" }];
    expect(serverOf(root("lxd", "lxc"), warnings).whyNoVm).toBe("vhost_vsock kernel module not loaded");
    expect(serverOf(root("lxd", "lxc"), []).whyNoVm).toMatch(/QEMU/);
  });
});

describe("restarts", () => {
  const before = { vcpu: 2, memoryMib: 2048, diskGib: 20 };
  it.each([
    ["less memory", { ...before, memoryMib: 1024 }, true, undefined],
    ["CPUs, where the server plugs them", { ...before, vcpu: 4 }, true, undefined],
    ["CPUs elsewhere", { ...before, vcpu: 4 }, false, /its CPUs \(2 → 4\)/],
    ["more memory and disk", { ...before, memoryMib: 4096, diskGib: 40 }, true, /its memory \(2048 → 4096 MiB\), its disk \(20 → 40 GiB\)/],
  ])("of a virtual machine: %s", (_, after, hotPlug, why) => {
    if (why) expect(vmReason(before, after, hotPlug)).toMatch(why);
    else expect(vmReason(before, after, hotPlug)).toBeUndefined();
  });

  it("count what a container holds without the pages of files, of that instance alone", () => {
    const line = (what: string, name: string, bytes: number) => `lxd_memory_${what}_bytes{name="${name}",project="p",type="container"} ${bytes}`;
    const of = (name: string, held: number) => [
      line("MemTotal", name, 1000),
      line("MemFree", name, 900 - held),
      line("Active_file", name, 60),
      line("Inactive_file", name, 40),
    ];
    const metrics = [...of("a", 7), ...of("b", 300)].join("\n");
    expect(heldBytes(metrics, { name: "b", project: "p" })).toBe(300);
    expect(heldBytes(metrics, { name: "c", project: "p" })).toBe(0);
  });
});

describe("members", () => {
  it("keeps a member's own setting while it takes no hosts, and leaves one alone that others set aside", () => {
    const away = settingsFor("evacuated", { "scheduler.instance": "group", "user.rack": "7" })!;
    expect(away).toMatchObject({ "scheduler.instance": "manual", "user.rack": "7" });
    expect(settingsFor("evacuated", away)).toBeUndefined();
    expect(settingsFor("online", away)).toEqual({ "scheduler.instance": "group", "user.rack": "7" });
    expect(settingsFor("online", { "scheduler.instance": "manual" })).toBeUndefined();
  });

  it("spreads names over members, and a name stays where it falls when another member goes", () => {
    const members = ["n1", "n2", "n3"];
    const names = Array.from({ length: 300 }, () => hostSpec().name);
    for (const member of members) expect(names.filter((name) => fallsTo(name, members) === member).length).toBeGreaterThan(60);
    for (const name of names) if (fallsTo(name, members) !== "n3") expect(fallsTo(name, ["n1", "n2"])).toBe(fallsTo(name, members));
  });
});
