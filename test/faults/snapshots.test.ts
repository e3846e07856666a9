import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { Volume } from "../../control-plane/contract/resources.ts";
import type { Snapshot, SnapshotRevert } from "../../control-plane/contract/snapshots.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host, volume } from "../setup/small-city.ts";

const busy = ["pending", "running", "deleting"];

describe("kill -9 of the control plane", { timeout: 180_000 }, () => {
  const plane = new TestPlane();
  let data: Volume;
  let web: string;
  beforeAll(async () => {
    await plane.start();
    await plane.fill();
    const request = await plane.ask([host("web"), volume("data", 1), { action: "create", kind: "attachment", spec: { host: "web", volume: "data" } }]);
    await plane.approve(request.id);
    expect((await plane.settled(request.id)).state).toBe("active");
    data = (await plane.applicant.get<{ items: Volume[] }>("/api/v1/volumes")).items[0]!;
    web = data.attachedTo!.host;
  });
  afterAll(() => plane.remove());

  const snapshot = (id: string) =>
    waitFor(
      () => plane.applicant.get<Snapshot>(`/api/v1/snapshots/${id}`),
      (one) => !busy.includes(one.state),
    );
  const revert = (id: string) =>
    waitFor(
      () => plane.applicant.get<SnapshotRevert>(`/api/v1/snapshot-reverts/${id}`),
      (one) => !busy.includes(one.state),
    );
  const write = (text: string) => plane.driver.exec(web, ["write", "/data/file"], { stdin: text });
  const held = async () => (await plane.driver.observe()).volumes.flatMap((one) => one.snapshots!.map(({ name }) => name));
  const newest = async () => (await plane.applicant.get<{ items: Snapshot[] }>("/api/v1/snapshots?state=all")).items[0]!;

  const begin = async (fault?: string) => {
    await plane.kill("SIGTERM");
    await plane.start(fault === undefined ? {} : { ZHENGYUN_FAULT: fault });
  };
  /** It was killed, and starts again: to be killed at the next point. */
  const again = async (fault?: string) => {
    expect(await plane.exited).toBe("SIGKILL");
    await plane.start(fault === undefined ? {} : { ZHENGYUN_FAULT: fault });
  };
  /** The kill may come before an answer does. */
  const cut = (error: unknown) => expect(String(error)).toMatch(/No control plane answers|fetch failed|terminated/);

  // Each of the points is in one of the rows.
  it.each([
    ["volume.snapshot:data", "revert.started", undefined],
    ["snapshot.started", undefined, undefined],
    ["snapshot.made", "revert.made", "snapshot.removed"],
  ])("at %s, %s and %s: what was asked for is done once, and nothing else is left", async (taking, reverting, removing) => {
    await write("then");
    await begin(taking);
    await plane.applicant.post("/api/v1/snapshots", { volume: data.id, name: "before" }).catch(cut);
    await again(reverting);
    const { id } = await newest();
    const taken = await snapshot(id);
    expect(taken).toMatchObject({ state: "complete", error: null });
    expect(await held()).toEqual([id]);
    if (reverting !== undefined) {
      await write("since");
      const asked = await plane.applicant.post<SnapshotRevert>("/api/v1/snapshot-reverts", { snapshot: id, volumeName: "data", reason: "R" });
      await plane.approver.post(`/api/v1/snapshot-reverts/${asked.id}/confirm`, { volumeName: "data" }, { ifMatch: asked.revision }).catch(cut);
      await again(removing);
      expect(await revert(asked.id)).toMatchObject({ state: "complete", error: null });
    }
    expect((await plane.driver.exec(web, ["cat", "/data/file"])).stdout).toBe("then");
    await plane.applicant.delete(`/api/v1/snapshots/${id}`, taken.revision).catch(cut);
    if (removing !== undefined) await again();
    expect((await snapshot(id)).state).toBe("deleted");
    expect(await held()).toEqual([]);
  });
});
