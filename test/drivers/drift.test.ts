/** What somebody changes on a real LXD behind our back: seen property by property, and put back exactly. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Actual } from "../../infra/drivers/driver.ts";
import { lxdName, projectOf } from "../../infra/drivers/lxd/names.ts";
import { LxdDriver } from "../../infra/drivers/lxd/lxd.ts";
import { type Lxd, startLxd } from "../setup/lxd.ts";
import { attachmentSpec, call, hostSpec, volumeSpec } from "./suite.ts";

describe("an LXD that is changed behind our back", { timeout: 60_000 }, () => {
  let lxd: Lxd;
  let driver: LxdDriver;
  beforeAll(async () => {
    lxd = await startLxd();
    driver = new LxdDriver(lxd.endpoint);
  }, 60_000);
  afterAll(() => lxd.close());

  const { scope } = call();
  const project = projectOf(scope);
  const lxc = (...args: string[]) => lxd.members[0]!.must("lxc", [...args, "--project", project]);
  const actual = async (name: string): Promise<Actual | undefined> => (await driver.actual(scope)).things.find((one) => one.name === name);

  it("reads what nobody changed as it was asked for, and every change as it is; what is put back is exactly as wanted, while it runs", async () => {
    const host = hostSpec({ flavour: { vcpu: 1, memoryMib: 128, diskGib: 1 }, sshKeys: ["ssh-ed25519 AAAA a"] });
    const volume = volumeSpec();
    const attachment = attachmentSpec(host, volume);
    const { id } = await driver.createHost(host, call());
    const made = await driver.createVolume(volume, call());
    await driver.attach(attachment, call());
    for (const spec of [host, volume, attachment]) expect(await actual(spec.name)).toMatchObject({ spec, strange: [] });

    const instance = lxdName(host.name);
    const before = JSON.parse(
      await lxc("query", `/1.0/instances/${instance}?project=${project}`).catch(() =>
        lxd.members[0]!.must("lxc", ["query", `/1.0/instances/${instance}?project=${project}`]),
      ),
    ) as { config: object; devices: object };
    await lxc("config", "set", instance, "limits.cpu=0-1", "limits.memory=256MiB", "limits.cpu.priority=3");
    await lxc("config", "device", "set", instance, "root", "size=2GiB");
    await lxc("config", "device", "add", instance, "extra", "disk", "pool=default", `source=${lxdName(volume.name)}`, "path=/mnt/extra");
    await lxc("config", "device", "set", instance, lxdName(attachment.name), "path=/mnt/elsewhere");
    await lxc("storage", "volume", "set", "default", lxdName(volume.name), "size=3GiB");
    expect(await actual(host.name)).toMatchObject({
      spec: { ...host, flavour: { vcpu: 2, memoryMib: 256, diskGib: 2 } },
      strange: ["device extra (disk at /mnt/extra)", "limits.cpu.priority = 3"],
    });
    expect((await actual(attachment.name))?.spec).toMatchObject({ path: "/mnt/elsewhere", volume: volume.name });
    expect((await actual(volume.name))?.spec).toMatchObject({ sizeGib: 3 });
    const { pid } = (await driver.observe()).hosts.find((one) => one.name === host.name)!;

    await driver.updateHost(id, host, { ...call(), exact: true });
    await driver.attach(attachment, call());
    expect(await actual(host.name)).toMatchObject({ spec: host, strange: [] });
    expect(await actual(attachment.name)).toMatchObject({ spec: attachment, strange: [] });
    const now = JSON.parse(await lxd.members[0]!.must("lxc", ["query", `/1.0/instances/${instance}?project=${project}`])) as typeof before;
    expect(now.devices).toEqual(before.devices);
    expect(now.config).toEqual(before.config);
    expect((await driver.observe()).hosts.find((one) => one.name === host.name)!.pid).toBe(pid);
    await expect(driver.updateVolume(made.id, volume, { ...call(), exact: true })).rejects.toMatchObject({ code: "unsupported" });
    await driver.updateVolume(made.id, { ...volume, sizeGib: 3 }, call());
    expect(await actual(volume.name)).toMatchObject({ spec: { ...volume, sizeGib: 3 } });

    await lxc("config", "unset", instance, "limits.memory");
    await lxc("config", "device", "remove", instance, lxdName(attachment.name));
    expect((await actual(host.name))?.spec).toMatchObject({ flavour: { memoryMib: null } });
    expect(await actual(attachment.name)).toBeUndefined();
    await lxc("stop", instance, "--force");
    await lxc("delete", instance);
    expect(await actual(host.name)).toBeUndefined();
    expect(await actual(volume.name)).toBeDefined();
  });

  it("takes over an instance that was there before, without touching it; resizes it, lets go of it as it is, and ends it only where that was asked for", async () => {
    const [member] = lxd.members as [Lxd["members"][0]];
    await driver.createHost(hostSpec({ flavour: { vcpu: 1, memoryMib: 64, diskGib: 1 } }), call());
    const image = (await member.must("lxc", ["image", "list", "--format", "csv", "-c", "f"])).split("\n").find((line) => /^[0-9a-f]{12}$/.test(line))!;
    await member.must("lxc", ["launch", image, "legacy", "-s", "default", "-c", "limits.memory=256MiB"]);
    const query = async () =>
      JSON.parse(await member.must("lxc", ["query", "/1.0/instances/legacy?recursion=1"])) as {
        config: Record<string, string>;
        devices: object;
        state: { pid: number };
      };
    const before = await query();
    const [found] = await driver.foreign();
    expect(found).toMatchObject({ project: "default", instance: "legacy", vcpu: null, memoryMib: 256, diskGib: null, state: "running", type: "container" });
    expect(found!.weaknesses).toEqual(["no user ids of its own", "in a project without restrictions"]);

    const adopted = { project: "default", instance: "legacy" };
    const spec = hostSpec({ hostname: "legacy", image: found!.image, flavour: { vcpu: 1, memoryMib: 256, diskGib: 2 }, adopted });
    const raced = await Promise.allSettled([driver.createHost(spec, call()), driver.createHost({ ...spec, name: hostSpec().name }, call())]);
    const won = raced.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(won, "one host of one instance").toHaveLength(1);
    const name = won[0]!.id.split(".")[0]!;
    const host = { ...spec, name };
    expect(await driver.createHost(host, call()), "after a kill: the same").toEqual({ id: won[0]!.id, adopted: true });
    expect(await driver.find("host", name)).toMatchObject({ id: won[0]!.id });
    expect((await query()).state.pid).toBe(before.state.pid);
    expect(await actual(name)).toMatchObject({ spec: { flavour: host.flavour }, strange: [] });
    expect(await driver.foreign()).toEqual([]);
    expect((await driver.list(scope)).filter((one) => one.name === name)).toHaveLength(1);
    expect((await driver.observe()).hosts.find((one) => one.name === name)).toMatchObject({ state: "running", hostname: "legacy", pid: before.state.pid });
    await driver.exec(name, ["write", "/root/file"], { stdin: "kept" });

    const larger = { ...host, flavour: { vcpu: 2, memoryMib: 512, diskGib: 3 } };
    await driver.updateHost(won[0]!.id, larger, call());
    expect(await actual(name)).toMatchObject({ spec: { flavour: larger.flavour } });
    expect((await query()).state.pid).toBe(before.state.pid);

    // Whatever unwinds or purges: what was there before us stays.
    await driver.deleteHost(won[0]!.id, call());
    expect((await query()).state.pid).toBe(before.state.pid);
    expect(Object.keys((await query()).config).filter((setting) => setting.startsWith("user.zhengyun"))).toEqual([]);
    const again = await driver.createHost(host, call());
    expect((await driver.exec(name, ["cat", "/root/file"])).stdout).toBe("kept");
    await driver.purge();
    expect((await query()).state.pid).toBe(before.state.pid);
    const third = await driver.createHost(host, call());
    expect(third.id).not.toBe(again.id);
    await driver.deleteHost(third.id, { ...call(), end: true });
    await expect(query()).rejects.toThrow(/not found/i);
  });
});
