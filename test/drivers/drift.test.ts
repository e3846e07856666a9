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
  const actual = async (name: string): Promise<Actual | undefined> => (await driver.actual(scope)).find((one) => one.name === name);

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
});
