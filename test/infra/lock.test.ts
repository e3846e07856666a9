import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startTime, withLock } from "../../infra/engine/steps/lock.mjs";
import { projectRoot } from "../../infra/engine/steps/paths.mjs";

let directory: string;
let lock: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), "zhengyun-lock-test-"));
  lock = path.join(directory, "one.lock");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("withLock", () => {
  it("names its owner while it is held, and is gone afterwards, also after a failure", async () => {
    const work = async () => {
      expect(JSON.parse(readFileSync(lock, "utf8"))).toEqual({ pid: process.pid, start: startTime(process.pid) });
      throw new Error("work failed");
    };
    await expect(withLock(lock, work)).rejects.toThrow("work failed");
    expect(readdirSync(directory)).toEqual([]);
  });

  it("waits for a living owner and tells whom it waits for", async () => {
    const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
    const first = withLock(lock, () => finished);
    const order: string[] = [];
    const onWait = vi.fn<(pid: number) => void>();
    const second = withLock(lock, async () => void order.push("second"), { onWait });
    await vi.waitUntil(() => onWait.mock.calls.length > 0);
    order.push("first");
    finish();
    await Promise.all([first, second]);
    expect(order).toEqual(["first", "second"]);
    expect(onWait.mock.calls).toEqual([[process.pid]]);
  });

  it("is taken over from a dead owner whose PID is in use again", async () => {
    writeFileSync(lock, JSON.stringify({ pid: process.pid, start: "1" }));
    expect(await withLock(lock, async () => "done")).toBe("done");
    expect(readdirSync(directory)).toEqual([]);
  });

  it("has one owner at a time when many processes take over from a dead one", async () => {
    writeFileSync(lock, JSON.stringify({ pid: 2 ** 22 + 1, start: "1" }));
    const inside = path.join(directory, "inside");
    const script = `
      import { closeSync, openSync, unlinkSync } from 'node:fs'
      import { withLock } from ${JSON.stringify(path.join(projectRoot, "infra/engine/steps/lock.mjs"))}
      for (let round = 0; round < 5; round++) {
        await withLock(${JSON.stringify(lock)}, async () => {
          closeSync(openSync(${JSON.stringify(inside)}, 'wx'))
          await new Promise((resolve) => setImmediate(resolve))
          unlinkSync(${JSON.stringify(inside)})
        })
      }`;
    const children = Array.from({ length: 6 }, () =>
      spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "ignore", "inherit"] }),
    );
    const codes = await Promise.all(children.map(async (child) => (await once(child, "close"))[0]));
    expect(codes).toEqual([0, 0, 0, 0, 0, 0]);
    expect(existsSync(lock)).toBe(false);
  });
});

describe("startTime", () => {
  it("is nothing for a process that has ended but was not yet waited for", async () => {
    // `sleep` takes the shell's place and never waits for the child; only then the child is let end.
    const parent = spawn("/bin/sh", ["-c", "cat <&3 >/dev/null & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "inherit", "pipe"] });
    const [pid] = await once(parent.stdout!, "data");
    await vi.waitUntil(() => readFileSync(`/proc/${parent.pid}/comm`, "utf8") === "sleep\n");
    expect(startTime(Number(pid))).not.toBe("");
    (parent.stdio[3] as Writable).end();
    await vi.waitUntil(() => startTime(Number(pid)) === "");
    expect(readFileSync(`/proc/${Number(pid)}/stat`, "utf8")).toContain(") Z ");
    parent.kill();
  });
});
