import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Deployment } from "../../../control-plane/state/deployment.ts";
import {
  currentDeployment,
  departmentStack,
  ensureStack,
  exportDeployment,
  history,
  integrityFault,
  operationTokens,
  runningUpdate,
  settleUpdate,
  type StackName,
  startStateService,
  type StateService,
} from "../../../control-plane/state/index.ts";
import { type Keys, keysFrom } from "../../../control-plane/state/keys.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { comparable } from "./support/comparable.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { bench, type Bench, destroy, preview, refresh, type Run, type Running, type Thing, up } from "./support/engine.ts";

const many = (count: number, more: Partial<Thing> = {}): Thing[] => Array.from({ length: count }, (_, index) => ({ name: `t${index}`, ...more }));

describe.each(engines)("the Pulumi engine on the state service on %s", { timeout: 60_000 }, (store) => {
  let opened: OpenDatabase;
  let keys: Keys;
  let service: StateService;
  let things: Bench;
  let stack: StackName;
  let token: string;
  let count = 0;
  const tokens = operationTokens();
  const logged: unknown[] = [];
  const log = (...all: unknown[]) => void logged.push(all);

  beforeAll(async () => {
    opened = await openEmpty(store);
    keys = keysFrom(randomBytes(32));
    service = await startStateService({ db: opened.db, keys, tokens, log });
  });
  afterAll(async () => {
    await service.close();
    await opened.close();
    expect(logged).toEqual([]);
  });
  beforeEach(async () => {
    things = await bench();
    stack = departmentStack(`dep_${++count}`);
    await ensureStack(opened.db, stack);
    token = service.issueOperationToken(stack, { scope: "manage" });
    return () => things.close();
  });

  const start = (arguments_: string[], wanted?: Thing[], environment?: Record<string, string>): Promise<Running> =>
    things.start(arguments_, { url: service.url, token, stack, ...(wanted && { things: wanted }), ...(environment && { environment }) });

  async function run(arguments_: string[], wanted?: Thing[], environment?: Record<string, string>): Promise<Run> {
    return (await start(arguments_, wanted, environment)).done;
  }
  async function ok(arguments_: string[], wanted?: Thing[], environment?: Record<string, string>): Promise<Run> {
    const ended = await run(arguments_, wanted, environment);
    expect(ended.code, ended.output).toBe(0);
    return ended;
  }
  /** Physical ids of the things in a state. */
  const held = ({ resources = [] }: Deployment) =>
    resources
      .filter(({ type }) => type === "things:index:Thing")
      .map(({ id }) => id!)
      .sort();
  const inState = async () => held((await currentDeployment(opened.db, stack)).deployment);

  it("previews, makes, changes, replaces, refreshes, exports and destroys", async () => {
    const first: Thing[] = [{ name: "a" }, { name: "b", after: ["a"], group: "g" }, { name: "c", after: ["a", "b"] }];
    expect((await ok(preview, first)).output).toMatch(/things:index:Thing\s+a\s+create/);
    expect([await inState(), things.existing()]).toEqual([[], []]);

    await ok(up, first);
    expect([await inState(), things.existing()]).toEqual([
      ["a.plain", "b.plain", "c.plain"],
      ["a.plain", "b.plain", "c.plain"],
    ]);

    expect((await ok(up, first)).output).toContain("5 unchanged");

    await ok(up, [
      { name: "a", value: "2" },
      { name: "b", kind: "before", after: ["a"], group: "g" },
    ]);
    expect([await inState(), things.existing()]).toEqual([
      ["a.plain", "b.before"],
      ["a.plain", "b.before"],
    ]);

    things.lose("a.plain");
    await ok(refresh, []);
    const { deployment } = await currentDeployment(opened.db, stack);
    expect(held(deployment)).toEqual(["b.before"]);
    expect(integrityFault(deployment)).toBeUndefined();

    const { output } = await ok(["stack", "export"]);
    expect(JSON.parse(output.slice(output.indexOf("{"))).deployment.resources.map(({ urn }: { urn: string }) => urn)).toEqual(
      deployment.resources!.map(({ urn }) => urn),
    );

    await ok(destroy, []);
    expect([await inState(), things.existing()]).toEqual([[], []]);
    expect((await history(opened.db, stack)).map(({ kind, version, status }) => `${version} ${kind} ${status}`)).toEqual([
      "5 destroy succeeded",
      "4 refresh succeeded",
      "3 update succeeded",
      "2 update succeeded",
      "1 update succeeded",
    ]);
    expect((await ok(["stack", "history"])).output).toMatch(/Version: 5\s+UpdateKind: destroy/);
  });

  it("keeps what succeeded beside what failed", async () => {
    const { code, output } = await run([...up, "--continue-on-error"], [{ name: "a" }, { name: "b", fail: "no room" }, { name: "c", after: ["b"] }]);
    expect(code).not.toBe(0);
    expect(output).toContain("no room");
    expect(await inState()).toEqual(["a.plain"]);
    expect((await history(opened.db, stack))[0]).toMatchObject({ status: "failed", interrupted: [] });
    await ok(up, [{ name: "a" }, { name: "b" }, { name: "c", after: ["b"] }]);
    expect(await inState()).toEqual(["a.plain", "b.plain", "c.plain"]);
  });

  it("holds secrets in no table in the clear, and gives them back to the engine", async () => {
    const needle = `needle-${randomBytes(8).toString("hex")}`;
    await ok(up, [{ name: "a", secret: needle }]);
    await ok(up, [{ name: "a", secret: `${needle}-2` }]);
    expect((await ok(up, [{ name: "a", secret: `${needle}-2` }])).output).toContain("2 unchanged");
    const running = await start(up, [{ name: "a", secret: `${needle}-3`, delayMs: 60_000 }]);
    await vi.waitUntil(() => opened.db.selectFrom("state_journal").select("sequence_id").executeTakeFirst(), { timeout: 20_000 });
    for (const table of ["state_stacks", "state_updates", "state_journal", "state_snapshots", "state_data_keys"] as const) {
      const rows = JSON.stringify(await opened.db.selectFrom(table).selectAll().execute());
      expect(rows.length).toBeGreaterThan(2);
      for (const form of [needle, Buffer.from(needle).toString("base64").slice(0, 24)]) expect(rows).not.toContain(form);
    }
    running.child.kill("SIGKILL");
    await running.done;
    await settleUpdate(opened.db, stack, "killed");
    const shown = await ok(["stack", "export", "--show-secrets"]);
    expect(shown.output).toContain(`${needle}-2`);
    expect((await ok(["stack", "export"])).output).not.toContain(needle);
    expect(JSON.stringify(await exportDeployment(opened.db, stack))).not.toContain(needle);
  });

  it("refuses a second up while one runs", async () => {
    const slow = await start(up, [{ name: "a", delayMs: 3000 }]);
    await vi.waitUntil(() => runningUpdate(opened.db, stack), { timeout: 20_000 });
    const second = await run(up, [{ name: "b" }]);
    expect(second.code).not.toBe(0);
    expect(second.output).toMatch(/409|Another update/);
    expect((await slow.done).code).toBe(0);
    expect(await inState()).toEqual(["a.plain"]);
  });

  it("is cancelled by `pulumi cancel`, and converges after it", async () => {
    const wanted = many(30, { delayMs: 400 });
    const running = await start([...up, "--parallel", "4"], wanted);
    await vi.waitUntil(() => things.existing().length >= 4, { timeout: 20_000 });
    await ok(["cancel", "--yes"]);
    expect((await running.done).code).not.toBe(0);
    expect((await history(opened.db, stack))[0]).toMatchObject({ status: "cancelled" });
    await ok(up, many(30));
    expect([await inState(), things.existing()]).toEqual([
      many(30)
        .map(({ name }) => `${name}.plain`)
        .sort(),
      many(30)
        .map(({ name }) => `${name}.plain`)
        .sort(),
    ]);
  });

  it.each([1, 9, 25])("killed when %i of 40 were made, is settled at once and converges without a twin", async (point) => {
    const wanted = many(40).map((thing, index) => ({ ...thing, delayMs: 40, ...(index >= 10 && { after: [`t${index - 10}`] }) }));
    const expected = wanted.map(({ name }) => `${name}.plain`).sort();
    const running = await start([...up, "--parallel", "8"], wanted);
    await vi.waitUntil(() => things.existing().length >= point, { timeout: 20_000, interval: 5 });
    running.child.kill("SIGKILL");
    await running.done;
    const settled = await settleUpdate(opened.db, stack, "its engine was killed");
    expect(settled).toMatchObject({ status: "failed", fault: undefined });
    // Nothing is lost: what exists is in the state or known to have been under way.
    const known = [...(await inState()), ...settled!.interrupted.map(({ urn }) => `${urn.split("::").at(-1)}.plain`)];
    await vi.waitUntil(() => things.existing().every((id) => known.includes(id)));
    const after = await ok(up, wanted);
    expect(after.output).not.toContain("pending operations");
    expect([await inState(), things.existing()]).toEqual([expected, expected]);
    expect((await ok(up, wanted)).output).toContain("41 unchanged");
  });

  it("killed in a destroy, converges", async () => {
    await ok(up, many(20, { delayMs: 50 }));
    const running = await start([...destroy, "--parallel", "4"], []);
    await vi.waitUntil(() => things.existing().length <= 14, { timeout: 20_000, interval: 5 });
    running.child.kill("SIGKILL");
    await running.done;
    expect((await settleUpdate(opened.db, stack, "killed"))?.fault).toBeUndefined();
    await ok(destroy, []);
    expect([await inState(), things.existing()]).toEqual([[], []]);
  });

  it("goes on when the service comes back in the middle of an up", async () => {
    const wanted = many(40, { delayMs: 100 });
    const running = await start([...up, "--parallel", "4"], wanted);
    await vi.waitUntil(() => things.existing().length >= 10, { timeout: 20_000 });
    const port = Number(new URL(service.url).port);
    await service.close();
    // Whoever calls now is hung up on: once one was, the outage was felt.
    const outage = createServer((socket) => socket.destroy()).listen(port, "127.0.0.1");
    await once(outage, "connection");
    await new Promise((closed) => outage.close(closed));
    service = await startStateService({ db: opened.db, keys, tokens, log, port });
    const ended = await running.done;
    expect(ended.code, ended.output).toBe(0);
    expect(await inState()).toEqual(wanted.map(({ name }) => `${name}.plain`).sort());
  });

  it("imports what it exported", async () => {
    await ok(up, [{ name: "a", secret: "hush-hush" }]);
    await ok(up, [{ name: "a", secret: "hush-hush" }, { name: "b" }]);
    const state = await exportDeployment(opened.db, stack, { version: 1 });
    const directory = mkdtempSync(join(tmpdir(), "zy-import-"));
    const file = join(directory, "state.json");
    writeFileSync(file, JSON.stringify(state));
    await ok(["stack", "import", "--file", file]);
    rmSync(directory, { recursive: true });
    expect(await inState()).toEqual(["a.plain"]);
    expect((await history(opened.db, stack))[0]).toMatchObject({ kind: "import", version: 3 });
    await ok(up, [{ name: "a", secret: "hush-hush" }, { name: "b" }]);
    expect(await inState()).toEqual(["a.plain", "b.plain"]);
  });

  it("comes to the same state by a journal as by full checkpoints", async () => {
    const steps: { command: string[]; things: Thing[]; lose?: string; fails?: true }[] = [
      { command: up, things: [{ name: "a" }, { name: "b", after: ["a"], group: "g" }, { name: "c", after: ["b"] }, { name: "d" }] },
      { command: up, things: [{ name: "a", value: "2" }, { name: "b", after: ["a"], group: "g" }, { name: "c", kind: "other", after: ["b"] }, { name: "e" }] },
      {
        command: up,
        things: [{ name: "a", value: "2" }, { name: "b", kind: "before", after: ["a"], group: "g" }, { name: "c", kind: "other", after: ["b"] }, { name: "e" }],
      },
      { command: refresh, things: [], lose: "a.plain" },
      {
        command: [...up, "--continue-on-error"],
        things: [{ name: "a", fail: "broken" }, { name: "b", kind: "before", after: ["a"], group: "g" }, { name: "e" }],
        fails: true,
      },
      {
        command: up,
        things: [
          { name: "renamed", aliases: ["e"], protect: true },
          { name: "f", after: ["renamed"] },
        ],
      },
      {
        command: [...up, "--refresh"],
        things: [
          { name: "renamed", aliases: ["e"] },
          { name: "f", value: "3", after: ["renamed"] },
        ],
        lose: "f.plain",
      },
      { command: destroy, things: [] },
    ];
    const states: unknown[][] = [];
    for (const environment of [{}, { PULUMI_DISABLE_JOURNALING: "true" }] as Record<string, string>[]) {
      stack = departmentStack(`dep_same_${count}`);
      if (states.length > 0) {
        await opened.db.deleteFrom("state_stacks").where("name", "=", stack.stack).execute();
        await things.close();
        things = await bench();
      }
      await ensureStack(opened.db, stack);
      token = service.issueOperationToken(stack, { scope: "manage" });
      const seen: unknown[] = [];
      for (const { command, things: wanted, lose, fails } of steps) {
        if (lose) things.lose(lose);
        const ended = await run(command, wanted, environment);
        expect(ended.code === 0, ended.output).toBe(!fails);
        expect(ended.output).not.toContain("snapshot mismatch");
        seen.push(comparable((await currentDeployment(opened.db, stack)).deployment));
      }
      states.push(seen);
    }
    expect(states[0]).toEqual(states[1]);
    expect(JSON.stringify(states[0])).toContain("renamed");
  });
});
