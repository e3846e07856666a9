/** What every driver does: the one suite. A driver that cannot do a thing says so in its capabilities, and is held to that. */
import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newId } from "../../control-plane/store/ids.ts";
import type { Driver } from "../../infra/drivers/driver.ts";
import type { AttachmentSpec, HostSpec, VolumeSpec } from "../../infra/spec.ts";

/** A cloud of its own for each test. */
export interface Cloud {
  driver: Driver;
  /** Runs `code` (a module body with `driver`, `host`, `volume`, `attachment`, `call`) in a process of its own that ends itself at the fault point. */
  elsewhere(code: string, fault: string): { signal: NodeJS.Signals | null; stderr: string };
  /** What somebody changes on the machines without us, and how the thing is to be seen then; undefined: it is gone. In this order. */
  behind(things: { host: HostSpec; volume: VolumeSpec; attachment: AttachmentSpec }): Behind[];
  close(): Promise<void>;
}
export interface Behind {
  what: string;
  of: "host" | "volume" | "attachment";
  make(): Promise<unknown>;
  seen: { spec?: Record<string, unknown>; strange?: string[]; state?: string } | undefined;
}

const scope = newId("dep");
const pool = newId("pol");
const application = newId("app");
export const call = (fence = 1) => ({ scope, fence });
export const hostSpec = (change: Partial<HostSpec> = {}): HostSpec => ({
  name: newId("hst"),
  hostname: "web",
  pool,
  image: "zhengyun-base-1",
  flavour: { vcpu: 1, memoryMib: 128, diskGib: 10 },
  sshKeys: [],
  addresses: [],
  ports: [],
  power: "running",
  application,
  ...change,
});
export const volumeSpec = (): VolumeSpec => ({ name: newId("vol"), pool, tier: "standard", sizeGib: 1, application });
export const attachmentSpec = (host: HostSpec, volume: VolumeSpec): AttachmentSpec => ({
  name: newId("att"),
  host: host.name,
  volume: volume.name,
  path: "/data",
});

/** Fault points of a driver's creates, and the call that passes them. */
export type Faults = { point: string; code: string }[];

/** @param moveFaults points that a move of a host passes, where there are several members */
export function driverSuite(name: string, openCloud: () => Promise<Cloud>, faults: Faults, moveFaults: string[] = []): void {
  describe(`driver ${name}`, () => {
    let cloud: Cloud;
    let driver: Driver;
    beforeEach(async () => {
      cloud = await openCloud();
      ({ driver } = cloud);
    });
    afterEach(() => cloud.close());

    const reading = async (host: string) => (await driver.observe()).hosts.find((one) => one.name === host);
    const inside = async (host: string, ...argv: string[]) => (await driver.exec(host, argv)).stdout;

    it("makes one thing of a name, however often it is asked", async () => {
      const host = hostSpec();
      const made = await driver.createHost(host, call());
      expect(made).toEqual({ id: expect.stringMatching(new RegExp(`^${host.name}\\.`)), adopted: false });
      expect(await driver.createHost(host, call())).toEqual({ id: made.id, adopted: true });
      expect((await driver.observe()).hosts).toHaveLength(1);
      expect(await inside(host.name, "hostname")).toBe("web\n");
    });

    it("makes one thing when it is asked twice at the same moment", async () => {
      const host = hostSpec();
      const made = await Promise.all([driver.createHost(host, call()), driver.createHost(host, call())]);
      expect(made[0].id).toBe(made[1].id);
      expect((await driver.observe()).hosts).toHaveLength(1);
    });

    it("touches nothing of another generation", async () => {
      const host = hostSpec();
      const first = await driver.createHost(host, call());
      await driver.deleteHost(first.id, call());
      const second = await driver.createHost(host, call());
      expect(second.id).not.toBe(first.id);
      await driver.deleteHost(first.id, call());
      expect(await reading(host.name)).toMatchObject({ id: second.id, state: "running" });
      await expect(driver.updateHost(first.id, host, call())).rejects.toMatchObject({ code: "not-found" });
    });

    it("refuses an older fence before any effect", async () => {
      const host = hostSpec();
      await driver.createHost(host, call(5));
      await expect(driver.createVolume(volumeSpec(), call(4))).rejects.toMatchObject({ code: "stale-fence" });
      expect((await driver.observe()).volumes).toEqual([]);
    });

    it("gives a terminal with a size and an exit code, which ends with whoever asked for it, also by a kill; keys change while a host runs", async () => {
      const host = hostSpec({ sshKeys: ["ssh-ed25519 AAAA first"] });
      const { id } = await driver.createHost(host, call());
      const enter = async () => {
        const shell = await driver.shell(host.name, { cols: 80, rows: 24 });
        let text = "";
        shell.output.on("data", (data: Buffer) => (text += data.toString()));
        const shown = (part: string) => expect.poll(() => text, { timeout: 20_000 }).toContain(part);
        await shown("# ");
        return { shell, shown };
      };
      const first = await enter();
      first.shell.resize(100, 30);
      first.shell.write(Buffer.from("tty\n"));
      await first.shown("100 columns, 30 rows");
      first.shell.write(Buffer.from("exit 7\n"));
      expect(await first.shell.exited).toBe(7);
      const sleeping = async () => {
        const pids = (await inside(host.name, "ls", "/proc")).match(/^\d+$/gm) ?? [];
        const lines = await Promise.all(pids.map((pid) => inside(host.name, "cat", `/proc/${pid}/cmdline`)));
        return lines.filter((line) => line.startsWith("sleep")).length;
      };
      const second = await enter();
      second.shell.write(Buffer.from("sleep 777\n"));
      await expect.poll(sleeping, { timeout: 20_000 }).toBe(1);
      second.shell.end();
      await expect.poll(sleeping, { timeout: 20_000 }).toBe(0);
      const { signal } = cloud.elsewhere(
        `const shell = await driver.shell("${host.name}", { cols: 80, rows: 24 }); shell.output.once("data", () => { shell.write(Buffer.from("sleep 888\\n")); setTimeout(() => process.kill(process.pid, "SIGKILL"), 1500); }); await shell.exited;`,
        "",
      );
      expect(signal).toBe("SIGKILL");
      await expect.poll(sleeping, { timeout: 20_000 }).toBe(0);
      await driver.updateHost(id, { ...host, sshKeys: ["ssh-ed25519 BBBB second"] }, call());
      const keys = await inside(host.name, "cat", "/etc/ssh/authorized_keys", "/root/.ssh/authorized_keys");
      expect([keys.includes("BBBB"), keys.includes("AAAA")]).toEqual([true, false]);
    });

    it("refuses an image that it hasn't, names those it has, and leaves nothing", async () => {
      await expect(driver.createHost(hostSpec({ image: "windows-95" }), call())).rejects.toMatchObject({
        code: "unknown-image",
        message: expect.stringContaining("zhengyun-base-1"),
      });
      expect(await driver.list()).toEqual([]);
    });

    it("stops, starts, and finds a crashed host and starts it again", async () => {
      const host = hostSpec();
      const { id } = await driver.createHost(host, call());
      await driver.updateHost(id, { ...host, power: "stopped" }, call());
      expect((await reading(host.name))?.state).toBe("stopped");
      await driver.updateHost(id, host, call());
      const running = await reading(host.name);
      expect(running?.state).toBe("running");
      process.kill(running!.pid!, "SIGKILL");
      await expect.poll(async () => (await reading(host.name))?.state).toBe("crashed");
      await driver.createHost(host, call());
      expect((await reading(host.name))?.state).toBe("running");
    });

    it("shows a volume inside the running host, again after a restart, and no more after detaching", async () => {
      const [host, volume] = [hostSpec(), volumeSpec()];
      const { id } = await driver.createHost(host, call());
      const { id: volumeId } = await driver.createVolume(volume, call());
      const attachment = await driver.attach(attachmentSpec(host, volume), call());
      await driver.exec(host.name, ["write", "/data/file"], { stdin: "kept" });
      await driver.updateHost(id, { ...host, power: "stopped" }, call());
      await driver.updateHost(id, host, call());
      expect(await inside(host.name, "cat", "/data/file")).toBe("kept");
      await expect(driver.deleteVolume(volumeId, call())).rejects.toMatchObject({ code: "in-use" });
      await driver.detach(attachment.id, call());
      expect(await inside(host.name, "ls", "/data")).toBe("");
      await driver.deleteVolume(volumeId, call());
      expect((await driver.observe()).volumes).toEqual([]);
    });

    it("backs up and restores byte for byte, once for a name", async () => {
      const [host, volume] = [hostSpec(), volumeSpec()];
      await driver.createHost(host, call());
      await driver.createVolume(volume, call());
      await driver.attach(attachmentSpec(host, volume), call());
      await driver.exec(host.name, ["mkdir", "/data/empty", "/data/deep/er"]);
      await driver.exec(host.name, ["write", "/data/deep/er/file"], { stdin: "x".repeat(100_000) });
      const before = await inside(host.name, "sha256sum", "/data/deep/er/file");
      const backup = await driver.backup(volume.name, "bak_1", pool, call());
      expect(backup).toMatchObject({ volume: volume.name, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
      expect(await driver.backup(volume.name, "bak_1", pool, call())).toEqual(backup);
      await driver.exec(host.name, ["rm", "/data/deep", "/data/empty"]);
      await driver.exec(host.name, ["write", "/data/later"], { stdin: "gone by the restore" });
      expect((await driver.restore("bak_1", volume.name, call())).sha256).toBe(backup.sha256);
      expect(await inside(host.name, "sha256sum", "/data/deep/er/file")).toBe(before);
      expect(await inside(host.name, "ls", "/data")).toBe("deep\nempty\n");
      await driver.deleteBackup("bak_1", call());
      await expect(driver.restore("bak_1", volume.name, call())).rejects.toMatchObject({ code: "not-found" });
    });

    it("makes a volume with a backup's content: whole or not at all, and never fills it again", async () => {
      const [host, volume] = [hostSpec(), volumeSpec()];
      await driver.createHost(host, call());
      const source = await driver.createVolume(volume, call());
      const attached = await driver.attach(attachmentSpec(host, volume), call());
      await driver.exec(host.name, ["write", "/data/file"], { stdin: "kept" });
      const { sha256 } = await driver.backup(volume.name, "bak_1", pool, call());
      await driver.detach(attached.id, call());
      await driver.deleteVolume(source.id, call());
      const backup = { name: "bak_1", sha256 };
      await expect(driver.createVolume({ ...volumeSpec(), backup: { name: "bak_2", sha256 } }, call())).rejects.toMatchObject({ code: "not-found" });
      await expect(driver.createVolume({ ...volumeSpec(), backup: { name: "bak_1", sha256: "0".repeat(64) } }, call())).rejects.toMatchObject({
        code: "corrupt",
      });
      expect((await driver.observe()).volumes, "nothing is left of what could not be made").toEqual([]);
      const fresh = { ...volumeSpec(), sizeGib: 2, backup };
      const made = await driver.createVolume(fresh, call());
      await driver.attach(attachmentSpec(host, fresh), call());
      expect(await inside(host.name, "cat", "/data/file")).toBe("kept");
      await driver.exec(host.name, ["write", "/data/file"], { stdin: "written since" });
      expect(await driver.createVolume(fresh, call())).toEqual({ id: made.id, adopted: true });
      expect(await inside(host.name, "cat", "/data/file")).toBe("written since");
      expect((await driver.observe()).volumes).toMatchObject([{ name: fresh.name, sizeGib: 2, attachedTo: host.name }]);
    });

    it("says which machines are behind it, what they have, and where each host is", async () => {
      const { moves } = await driver.capabilities();
      const host = hostSpec();
      await driver.createHost(host, call());
      const { members = [], hosts } = await driver.observe();
      expect(members.map((one) => one.name)).toEqual((await driver.members()).map((one) => one.name));
      expect(members.length > 1).toBe(moves);
      for (const member of members) {
        expect(member).toMatchObject({ state: "online", message: "", vcpu: expect.any(Number) });
        expect(member.memory!.totalBytes).toBeGreaterThan(member.memory!.freeBytes);
        expect(member.disk!.totalBytes).toBeGreaterThan(member.disk!.freeBytes);
      }
      expect(members.some((one) => one.name === hosts[0]!.member)).toBe(moves);
    });

    it("shows what a host's console showed", async () => {
      const host = hostSpec();
      await driver.createHost(host, call());
      expect(typeof (await driver.consoleLog(host.name))).toBe("string");
      await expect(driver.consoleLog(newId("hst"))).rejects.toMatchObject({ code: "not-found" });
    });

    it("puts a volume back to a snapshot while it stays attached", async () => {
      const [host, volume] = [hostSpec(), volumeSpec()];
      await driver.createHost(host, call());
      await driver.createVolume(volume, call());
      await driver.attach(attachmentSpec(host, volume), call());
      await driver.exec(host.name, ["write", "/data/file"], { stdin: "then" });
      const made = await driver.snapshotVolume(volume.name, "snp_1", call());
      const { sizeBytes } = made;
      expect(made).toEqual({ name: "snp_1", createdAt: expect.any(Number), ...(sizeBytes === undefined ? {} : { sizeBytes: expect.any(Number) }) });
      expect(await driver.snapshotVolume(volume.name, "snp_1", call())).toEqual(made);
      await driver.exec(host.name, ["write", "/data/file"], { stdin: "since" });
      await driver.exec(host.name, ["write", "/data/later"], { stdin: "since" });
      const later = await driver.snapshotVolume(volume.name, "snp_2", call());
      const kept = async () => (await driver.observe()).volumes.map(({ attachedTo, snapshots }) => ({ attachedTo, snapshots }));
      expect(await kept()).toEqual([{ attachedTo: host.name, snapshots: [made, later] }]);
      await driver.revertVolume(volume.name, "snp_1", call());
      expect(await inside(host.name, "cat", "/data/file")).toBe("then");
      expect(await inside(host.name, "ls", "/data")).toBe("file\n");
      // Neither the newer one nor the older one went.
      await driver.revertVolume(volume.name, "snp_2", call());
      expect(await inside(host.name, "ls", "/data")).toBe("file\nlater\n");
      expect(await kept()).toEqual([{ attachedTo: host.name, snapshots: [made, later] }]);
      await driver.deleteSnapshot(volume.name, "snp_1", call());
      await driver.deleteSnapshot(volume.name, "snp_1", call());
      expect(await kept()).toEqual([{ attachedTo: host.name, snapshots: [later] }]);
      await expect(driver.revertVolume(volume.name, "snp_1", call())).rejects.toMatchObject({ code: "not-found" });
      // A volume goes with its snapshots.
      const [attachment, stored] = await Promise.all([driver.list(), driver.find("volume", volume.name)]);
      await driver.detach(attachment.find((one) => one.kind === "attachment")!.id, call());
      await driver.deleteVolume(stored!.id, call());
      await driver.deleteSnapshot(volume.name, "snp_2", call());
      expect(await kept()).toEqual([]);
      await expect(driver.snapshotVolume(newId("vol"), "snp_1", call())).rejects.toMatchObject({ code: "not-found" });
    });

    it("moves a host with its volumes to another member, once, or says that there is none", async () => {
      const { moves } = await driver.capabilities();
      const members = (await driver.members()).map((one) => one.name);
      if (!moves) {
        await expect(driver.moveHost(newId("hst"), "elsewhere", call())).rejects.toMatchObject({ code: expect.stringMatching(/unsupported|not-found/) });
        await expect(driver.setMember(members[0]!, "evacuated")).rejects.toMatchObject({ code: "unsupported" });
        return;
      }
      const [from, to] = members.toReversed() as [string, string];
      const host = hostSpec({ member: from });
      const [volume, loose] = [volumeSpec(), volumeSpec()];
      const { id } = await driver.createHost(host, call());
      await driver.createVolume(volume, call());
      const { id: looseId } = await driver.createVolume(loose, call());
      await driver.attach(attachmentSpec(host, volume), call());
      await driver.exec(host.name, ["write", "/data/file"], { stdin: "on the volume" });
      await driver.exec(host.name, ["write", "/root/file"], { stdin: "on the root disk" });
      const snapshot = await driver.snapshotVolume(volume.name, "snp_1", call());
      const where = async () => {
        const { hosts, volumes } = await driver.observe();
        const { member, attachedTo, snapshots } = volumes.find((one) => one.name === volume.name)!;
        return [hosts.map((one) => [one.member, one.state, one.id]), member, attachedTo, snapshots];
      };
      const at = (member: string) => [[[member, "running", id]], member, host.name, [snapshot]];
      expect(await where()).toEqual(at(from));
      await driver.setMember(from, "evacuated");
      await driver.setMember(from, "evacuated");
      try {
        expect((await driver.members()).find((one) => one.name === from)?.state).toBe("evacuated");
        expect(await driver.moveHost(id, to, call())).toEqual({ restarted: true });
        expect(await driver.moveHost(id, to, call())).toEqual({ restarted: false });
        expect(await where()).toEqual(at(to));
        expect(await inside(host.name, "cat", "/data/file", "/root/file")).toBe("on the volumeon the root disk");
        // A member that takes no hosts is passed over, whoever chose it.
        const another = hostSpec({ member: from });
        const { id: anotherId } = await driver.createHost(another, call());
        const there = (await reading(another.name))?.member;
        expect(there).not.toBe(from);
        await driver.deleteHost(anotherId, call());
      } finally {
        await driver.setMember(from, "online");
      }
      expect((await driver.members()).map((one) => one.state)).toEqual(members.map(() => "online"));
      const there = (await driver.observe()).volumes.find((one) => one.name === loose.name)!.member;
      const other = members.find((one) => one !== there)!;
      await driver.moveVolume(looseId, other, call());
      await driver.moveVolume(looseId, other, call());
      expect((await driver.observe()).volumes.find((one) => one.name === loose.name)).toMatchObject({ id: looseId, member: other });
      await expect(driver.moveVolume((await driver.find("volume", volume.name))!.id, from, call())).rejects.toMatchObject({ code: "in-use" });
      await expect(driver.moveHost(id, "elsewhere", call())).rejects.toMatchObject({ code: "not-found" });
      expect(await where(), "a move that cannot be changes nothing").toEqual(at(to));
    });

    it.each(moveFaults)("killed at %s of a move, is whole where it is when it is brought up, and where it was to go when it is moved again", async (point) => {
      if (!(await driver.capabilities()).moves) return;
      const [from, to] = (await driver.members()).map((one) => one.name) as [string, string];
      const host = hostSpec({ member: from });
      const volume = volumeSpec();
      const { id } = await driver.createHost(host, call());
      await driver.createVolume(volume, call());
      await driver.attach(attachmentSpec(host, volume), call());
      await driver.exec(host.name, ["write", "/data/file"], { stdin: "kept" });
      const move = `await driver.moveHost(${JSON.stringify(id)}, ${JSON.stringify(to)}, ${JSON.stringify(call())});`;
      for (const again of [() => driver.createHost(host, call()), () => driver.moveHost(id, to, call())]) {
        const ended = cloud.elsewhere(move, point);
        // What the first one finished by being brought up may have moved already.
        if ((await reading(host.name))?.member === from) expect(ended.signal, ended.stderr).toBe("SIGKILL");
        await again();
        expect(await reading(host.name)).toMatchObject({ id, state: "running" });
        expect(await inside(host.name, "cat", "/data/file")).toBe("kept");
        const { volumes } = await driver.observe();
        expect(volumes).toMatchObject([{ attachedTo: host.name, member: (await reading(host.name))?.member }]);
      }
      expect((await reading(host.name))?.member).toBe(to);
    });

    it("passes an application's things to another scope while they run, and back: nothing is stopped, moved or renamed", async () => {
      const [host, volume] = [hostSpec(), volumeSpec()];
      const attachment = attachmentSpec(host, volume);
      const policy = { name: newId("bkp"), volume: volume.name, pool, schedule: "0 2 * * *", timezone: "Asia/Shanghai", keep: 3 };
      const { id } = await driver.createHost(host, call());
      await driver.createVolume(volume, call());
      await driver.attach(attachment, call());
      await driver.putBackupPolicy(policy, call());
      await driver.exec(host.name, ["write", "/data/file"], { stdin: "kept" });
      await driver.backup(volume.name, "bak_passed", pool, call());
      const other = hostSpec({ hostname: "other", application: newId("app") });
      await driver.createHost(other, call());
      const was = (await reading(host.name))!;
      const things = (await driver.list(scope)).filter((one) => one.name !== other.name);
      expect(things).toHaveLength(5);
      const names = things.map((one) => one.name);
      const there = { scope: newId("dep"), fence: 7 };
      for (let twice = 0; twice < 2; twice++) await driver.pass(application, names, call(2), there);
      const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
      expect((await driver.list(scope)).map((one) => one.name)).toEqual([other.name]);
      expect((await driver.list(there.scope)).toSorted(byId)).toEqual(things.map((one) => ({ ...one, scope: there.scope })).toSorted(byId));
      const now = (await reading(host.name))!;
      expect([now.scope, now.id, now.state]).toEqual([there.scope, id, "running"]);
      expect([now.pid, now.startedAt, now.member]).toEqual([was.pid, was.startedAt, was.member]);
      await expect(driver.pass(application, names, call(1), there)).rejects.toMatchObject({ code: "stale-fence" });
      // Its new scope goes on with it, beside what it had, and with what is made for it from then on.
      await driver.updateHost(id, { ...host, addresses: ["10.0.0.9"] }, there);
      const second = volumeSpec();
      await driver.createVolume(second, there);
      await driver.attach({ ...attachmentSpec(host, second), path: "/srv/second" }, there);
      await driver.exec(host.name, ["write", "/srv/second/file"], { stdin: "new" });
      await driver.restore("bak_passed", volume.name, there);
      expect(await inside(host.name, "cat", "/data/file")).toBe("kept");
      const own = { ...hostSpec({ hostname: "own", application: newId("app") }) };
      const made = await driver.createHost(own, there);
      await driver.deleteHost(made.id, there);
      // Back: all that it has by now.
      const all = (await driver.list(there.scope)).map((one) => one.name);
      await driver.pass(application, all, there, call(3));
      expect(await driver.list(there.scope)).toEqual([]);
      expect(await inside(host.name, "cat", "/srv/second/file")).toBe("new");
      for (const one of (await driver.list(scope)).filter((each) => each.kind === "attachment")) await driver.detach(one.id, call(3));
      await driver.deleteHost(id, call(3));
      expect(await reading(host.name)).toBeUndefined();
    });

    it("restarts a host only for what it says takes a restart, and only where that was agreed to", async () => {
      const agreed = { ...call(), restart: true };
      const started = async (name: string) => {
        const { state, pid, startedAt } = (await reading(name))!;
        return { state, pid, startedAt };
      };
      const host = hostSpec();
      const { id } = await driver.createHost(host, call());
      // More of everything, and less than was given but not than is held, while it runs.
      const first = await started(host.name);
      for (const flavour of [
        { vcpu: 2, memoryMib: 192, diskGib: 11 },
        { vcpu: 1, memoryMib: 128, diskGib: 11 },
      ]) {
        const larger = { ...host, flavour };
        expect(await driver.needsRestart({ kind: "host", id, spec: larger })).toBeUndefined();
        await driver.updateHost(id, larger, agreed);
        expect(await started(host.name)).toEqual(first);
      }
      // Less memory than it holds.
      const less = { ...host, flavour: { vcpu: 1, memoryMib: 48, diskGib: 11 } };
      const held = driver.exec(host.name, ["eat", "64", "600"], { timeoutMs: 600_000 }).catch(() => undefined);
      if ((await driver.capabilities()).memoryLimit !== "absent") {
        await expect.poll(() => driver.needsRestart({ kind: "host", id, spec: less }), { timeout: 20_000 }).toBeDefined();
        expect(await driver.needsRestart({ kind: "host", id, spec: less })).toEqual({
          host: host.name,
          why: expect.stringMatching(/^web holds \d+ MiB of memory/),
        });
        await expect(driver.updateHost(id, less, call())).rejects.toMatchObject({ code: "needs-restart" });
        expect(await started(host.name), "nothing was done").toEqual(first);
        await driver.updateHost(id, less, agreed);
        await held;
        const again = await started(host.name);
        expect(again.state).toBe("running");
        expect(again.pid).not.toBe(first.pid);
        expect((await driver.exec(host.name, ["eat", "100"])).code, "the new limit holds").not.toBe(0);
        expect(await driver.needsRestart({ kind: "host", id, spec: less })).toBeUndefined();
        await driver.updateHost(id, less, agreed);
        expect(await started(host.name), "what is so already restarts nothing").toEqual(again);
      }
      // A volume that a running host shows.
      const volume = volumeSpec();
      const { id: volumeId } = await driver.createVolume(volume, call());
      await driver.attach(attachmentSpec(host, volume), call());
      await driver.exec(host.name, ["write", "/data/file"], { stdin: "kept" });
      const before = await started(host.name);
      const larger = { ...volume, sizeGib: 2 };
      const need = await driver.needsRestart({ kind: "volume", id: volumeId, spec: larger });
      if (need) {
        expect(need.host).toBe(host.name);
        await expect(driver.updateVolume(volumeId, larger, call())).rejects.toMatchObject({ code: "needs-restart" });
        expect(await started(host.name)).toEqual(before);
      }
      await driver.updateVolume(volumeId, larger, need ? agreed : call());
      const after = await started(host.name);
      expect(after.state).toBe("running");
      expect(after.pid === before.pid).toBe(need === undefined);
      expect(await inside(host.name, "cat", "/data/file")).toBe("kept");
      expect(await driver.needsRestart({ kind: "volume", id: volumeId, spec: larger })).toBeUndefined();
      await expect(driver.needsRestart({ kind: "host", id: `${newId("hst")}.1`, spec: host })).rejects.toMatchObject({ code: "not-found" });
    });

    it("keeps a volume within its size where it says so, and grows it with what it holds", async () => {
      const { volumeSizeEnforced, notes } = await driver.capabilities();
      if (!volumeSizeEnforced) return expect(notes.join(" ")).toMatch(/volume sizes.*not enforced/i);
      const [host, volume] = [hostSpec(), volumeSpec()];
      await driver.createHost(host, call());
      const { id } = await driver.createVolume(volume, call());
      await driver.attach(attachmentSpec(host, volume), call());
      const allocate = async (mib: number) => (await driver.exec(host.name, ["allocate", "/data/big", String(mib)])).stderr;
      // Content that fits the volume but not twice: a restore needs no room beside the old.
      expect(await allocate(520)).toBe("");
      await driver.backup(volume.name, "bak_1", pool, call());
      await driver.exec(host.name, ["write", "/data/later"], { stdin: "gone" });
      await driver.restore("bak_1", volume.name, call());
      expect(await inside(host.name, "ls", "/data")).toBe("big\n");
      expect(await allocate(1024)).toMatch(/no space|quota exceeded/);
      expect((await driver.observe()).volumes[0]?.usedBytes).toBeLessThanOrEqual(1024 ** 3);
      await driver.updateVolume(id, { ...volume, sizeGib: 2 }, { ...call(), restart: true });
      expect(await allocate(1024)).toBe("");
      expect((await reading(host.name))?.state).toBe("running");
      return expect(await allocate(2048)).toMatch(/no space|quota exceeded/);
    });

    it("enforces memory where it says so", async () => {
      const { memoryLimit, notes } = await driver.capabilities();
      const host = hostSpec();
      await driver.createHost(host, call());
      const { code } = await driver.exec(host.name, ["eat", "512"]);
      if (memoryLimit === "absent") expect(notes.join(" ")).toMatch(/memory/i);
      expect(code === 0).toBe(memoryLimit === "absent");
      expect((await driver.exec(host.name, ["eat", "16"])).code).toBe(0);
    });

    it("sees what somebody changes behind our back, property by property, and what is gone", async () => {
      const [host, volume] = [hostSpec(), volumeSpec()];
      const things = { host, volume, attachment: attachmentSpec(host, volume) };
      await driver.createHost(host, call());
      await driver.createVolume(volume, call());
      await driver.attach(things.attachment, call());
      const actual = async (of: keyof typeof things) => (await driver.actual(call().scope)).things.find((one) => one.name === things[of].name);
      for (const of of ["host", "volume", "attachment"] as const) expect(await actual(of)).toMatchObject({ kind: of, spec: things[of], strange: [] });
      expect(await actual("host")).toMatchObject({ state: "running" });
      expect(await driver.actual(newId("dep")), "another department has none of it").toEqual({ things: [], unreachable: [] });
      const changes = cloud.behind(things);
      expect(changes.length).toBeGreaterThan(0);
      for (const { what, of, make, seen } of changes) {
        await make();
        const now = await actual(of);
        if (seen === undefined) expect(now, what).toBeUndefined();
        else expect(now, what).toMatchObject(seen);
      }
    });

    it("keeps user data out of what other processes and readings can see", async () => {
      const host = hostSpec({ userData: "very-s3cret-data" });
      await driver.createHost(host, call());
      const { pid } = (await reading(host.name))!;
      const seen =
        spawnSync("cat", [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`], { encoding: "latin1" }).stdout +
        JSON.stringify([await driver.observe(), await driver.find("host", host.name), await driver.list()]);
      expect(seen).not.toContain("very-s3cret-data");
    });

    it.each(faults)("killed at $point, makes one whole thing the next time", async ({ point, code }) => {
      const [host, volume] = [hostSpec(), volumeSpec()];
      const attachment = attachmentSpec(host, volume);
      const things = `const host = ${JSON.stringify(host)}, volume = ${JSON.stringify(volume)}, attachment = ${JSON.stringify(attachment)}, call = ${JSON.stringify(call())};`;
      const ended = cloud.elsewhere(`${things}\n${code}`, point);
      expect(ended.signal, ended.stderr).toBe("SIGKILL");
      await driver.createHost(host, call());
      await driver.createVolume(volume, call());
      await driver.attach(attachment, call());
      await driver.backup(volume.name, "bak_1", pool, call());
      expect((await driver.list()).map((one) => one.kind).toSorted()).toEqual(["attachment", "backup", "host", "volume"]);
      const { hosts } = await driver.observe();
      expect(hosts.map((one) => one.state)).toEqual(["running"]);
      await driver.exec(host.name, ["write", "/data/file"], { stdin: "whole" });
      expect(await inside(host.name, "cat", "/data/file")).toBe("whole");
    });
  });
}
