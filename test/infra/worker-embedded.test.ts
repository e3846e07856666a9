/** The whole engine room on the embedded driver: real hosts, real volumes, and a worker that is really killed. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadDriver } from "../../infra/drivers/load.ts";
import { provideGuest } from "../../infra/engine/engine.ts";
import type { Engine, OperationKind, Progress } from "../../infra/operations.ts";
import type { DepartmentSpec, HostSpec } from "../../infra/spec.ts";
import { startEngine } from "../../infra/worker-client.ts";
import { attachment, department, estate, host, pool, policy, volume } from "./estate.ts";
import { filesWith, openWorld, type World } from "./world.ts";

let world: World;
let engine: Engine;
let cloud: string;
beforeAll(async () => {
  await provideGuest();
  world = await openWorld();
  cloud = await mkdtemp(path.join(tmpdir(), "zhengyun-cloud-"));
  engine = await startEngine({ engineRoot: world.engine.root, directory: path.join(world.directory, "worker") });
}, 120_000);
afterAll(async () => {
  await engine.close();
  await loadDriver("embedded", cloud).purge();
  await rm(cloud, { recursive: true, force: true });
  await world.close();
});

const base = (n: number, more: Partial<HostSpec> = {}) => host(n, { image: "zhengyun-base-1", ...more });
async function run(kind: OperationKind, spec: DepartmentSpec, onProgress?: (progress: Progress) => void) {
  const operation = await world.operation(kind, spec);
  try {
    // Where a mounted ext4 doesn't grow, the host that shows it is restarted.
    const restarts = spec.volumes.map((one) => one.name);
    return await engine.run({ ...operation, restarts, pools: [{ pool, driver: "embedded", endpoint: cloud }] }, onProgress);
  } finally {
    await world.end(operation);
  }
}
const there = async () => (await loadDriver("embedded", cloud).list()).map((thing) => thing.name).sort();
const readings = async () => Object.fromEntries((await loadDriver("embedded", cloud).observe()).hosts.map((reading) => [reading.name, reading]));

const userData = "#!/bin/sh\necho a-secret-of-the-department";
const full = estate({
  hosts: [base(1, { userData }), base(2), base(3)],
  volumes: [volume(1)],
  attachments: [attachment(1, 1, 1)],
  backupPolicies: [policy(1, 1)],
});
const all = [...full.hosts, ...full.volumes, ...full.attachments, ...full.backupPolicies].map((item) => item.name).sort();

describe("a department on the embedded driver", () => {
  it("gets hosts that run, with a volume attached; the unknown image of one does not harm the others", async () => {
    const bad = base(4, { image: "no-such-image" });
    const up = await run("up", { ...full, hosts: [...full.hosts, bad] });
    expect(up.failures).toEqual([{ kind: "host", name: bad.name, code: "unknown-image", message: expect.stringContaining("no-such-image") }]);
    expect(await there()).toEqual(all);
    expect(Object.values(await readings()).map((reading) => reading.state)).toEqual(["running", "running", "running"]);
    expect(await run("up", full)).toMatchObject({ result: "succeeded", failures: [] });
    const again = await run("preview", full);
    expect(again.steps.map((step) => step.action)).toEqual(Array(all.length).fill("same"));
  }, 60_000);

  it("is changed in place and by replacement", async () => {
    const before = await readings();
    const changed = {
      ...full,
      hosts: [full.hosts[0]!, base(2, { flavour: { vcpu: 2, memoryMib: 96, diskGib: 1 } }), base(3, { power: "stopped" })],
      volumes: [volume(1, { sizeGib: 2 })],
    };
    expect(await run("up", changed)).toMatchObject({ result: "succeeded" });
    const after = await readings();
    expect(after[base(2).name]?.id).toBe(before[base(2).name]?.id);
    expect(after[base(3).name]?.state).toBe("stopped");
    expect((await loadDriver("embedded", cloud).find("volume", volume(1).name))?.spec).toMatchObject({ sizeGib: 2 });

    const other = { ...full, hosts: [base(1, { userData: `${userData} second` }), base(2), base(3)], volumes: changed.volumes };
    const replaced = await run("up", other);
    expect(replaced).toMatchObject({ result: "succeeded", failures: [] });
    expect((await readings())[base(1).name]?.id).not.toBe(before[base(1).name]?.id);
    expect(await there()).toEqual(all);
  }, 60_000);

  it("shows a crashed host in a refresh, and the next update starts it again", async () => {
    const spec = { ...full, hosts: [base(1, { userData: `${userData} second` }), base(2), base(3)], volumes: [volume(1, { sizeGib: 2 })] };
    const { pid, id } = (await readings())[base(2).name]!;
    process.kill(pid!, "SIGKILL");
    const refresh = await run("refresh", spec);
    expect(refresh.steps.find((step) => step.name === base(2).name)?.action).toBe("update");
    expect(await run("up", spec)).toMatchObject({ result: "succeeded" });
    expect((await readings())[base(2).name]).toMatchObject({ state: "running", id });
  }, 60_000);

  it("keeps its secret out of the control plane's data", async () => {
    expect(await filesWith(world.directory, "a-secret-of-the-department")).toEqual([]);
    expect(JSON.stringify(await world.state(department))).not.toContain("a-secret-of-the-department");
  });

  it("is completed by the next update when the worker is killed in the middle, without orphan or twin", async () => {
    const many = { ...full, hosts: Array.from({ length: 12 }, (_, n) => base(n + 1)), volumes: [volume(1, { sizeGib: 2 })] };
    let created = 0;
    const killed = run("up", many, (progress) => {
      if (progress.type === "step-done" && progress.step.action === "create" && ++created === 4) process.kill(engine.processes().worker!, "SIGKILL");
    });
    await expect(killed).rejects.toMatchObject({ code: "worker-died" });
    expect(await run("up", many)).toMatchObject({ result: "succeeded", failures: [] });
    const names = await there();
    expect(names).toEqual([...new Set(names)]);
    expect(names.filter((name) => name.startsWith("hst_"))).toEqual(many.hosts.map((item) => item.name).sort());
    expect(Object.values(await readings()).every((reading) => reading.state === "running")).toBe(true);
  }, 60_000);

  it("is taken down whole", async () => {
    expect(await run("destroy", full)).toMatchObject({ result: "succeeded" });
    expect(await there()).toEqual([]);
  }, 60_000);
});
