import { spawnSync } from "node:child_process";
import { appendFileSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { findGuest } from "../../infra/engine/engine.ts";
import { EmbeddedDriver } from "../../infra/drivers/embedded/embedded.ts";
import { attachmentSpec, type Behind, call, type Cloud, driverSuite, hostSpec, volumeSpec } from "./suite.ts";

const load = resolve(import.meta.dirname, "../../infra/drivers/load.ts");

/** Where the kernel keeps a host's limits; undefined: there are none here. */
function limitsOf(host: string): { memory: string } | undefined {
  const base = "/sys/fs/cgroup";
  for (const [root, memory] of [
    [join(base, "memory/zhengyun"), "memory.limit_in_bytes"],
    [join(base, "zhengyun"), "memory.max"],
  ] as const)
    for (const endpoint of existsSync(root) ? readdirSync(root) : [])
      if (existsSync(join(root, endpoint, host, memory))) return { memory: join(root, endpoint, host, memory) };
  return undefined;
}

async function openCloud(): Promise<Cloud> {
  const endpoint = mkdtempSync(join(tmpdir(), "zhengyun-embedded-"));
  const driver = new EmbeddedDriver(endpoint);
  return {
    driver,
    elsewhere: (code, fault) => {
      const script = `const { loadDriver } = await import(${JSON.stringify(load)}); const driver = loadDriver("embedded", ${JSON.stringify(endpoint)});\n${code}`;
      const { signal, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
        encoding: "utf8",
        env: { ...process.env, ZHENGYUN_FAULT: fault },
      });
      return { signal, stderr };
    },
    behind: ({ host, volume }) => {
      const limits = limitsOf(host.name);
      const directory = (kind: string, name: string) => join(endpoint, kind, name);
      const { pid } = JSON.parse(readFileSync(join(directory("hosts", host.name), "record.json"), "utf8")).process as { pid: number };
      const memory: Behind = {
        what: "memory",
        of: "host",
        make: async () => writeFileSync(limits!.memory, String(256 * 1024 ** 2)),
        seen: { spec: { flavour: { ...host.flavour, memoryMib: 256 } } },
      };
      return [
        ...(limits ? [memory] : []),
        {
          what: "keys",
          of: "host",
          make: async () => appendFileSync(join(directory("hosts", host.name), "etc/ssh/authorized_keys"), "ssh-ed25519 AAAA b\n"),
          seen: { spec: { sshKeys: ["ssh-ed25519 AAAA b"] } },
        },
        {
          what: "power",
          of: "host",
          make: async () => {
            process.kill(pid, "SIGKILL");
            await pause(200);
          },
          seen: { state: "crashed" },
        },
        {
          what: "what a volume holds is gone",
          of: "volume",
          make: async () => {
            spawnSync("umount", ["-l", join(directory("volumes", volume.name), "data")]);
            rmSync(directory("volumes", volume.name), { recursive: true, force: true });
          },
          seen: undefined,
        },
      ];
    },
    close: async () => {
      await driver.purge();
      // No mount of it is left, here or in a loop device.
      expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(endpoint);
      rmSync(endpoint, { recursive: true, force: true });
    },
  };
}

const all =
  "await driver.createHost(host, call); await driver.createVolume(volume, call); await driver.attach(attachment, call); await driver.backup(volume.name, 'bak_1', volume.pool, call);";
const points = [
  "host.create:record",
  "host.create:files",
  "host.start:launched",
  "host.create:done",
  "volume.create:files",
  "volume.create:image",
  "volume.create:record",
  "attachment.create:record",
  "backup.make:data",
];

driverSuite(
  "embedded",
  openCloud,
  points.map((point) => ({ point, code: all })),
);

describe("embedded", () => {
  it("finds a host again that another process made and left by being killed", async () => {
    const cloud = await openCloud();
    const host = hostSpec();
    const ended = cloud.elsewhere(`const host = ${JSON.stringify(host)}; await driver.createHost(host, ${JSON.stringify(call())});`, "host.create:done");
    expect(ended.signal).toBe("SIGKILL");
    const [reading] = (await cloud.driver.observe()).hosts;
    expect(reading?.state).toBe("running");
    const processes = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && readCommand(pid).includes(`zhengyun-host=${host.name}.`));
    expect(processes).toEqual([String(reading?.pid)]);
    await cloud.close();
  });

  it("refuses a backup that was changed, and leaves the volume as it is", async () => {
    const cloud = await openCloud();
    const { driver } = cloud;
    const [host, volume] = [hostSpec(), volumeSpec()];
    await driver.createHost(host, call());
    await driver.createVolume(volume, call());
    await driver.attach(attachmentSpec(host, volume), call());
    await driver.exec(host.name, ["write", "/data/file"], { stdin: "as it is" });
    await driver.backup(volume.name, "bak_1", volume.pool, call());
    const endpoint = readdirSync(tmpdir())
      .map((name) => join(tmpdir(), name, "backups/bak_1/data.tar.zst"))
      .find((path) => safeSize(path) > 0 && path.includes("zhengyun-embedded-"));
    appendFileSync(endpoint!, "x");
    await expect(driver.restore("bak_1", volume.name, call())).rejects.toMatchObject({ code: "corrupt" });
    expect((await driver.exec(host.name, ["cat", "/data/file"])).stdout).toBe("as it is");
    await cloud.close();
  });

  it.each(["backup.restore:extracted", "backup.restore:exchanged"])(
    "killed at %s, holds the old content or the new, and restores the next time",
    async (point) => {
      const cloud = await openCloud();
      const { driver } = cloud;
      const [host, volume] = [hostSpec(), volumeSpec()];
      await driver.createHost(host, call());
      await driver.createVolume(volume, call());
      await driver.attach(attachmentSpec(host, volume), call());
      await driver.exec(host.name, ["write", "/data/old"], { stdin: "old" });
      await driver.backup(volume.name, "bak_1", volume.pool, call());
      await driver.exec(host.name, ["write", "/data/new"], { stdin: "new" });
      const ended = cloud.elsewhere(`await driver.restore("bak_1", ${JSON.stringify(volume.name)}, ${JSON.stringify(call())});`, point);
      expect(ended.signal, ended.stderr).toBe("SIGKILL");
      await driver.updateHost((await driver.find("host", host.name))!.id, { ...host, power: "stopped" }, call());
      await driver.updateHost((await driver.find("host", host.name))!.id, host, call());
      const shown = (await driver.exec(host.name, ["ls", "/data"])).stdout;
      expect(shown).toBe(point.endsWith("extracted") ? "new\nold\n" : "old\n");
      await driver.restore("bak_1", volume.name, call());
      expect((await driver.exec(host.name, ["ls", "/data"])).stdout).toBe("old\n");
      await cloud.close();
    },
  );

  it("keeps volumes within their sizes as root: what the suite would otherwise pass over", async () => {
    const cloud = await openCloud();
    expect(await cloud.driver.capabilities()).toMatchObject({ volumeSizeEnforced: true, liveAttach: true });
    await cloud.close();
  });

  it("works without root, and says what is absent there", async () => {
    const endpoint = mkdtempSync(join(tmpdir(), "zhengyun-rootless-"));
    chownSync(endpoint, 65534, 65534);
    const [host, volume] = [hostSpec(), volumeSpec()];
    const attachment = attachmentSpec(host, volume);
    const script = `
      const { loadDriver } = await import(${JSON.stringify(load)});
      const driver = loadDriver("embedded", ${JSON.stringify(endpoint)});
      const [host, volume, attachment, call] = ${JSON.stringify([host, volume, attachment, call()])};
      await driver.createHost(host, call);
      await driver.createVolume(volume, call);
      await driver.attach(attachment, call);
      await driver.exec(host.name, ["write", "/data/file"], { stdin: "rootless" });
      const { stdout } = await driver.exec(host.name, ["cat", "/data/file"]);
      const capabilities = await driver.capabilities();
      await driver.purge();
      console.log(JSON.stringify({ stdout, capabilities, left: await driver.list() }));`;
    const guest = join(mkdtempSync(join(tmpdir(), "zhengyun-guest-")), "zyguest");
    spawnSync("install", ["-m", "755", await findGuest(), guest]);
    spawnSync("chmod", ["755", join(guest, "..")]);
    const { stdout, stderr } = spawnSync(
      "setpriv",
      ["--reuid", "65534", "--regid", "65534", "--clear-groups", process.execPath, "--input-type=module", "-e", script],
      {
        encoding: "utf8",
        env: { PATH: process.env["PATH"], HOME: endpoint, ZHENGYUN_GUEST: guest },
      },
    );
    rmSync(join(guest, ".."), { recursive: true, force: true });
    rmSync(endpoint, { recursive: true, force: true });
    expect(stdout, stderr).not.toBe("");
    const said = JSON.parse(stdout) as { stdout: string; left: unknown[]; capabilities: { liveAttach: boolean; cpuLimit: string; notes: string[] } };
    expect(said.stdout).toBe("rootless");
    expect(said.left).toEqual([]);
    expect(said.capabilities).toMatchObject({ liveAttach: false, cpuLimit: "absent" });
    expect(said.capabilities.notes.join(" ")).toMatch(/not enforced.*restarts the host/s);
  });
});

function readCommand(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
function safeSize(path: string): number {
  try {
    return readFileSync(path).length;
  } catch {
    return 0;
  }
}
