/** The LXD driver on a real server, and on a real cluster of three members. */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { addressOf } from "../../infra/drivers/lxd/address.ts";
import { LxdClient } from "../../infra/drivers/lxd/client.ts";
import { type Instance, listInstances } from "../../infra/drivers/lxd/instances.ts";
import { lxdName, projectOf } from "../../infra/drivers/lxd/names.ts";
import type { AttachmentSpec, HostSpec, VolumeSpec } from "../../infra/spec.ts";
import { loadDriver } from "../../infra/drivers/load.ts";
import { findIncus, startIncus } from "../setup/incus.ts";
import { type Lxd, startLxd } from "../setup/lxd.ts";
import { attachmentSpec, type Behind, call, type Cloud, driverSuite, hostSpec, volumeSpec } from "./suite.ts";

const load = resolve(import.meta.dirname, "../../infra/drivers/load.ts");

const all =
  "await driver.createHost(host, call); await driver.createVolume(volume, call); await driver.attach(attachment, call); await driver.backup(volume.name, 'bak_1', volume.pool, call);";
const points = [
  "lxd.host.create:asked",
  "lxd.host.create:made",
  "lxd.host.create:started",
  "lxd.volume.create:asked",
  "lxd.volume.create:made",
  "lxd.attachment.create:asked",
  "lxd.backup.make:data",
];
const movePoints = ["lxd.host.move:stopped", "lxd.volume.move:copied", "lxd.host.move:moved", "lxd.host.move:shown"];

function openCloud(endpoint: string): Cloud {
  const driver = loadDriver("lxd", endpoint);
  return {
    driver,
    elsewhere: (code, fault) => {
      const script = `const { loadDriver } = await import(${JSON.stringify(load)}); const driver = loadDriver("lxd", ${JSON.stringify(endpoint)});\n${code}`;
      const { signal, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
        encoding: "utf8",
        env: { ...process.env, ZHENGYUN_FAULT: fault },
      });
      return { signal, stderr };
    },
    behind: ({ host, volume, attachment }) => behind(new LxdClient(addressOf(endpoint)), host, volume, attachment),
    close: () => driver.purge(),
  };
}

/** As somebody does who has the server's own command line. */
function behind(client: LxdClient, host: HostSpec, volume: VolumeSpec, attachment: AttachmentSpec): Behind[] {
  const project = projectOf(call().scope);
  const path = `/1.0/instances/${lxdName(host.name)}`;
  const configure = (config: Record<string, string>) => client.change("PATCH", path, { project, body: { config } });
  const device = async (name: string, change: Record<string, string> | undefined) => {
    const { metadata } = await client.get<Instance>(path, { project });
    const { [name]: before, ...devices } = metadata.devices;
    await client.change("PUT", path, { project, body: { ...metadata, devices: change ? { ...devices, [name]: { ...before, ...change } } : devices } });
  };
  const power = (action: string) => client.change("PUT", `${path}/state`, { project, body: { action, force: true, timeout: 30 } });
  const disk = lxdName(attachment.name);
  return [
    { what: "vCPU", of: "host", make: () => configure({ "limits.cpu": "0-1" }), seen: { spec: { flavour: { ...host.flavour, vcpu: 2 } } } },
    { what: "memory", of: "host", make: () => configure({ "limits.memory": "256MiB" }), seen: { spec: { flavour: { memoryMib: 256 } } } },
    { what: "disk", of: "host", make: () => device("root", { size: "11GiB" }), seen: { spec: { flavour: { diskGib: 11 } } } },
    { what: "a setting", of: "host", make: () => configure({ "limits.cpu.priority": "3" }), seen: { strange: ["limits.cpu.priority = 3"] } },
    { what: "where a volume is shown", of: "attachment", make: () => device(disk, { path: "/mnt/elsewhere" }), seen: { spec: { path: "/mnt/elsewhere" } } },
    {
      what: "a volume's size",
      of: "volume",
      make: async () => {
        const of = "/1.0/storage-pools/default/volumes/custom";
        const { metadata } = await client.get<{ name: string; location: string }[]>(of, { project, query: { recursion: "1" } });
        // It may have come to its host's member as a copy.
        const { name, location } = metadata.find((one) => one.name.startsWith(lxdName(volume.name)))!;
        const query = location === "none" ? {} : { query: { target: location } };
        await client.change("PATCH", `${of}/${name}`, { project, body: { config: { size: "3GiB" } }, ...query });
      },
      seen: { spec: { sizeGib: 3 } },
    },
    { what: "power", of: "host", make: () => power("stop"), seen: { state: "crashed" } },
    { what: "what is shown no more", of: "attachment", make: () => device(disk, undefined), seen: undefined },
    { what: "what is gone", of: "host", make: () => client.change("DELETE", path, { project }), seen: undefined },
  ];
}

describe.each([
  ["server", 1],
  ["cluster of three", 3],
] as const)("on an LXD %s", (name, members) => {
  let lxd: Lxd;
  beforeAll(async () => {
    lxd = await startLxd(members);
  });
  afterAll(() => lxd.close());
  afterEach(() => openCloud(lxd.endpoint).close());
  const client = () => new LxdClient(addressOf(lxd.endpoint));

  driverSuite(
    `lxd, ${name}`,
    async () => openCloud(lxd.endpoint),
    points.map((point) => ({ point, code: all })),
    members === 1 ? [] : movePoints,
  );

  it("has the server itself refuse what is above a department's allowance, and everything else goes on within it", async () => {
    const { driver } = openCloud(lxd.endpoint);
    const within = () => ({ ...call(), allowance: { hosts: 1, vcpu: 1, memoryMib: 128, storageGib: 11 } });
    const [host, volume] = [hostSpec(), volumeSpec()];
    const { id } = await driver.createHost(host, within());
    const { id: volumeId } = await driver.createVolume(volume, within());
    await driver.attach(attachmentSpec(host, volume), within());
    const refused = { code: "refused", message: expect.stringMatching(/Reached maximum/) };
    await expect(driver.createHost(hostSpec(), within())).rejects.toMatchObject(refused);
    await expect(driver.createVolume(volumeSpec(), within())).rejects.toMatchObject(refused);
    await expect(driver.updateVolume(volumeId, { ...volume, sizeGib: 2 }, within())).rejects.toMatchObject(refused);
    await expect(driver.updateHost(id, { ...host, flavour: { ...host.flavour, memoryMib: 256 } }, within())).rejects.toMatchObject(refused);
    // By the server's own means, past us.
    const [first] = lxd.members;
    const [{ project }] = (await listInstances(client())) as [Instance];
    const raw = ["init", "--empty", "--project", project, "raw", "-c", "security.idmap.isolated=true", "-c", "limits.cpu=1", "-c", "limits.memory=64MiB"];
    const target = members > 1 ? ["--target", first!.name] : [];
    expect(await first!.run("lxc", [...raw, ...target])).toMatchObject({ code: 1, output: expect.stringMatching(/Reached maximum number of instances/) });
    // What needs more for a while than it holds afterwards.
    await driver.snapshotVolume(volume.name, "snp_1", within());
    await driver.revertVolume(volume.name, "snp_1", within());
    const [{ member } = {}] = (await driver.observe()).hosts;
    const other = members > 1 ? (await driver.members()).find((one) => one.name !== member) : undefined;
    if (other) await driver.moveHost(id, other.name, within());
    const { config } = (await client().get<{ config: Record<string, string> }>(`/1.0/projects/${project}`)).metadata;
    expect(config).toMatchObject({ "limits.instances": "1", "limits.cpu": "1", "limits.memory": "128MiB", "limits.disk": "11GiB" });
    // Less than it holds cannot be; the old ones stay until it holds less.
    await driver.createVolume(volume, { ...call(), allowance: { hosts: 0, vcpu: 0, memoryMib: 0, storageGib: 0 } });
    expect((await driver.observe()).hosts).toMatchObject([{ state: "running" }]);
  });

  it("limits what a host's disks and its interface carry, and changes that while it runs", async () => {
    const { driver } = openCloud(lxd.endpoint);
    const host = hostSpec();
    const volume = volumeSpec();
    const { id } = await driver.createHost({ ...host, flavour: { ...host.flavour, diskMibPerSecond: 20 } }, call());
    await driver.createVolume(volume, call());
    const attachment = attachmentSpec(host, volume);
    await driver.attach(attachment, call());
    const pid = async () => (await driver.observe()).hosts[0]!.pid;
    const disks = async () => {
      const [{ devices }] = (await listInstances(client())) as [Instance];
      return Object.values(devices).map((one) => [one["path"], one["limits.read"], one["limits.write"]]);
    };
    const before = await pid();
    expect((await disks()).toSorted(([a], [b]) => (a! < b! ? -1 : 1))).toEqual([
      ["/", "20MiB", "20MiB"],
      ["/data", "20MiB", "20MiB"],
    ]);
    await driver.updateHost(id, { ...host, flavour: { ...host.flavour, diskMibPerSecond: 30 } }, call());
    expect((await disks()).map(([, read]) => read)).toEqual(["30MiB", "30MiB"]);
    await driver.updateHost(id, host, call());
    expect((await disks()).map(([, read]) => read)).toEqual([undefined, undefined]);
    expect(await pid(), "it was not restarted").toBe(before);
  });

  it("makes no virtual machine where the server cannot, and says why", async () => {
    const { driver } = openCloud(lxd.endpoint);
    const { vm, notes } = await driver.capabilities();
    expect(notes.join(" ")).toMatch(/The server is LXD 5\./);
    if (!vm) {
      expect(notes.join(" ")).toMatch(/Virtual machines cannot be made: .+/);
      await expect(driver.createHost(hostSpec({ type: "vm" }), call())).rejects.toMatchObject({ code: "unsupported" });
      expect((await driver.observe()).hosts).toEqual([]);
    }
  });
});

const incus = findIncus();
// In CI a missing real part fails: there the start says that Incus is not to be had.
describe.skipIf(incus === undefined && process.env["CI"] === undefined)("on an Incus server", () => {
  let server: Awaited<ReturnType<typeof startIncus>>;
  beforeAll(async () => {
    if (incus === undefined) throw new Error("Incus cannot be had: the Debian mirror of this machine has no backports.");
    server = await startIncus(incus);
  });
  afterAll(() => server.close());

  driverSuite(
    "incus",
    async () => openCloud(server.endpoint),
    points.map((point) => ({ point, code: all })),
  );

  it("is told from LXD", async () => {
    expect((await openCloud(server.endpoint).driver.capabilities()).notes.join(" ")).toMatch(/The server is Incus 6\./);
  });
});
