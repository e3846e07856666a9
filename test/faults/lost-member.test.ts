/** A member of a real three-member cluster that dies, through the whole control plane: unknown, down, filed by its pool's policy, given up by two people, its host made anew elsewhere; and its return. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, createClient } from "../../control-plane/cli/client.ts";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { MemberLoss } from "../../control-plane/contract/losses.ts";
import type { Pool, PoolChange } from "../../control-plane/contract/pools.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { Host } from "../../control-plane/contract/resources.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { type Lxd, startLxd } from "../setup/lxd.ts";
import { host, smallCity } from "../setup/small-city.ts";

const path = "/api/v1/member-losses";

describe("a member that dies", { timeout: 420_000 }, () => {
  let lxd: Lxd;
  let plane: TestPlane;
  let secondToken: string;
  beforeAll(async () => {
    lxd = await startLxd(3);
    await lxd.members[0]!.must("lxc", ["config", "set", "cluster.offline_threshold", "11"]);
    plane = new TestPlane("pglite", undefined, lxd.endpoint);
    await plane.start();
    await plane.fill(smallCity({ driver: "lxd", endpoint: lxd.endpoint }));
    secondToken = await plane.grant("operations");
    const authority = createClient({ url: plane.operations.url, token: plane.secretOf("authority") });
    const policy = await authority.get<{ revision: number }>("/api/v1/maintenance-policy");
    await authority.put("/api/v1/maintenance-policy", { noticeDays: 3, longestHours: 72, downAfterSeconds: 10 }, policy.revision);
  }, 180_000);
  afterAll(async () => {
    await plane?.remove();
    await lxd?.close();
  });
  const hosts = async () => (await plane.applicant.get<{ items: Host[] }>("/api/v1/hosts")).items;
  const losses = async () => (await plane.operations.get<{ items: MemberLoss[] }>(path)).items;
  const act = (client: Client, loss: MemberLoss, what: string, body: unknown) =>
    client.post<MemberLoss>(`${path}/${loss.id}/${what}`, body, { ifMatch: loss.revision });

  it("is noticed; its host is unknown, then down; it is had again elsewhere by decision, and its return makes no twin", async () => {
    // The observer has written down who the members are: then placement spreads an application's hosts.
    await waitFor(
      () => plane.operations.get<{ items: unknown[] }>("/api/v1/members"),
      ({ items }) => items.length === 3,
      { timeoutMs: 60_000 },
    );
    const asked = await plane.ask([host("a", "small"), host("b", "small"), host("c", "small")]);
    await plane.approve(asked.id);
    expect((await plane.settled(asked.id)).state).toBe("active");
    const on = new Map((await plane.driver.observe()).hosts.map((one) => [one.name, one.member]));
    expect(new Set(on.values()).size, "they are spread").toBe(3);
    const ill = (await hosts()).find((one) => on.get(one.id) === "n3")!;
    const of = async () => (await hosts()).find((one) => one.id === ill.id)!;

    const settle = async (onMemberLoss: PoolChange["onMemberLoss"]) => {
      const { id, revision } = await plane.operations.get<Pool>("/api/v1/pools/compute");
      return plane.operations.patch<Pool>(`/api/v1/pools/${id}`, { onMemberLoss }, revision);
    };
    await expect(settle({ action: "restart", afterSeconds: 10, fenced: false })).rejects.toMatchObject({ problem: { code: "rule-broken" } });
    expect(await settle({ action: "restart", afterSeconds: 10, fenced: true })).toMatchObject({ onMemberLoss: { action: "restart" }, sharedStorage: false });

    expect(lxd.members[2]!.containers()).toHaveLength(1);
    await lxd.members[2]!.powerOff();
    const unknown = await waitFor(of, (one) => one.observedState === "unknown", { timeoutMs: 60_000, intervalMs: 200 });
    const down = await waitFor(of, (one) => one.observedState === "down", { timeoutMs: 60_000, intervalMs: 200 });
    // To the millisecond, whenever the tick came.
    expect(Date.parse(down.observedAt!) - Date.parse(unknown.observedAt!)).toBe(10_000);
    const [lost] = (await waitFor(losses, (all) => all.length === 1, { timeoutMs: 20_000 })) as [MemberLoss];
    // Its disk is on n3 alone: the policy to start it elsewhere does nothing, and says so.
    const bound = expect.objectContaining({ action: "restart", at: null, why: expect.stringContaining("share no storage"), plan: null }) as unknown;
    expect(lost).toMatchObject({ member: "n3", state: "lost", hosts: [{ id: ill.id, remedy: "redeploy", policy: bound }], plans: [] });
    expect((await plane.operations.get<{ items: unknown[] }>("/api/v1/operation-plans")).items).toEqual([]);

    // Killed in the middle, it is filed once all the same.
    await plane.kill("SIGTERM");
    await plane.start({ ZHENGYUN_FAULT: "loss.policy" });
    await settle({ action: "propose", afterSeconds: 10, fenced: false });
    expect(await plane.exited).toBe("SIGKILL");
    await plane.start();
    const second = createClient({ url: plane.operations.url, token: secondToken });
    const [filed] = (await waitFor(losses, (all) => all[0]?.state === "asked", { timeoutMs: 30_000 })) as [MemberLoss];
    expect(filed).toMatchObject({ state: "asked", askedBy: "system", filedAt: expect.any(String) as string });
    // A policy has seen no machine: the first person says that it is off, and another one agrees.
    const first = await act(plane.operations, filed, "confirm", { member: "n3", poweredOff: true });
    expect(first.state).toBe("asked");
    await expect(act(plane.operations, first, "confirm", { member: "n3", poweredOff: true })).rejects.toMatchObject({ problem: { code: "self-approval" } });
    await act(second, first, "confirm", { member: "n3", poweredOff: true });
    const removed = await waitFor(
      () => plane.operations.get<MemberLoss>(`${path}/${lost.id}`),
      (one) => one.requests.length > 0,
      { timeoutMs: 90_000 },
    );
    expect(removed).toMatchObject({ state: "removed", error: null });
    expect((await plane.driver.members()).map((one) => one.name).toSorted()).toEqual(["n1", "n2"]);

    const anew = removed.requests[0]!.id;
    await plane.approve(anew);
    expect(await plane.settled(anew)).toMatchObject({ state: "active", origin: "member-lost" } satisfies Partial<Request>);
    const again = await waitFor(of, (one) => one.observedState === "running", { timeoutMs: 30_000 });
    expect(again.id).toBe(ill.id);
    const now = (await plane.driver.observe()).hosts;
    expect(now).toHaveLength(3);
    expect(["n1", "n2"]).toContain(now.find((one) => one.name === ill.id)!.member);

    // The old machine comes back: it is no member, knows no instances that it could start, and the cluster has each host once.
    const returning = lxd.members[2]!.start().catch(() => undefined);
    await new Promise((done) => setTimeout(done, 10_000));
    expect((await plane.driver.observe()).hosts.map((one) => one.name).toSorted()).toEqual(now.map((one) => one.name).toSorted());
    expect((await plane.driver.members()).map((one) => one.name).toSorted()).toEqual(["n1", "n2"]);
    expect(lxd.members[2]!.containers()).toEqual([]);
    await lxd.members[2]!.kill();
    await returning;
  });
});
