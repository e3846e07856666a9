import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { Quota } from "../../control-plane/contract/quotas.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host } from "../setup/small-city.ts";

const names = Array.from({ length: 8 }, (_, index) => `web-${index}`);

/** A process and everything below it. */
function family(root: number): number[] {
  const parents = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
        return [[Number(entry), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])] as const];
      } catch {
        return [];
      }
    });
  const all = [root];
  for (const parent of all) all.push(...parents.filter(([, of]) => of === parent).map(([pid]) => pid));
  return all;
}
const isEngine = (pid: number) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("pulumi\0up");
  } catch {
    return false;
  }
};

describe("two control planes on one PostgreSQL", () => {
  let [first, second]: TestPlane[] = [];
  beforeEach(async () => {
    first = new TestPlane("postgres");
    await first.start();
    await first.fill();
    second = new TestPlane("postgres", first);
    await second.start();
  });
  afterEach(async () => {
    wake();
    await second!.remove();
    await first!.remove();
  });
  let paused: number[] = [];
  /** Whatever a failed test left asleep can end again. */
  const wake = () => {
    for (const pid of paused.splice(0).toReversed()) process.kill(pid, "SIGCONT");
  };

  /** A request that the first one is applying now: its engine runs. */
  async function applying(): Promise<{ id: string; engine: number }> {
    const request = await first!.ask(names.map((name) => host(name)));
    await first!.approve(request.id);
    const found = await waitFor(
      async () => [first!, second!].map((plane) => ({ plane, engine: family(plane.pid).find(isEngine) })).find((one) => one.engine !== undefined),
      (one) => one !== undefined,
      { intervalMs: 2, timeoutMs: 20_000 },
    );
    // Whichever took the job is the one that is lost: let it be called the first.
    if (found!.plane === second) [first, second] = [second, first];
    return { id: request.id, engine: found!.engine! };
  }

  async function expectConverged(id: string, by = second!): Promise<void> {
    const done = await by.settled(id).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${by.output.slice(-3000)}`);
    });
    expect(done.items.map((item) => item.state)).toEqual(names.map(() => "active"));
    const listed = await by.cloud.list();
    expect(listed.map((one) => one.kind)).toEqual(names.map(() => "host"));
    expect((await by.cloud.observe()).hosts.every((one) => one.state === "running")).toBe(true);
    const quotas: Quota[] = [];
    for await (const quota of by.operations.all<Quota>("/api/v1/quotas", { department: "office" })) quotas.push(quota);
    expect(quotas.find((one) => one.dimension === "hosts")).toMatchObject({ reserved: 0, used: names.length });
  }

  it("one is killed in the middle of an apply: the other takes over by itself", { timeout: 120_000 }, async () => {
    const { id } = await applying();
    await first!.kill();
    await expectConverged(id);
    expect(second!.output).toContain("its work is taken over");
  });

  it("one is killed in the middle of an apply and started again at once: it settles its own update at its start", { timeout: 120_000 }, async () => {
    await second!.kill("SIGTERM");
    await first!.kill("SIGTERM");
    await first!.start({ ZHENGYUN_FAULT: "journal:4" });
    const request = await first!.ask(names.map((name) => host(name)));
    await first!.approve(request.id).catch((error: unknown) => expect(String(error)).toMatch(/No control plane answers/));
    expect(await first!.exited).toBe("SIGKILL");
    await first!.start();
    expect(first!.output).toContain("settled an update that a kill left");
    expect(first!.output).toContain("a control plane of this machine is gone");
    await expectConverged(request.id, first);
  });

  it("one is paused in the middle of an apply: the other takes over; when it comes back it changes nothing, and serves on", { timeout: 120_000 }, async () => {
    const { id } = await applying();
    paused = family(first!.pid).filter((pid) => !readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("zhengyun-host="));
    for (const pid of paused) process.kill(pid, "SIGSTOP");
    await expectConverged(id);
    const before = (await second!.cloud.observe()).hosts.map(({ id: one, pid }) => ({ one, pid }));
    wake();
    await waitFor(
      async () => first!.output.includes("was silent for too long"),
      (seen) => seen,
      { intervalMs: 100, timeoutMs: 30_000 },
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${first!.output.slice(-3000)}`);
    });
    const next = await first!.ask([host("later")]);
    await first!.approve(next.id);
    expect((await first!.settled(next.id)).state).toBe("active");
    const hosts = (await second!.cloud.observe()).hosts;
    expect(hosts).toHaveLength(names.length + 1);
    expect(hosts.filter((one) => before.some((old) => old.one === one.id)).map(({ id: one, pid }) => ({ one, pid }))).toEqual(before);
  });
});
