import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { VersionedDeployment } from "../../control-plane/state/deployment.ts";
import {
  currentDeployment,
  departmentStack,
  ensureStack,
  integrityFault,
  settleUpdate,
  startStateService,
  type StateService,
} from "../../control-plane/state/index.ts";
import { keysFrom } from "../../control-plane/state/keys.ts";
import { getStack } from "../../control-plane/state/stacks.ts";
import { importDeployment } from "../../control-plane/state/transfer.ts";
import type { OpenDatabase } from "../../control-plane/store/database.ts";
import { openEmpty } from "../setup/databases.ts";
import { bench, type Bench, type Running, type Thing, up } from "../control-plane/state/support/engine.ts";
import { gate } from "../control-plane/state/support/gate.ts";
import type { Hello } from "../control-plane/state/support/state-process.ts";

/** What is there before the change that is cut off, and what is wanted: an update, both ways to replace, a deletion, creations. */
const before = (prefix: string): Thing[] => [
  { name: `${prefix}a` },
  { name: `${prefix}b` },
  { name: `${prefix}c`, after: [`${prefix}a`] },
  { name: `${prefix}d` },
];
const wanted = (prefix: string): Thing[] => [
  { name: `${prefix}a`, value: "2" },
  { name: `${prefix}b`, kind: "other" },
  { name: `${prefix}c`, kind: "before", after: [`${prefix}a`] },
  { name: `${prefix}e`, secret: "hush" },
  { name: `${prefix}f`, after: [`${prefix}e`, `${prefix}b`] },
];
const expected = (prefix: string) => ["a.plain", "b.other", "c.before", "e.plain", "f.plain"].map((id) => prefix + id);

/** Engines at once. */
const abreast = 4;

describe("kill -9 after each entry of the journal", { timeout: 600_000 }, () => {
  let opened: OpenDatabase;
  let service: StateService;
  let things: Bench;
  let base: VersionedDeployment;
  /** Entries that the whole change writes. */
  let entries: number;
  const key = randomBytes(32);

  beforeAll(async () => {
    opened = await openEmpty("postgres");
    service = await startStateService({ db: opened.db, keys: keysFrom(key) });
    things = await bench();
    // Once undisturbed: it gives the state that the others begin with, and how many entries there are to be cut off at.
    const whole = await gate(service.url);
    const stack = departmentStack("dep_whole");
    await ensureStack(opened.db, stack);
    await apply(service.url, "dep_whole", before("whole-"));
    base = await currentDeployment(opened.db, stack);
    await apply(whole.url, "dep_whole", wanted("whole-"));
    entries = whole.passed("dep_whole");
    whole.close();
    expect(existing("whole-")).toEqual(expected("whole-"));
    expect(entries).toBeGreaterThan(15);
  });
  afterAll(async () => {
    await things.close();
    await service.close();
    await opened.close();
  });

  const existing = (prefix: string) => things.existing().filter((id) => id.startsWith(prefix));
  const begin = (url: string, stack: string, program: Thing[], token = service.issueOperationToken(departmentStack(stack), { scope: "up" })) =>
    things.start([...up, "--parallel", "4"], { url, token, stack: departmentStack(stack), things: program });

  async function apply(url: string, stack: string, program: Thing[], token?: string): Promise<string> {
    const { code, output } = await (await begin(url, stack, program, token)).done;
    expect(code, output).toBe(0);
    return output;
  }

  /** A stack of its own, as the undisturbed one was before its change. */
  async function prepare(way: string, cut: number): Promise<{ stack: string; prefix: string }> {
    const [stack, prefix] = [`dep_${way}_${cut}`, `${way}${cut}-`];
    await ensureStack(opened.db, departmentStack(stack));
    const state = JSON.parse(JSON.stringify(base).replaceAll("dep_whole", stack).replaceAll("whole-", prefix)) as VersionedDeployment;
    await importDeployment(opened.db, await getStack(opened.db, departmentStack(stack)), state, 0);
    for (const { name } of before(prefix)) things.plant(`${name}.plain`);
    return { stack, prefix };
  }

  /** What is wanted is there once, nothing else is, and the state knows all of it. */
  async function expectConverged(stack: string, prefix: string, output: string): Promise<void> {
    expect(output).not.toContain("pending operations");
    expect(existing(prefix)).toEqual(expected(prefix));
    const { deployment } = await currentDeployment(opened.db, departmentStack(stack));
    const held = (deployment.resources ?? []).filter(({ type }) => type === "things:index:Thing");
    expect(held.map(({ id }) => id!).toSorted()).toEqual(expected(prefix));
    expect(held.some((resource) => resource.delete || resource.pendingReplacement)).toBe(false);
    expect(deployment.pending_operations).toBeUndefined();
    expect(integrityFault(deployment)).toBeUndefined();
  }

  const cuts = () => Array.from({ length: entries }, (_, index) => index + 1);

  it("of the engine: the next up converges by itself", async () => {
    const front = await gate(service.url);
    const left = cuts();
    const one = async () => {
      for (let cut = left.shift(); cut !== undefined; cut = left.shift()) {
        const { stack, prefix } = await prepare("engine", cut);
        const reached = front.after(stack, cut);
        const running = await begin(front.url, stack, wanted(prefix));
        await Promise.race([reached, running.done]);
        expect(running.child.exitCode, `it ended before entry ${cut}`).toBeNull();
        running.child.kill("SIGKILL");
        await running.done;
        const from = performance.now();
        expect(await settleUpdate(opened.db, departmentStack(stack), "its engine was killed")).toMatchObject({ status: "failed", fault: undefined });
        await expectConverged(stack, prefix, await apply(service.url, stack, wanted(prefix)));
        expect(performance.now() - from).toBeLessThan(60_000);
      }
    };
    await Promise.all(Array.from({ length: abreast }, one));
    front.close();
  });

  it("of the state service's process: its next start settles, and the next up converges by itself", async () => {
    const all = cuts();
    const group = 2 * abreast;
    for (let at = 0; at < all.length; at += group) {
      const stacks = await Promise.all(all.slice(at, at + group).map(async (cut) => ({ cut, ...(await prepare("service", cut)) })));
      const first = await startProcess(stacks.map(({ stack, cut }) => `${stack}:${cut}`));
      const running: Running[] = [];
      for (const { stack, prefix } of stacks) running.push(await begin(first.url, stack, wanted(prefix), first.tokens[stack]));
      expect(await first.ended).toBe("SIGKILL");
      const from = performance.now();
      // A control plane that starts ends the engines of the one before it, then settles what they left.
      for (const { child } of running) child.kill("SIGKILL");
      await Promise.all(running.map(({ done }) => done));
      const second = await startProcess(stacks.map(({ stack }) => `${stack}:0`));
      expect(second.settled).toBe(stacks.length);
      await Promise.all(
        stacks.map(async ({ stack, prefix }) => expectConverged(stack, prefix, await apply(second.url, stack, wanted(prefix), second.tokens[stack]))),
      );
      expect(performance.now() - from).toBeLessThan(60_000);
      second.stop();
      await second.ended;
    }
  });

  async function startProcess(stacks: string[]): Promise<Hello & { ended: Promise<NodeJS.Signals | null>; stop: () => void }> {
    const child = fork(join(import.meta.dirname, "../control-plane/state/support/state-process.ts"), [opened.url!, key.toString("base64"), ...stacks], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const ended = once(child, "exit").then(([, signal]) => signal as NodeJS.Signals | null);
    const [hello] = (await once(child, "message")) as [Hello];
    return { ...hello, ended, stop: () => child.kill() };
  }
});
