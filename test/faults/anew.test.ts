/** A backup restored to a new volume, and a host made anew, by the real engine on real hosts: also where somebody is killed in the middle. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { settled, waitFor } from "../../control-plane/cli/wait.ts";
import type { Backup } from "../../control-plane/contract/backups.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { Host, Volume } from "../../control-plane/contract/resources.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host, volume } from "../setup/small-city.ts";

describe("made anew", { timeout: 180_000 }, () => {
  const plane = new TestPlane();
  let backup: Backup;
  let web: Host;
  let round = 0;

  const held = async <T extends { name: string }>(noun: string, name: string) =>
    (await plane.applicant.get<{ items: T[] }>(`/api/v1/${noun}?department=office`)).items.find((one) => one.name === name)!;
  const inside = async (...argv: string[]) => (await plane.driver.exec(web.id, argv)).stdout;
  const write = (path: string, stdin: string) => plane.driver.exec(web.id, ["write", path], { stdin });
  const reading = async () => (await plane.driver.observe()).hosts.find((one) => one.name === web.id)!;
  async function again(fault?: string): Promise<void> {
    await plane.kill("SIGTERM");
    await plane.start(fault === undefined ? {} : { ZHENGYUN_FAULT: fault });
  }
  /** Asks, has it approved, and waits until it rests. */
  async function done(items: unknown[]): Promise<Request> {
    const asked = await plane.ask(items);
    await plane.approve(asked.id);
    return plane.settled(asked.id).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${plane.output.slice(-3000)}`);
    });
  }
  const restored = () => {
    round++;
    return [
      { action: "create", kind: "volume", spec: { name: `again-${round}`, sizeGib: 2, backup: backup.id } },
      { action: "create", kind: "attachment", spec: { host: "web", volume: `again-${round}`, path: `/srv/again-${round}` } },
    ];
  };

  beforeAll(async () => {
    await plane.start();
    await plane.fill();
    const attached = { action: "create", kind: "attachment", spec: { host: "web", volume: "data" } };
    expect((await done([host("web", "small"), volume("data", 2), attached])).state).toBe("active");
    web = await held<Host>("hosts", "web");
    await write("/data/file", "kept");
    const data = await held<Volume>("volumes", "data");
    backup = await plane.applicant.post<Backup>("/api/v1/backups", { volume: data.id });
    backup = await waitFor(
      () => plane.applicant.get<Backup>(`/api/v1/backups/${backup.id}`),
      (one) => settled(one.state),
    );
    expect(backup).toMatchObject({ state: "complete", protectionLevel: 2, volumeGib: 2 });
    await write("/data/file", "changed since");
  });
  afterAll(() => plane.remove());

  it.each([undefined, "volume.create:image", "backup.restore:extracted", "volume.create:record"])(
    "restores a backup to a new volume, beside the old one, killed at %s",
    async (fault) => {
      if (fault !== undefined) await again(fault);
      const request = await done(restored());
      expect(request.items.map((item) => [item.state, item.error])).toEqual([
        ["active", null],
        ["active", null],
      ]);
      expect(request.plan!.charge).toEqual([{ dimension: "storage_gib:standard", quantity: 2 }]);
      expect(request.cost!.amountFen).toBeGreaterThan(0);
      expect(request.approvals.filter((step) => step.state === "approved")).toHaveLength(2);
      expect(await inside("cat", `/srv/again-${round}/file`)).toBe("kept");
      expect(await inside("cat", "/data/file")).toBe("changed since");
      const listed = await plane.driver.list();
      expect(listed.filter((one) => one.kind === "volume")).toHaveLength(1 + round);
    },
  );

  it.each([undefined, "host.delete:end", "host.delete:remove", "host.create:record", "host.start:launched", "host.create:done"])(
    "makes a host anew under its name, with its volumes, killed at %s",
    async (fault) => {
      if (fault !== undefined) await again(fault);
      await write("/root-file", "gone with the old one");
      const before = await reading();
      const volumes = (await plane.driver.list()).filter((one) => one.kind === "volume");
      const charged = async () =>
        (await plane.applicant.get<{ items: { dimension: string; used: number; reserved: number }[] }>("/api/v1/quotas?department=office")).items.map((one) => [
          one.dimension,
          one.used,
          one.reserved,
        ]);
      const [quota, attachments] = [await charged(), web.attachments.length];
      const request = await done([{ action: "redeploy", kind: "host", id: web.id }]);
      expect(request.items.map((item) => [item.state, item.error])).toEqual([["active", null]]);
      expect(request.plan!.steps.filter((step) => step.kind === "host").map((step) => step.action)).toEqual(["replace"]);
      expect(request.plan!.charge).toEqual([]);
      const now = await reading();
      expect(now.id).not.toBe(before.id);
      expect(now).toMatchObject({ name: before.name, hostname: "web", state: "running" });
      expect(await inside("cat", "/data/file")).toBe("changed since");
      expect(await inside("ls", "/")).not.toContain("root-file");
      expect((await plane.driver.list()).filter((one) => one.kind === "volume")).toEqual(volumes);
      expect((await held<Host>("hosts", "web")).attachments.length).toBeGreaterThanOrEqual(attachments);
      expect((await held<Host>("hosts", "web")).observedState).toBe("running");
      expect(await charged()).toEqual(quota);
    },
  );

  it("of a control plane killed after the engine and before its outcome is written, goes on at its start", async () => {
    await again("apply.ran");
    const asked = await plane.ask([{ action: "redeploy", kind: "host", id: web.id }, ...restored()]);
    await plane.approve(asked.id).catch((error: unknown) => expect(String(error)).toMatch(/No control plane answers/));
    expect(await plane.exited).toBe("SIGKILL");
    const before = await reading();
    await plane.start();
    const request = await plane.settled(asked.id);
    expect(request.items.map((item) => item.state)).toEqual(["active", "active", "active"]);
    expect(await inside("cat", `/srv/again-${round}/file`)).toBe("kept");
    expect((await reading()).id, "it was not made anew twice").toBe(before.id);
  });

  it("gives up a volume whose backup is no more, and leaves nothing of it", async () => {
    rmSync(join(plane.data, "embedded/backups", backup.id), { recursive: true });
    const request = await done(restored());
    expect(request).toMatchObject({ state: "failed" });
    expect(request.items[0]!.error).toMatchObject({ code: "not-found" });
    await waitFor(
      async () => (await plane.driver.list()).filter((one) => one.kind === "volume").length,
      (count) => count === 1 + round - 1,
    );
  });
});
