import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DirectoryInUse, lockDirectory } from "../../../control-plane/store/lock.ts";

let directory: string;
let data: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zy-store-lock-"));
  data = join(directory, "database");
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

const module = join(import.meta.dirname, "../../../control-plane/store/lock.ts");
/** Waits for a line on its input, tries the lock once, says what came of it, and keeps what it took until it is killed. */
const contender = `
  const { lockDirectory } = await import(${JSON.stringify(module)});
  process.stdout.write("ready\\n");
  process.stdin.once("data", () => {
    try { lockDirectory(process.argv[1]); process.stdout.write("took\\n"); } catch (error) { process.stdout.write(error.name + "\\n"); }
  });`;

function contend(): { child: ChildProcessByStdio<Writable, Readable, null>; line: () => Promise<string> } {
  const child = spawn(process.execPath, ["--input-type=module", "-e", contender, data], { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  return { child, line: async () => String((await once(child.stdout, "data"))[0]).trim() };
}

describe("lockDirectory", () => {
  it("refuses a second holder and says who the first is; release gives it back", () => {
    const lock = lockDirectory(data);
    expect(() => lockDirectory(data)).toThrow(DirectoryInUse);
    expect(() => lockDirectory(data)).toThrow(`process ${process.pid}`);
    lock.release();
    lockDirectory(data).release();
    expect(readdirSync(directory)).toEqual([]);
  });

  it("does not release what has become somebody else's", () => {
    const lock = lockDirectory(data);
    writeFileSync(`${data}.lock`, "1 2 other");
    lock.release();
    expect(readFileSync(`${data}.lock`, "utf8")).toBe("1 2 other");
  });

  it("of many that find a killed owner's lock exactly one takes it over, round after round", async () => {
    for (let round = 0; round < 3; round++) {
      const contenders = Array.from({ length: 6 }, contend);
      await Promise.all(contenders.map(({ line }) => line()));
      const answers = contenders.map(({ line }) => line());
      for (const { child } of contenders) child.stdin.write("go\n");
      const said = await Promise.all(answers);
      expect(said.toSorted()).toEqual(["DirectoryInUse", "DirectoryInUse", "DirectoryInUse", "DirectoryInUse", "DirectoryInUse", "took"]);
      // Killed, not asked: its lock stays and the next round finds it dead.
      await Promise.all(contenders.map(({ child }) => (child.kill("SIGKILL"), once(child, "exit"))));
      expect(readdirSync(directory)).toEqual(["database.lock"]);
    }
  }, 60_000);

  it("takes over from an owner of another boot", () => {
    writeFileSync(`${data}.lock`, `${process.pid} 1 00000000-0000-0000-0000-000000000000`);
    lockDirectory(data).release();
    expect(readdirSync(directory)).toEqual([]);
  });
});
