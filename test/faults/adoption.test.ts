/** An instance that was there before us becomes a department's host through the whole control plane, on a real LXD: also where somebody is killed in the middle. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { AdoptionScan, FoundInstance } from "../../control-plane/contract/adoptions.ts";
import type { Quota } from "../../control-plane/contract/quotas.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { type Lxd, startLxd } from "../setup/lxd.ts";
import { host } from "../setup/small-city.ts";

describe("adoption", { timeout: 180_000 }, () => {
  let lxd: Lxd;
  let plane: TestPlane;
  const lxc = (...args: string[]) => lxd.members[0]!.must("lxc", args);
  const instance = async () =>
    JSON.parse(await lxc("query", "/1.0/instances/legacy?recursion=1")) as { config: Record<string, string>; state: { pid: number } };
  const memory = async () =>
    (await plane.applicant.get<{ items: Quota[] }>("/api/v1/quotas?department=office")).items.find((one) => one.dimension === "memory_mib" && one.level === 0)!;
  const granted = async (id: string): Promise<Request> => {
    await plane.approve(id);
    return plane.settled(id);
  };

  beforeAll(async () => {
    lxd = await startLxd();
    plane = new TestPlane("pglite", undefined, lxd.endpoint);
    await plane.start();
    await plane.fill();
    // Brings the image there.
    const first = await plane.ask([host("web", "small")]);
    expect((await granted(first.id)).state).toBe("active");
    const image = (await lxc("image", "list", "--format", "csv", "-c", "f")).split("\n").find((line) => /^[0-9a-f]{12}$/.test(line))!;
    await lxc("launch", image, "legacy", "-s", "default", "-c", "limits.memory=256MiB", "-c", "limits.cpu=1");
  }, 180_000);
  afterAll(async () => {
    await plane?.remove();
    await lxd?.close();
  });

  it("of an instance that runs touches nothing though a kill comes between its label and its outcome; it is charged once, resized, and ended by its retirement", async () => {
    const { pid } = (await instance()).state;
    await plane.operations.post("/api/v1/adoption-scans", { pool: "compute" });
    const scan = await waitFor(
      () => plane.operations.get<AdoptionScan>("/api/v1/adoption-scans/compute"),
      (one) => one.endedAt !== null,
    );
    expect(scan).toMatchObject({ found: 1, error: null });
    const [found] = (await plane.operations.get<{ items: FoundInstance[] }>("/api/v1/adoptions?pool=compute")).items;
    expect(found).toMatchObject({ project: "default", instance: "legacy", memoryMib: 256, vcpu: 1, diskGib: null, host: null });
    const ask = { instance: found!.id, application: "office-app", project: "p", reason: "It is the office's" };
    await expect(plane.operations.post("/api/v1/adoptions", ask)).rejects.toMatchObject({ problem: { errors: [{ pointer: "/diskGib" }] } });
    const before = await memory();
    const raced = await Promise.allSettled(
      [1, 2].map(() => plane.operations.post<{ request: string; host: string }>("/api/v1/adoptions", { ...ask, diskGib: 2 })),
    );
    const won = raced.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(won, JSON.stringify(raced)).toHaveLength(1);
    const [{ request, host: id }] = won as [{ request: string; host: string }];
    const planned = await plane.planned(request);
    expect(planned.plan!.steps).toMatchObject([{ action: "adopt", kind: "host", resource: id }]);
    expect(planned.plan!.placement[0]!.reason).toContain("weaker isolation: no user ids of its own");
    expect((await memory()).reserved - before.reserved).toBe(256);

    await plane.kill("SIGTERM");
    await plane.start({ ZHENGYUN_FAULT: "lxd.host.adopt:labelled" });
    await plane.approve(request);
    await expect.poll(async () => "user.zhengyun.host" in (await instance()).config, { timeout: 60_000 }).toBe(true);
    await plane.kill();
    await plane.start();
    const done = await plane.settled(request);
    expect(done.state, JSON.stringify(done.items)).toBe("active");
    expect((await instance()).state.pid).toBe(pid);
    expect(await memory()).toMatchObject({ used: before.used + 256, reserved: before.reserved });
    const listed = (await plane.driver.list()).filter((one) => one.kind === "host" && one.name === id);
    expect(listed).toHaveLength(1);
    await plane.driver.exec(id, ["write", "/root/file"], { stdin: "kept" });

    const resized = await plane.ask([{ action: "resize", kind: "host", id, spec: { flavour: "standard" } }]);
    expect((await granted(resized.id)).state).toBe("active");
    expect((await instance()).state.pid).toBe(pid);
    expect((await plane.driver.exec(id, ["cat", "/root/file"])).stdout).toBe("kept");

    const retired = await plane.ask([{ action: "retire", kind: "host", id }]);
    const gone = await granted(retired.id);
    expect(gone.state, JSON.stringify(gone.items)).toBe("active");
    await expect(instance()).rejects.toThrow(/not found/i);
    expect((await memory()).used).toBe(before.used);
  });
});
