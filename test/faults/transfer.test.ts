/** An application passes to another department and back, by the real engine on real hosts, also where the control plane is killed in the middle: nothing restarts. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { settled, waitFor } from "../../control-plane/cli/wait.ts";
import type { Backup } from "../../control-plane/contract/backups.ts";
import type { Quota } from "../../control-plane/contract/quotas.ts";
import type { Host, Volume } from "../../control-plane/contract/resources.ts";
import { handOverSteps } from "../../control-plane/jobs/hand-over.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host, volume } from "../setup/small-city.ts";
import { type Side, Sides } from "../setup/transfer.ts";

describe("a transfer", { timeout: 240_000 }, () => {
  const plane = new TestPlane();
  const sides = new Sides(plane);
  let web = "";
  let names: string[] = [];
  let backup = "";
  let before: unknown;
  const reading = async () => (await plane.driver.observe()).hosts.map(({ id, pid, startedAt, state }) => ({ id, pid, startedAt, state }));
  const status = (side: Side, path: string) =>
    sides
      .of(side)
      .get(path)
      .then(
        () => 200,
        (error: { problem?: { status?: number } }) => error.problem?.status,
      );
  const used = async (department: string) => {
    const { items } = await plane.operations.get<{ items: Quota[] }>(`/api/v1/quotas?department=${department}`);
    const found = items.find((one) => one.dimension === "hosts" && one.level === 0)!;
    return [found.reserved, found.used];
  };

  beforeAll(async () => {
    await plane.start();
    await sides.settle({ driver: "embedded", endpoint: join(plane.data, "embedded") });
    const secret = { ...host("web"), spec: { ...host("web").spec, userData: "s3cret" } };
    const attached = { action: "create", kind: "attachment", spec: { host: "web", volume: "data" } };
    const policy = { action: "create", kind: "backup-policy", spec: { name: "nightly", volume: "data" } };
    const first = await plane.ask([secret, volume("data", 1), attached, policy]);
    await plane.approve(first.id);
    expect((await plane.settled(first.id)).state).toBe("active");
    // The annex's stack has something of its own; what is new there is no part of this.
    web = (await plane.operations.get<{ items: Host[] }>("/api/v1/hosts?department=office")).items[0]!.id;
    await plane.driver.exec(web, ["write", "/data/file"], { stdin: "kept" });
    const data = (await plane.operations.get<{ items: Volume[] }>("/api/v1/volumes?department=office")).items[0]!;
    backup = (await sides.of("office").post<Backup>("/api/v1/backups", { volume: data.id })).id;
    await waitFor(
      () => plane.operations.get<Backup>(`/api/v1/backups/${backup}`),
      (one) => settled(one.state),
    );
    names = (await plane.driver.list()).filter((one) => one.kind !== "backup").map((one) => one.name);
    expect(names).toHaveLength(4);
    before = await reading();
  }, 240_000);
  afterAll(() => plane.remove());

  it.each([undefined, ...handOverSteps])("restarts, moves and renames nothing, killed at %s", async (fault) => {
    const from = (await sides.application()).side;
    const to = from === "office" ? "annex" : "office";
    if (fault !== undefined) {
      await plane.kill("SIGTERM");
      await plane.start({ ZHENGYUN_FAULT: fault });
    }
    const asked = await sides.ask();
    await sides.approve(asked.id).catch((error: unknown) => expect(String(error)).toMatch(/No control plane answers/));
    if (fault !== undefined) {
      expect(await plane.exited).toBe("SIGKILL");
      expect(await reading(), "while nobody is there").toEqual(before);
      await plane.start();
    }
    const request = await plane.settled(asked.id).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${plane.output.slice(-3000)}`);
    });
    expect(request).toMatchObject({ state: "active", error: null, items: [{ state: "active", action: "transfer", name: "Application" }] });
    expect((await sides.application()).side).toBe(to);
    expect(await reading()).toEqual(before);
    expect((await plane.driver.exec(web, ["cat", "/data/file"])).stdout).toBe("kept");
    const department = (await sides.application()).department;
    const listed = await plane.driver.list();
    expect(listed.map((one) => one.scope)).toEqual(listed.map(() => department));
    expect(listed).toHaveLength(5);

    expect(await status(from, `/api/v1/hosts/${web}`)).toBe(404);
    expect(await status(from, `/api/v1/backups/${backup}`)).toBe(404);
    expect(await status(to, `/api/v1/hosts/${web}`)).toBe(200);
    expect(await status(to, `/api/v1/backups/${backup}`)).toBe(200);
    // Both sides see the request.
    expect([await status(from, `/api/v1/requests/${asked.id}`), await status(to, `/api/v1/requests/${asked.id}`)]).toEqual([200, 200]);
    expect([await used(from), await used(to), await used("bureau"), await used("city")]).toEqual([
      [0, 0],
      [0, 1],
      [0, 1],
      [0, 1],
    ]);
    await sides.expectUnchanged(names);
    expect(await reading()).toEqual(before);
  });

  it("is the receiver's to change: resized, backed up and restored like its own", async () => {
    const { id, side } = await sides.application();
    const items = [{ action: "resize", kind: "host", id: web, spec: { flavour: "large" } }];
    const asked = await sides.of(side).post<{ id: string }>("/api/v1/requests", { application: id, project: "p", title: "Larger", items });
    await plane.approve(asked.id);
    const request = await plane.settled(asked.id);
    expect(request).toMatchObject({ state: "active", items: [{ state: "active", error: null }] });
    await plane.driver.exec(web, ["write", "/data/file"], { stdin: "changed" });
    const restore = await sides.of(side).post<{ id: string }>("/api/v1/restores", { backup });
    await waitFor(
      () => plane.operations.get<{ state: string }>(`/api/v1/restores/${restore.id}`),
      (one) => settled(one.state),
    );
    expect((await plane.driver.exec(web, ["cat", "/data/file"])).stdout).toBe("kept");
  });
});
