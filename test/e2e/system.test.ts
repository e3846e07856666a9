import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { Unknown } from "../../control-plane/contract/system.ts";
import type { DepartmentUsage } from "../../control-plane/contract/usage.ts";
import { refuseHalfRestored, restoreSteps } from "../../control-plane/system/restore.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { engines } from "../setup/databases.ts";
import { host, volume } from "../setup/small-city.ts";

const main = resolve(import.meta.dirname, "../../control-plane/cli/main.ts");

/** `zhengyun …` as people call it. */
function zhengyun(env: Record<string, string>, ...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
    child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
    child.once("exit", (code) => done({ code, stdout, stderr }));
  });
}

describe.each(engines)("a copy of a running city, restored on %s", (engine) => {
  let first: TestPlane;
  let second: TestPlane;
  let directory: string;
  beforeEach(() => {
    first = new TestPlane();
    second = new TestPlane(engine);
    directory = mkdtempSync(join(tmpdir(), "zy-system-"));
  });
  afterEach(async () => {
    await second.remove();
    await first.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  const hostsOf = async () =>
    new Map((await first.driver.observe()).hosts.map((one) => [one.name, { id: one.id, pid: one.pid, startedAt: one.startedAt, state: one.state }]));
  const active = async (plane: TestPlane, items: unknown[], department?: string) => {
    const { id } = await plane.ask(items, department);
    await plane.approve(id);
    const done = await plane.settled(id);
    expect(done.state, plane.output.slice(-3000)).toBe("active");
    return done;
  };

  /** A request of the office that is done although the engine of its first apply was killed. */
  async function interrupted(name: string): Promise<void> {
    const { id } = await second.ask([host(name)]);
    await second.approve(id);
    const engine = await waitFor(
      async () => second.engines()[0],
      (pid) => pid !== undefined,
      { intervalMs: 2, timeoutMs: 20_000 },
    );
    process.kill(engine!, "SIGKILL");
    expect((await second.settled(id)).state, second.output.slice(-3000)).toBe("active");
  }

  it("runs on with the same hosts, books and secrets, and what it doesn't know stays", async () => {
    await first.start();
    await first.fill();
    await active(first, [{ ...host("web"), spec: { ...host("web").spec, userData: "a secret" } }, volume("data")]);
    const before = await hostsOf();
    const window = { from: new Date(Date.now() - 3_600_000).toISOString(), to: new Date().toISOString() };
    const usageOf = async (plane: TestPlane) =>
      (await plane.operations.get<{ items: DepartmentUsage[] }>("/api/v1/usage", window)).items.map(({ code, own, ownSeconds, treeSeconds }) => ({
        code,
        own,
        ownSeconds,
        treeSeconds,
      }));
    const registerOf = async (plane: TestPlane) => (await (await plane.operations.send("GET", "/api/v1/register.csv")).text()).split("\n");
    const [usage, register] = [await usageOf(first), await registerOf(first)];

    // While requests are being applied.
    const pending = await Promise.all([first.ask([host("b1"), host("b2")], "bureau"), first.ask([host("o1")], "office")]);
    for (const one of pending) await first.approve(one.id);
    const file = join(directory, "city.tar");
    const url = { ZHENGYUN_URL: first.operations.url, ZHENGYUN_DATA: first.data };
    const made = await zhengyun(url, "system", "backup", "--out", file, "--json");
    expect(made, made.stderr).toMatchObject({ code: 0 });
    const states = JSON.parse(made.stdout) as { sizeBytes: number; sha256: string };
    expect(states.sizeBytes).toBe(readFileSync(file).length);
    const verified = await zhengyun({ ZHENGYUN_DATA: first.data }, "system", "verify", file, "--json");
    expect(JSON.parse(verified.stdout)).toMatchObject({ sound: true, dataKeysOpened: expect.any(Number), faults: [] });

    // What comes after the copy, and then everything is lost.
    for (const one of pending) expect((await first.settled(one.id)).state).toBe("active");
    await active(first, [host("later"), volume("later")]);
    const all = await hostsOf();
    expect(all.size).toBe(before.size + 4);
    await first.kill();

    const target = { ZHENGYUN_DATA: second.data, DATABASE_URL: await second.databaseUrl() };
    const keyless = await zhengyun(target, "system", "restore", file);
    expect([keyless.code, keyless.stderr]).toEqual([1, expect.stringContaining("sealed under master key")]);
    cpSync(join(first.data, "keys"), join(second.data, "keys"), { recursive: true });
    // A byte that changed: refused, and nothing was begun.
    const damaged = readFileSync(file);
    damaged[Math.floor(damaged.length / 2)]! ^= 1;
    writeFileSync(join(directory, "bad.tar"), damaged);
    const refused = await zhengyun(target, "system", "restore", join(directory, "bad.tar"));
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/not sound|damaged/)]);
    expect(readdirSync(second.data).toSorted()).toEqual(["embedded", "keys"]);

    const restored = await zhengyun(target, "system", "restore", file);
    expect(restored, restored.stderr).toMatchObject({ code: 0 });
    const again = await zhengyun(target, "system", "restore", file);
    expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/already|not empty/)]);

    second.takeOver(first);
    await second.start();
    // What was under way goes on to its end, with the hosts that are there.
    for (const one of pending) expect((await second.settled(one.id)).state, second.output.slice(-3000)).toBe("active");
    expect(await hostsOf()).toEqual(all);
    expect(await usageOf(second).then((items) => items.map(({ code, ownSeconds, treeSeconds }) => ({ code, ownSeconds, treeSeconds })))).toEqual(
      usage.map(({ code, ownSeconds, treeSeconds }) => ({ code, ownSeconds, treeSeconds })),
    );
    const lines = await registerOf(second);
    for (const line of register.filter((one) => one !== "")) expect(lines).toContain(line);

    // What the copy doesn't know is listed …
    const unknown = () =>
      waitFor(
        () => second.operations.get<Unknown>("/api/v1/system/unknown"),
        (one) => one.comparedAt !== null && one.items.length === 2,
        { timeoutMs: 30_000 },
      );
    expect((await unknown()).items.map((one) => ({ kind: one.kind, department: one.department, kept: one.kept }))).toEqual([
      { kind: "host", department: "office", kept: false },
      { kind: "volume", department: "office", kept: false },
    ]);
    // … and outlives an apply of its department whose engine is killed, after which leftovers are swept.
    await interrupted("next");
    expect(Object.fromEntries(await hostsOf())).toMatchObject(Object.fromEntries(all));
    const acknowledged = await zhengyun({ ZHENGYUN_URL: second.operations.url, ZHENGYUN_DATA: second.data }, "system", "unknown", "--acknowledge", "--json");
    expect((JSON.parse(acknowledged.stdout) as Unknown).items.every((one) => one.kept)).toBe(true);
    await interrupted("last");
    expect(Object.fromEntries(await hostsOf())).toMatchObject(Object.fromEntries(all));
    expect((await unknown()).items).toHaveLength(2);
    expect(second.output).not.toContain("removed what an interrupted operation had left");
  }, 180_000);
});

describe("a restore into a data directory", () => {
  it("that is killed is noticed by the start and done anew; --replace moves aside what is there", async () => {
    const plane = new TestPlane();
    const directory = mkdtempSync(join(tmpdir(), "zy-system-"));
    try {
      await plane.start();
      await plane.fill();
      const file = join(directory, "city.tar");
      const env = { ZHENGYUN_URL: plane.operations.url, ZHENGYUN_DATA: plane.data, DATABASE_URL: "" };
      expect(await zhengyun(env, "system", "backup", "--out", file)).toMatchObject({ code: 0 });
      const running = await zhengyun(env, "system", "restore", file, "--replace");
      expect([running.code, running.stderr]).toEqual([1, expect.stringContaining("is in use by process")]);
      await plane.kill("SIGTERM");
      const plain = await zhengyun(env, "system", "restore", file);
      expect([plain.code, plain.stderr]).toEqual([1, expect.stringContaining("--replace")]);

      for (const step of restoreSteps) {
        expect(await zhengyun({ ...env, ZHENGYUN_FAULT: step }, "system", "restore", file, "--replace")).toMatchObject({ code: null });
        expect(() => refuseHalfRestored(plane.data), step).toThrow("was interrupted");
      }
      await expect(plane.start()).rejects.toThrow("was interrupted");
      const done = await zhengyun(env, "system", "restore", file, "--replace");
      expect(done, done.stderr).toMatchObject({ code: 0 });
      expect(readdirSync(plane.data).filter((name) => name.startsWith("database.replaced-")).length).toBeGreaterThan(0);
      expect(readdirSync(plane.data)).not.toContain("restoring");
      await plane.start();
      await active(plane);
    } finally {
      await plane.remove();
      rmSync(directory, { recursive: true, force: true });
    }
  }, 240_000);
});

async function active(plane: TestPlane): Promise<void> {
  const { id } = await plane.ask([host("web")]);
  await plane.approve(id);
  expect((await plane.settled(id)).state).toBe("active");
}
