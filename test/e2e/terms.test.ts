/** Terms, trials and the queue for capacity with the real engine and real hosts. The clock is the machine's: terms are seconds, and a killed control plane catches up. */
import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { settled, waitFor } from "../../control-plane/cli/wait.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { DepartmentUsage } from "../../control-plane/contract/usage.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host, smallCity } from "../setup/small-city.ts";

const run = promisify(execFile);
const zhengyun = resolve(import.meta.dirname, "../../control-plane/cli/zhengyun.js");
const seconds = (n: number) => new Date(Date.now() + n * 1000).toISOString();
const until = (name: string, expiresAt: string) => ({ ...host(name), spec: { ...host(name).spec, expiresAt } });

describe("the life of what was made", { timeout: 180_000 }, () => {
  const plane = new TestPlane();
  beforeAll(async () => {
    const city = smallCity({ driver: "embedded", endpoint: join(plane.data, "embedded") });
    city.pools[0]!.capacity.hosts = 2;
    await plane.start();
    await plane.fill(city);
    expect(await cli("authority", "terms", "set", "--grace", "0", "--stopped", "0")).toMatchObject({
      noticeDays: 30,
      graceDays: 0,
      stoppedDays: 0,
      revision: 1,
    });
  });
  afterAll(() => plane.remove());

  /** A command of somebody's, and what it answers. */
  const cli = async <T>(who: "applicant" | "approver" | "authority", ...args: string[]): Promise<T> => {
    const { ZHENGYUN_TOKEN: _other, ...environment } = process.env;
    const env = { ...environment, ZHENGYUN_URL: plane.operations.url, ZHENGYUN_TOKEN: plane.secretOf(who) };
    return JSON.parse((await run(process.execPath, [zhengyun, ...args, "--json"], { env })).stdout) as T;
  };
  const active = async (items: unknown[], department = "office", more: object = {}): Promise<Request> => {
    const made = await plane.applicant.post<Request>("/api/v1/requests", { application: `${department}-app`, project: "p", title: "Test", items, ...more });
    await plane.approve(made.id);
    return plane.settled(made.id);
  };
  const becomes = (id: string, state: string) =>
    waitFor(
      () => plane.read(id),
      (one) => one.state === state,
      { intervalMs: 100, timeoutMs: 90_000 },
    );
  /** Every tick comes at once at the start. */
  const killed = async () => {
    await plane.kill();
    await plane.start();
  };
  /** What the terms have asked for about a request. */
  const about = (id: string, origin: string) =>
    waitFor(
      async () => (await plane.operations.get<{ items: Request[] }>("/api/v1/requests")).items.find((one) => one.about === id && one.origin === origin),
      (one) => one !== undefined,
      { intervalMs: 100, timeoutMs: 90_000 },
    );
  const heldBy = async (department: string) => {
    const { items } = await plane.operations.get<{ items: DepartmentUsage[] }>(`/api/v1/usage?department=${department}&depth=0`);
    const hosts = items[0]!.quota.find((one) => one.dimension === "hosts")!;
    return hosts.used + hosts.reserved;
  };
  const hostsOf = async (request: Request) => {
    const ids = new Set(request.items.map((item) => item.resource));
    return (await plane.driver.observe()).hosts.filter((one) => ids.has(one.name)).map((one) => one.state);
  };

  it("is expiring, extended and active again; and when nobody extends it, stopped, reclaimed by two people, gone", async () => {
    const request = await active([until("short", seconds(3600))]);
    expect(request.state).toBe("active");
    await killed();
    await becomes(request.id, "expiring");
    const item = request.items[0]!;
    const extend = (expiresAt: string) => active([{ action: "extend", kind: "host", id: item.resource, spec: { expiresAt } }]);
    const longer = await cli<Request>("applicant", "requests", "extend", request.id, "--until", seconds(100 * 86_400).slice(0, 10), "--reason", "still needed");
    await plane.approve(longer.id);
    expect((await plane.settled(longer.id)).state).toBe("active");
    expect((await plane.read(request.id)).state).toBe("active");
    await extend(seconds(15));
    expect(await hostsOf(request)).toEqual(["running"]);
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    await killed();
    await becomes(request.id, "expiring");
    const stop = (await about(request.id, "term-stop"))!;
    await becomes(stop.id, "active");
    expect(await hostsOf(request), "stopped, not destroyed").toEqual(["stopped"]);
    expect(await heldBy("office")).toBe(1);
    await killed();
    const reclaim = (await about(request.id, "term-reclaim"))!;
    await plane.approve(reclaim.id);
    expect((await plane.settled(reclaim.id)).state).toBe("active");
    expect((await plane.read(request.id)).state).toBe("reclaimed");
    expect(await hostsOf(request)).toEqual([]);
    expect(await heldBy("office")).toBe(0);
  });

  it("is on trial: accepted, or refused and gone", async () => {
    const accepted = await active([host("good")], "office", { trialDays: 3 });
    expect(accepted).toMatchObject({ state: "on-trial", trialDays: 3, trialUntil: expect.any(String) });
    expect((await cli<Request>("approver", "requests", "accept-trial", accepted.id)).state).toBe("active");
    const refused = await active([host("bad")], "office", { trialDays: 3 });
    const retire = await cli<Request>("applicant", "requests", "refuse-trial", refused.id, "--reason", "too slow");
    await plane.approve(retire.id);
    expect((await plane.settled(retire.id)).state).toBe("active");
    expect((await plane.read(refused.id)).state).toBe("reclaimed");
    expect([await hostsOf(accepted), await hostsOf(refused), await heldBy("office")]).toEqual([["running"], [], 1]);
  });

  it("waits for its place after its approval, and has it when somebody else's is retired", async () => {
    const first = await active([host("first")], "bureau");
    const second = await plane.ask([host("second")], "city");
    const planned = await plane.planned(second.id);
    expect(planned.plan!.waits, "its approvers see that it will wait").toEqual([expect.stringContaining("hosts has 0 left")]);
    await plane.approve(second.id);
    expect(await plane.read(second.id)).toMatchObject({ state: "waiting", error: { code: "capacity" } });
    expect(settled("waiting")).toBe(true);
    await active([{ action: "retire", kind: "host", id: first.items[0]!.resource, spec: {} }], "bureau");
    const done = await becomes(second.id, "active");
    expect(await hostsOf(done)).toEqual(["running"]);
    expect(await hostsOf(first)).toEqual([]);
  });
});
