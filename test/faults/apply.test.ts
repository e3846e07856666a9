import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { settled, waitFor } from "../../control-plane/cli/wait.ts";
import type { Quota } from "../../control-plane/contract/quotas.ts";
import { applySteps } from "../../control-plane/jobs/apply.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host, volume } from "../setup/small-city.ts";

const items = [host("web"), host("db"), volume("data"), { action: "create", kind: "attachment", spec: { host: "db", volume: "data" } }];
/** Points within a driver's call, in the engine worker. */
const driverSteps = ["host.create:record", "host.start:launched", "host.create:done", "volume.create:record", "attachment.create:record"];

/** Host processes of an endpoint, whoever knows of them: twins and orphans show here. */
function hostProcesses(names: string[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const name = /^zhengyun-host=([a-z0-9_]+)\./.exec(readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[1] ?? "")?.[1];
      if (name !== undefined && names.includes(name)) found[name] = (found[name] ?? 0) + 1;
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

describe("kill -9", () => {
  let plane: TestPlane;
  let before: { id: string; pid: number | undefined; startedAt: number | undefined }[];
  beforeEach(async () => {
    plane = new TestPlane();
    await plane.start();
    await plane.fill();
    const first = await plane.ask([host("old")]);
    await plane.approve(first.id);
    expect((await plane.settled(first.id)).state).toBe("active");
    before = (await plane.driver.observe()).hosts.map(({ id, pid, startedAt }) => ({ id, pid, startedAt }));
    expect(before).toHaveLength(1);
  });
  afterEach(() => plane.remove());

  /** All that was asked for is there once, nothing else is, what ran before runs on, and the quota is what is held. */
  async function expectConverged(request: string): Promise<void> {
    const done = await plane.settled(request).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${plane.output.slice(-3000)}`);
    });
    expect(done.items.map((item) => item.state)).toEqual(["active", "active", "active", "active"]);
    expect(done.state).toBe("active");
    const listed = await plane.driver.list();
    expect(listed.map((one) => one.kind).toSorted()).toEqual(["attachment", "host", "host", "host", "volume"]);
    const names = listed.filter((one) => one.kind === "host").map((one) => one.name);
    expect(hostProcesses(names)).toEqual(Object.fromEntries(names.map((name) => [name, 1])));
    const hosts = (await plane.driver.observe()).hosts;
    expect(hosts.every((one) => one.state === "running")).toBe(true);
    expect(hosts.filter((one) => before.some((old) => old.id === one.id)).map(({ id, pid, startedAt }) => ({ id, pid, startedAt }))).toEqual(before);
    expect(await charged("hosts")).toEqual([{ reserved: 0, used: 3 }]);
    expect(await charged("storage_gib:standard")).toEqual([{ reserved: 0, used: 130 }]);
  }

  /** What the city's quota account says of a dimension. */
  async function charged(dimension: string): Promise<{ reserved: number; used: number }[]> {
    const found: { reserved: number; used: number }[] = [];
    for await (const quota of plane.operations.all<Quota>("/api/v1/quotas", { department: "city" }))
      if (quota.dimension === dimension) found.push({ reserved: quota.reserved, used: quota.used });
    return found;
  }

  it.each(applySteps)("of the control plane at %s: a start resumes the work", async (step) => {
    await plane.kill("SIGTERM");
    await plane.start({ ZHENGYUN_FAULT: step });
    const request = await plane.ask(items);
    // The kill may come before the answer does: what was acknowledged or not, the database says.
    await plane.approve(request.id).catch((error: unknown) => expect(String(error)).toMatch(/No control plane answers/));
    expect(await plane.exited).toBe("SIGKILL");
    await plane.start();
    await expectConverged(request.id);
  });

  it.each(driverSteps)("of the worker at %s: the work goes on with another", async (step) => {
    await plane.kill("SIGTERM");
    await plane.start({ ZHENGYUN_FAULT: step });
    const request = await plane.ask(items);
    await plane.approve(request.id);
    await expectConverged(request.id);
  });

  it("of the engine: the work goes on with another", async () => {
    const request = await plane.ask(items);
    await plane.approve(request.id);
    const engine = await waitFor(
      async () => plane.engines()[0],
      (pid) => pid !== undefined,
      { intervalMs: 2, timeoutMs: 20_000 },
    );
    process.kill(engine!, "SIGKILL");
    await expectConverged(request.id);
  });

  it("of nothing, but of an engine that hangs: it is ended, and the work goes on with another", async () => {
    await plane.kill("SIGTERM");
    await plane.start({ ZHENGYUN_ENGINE_SILENT_SECONDS: "3" });
    const request = await plane.ask(items);
    await plane.approve(request.id);
    const engine = await waitFor(
      async () => plane.engines()[0],
      (pid) => pid !== undefined,
      { intervalMs: 2, timeoutMs: 20_000 },
    );
    process.kill(engine!, "SIGSTOP");
    await expectConverged(request.id);
    expect(plane.engines()).toEqual([]);
    expect(plane.output).toContain("the engine made no progress for 3 s and was ended");
  });

  it.each(["backup.started", "backup.made", "restore.started", "restore.made"])("of the control plane at %s: a start ends the work, once", async (step) => {
    const request = await plane.ask(items);
    await plane.approve(request.id);
    await plane.settled(request.id);
    const [data] = (await plane.driver.observe()).volumes;
    await plane.driver.exec(data!.attachedTo!, ["write", "/data/file"], { stdin: "to be kept" });
    const ask = async (kind: "backups" | "restores", body: object) => (await plane.applicant.post<{ id: string }>(`/api/v1/${kind}`, body)).id;
    const ended = (kind: string, id: string) =>
      waitFor(
        () => plane.operations.get<{ state: string; error: string | null; bytes?: number }>(`/api/v1/${kind}/${id}`),
        (one) => settled(one.state),
        { intervalMs: 50, timeoutMs: 60_000 },
      );
    const during = async (kind: "backups" | "restores", body: object): Promise<string> => {
      await plane.kill("SIGTERM");
      await plane.start({ ZHENGYUN_FAULT: step });
      const id = await ask(kind, body);
      expect(await plane.exited).toBe("SIGKILL");
      await plane.start();
      return id;
    };
    const backup = step.startsWith("backup") ? await during("backups", { volume: data!.name }) : await ask("backups", { volume: data!.name });
    expect(await ended("backups", backup)).toMatchObject({ state: "complete" });
    expect((await plane.driver.observe()).backups).toHaveLength(1);
    await plane.driver.exec(data!.attachedTo!, ["write", "/data/file"], { stdin: "to be lost" });
    const restore = step.startsWith("restore") ? await during("restores", { backup }) : await ask("restores", { backup });
    expect(await ended("restores", restore)).toMatchObject({ state: "complete" });
    expect((await plane.driver.exec(data!.attachedTo!, ["cat", "/data/file"])).stdout).toBe("to be kept");
  });

  it.each(["journal", "worker-at-journal"])(
    "at each entry of Pulumi's journal (%s): updates, deletions and creations are done by themselves, without orphan or twin",
    { timeout: 600_000 },
    async (point) => {
      /** The begin and the end of two updates, a deletion and three creations. */
      const entries = 12;
      const rounds = Array.from({ length: entries }, (_, index) => index + 1);
      // No request replaces anything: what a resource has for life is no part of any item. Replacements are cut in journal.test.ts.
      // What each round changes is there before: a host to grow, a volume to grow, a host to go.
      const prepared = await plane.ask(rounds.flatMap((round) => [host(`grow-${round}`, "small"), volume(`data-${round}`, 1), host(`go-${round}`)]));
      await plane.approve(prepared.id);
      const made = (await plane.settled(prepared.id)).items;
      const stored = (await charged("storage_gib:standard"))[0]!.used;
      const idOf = (name: string) => made.find((item) => item.name === name)!.resource;
      for (const round of rounds) {
        await plane.kill("SIGTERM");
        await plane.start({ ZHENGYUN_FAULT: `${point}:${round}` });
        const [web, logs] = [`new-${round}`, `logs-${round}`];
        const request = await plane.ask([
          { action: "resize", kind: "host", id: idOf(`grow-${round}`), spec: { flavour: "standard" } },
          { action: "resize", kind: "volume", id: idOf(`data-${round}`), spec: { sizeGib: 2 } },
          { action: "retire", kind: "host", id: idOf(`go-${round}`) },
          host(web),
          volume(logs, 1),
          { action: "create", kind: "attachment", spec: { host: web, volume: logs } },
        ]);
        await plane.approve(request.id).catch((error: unknown) => expect(String(error)).toMatch(/No control plane answers/));
        if (point === "journal") {
          expect(await plane.exited).toBe("SIGKILL");
          await plane.start();
        }
        const began = Date.now();
        const done = await plane.settled(request.id);
        expect(Date.now() - began, "by itself within a minute").toBeLessThan(60_000);
        expect(done.items.map((item) => `${item.action} ${item.state}`)).toEqual([
          "resize active",
          "resize active",
          "retire active",
          "create active",
          "create active",
          "create active",
        ]);
        if (point === "worker-at-journal") expect(plane.output).toContain("the engine worker ended (SIGKILL)");
        const listed = await plane.driver.list();
        const count = (kind: string) => listed.filter((one) => one.kind === kind).length;
        // old, grow and go of each round, less what went, more what came
        expect([count("host"), count("volume"), count("attachment")]).toEqual([1 + 2 * entries, entries + round, round]);
        const { hosts, volumes } = await plane.driver.observe();
        expect(hosts.every((one) => one.state === "running")).toBe(true);
        const names = listed.filter((one) => one.kind === "host").map((one) => one.name);
        expect(hostProcesses(names)).toEqual(Object.fromEntries(names.map((name) => [name, 1])));
        expect(volumes.find((one) => one.name === idOf(`data-${round}`))).toMatchObject({ sizeGib: 2 });
        expect(hosts.filter((one) => before.some((old) => old.id === one.id)).map(({ id, pid, startedAt }) => ({ id, pid, startedAt }))).toEqual(before);
        // A round grows a disk by 20 GiB and a volume by 1, makes a volume of 1, and makes a host as large as the one that goes.
        expect(await charged("hosts")).toEqual([{ reserved: 0, used: 1 + 2 * entries }]);
        expect(await charged("storage_gib:standard")).toEqual([{ reserved: 0, used: stored + 22 * round }]);
      }
    },
  );

  it("of the control plane while it plans: a start makes the plan", async () => {
    const request = await plane.ask(items);
    await plane.kill();
    await plane.start();
    await plane.approve(request.id);
    await expectConverged(request.id);
  });
});
