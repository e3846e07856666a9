import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { distinctSignals } from "../../infra/engine/steps/launch.mjs";
import { startTime } from "../../infra/engine/steps/lock.mjs";
import { projectRoot } from "../../infra/engine/steps/paths.mjs";

let directory: string;
beforeEach(() => void (directory = mkdtempSync(path.join(tmpdir(), "zhengyun-run-test-"))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a program by run.mjs, as the npm scripts do, in a process group of its own like a shell's job. */
function run(source: string, args: string[] = [], input = "") {
  const entry = path.join(directory, "entry.ts");
  writeFileSync(entry, source);
  const child = spawn(process.execPath, [path.join(projectRoot, "infra/engine/run.mjs"), entry, ...args], { cwd: directory, detached: true, stdio: "pipe" });
  const seen = { output: "", errors: "" };
  child.stdout.on("data", (chunk) => (seen.output += chunk));
  child.stderr.on("data", (chunk) => (seen.errors += chunk));
  child.stdin.end(input);
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, ...seen }));
  const says = (text: string) => vi.waitUntil(() => seen.output.includes(text), { timeout: 20_000 });
  return { child, ended, says };
}

/** Counts the signals it gets, tells each, and on SIGUSR2 says its counts and ends with 3. */
const COUNTER = `
const counts: Record<string, number> = {}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => { counts[signal] = (counts[signal] ?? 0) + 1; console.log('got', signal) })
process.on('SIGUSR2', () => { console.log(JSON.stringify(counts)); process.exit(3) })
setInterval(() => {}, 1_000)
console.log('ready', process.pid)
`;

describe("run.mjs", () => {
  it("runs TypeScript under Node 24 with arguments, input, the exit code, and the modules on the PATH", async () => {
    const { ended } = run(
      `import { text } from 'node:stream/consumers'
       type Words = string[]
       const words: Words = [process.versions.node.split('.')[0]!, process.argv.slice(2).join(), await text(process.stdin), process.env.PATH!.split(':')[0]!, String(process.env.ZHENGYUN_TETHER)]
       console.log(JSON.stringify(words)); process.exit(42)`,
      ["one", "--two", "three four"],
      "input",
    );
    const { code, output, errors } = await ended;
    expect({ code, errors }).toEqual({ code: 42, errors: "" });
    expect(JSON.parse(output)).toEqual(["24", "one,--two,three four", "input", path.join(projectRoot, "node_modules/.bin"), "undefined"]);
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("forwards %s sent to it", async (signal) => {
    const { child, ended, says } = run(COUNTER);
    await says("ready");
    child.kill(signal);
    await says(`got ${signal}`);
    child.kill("SIGUSR2");
    const { code, output } = await ended;
    expect(code).toBe(3);
    expect(output).toContain(`{"${signal}":1}`);
  });

  it("passes on a Ctrl-C, which a terminal sends to the whole group, exactly once", async () => {
    const { child, ended, says } = run(COUNTER);
    await says("ready");
    process.kill(-child.pid!, "SIGINT");
    await says("got SIGINT");
    child.kill("SIGUSR2");
    expect((await ended).output).toContain('{"SIGINT":1}');
  });

  it("ends by the signal that ended the program", async () => {
    const { ended } = run(`process.kill(process.pid, 'SIGKILL')`);
    expect(await ended).toMatchObject({ code: null, signal: "SIGKILL" });
  });

  it("does not leave the program running when it is killed itself", async () => {
    const file = path.join(directory, "said");
    const { child, says, ended } = run(`
      import { writeFileSync } from 'node:fs'
      process.on('SIGTERM', () => { writeFileSync(${JSON.stringify(file)}, 'asked to end'); process.exit() })
      setInterval(() => {}, 1_000)
      console.log('ready', process.pid, '.')`);
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    await says(".");
    const pid = Number(/ready (\d+)/.exec(output)?.[1]);
    expect(startTime(pid)).not.toBe("");
    child.kill("SIGKILL");
    await ended;
    await vi.waitUntil(() => startTime(pid) === "", { timeout: 20_000 });
    expect(readFileSync(file, "utf8")).toBe("asked to end");
  });

  it("says how it is used when no program is named", async () => {
    const child = spawn(process.execPath, [path.join(projectRoot, "infra/engine/run.mjs")], { stdio: ["ignore", "ignore", "pipe"] });
    let errors = "";
    child.stderr.on("data", (chunk) => (errors += chunk));
    expect((await once(child, "close"))[0]).toBe(2);
    expect(errors).toContain("usage:");
  });
});

describe("distinctSignals", () => {
  it("takes the same signal again within the window for an echo, and a later one for a second wish", () => {
    const isNew = distinctSignals(400);
    expect([isNew("SIGINT", 0), isNew("SIGINT", 1), isNew("SIGTERM", 2), isNew("SIGINT", 400), isNew("SIGINT", 401)]).toEqual([true, false, true, false, true]);
  });
});
