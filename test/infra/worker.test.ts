import { fork, type ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { DepartmentSpec } from "../../infra/spec.ts";
import type { Engine, OperationKind, Progress } from "../../infra/operations.ts";
import { startEngine, WorkerDied } from "../../infra/worker-client.ts";
import { estate, host, id, volume } from "./estate.ts";
import { openWorld, type World } from "./world.ts";

const drivers = new URL("paper-driver.ts", import.meta.url).href;
/** Alive and no zombie. */
const alive = (pid: number) => existsSync(`/proc/${pid}/stat`) && !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
const until = (holds: () => unknown) => vi.waitUntil(holds, { timeout: 20_000, interval: 5 });

let world: World;
let engine: Engine;
let notes: string[];
beforeAll(async () => {
  world = await openWorld();
}, 60_000);
afterAll(() => world.close());
afterEach(() => engine.close());

let started = 0;
async function start(slots = 2) {
  notes = [];
  engine = await startEngine({
    engineRoot: world.engine.root,
    directory: path.join(world.directory, `worker-${++started}`),
    slots,
    drivers,
    heartbeatMs: 50,
    onNote: (note) => notes.push(note),
  });
}
let departments = 500;
const newDepartment = () => {
  const n = ++departments;
  return { department: id("dep", n), host: (k: number, more = {}) => host(n * 10 + k, more), volume: (k: number) => volume(n * 10 + k) };
};
async function run(kind: OperationKind, spec: DepartmentSpec, onProgress?: (progress: Progress) => void) {
  const operation = await world.operation(kind, spec);
  try {
    return await engine.run(operation, onProgress);
  } finally {
    await world.end(operation);
  }
}
const names = (dep: string) =>
  world.paper
    .all()
    .filter((thing) => thing.scope === dep)
    .map((thing) => thing.name)
    .sort();

describe("the engine worker", () => {
  it("runs operations, reports the engine's PID and every step, and forgets the engine when it has ended", async () => {
    await start();
    const d = newDepartment();
    const heard: Progress[] = [];
    let during: ReturnType<Engine["processes"]> | undefined;
    const outcome = await run("up", estate({ department: d.department, hosts: [d.host(1)], volumes: [d.volume(1)] }), (progress) => {
      heard.push(progress);
      if (progress.type === "started") during = engine.processes();
    });
    expect(outcome).toMatchObject({ result: "succeeded" });
    expect(during?.engines).toEqual([{ operation: outcome.operation, pid: expect.any(Number) }]);
    expect(heard.map((progress) => progress.type).filter((type) => type === "step-done")).toHaveLength(2);
    expect(engine.processes()).toEqual({ worker: expect.any(Number), engines: [] });
  }, 60_000);

  it("runs departments side by side, but one operation of a department at a time", async () => {
    await start(3);
    const [one, other] = [newDepartment(), newDepartment()];
    const begun = new Map<string, string>();
    const twice: string[] = [];
    let together = 0;
    const watched = (d: typeof one, k: number) =>
      run("up", estate({ department: d.department, hosts: [d.host(1), ...(k ? [d.host(2)] : [])] }), (progress) => {
        if (progress.type !== "started") return;
        const running = engine.processes().engines.map(({ operation }) => operation);
        for (const operation of running) {
          if (begun.get(operation) === d.department) twice.push(d.department);
          else if (!begun.has(operation)) begun.set(operation, d.department);
        }
        together = Math.max(together, running.length);
      });
    const outcomes = await Promise.all([watched(one, 0), watched(other, 0), watched(one, 1)]);
    expect(outcomes.map((outcome) => outcome.result)).toEqual(["succeeded", "succeeded", "succeeded"]);
    expect(twice).toEqual([]);
    expect(together).toBe(2);
    expect(names(one.department)).toHaveLength(2);
  }, 60_000);

  it("cancels a running operation and one that waits", async () => {
    await start(1);
    const d = newDepartment();
    const slow = await world.operation("up", estate({ department: d.department, hosts: [d.host(1, { image: "slow" })] }));
    const waiting = await world.operation("up", estate({ department: newDepartment().department }));
    const running = engine.run(slow, (progress) => {
      if (progress.type === "step-started") void engine.cancel(waiting.id).then(() => engine.cancel(slow.id));
    });
    const queued = engine.run(waiting);
    expect(await running).toMatchObject({ result: "cancelled" });
    expect(await queued).toMatchObject({ result: "cancelled", steps: [] });
    await Promise.all([slow, waiting].map(world.end));
    expect(names(d.department)).toEqual([]);
  }, 60_000);
});

describe("kill -9 of the worker", () => {
  it("ends its engine, rejects what it ran as WorkerDied, and starts a new worker: the retry leaves no orphan and no twin", async () => {
    await start();
    const d = newDepartment();
    const spec = estate({ department: d.department, hosts: [d.host(1), d.host(2), d.host(3, { image: "slow" })] });
    const pids: number[] = [];
    const first = engine.processes().worker!;
    const killed = run("up", spec, (progress) => {
      if (progress.type === "started") pids.push(progress.enginePid!);
      if (progress.type === "step-done" && progress.step.name === d.host(2).name) process.kill(first, "SIGKILL");
    });
    await expect(killed).rejects.toBeInstanceOf(WorkerDied);
    expect(pids.map(alive)).toEqual([false]);
    expect(notes[0]).toContain("SIGKILL");

    world.paper.release();
    expect(await run("up", spec)).toMatchObject({ result: "succeeded" });
    expect(engine.processes().worker).not.toBe(first);
    expect(names(d.department)).toEqual(spec.hosts.map((item) => item.name).sort());
    expect(
      world.paper
        .all()
        .filter((thing) => thing.scope === d.department)
        .every((thing) => thing.id.endsWith(".1")),
    ).toBe(true);
    const { deployment } = await world.state(d.department);
    expect(JSON.stringify(deployment)).not.toContain('pending_operations":[{');
    await run("up", estate({ department: d.department }));
    expect(names(d.department)).toEqual([]);
  }, 60_000);

  it("between an effect and its record loses nothing: the next update takes over what was made", async () => {
    await start();
    const d = newDepartment();
    const spec = estate({ department: d.department, hosts: [d.host(1, { image: "fatal" }), d.host(2)] });
    await expect(run("up", spec)).rejects.toMatchObject({ code: "worker-died", message: expect.stringContaining("run it again") });
    expect(names(d.department)).toContain(d.host(1).name);
    expect(await run("up", spec)).toMatchObject({ result: "succeeded" });
    expect(world.paper.find("host", d.host(1).name)?.id).toBe(`${d.host(1).name}.1`);
    expect(names(d.department)).toHaveLength(2);
    await run("destroy", spec);
    expect(names(d.department)).toEqual([]);
  }, 60_000);
});

describe("kill -9 of an engine", () => {
  it("fails that operation alone, and the next one completes it", async () => {
    await start();
    const d = newDepartment();
    const spec = estate({ department: d.department, hosts: [d.host(1), d.host(2)] });
    const worker = engine.processes().worker;
    const outcome = await run("up", spec, (progress) => {
      if (progress.type === "step-started") for (const { pid } of engine.processes().engines) process.kill(pid, "SIGKILL");
    });
    expect(outcome).toMatchObject({ result: "failed", message: expect.stringContaining("SIGKILL") });
    expect(engine.processes().worker).toBe(worker);
    expect(await run("up", spec)).toMatchObject({ result: "succeeded" });
    expect(names(d.department)).toHaveLength(2);
  }, 60_000);
});

describe("a worker without its control plane", () => {
  it("ends with its engines when the control plane is killed", async () => {
    await start();
    const d = newDepartment();
    const operation = await world.operation("up", estate({ department: d.department, hosts: [d.host(1, { image: "endless" })] }));
    // A stand-in control plane, in a process of its own so that it can be killed.
    const parent: ChildProcess = fork(
      path.resolve("test/infra/worker-parent.ts"),
      [JSON.stringify({ operation, root: world.engine.root, directory: path.join(world.directory, "orphan"), drivers })],
      { execArgv: [] },
    );
    const told: { worker?: number; engine?: number } = {};
    parent.on("message", (message) => Object.assign(told, message));
    await until(() => told.engine !== undefined);
    expect(alive(told.engine!)).toBe(true);
    parent.kill("SIGKILL");
    await until(() => !alive(told.worker!) && !alive(told.engine!));
    await world.end(operation);
  }, 60_000);

  it("is not started where it cannot run, and says why", async () => {
    await start();
    await expect(
      startEngine({ engineRoot: world.engine.root, directory: path.join(world.directory, "none"), drivers: "file:///nowhere/at-all.ts" }),
    ).rejects.toThrow(/did not start.*nowhere/s);
  }, 60_000);
});
