import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import {
  currentDeployment,
  departmentStack,
  ensureStack,
  exportDeployment,
  history,
  integrityFault,
  runningUpdate,
  type StackName,
  startStateService,
  type StateService,
} from "../../../control-plane/state/index.ts";
import { type Keys, keysFrom } from "../../../control-plane/state/keys.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { openEmpty } from "../../setup/databases.ts";
import { bench, type Bench, destroy, refresh, type Run, type Thing, up } from "./support/engine.ts";
import { gate } from "./support/gate.ts";

describe("Pulumi's commands on the state service", { timeout: 60_000 }, () => {
  let opened: OpenDatabase;
  let keys: Keys;
  let service: StateService;
  let things: Bench;
  let files: string;
  let stack: StackName;
  let token: string;
  let prefix: string;
  let count = 0;
  const logged: string[] = [];

  beforeAll(async () => {
    opened = await openEmpty("pglite");
    keys = keysFrom(randomBytes(32));
    service = await startStateService({ db: opened.db, keys, log: (message) => void logged.push(message) });
    things = await bench();
    files = mkdtempSync(join(tmpdir(), "zy-commands-"));
  });
  afterAll(async () => {
    rmSync(files, { recursive: true, force: true });
    await things.close();
    await service.close();
    await opened.close();
  });
  beforeEach(async () => {
    prefix = `n${++count}`;
    stack = departmentStack(`dep_${prefix}`);
    await ensureStack(opened.db, stack);
    token = service.issueOperationToken(stack, { scope: "manage" });
  });

  async function run(arguments_: string[], wanted?: Thing[], url = service.url, environment: Record<string, string> = {}): Promise<Run> {
    return (await things.start(arguments_, { url, token, stack, environment, ...(wanted && { things: wanted }) })).done;
  }
  async function ok(arguments_: string[], wanted?: Thing[]): Promise<string> {
    const { code, output } = await run(arguments_, wanted);
    expect(code, output).toBe(0);
    return output;
  }
  async function refused(arguments_: string[], wanted?: Thing[]): Promise<string> {
    const { code, output } = await run(arguments_, wanted);
    expect(code, output).not.toBe(0);
    return output;
  }
  /** Names within this test; ids are `name.plain`. */
  const named = (name: string) => `${prefix}-${name}`;
  const id = (name: string) => `${prefix}-${name}.plain`;
  const existing = () => things.existing().filter((one) => one.startsWith(`${prefix}-`));
  const inState = async () =>
    ((await currentDeployment(opened.db, stack)).deployment.resources ?? [])
      .filter(({ type }) => type === "things:index:Thing")
      .map((resource) => resource.id!)
      .sort();
  const lastUpdate = async () => (await history(opened.db, stack, { limit: 1 }))[0];

  it("a StackReference reads another stack's outputs, if the operation was let", async () => {
    await ok(up, [{ name: named("source"), value: "shared", secret: "hush", exported: true }]);
    const source = stack;
    stack = departmentStack(`dep_${prefix}_reader`);
    await ensureStack(opened.db, stack);
    const name = `${source.organization}/${source.project}/${source.stack}`;
    const reader: Thing[] = [{ name: named("reader"), reads: { stack: name, output: named("source") } }];
    token = service.issueOperationToken(stack, { scope: "up" });
    expect(await refused(up, reader)).toMatch(/unknown stack|no stack|not found/i);
    token = service.issueOperationToken(stack, { scope: "up", reads: [source] });
    await ok(up, reader);
    const { deployment } = await currentDeployment(opened.db, stack);
    expect(JSON.stringify(deployment)).not.toContain("hush");
    expect(existing()).toEqual([id("reader"), id("source")]);
    expect(readFileSync(things.path(id("reader")), "utf8")).toBe("shared");
    expect(deployment.resources!.some(({ type }) => type === "pulumi:pulumi:StackReference")).toBe(true);
    // Reading is all that it may: not the stack's history, nor anything that changes it.
    const on = (method: string, path: string) =>
      fetch(`${service.url}/api/stacks/${name}${path}`, { method, headers: { authorization: `token ${token}` }, ...(method !== "GET" && { body: "{}" }) });
    for (const [method, path] of [
      ["POST", "/update"],
      ["POST", "/preview"],
      ["POST", "/encrypt"],
      ["PATCH", "/tags"],
      ["DELETE", ""],
      ["GET", "/updates"],
    ] as const) {
      expect((await on(method, path)).status, `${method} ${path}`).toBe(404);
    }
    stack = source;
  });

  it("import takes over what exists by its id, and the program that wants it changes nothing", async () => {
    things.plant(id("found"), "7");
    await ok(["import", "things:index:Thing", named("found"), id("found"), "--yes", "--skip-preview", "--generate-code=false", "--protect=false"]);
    expect(await inState()).toEqual([id("found")]);
    expect(await ok(up, [{ name: named("found"), value: "7" }])).toMatch(/\d unchanged/);
    expect((await lastUpdate())?.changes).not.toHaveProperty("update");
    expect([existing(), await inState()]).toEqual([[id("found")], [id("found")]]);
    // And by the program's own option.
    things.plant(id("second"), "8");
    await ok(up, [
      { name: named("found"), value: "7" },
      { name: named("second"), value: "8", import: id("second") },
    ]);
    expect(await inState()).toEqual([id("found"), id("second")]);
    await refused(up, [
      { name: named("found"), value: "7" },
      { name: named("second"), value: "8" },
      { name: named("ghost"), import: id("ghost") },
    ]);
    expect(await inState()).toEqual([id("found"), id("second")]);
  });

  it("stack rename renames the state too: an up after it changes nothing, and secrets open", async () => {
    const wanted: Thing[] = [
      { name: named("a"), secret: "hush" },
      { name: named("b"), after: [named("a")], group: named("group") },
    ];
    await ok(up, wanted);
    const to = departmentStack(`dep_${prefix}_renamed`);
    await ok(["stack", "rename", `${to.organization}/${to.project}/${to.stack}`]);
    stack = to;
    const { deployment } = await currentDeployment(opened.db, stack);
    expect(integrityFault(deployment)).toBeUndefined();
    expect(JSON.stringify(deployment.resources)).toContain(`pulumi:pulumi:Stack::department-${to.stack}"`);
    expect(await ok(up, wanted)).toContain("4 unchanged");
    expect(await ok(["stack", "export", "--show-secrets"])).toContain("hush");
    expect(existing()).toEqual([id("a"), id("b")]);
  });

  it("stack tag sets, lists, gets and removes", async () => {
    await ok(["stack", "tag", "set", "owner", "water bureau"]);
    await ok(["stack", "tag", "set", "zone", "inner"]);
    expect(await ok(["stack", "tag", "get", "owner"])).toContain("water bureau");
    await ok(["stack", "tag", "rm", "owner"]);
    const listed = await ok(["stack", "tag", "ls"]);
    expect([listed.includes("inner"), listed.includes("water bureau")]).toEqual([true, false]);
  });

  it("stack history lists, export --version goes back, import makes it current again", async () => {
    await ok(up, [{ name: named("a") }]);
    await ok(up, [{ name: named("a") }, { name: named("b") }]);
    await ok([...refresh], []);
    const listed = await ok(["stack", "history", "--json"]);
    const updates = JSON.parse(listed.slice(listed.indexOf("["))) as { kind: string; version: number; result: string }[];
    expect(updates.map(({ kind, version, result }) => `${version} ${kind} ${result}`)).toEqual([
      "3 refresh succeeded",
      "2 update succeeded",
      "1 update succeeded",
    ]);
    const file = join(files, "old.json");
    await ok(["stack", "export", "--version", "1", "--file", file]);
    expect(readFileSync(file, "utf8")).not.toContain(named("b"));
    expect(await refused(["stack", "export", "--version", "9"])).toMatch(/isn't kept|404/);
    await ok(["stack", "import", "--file", file]);
    expect(await inState()).toEqual([id("a")]);
    expect(await lastUpdate()).toMatchObject({ kind: "import", version: 4 });
    const broken = readFileSync(file, "utf8").replaceAll(`"id": "${id("a")}"`, `"id": "${id("a")}", "dependencies": ["urn:pulumi:s::p::t:t:T::ghost"]`);
    writeFileSync(file, broken);
    expect(await refused(["stack", "import", "--force", "--file", file])).toContain("ghost");
    expect(await inState()).toEqual([id("a")]);
  });

  it("what is protected is deleted by no up and no destroy, until it is unprotected", async () => {
    await ok(up, [{ name: named("kept"), protect: true }, { name: named("other") }]);
    expect(await refused(up, [{ name: named("other") }])).toMatch(/protect/);
    expect(await refused(destroy, [])).toMatch(/protect/);
    expect(existing()).toContain(id("kept"));
    expect(await inState()).toContain(id("kept"));
    await ok(["state", "unprotect", "--all", "--yes"]);
    await ok(destroy, []);
    expect([existing(), await inState()]).toEqual([[], []]);
    await ok(["stack", "rm", "--yes"]);
    await expect(currentDeployment(opened.db, stack)).rejects.toThrow("no stack");
  });

  it("refreshes and replaces in one update over one base", async () => {
    const first: Thing[] = [{ name: named("a") }, { name: named("b"), after: [named("a")] }, { name: named("c"), after: [named("b")] }];
    await ok(up, first);
    things.lose(id("b"));
    things.plant(id("a"), "drifted");
    await ok(
      [...up, "--refresh"],
      [
        { name: named("a"), kind: "other" },
        { name: named("b"), after: [named("a")] },
        { name: named("c"), kind: "before", after: [named("b")] },
      ],
    );
    const all = [`${named("a")}.other`, id("b"), `${named("c")}.before`];
    expect([existing(), await inState()]).toEqual([all, all]);
    const { deployment } = await currentDeployment(opened.db, stack);
    expect(integrityFault(deployment)).toBeUndefined();
    expect(deployment.resources!.filter((resource) => resource.delete)).toEqual([]);
  });

  it("a forged journal fails its update: the previous version stays current, it says so, and the next up converges", async () => {
    await ok(up, [{ name: named("a") }]);
    const before = await exportDeployment(opened.db, stack);
    const running = await things.start(up, { url: service.url, token, stack, things: [{ name: named("a") }, { name: named("b"), delayMs: 2000 }] });
    const update = await vi.waitUntil(() => runningUpdate(opened.db, stack), { timeout: 20_000 });
    const ghost = `urn:pulumi:${stack.stack}::${stack.project}::things:index:Thing::ghost`;
    const forged = {
      version: 1,
      kind: 1,
      sequenceID: 900,
      operationID: 900,
      state: { urn: `${ghost}-child`, type: "things:index:Thing", custom: true, id: "x", parent: ghost },
    };
    await opened.db
      .insertInto("state_journal")
      .values({ update_id: update.id, sequence_id: 900, entry: JSON.stringify(forged) })
      .execute();
    const { code, output } = await running.done;
    expect(code).not.toBe(0);
    expect(output).toMatch(/The state was refused, the previous version stays: .*ghost/s);
    expect(await exportDeployment(opened.db, stack)).toEqual(before);
    expect(await lastUpdate()).toMatchObject({ id: update.id, status: "failed", version: undefined, fault: expect.stringContaining("ghost") });
    expect(logged.filter((line) => line.includes(update.id))).toEqual([expect.stringContaining("ghost")]);
    await ok(up, [{ name: named("a") }, { name: named("b") }]);
    expect([existing(), await inState()]).toEqual([
      [id("a"), id("b")],
      [id("a"), id("b")],
    ]);
  });

  it("a journal batch over the limit is answered 413, and the engine sends it in parts", async () => {
    const limit = 1024 * 1024;
    const narrow = await startStateService({ db: opened.db, keys, largestBody: limit });
    const front = await gate(narrow.url);
    token = narrow.issueOperationToken(stack, { scope: "up" });
    const wanted: Thing[] = Array.from({ length: 24 }, (_, index) => ({ name: named(`large${index}`), value: `${index} ${"政".repeat(40_000)}` }));
    const { code, output } = await run([...up, "--parallel", "24"], wanted, front.url, { PULUMI_JOURNALING_BATCH_PERIOD: "500" });
    expect(code, output).toBe(0);
    expect(front.tooLarge()).toBeGreaterThan(0);
    const state = await currentDeployment(opened.db, stack);
    expect(JSON.stringify(state).length * 3).toBeGreaterThan(5 * limit);
    expect(await inState()).toEqual(wanted.map(({ name }) => `${name}.plain`).sort());
    expect(state.deployment.resources!.filter(({ outputs }) => wanted.some(({ value }) => value === outputs?.["value"]))).toHaveLength(wanted.length);
    front.close();
    await narrow.close();
  });
});
