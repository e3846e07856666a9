/* eslint-disable no-new -- a Pulumi resource registers itself */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runEngine } from "../../infra/engine-process.ts";
import type { Progress } from "../../infra/operations.ts";
import { departmentProgram } from "../../infra/program.ts";
import { serveProgram } from "../../infra/program-host.ts";
import { Scopes } from "../../infra/provider/scopes.ts";
import { serveProvider } from "../../infra/provider/server.ts";
import { Host } from "../../infra/resources/host.ts";
import { Volume } from "../../infra/resources/volume.ts";
import { Watchdog } from "../../infra/watchdog.ts";
import { startEngine } from "../../infra/worker-client.ts";
import { estate, host, id, volume } from "./estate.ts";
import { loadDriver } from "./paper-driver.ts";
import { openWorld, type World } from "./world.ts";

const drivers = new URL("paper-driver.ts", import.meta.url).href;

describe("an engine that hangs", { timeout: 60_000 }, () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  }, 60_000);
  afterAll(() => world.close());

  const start = (limits: { silentMs?: number; callMs?: number }) =>
    startEngine({ engineRoot: world.engine.root, directory: path.join(world.directory, "worker"), slots: 1, drivers, ...limits });

  it("by a bug of its own (an import after a failure) is ended; what it did is kept, and the next goes on", async () => {
    const spec = estate({ department: id("dep", 901), hosts: [host(9011)] });
    const operation = await world.operation("up", spec);
    const scopes = new Scopes(async ({ driver, endpoint }) => loadDriver(driver, endpoint));
    const provider = await serveProvider(scopes);
    const watchdog = new Watchdog(3_000);
    const close = scopes.open({
      ...operation.state,
      department: spec.department,
      fence: operation.fence,
      pools: operation.pools,
      signal: new AbortController().signal,
      watchdog,
    });
    const program = await serveProgram(
      async () => {
        await departmentProgram(spec)();
        const failed = new Host(host(9012).name, host(9012, { image: "nope" }));
        new Volume(volume(9013).name, volume(9013), { import: "some-volume", dependsOn: failed });
      },
      () => watchdog.touch(),
    );
    const slotDir = path.join(world.directory, "slot-901");
    await mkdir(slotDir);
    let engine = 0;
    const began = Date.now();
    const exit = await runEngine({
      kind: "up",
      engineRoot: world.engine.root,
      slotDir,
      providerPort: provider.port,
      hostAddress: program.address,
      state: operation.state,
      parallel: 4,
      watchdog,
      onStart: (pid) => (engine = pid),
    });
    expect(exit, exit.output).toMatchObject({ hung: true, signal: "SIGKILL", code: undefined });
    expect(Date.now() - began).toBeGreaterThan(3_000);
    expect(existsSync(`/proc/${engine}`)).toBe(false);
    program.close();
    provider.close();
    close();
    expect(await world.end(operation)).toMatchObject({ status: "failed", fault: undefined });
    expect(JSON.stringify((await world.state(spec.department)).deployment)).toContain(host(9011).name);

    const next = await start({});
    const again = await world.operation("up", spec);
    expect(await next.run(again)).toMatchObject({ result: "succeeded", failures: [] });
    await world.end(again);
    await next.close();
    expect(world.paper.find("host", host(9011).name)?.id).toBe(`${host(9011).name}.1`);
  });

  it("whatever the reason gives its slot back, and says so; failures until then are no results for the others", async () => {
    const engine = await start({ silentMs: 2_000 });
    const spec = estate({ department: id("dep", 902), hosts: [host(9021), host(9022, { image: "nope" })] });
    const [operation, waiting] = [await world.operation("up", spec), await world.operation("up", estate({ department: id("dep", 903) }))];
    const heard: Progress[] = [];
    const outcome = engine.run(operation, (progress) => {
      heard.push(progress);
      if (progress.type === "step-failed") for (const one of engine.processes().engines) process.kill(one.pid, "SIGSTOP");
    });
    const other = engine.run(waiting);
    expect(await outcome).toMatchObject({
      result: "failed",
      failures: [],
      message: `the engine made no progress for 2 s and was ended\n${host(9022).name}: image nope is not known here`,
    });
    expect(heard.at(-1)).toMatchObject({ type: "note", severity: "error", message: expect.stringContaining("made no progress") });
    expect(await other).toMatchObject({ result: "succeeded" });
    await Promise.all([operation, waiting].map(world.end));
    await engine.close();
  });

  it("is not what a slow driver makes: its call has a limit of its own, after which only that resource fails", async () => {
    const engine = await start({ silentMs: 3_000, callMs: 6_000 });
    const spec = estate({ department: id("dep", 904), hosts: [host(9041), host(9042, { image: "deaf" }), host(9043, { image: "endless" })] });
    const operation = await world.operation("up", spec);
    const outcome = await engine.run(operation);
    expect([outcome.result, outcome.message]).toEqual(["failed", undefined]);
    expect(outcome.failures.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual(
      [9042, 9043].map((n) => ({ kind: "host", name: host(n).name, code: "no-answer", message: "the driver has not answered within 6 s" })),
    );
    expect(world.paper.find("host", host(9041).name)).toBeDefined();
    await world.end(operation);
    await engine.close();
  });
});
