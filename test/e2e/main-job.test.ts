import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../control-plane/cli/client.ts";
import { settled, undecided, waitFor } from "../../control-plane/cli/wait.ts";
import type { Backup, Restore } from "../../control-plane/contract/backups.ts";
import type { BackupPolicy, Host, Volume } from "../../control-plane/contract/resources.ts";
import type { Snapshot, SnapshotRevert } from "../../control-plane/contract/snapshots.ts";
import type { StackUpdate } from "../../control-plane/contract/stack-updates.ts";
import type { StackOperation } from "../../control-plane/contract/stacks.ts";
import type { DepartmentUsage } from "../../control-plane/contract/usage.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { engines } from "../setup/databases.ts";
import { type Lxd, startLxd } from "../setup/lxd.ts";
import { startPrometheus } from "../setup/prometheus.ts";
import { host, smallCity, volume } from "../setup/small-city.ts";

const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => Array.fromAsync(items);

const clouds = [
  ...engines.map((engine) => [engine, "embedded hosts", 0] as const),
  ["postgres", "an LXD server", 1],
  ["pglite", "an LXD cluster over TLS", 3],
] as const;

describe.each(clouds)("the main job, on the real engine, with %s and %s", (engine, _, members) => {
  let lxd: Lxd | undefined;
  let plane: TestPlane;
  beforeAll(async () => {
    if (members > 0) lxd = await startLxd(members);
    const endpoint = members > 1 ? await lxd!.overTls() : lxd?.endpoint;
    plane = new TestPlane(engine, undefined, endpoint);
    await plane.start();
    if (endpoint === undefined) return plane.fill();
    // The same city: its pools pass from one driver to the other by its file alone.
    await plane.fill(smallCity());
    await plane.operations.post("/api/v1/city-imports", smallCity({ driver: "lxd", endpoint }));
  });
  afterAll(async () => {
    await plane.remove();
    await lxd?.close();
  });

  const hosts = () => collect(plane.applicant.all<Host>("/api/v1/hosts"));
  const usage = async (department: string) => (await plane.operations.get<{ items: DepartmentUsage[] }>("/api/v1/usage", { department, depth: 0 })).items[0]!;

  it("goes from a request over a plan and an approval to running hosts", async () => {
    const secret = "s3cret-of-the-first-boot";
    const request = await plane.ask([
      {
        ...host("web"),
        spec: {
          ...host("web").spec,
          userData: secret,
          sshKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHh0 someone"],
          addresses: ["10.0.0.5"],
          ports: [{ port: 443 }],
        },
      },
      host("db"),
      volume("data"),
      { action: "create", kind: "attachment", spec: { host: "db", volume: "data" } },
      { action: "create", kind: "backup-policy", spec: { name: "nightly", volume: "data" } },
    ]);
    expect(request.state).toBe("submitted");
    const planned = await waitFor(
      () => plane.read(request.id),
      (one) => undecided(one.state),
    );
    expect(planned.plan?.steps.map((step) => `${step.action} ${step.kind}`).toSorted()).toEqual([
      "create attachment",
      "create backup-policy",
      "create host",
      "create host",
      "create volume",
    ]);
    expect(planned.plan?.charge).toContainEqual({ dimension: "hosts", quantity: 2 });
    await plane.approve(request.id);
    const done = await plane.settled(request.id);
    expect(done.items.map((item) => item.state)).toEqual(Array.from({ length: 5 }, () => "active"));
    expect((await hosts()).map((one) => [one.name, one.observedState, one.phase])).toEqual([
      ["web", "running", "live"],
      ["db", "running", "live"],
    ]);
    expect((await collect(plane.applicant.all<BackupPolicy>("/api/v1/backup-policies")))[0]).toMatchObject({ name: "nightly", volumeName: "data" });
    expect(JSON.stringify(done) + plane.output).not.toContain(secret);
    const found = spawnSync("grep", ["-rlaF", secret, `${plane.data}/database`, `${plane.data}/engine`], { encoding: "utf8" });
    expect(found.stdout, "the secret lies nowhere in the clear but in the host's own directory").toBe("");
  });

  it("tells the request's timeline: plan, approval, each step of the engine, the result; resumable", async () => {
    const [request] = await collect(plane.operations.all<{ id: string }>("/api/v1/requests"));
    const read = async (after?: string) => {
      const gone = new AbortController();
      const response = await fetch(`${plane.operations.url}/api/v1/requests/${request!.id}/events`, {
        headers: { authorization: `Bearer ${plane.token}`, ...(after ? { "last-event-id": after } : {}) },
        signal: gone.signal,
      });
      let text = "";
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (text.includes("event: request.active")) break;
      }
      gone.abort();
      return [...text.matchAll(/^event: (\S+)\n(?:data: .*\n)*id: (\d+)|^id: (\d+)\nevent: (\S+)/gm)].map((match) => ({
        type: match[1] ?? match[4]!,
        id: match[2] ?? match[3]!,
      }));
    };
    const events = await read();
    const types = events.map((one) => one.type);
    const decisions = [
      "approval.opened",
      "request.department-approval",
      "approval.approved",
      "approval.opened",
      "request.authority-approval",
      "approval.approved",
    ];
    expect(types.slice(0, 10)).toEqual(["request.submitted", "request.planned", ...decisions, "request.approved", "request.applying"]);
    expect(types.filter((type) => type === "step.started")).toHaveLength(5);
    expect(types.filter((type) => type === "step.done")).toHaveLength(5);
    expect(types.lastIndexOf("step.done")).toBeLessThan(types.indexOf("item.applied"));
    expect(types.at(-1)).toBe("request.active");
    expect((await read(events[5]!.id)).map((one) => one.id)).toEqual(events.slice(6).map((one) => one.id));
  });

  it("keeps what the engine reported with the update of the stack that it belongs to", async () => {
    const [update, ...others] = await collect(plane.applicant.all<StackUpdate>("/api/v1/stack-updates", { department: "office" }));
    expect(others).toEqual([]);
    expect(update).toMatchObject({ kind: "update", state: "succeeded", version: 1, changes: { create: 7 } });
    const gone = new AbortController();
    const response = await fetch(`${plane.operations.url}/api/v1/stack-updates/${update!.id}/events`, {
      headers: { authorization: `Bearer ${plane.token}` },
      signal: gone.signal,
    });
    let text = "";
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.split("event: step.done").length > 5) break;
    }
    gone.abort();
    expect(new Set([...text.matchAll(/"update":"([^"]+)"/g)].map(([, id]) => id))).toEqual(new Set([update!.id]));
  });

  it("shows the volume inside the running host, backs it up, and restores it byte for byte", async () => {
    const [data] = await collect(plane.applicant.all<Volume>("/api/v1/volumes"));
    const db = data!.attachedTo!.host;
    await plane.driver.exec(db, ["write", "/data/records"], { stdin: "precious" });
    const backup = await plane.applicant.post<Backup>("/api/v1/backups", { volume: data!.id });
    const kept = await waitFor(
      () => plane.applicant.get<Backup>(`/api/v1/backups/${backup.id}`),
      (one) => settled(one.state),
    );
    expect(kept).toMatchObject({ state: "complete", site: "Site B" });
    expect((await usage("city")).backups, "with everything below it").toMatchObject({ count: 1, bytes: kept.sizeBytes });
    await plane.driver.exec(db, ["rm", "/data/records"]);
    const restore = await plane.applicant.post<Restore>("/api/v1/restores", { backup: backup.id });
    expect(
      (
        await waitFor(
          () => plane.applicant.get<Restore>(`/api/v1/restores/${restore.id}`),
          (one) => settled(one.state),
        )
      ).state,
    ).toBe("complete");
    expect((await plane.driver.exec(db, ["cat", "/data/records"])).stdout).toBe("precious");
  });

  it(
    "takes a snapshot; two people put the volume back to it byte for byte, though the control plane is killed in its middle",
    { timeout: 120_000 },
    async () => {
      const [data] = await collect(plane.applicant.all<Volume>("/api/v1/volumes"));
      const db = data!.attachedTo!.host;
      const write = (text: string) => plane.driver.exec(db, ["write", "/data/records"], { stdin: text });
      const content = async () => (await plane.driver.exec(db, ["cat", "/data/records"])).stdout;
      const snapshot = async (id: string) =>
        waitFor(
          () => plane.applicant.get<Snapshot>(`/api/v1/snapshots/${id}`),
          (one) => !["pending", "running", "deleting"].includes(one.state),
        );
      await write("as it was");
      const { id } = await plane.applicant.post<Snapshot>("/api/v1/snapshots", { volume: data!.id, name: "before-the-change" });
      const taken = await snapshot(id);
      expect(taken).toMatchObject({ state: "complete", volumeName: "data" });
      expect(taken.sizeBytes === null).toBe(members > 0);
      expect((await plane.driver.observe()).volumes.flatMap((one) => one.snapshots!.map((held) => held.name))).toEqual([id]);
      await write("spoilt");
      const asked = await plane.applicant.post<SnapshotRevert>("/api/v1/snapshot-reverts", { snapshot: id, volumeName: "data", reason: "spoilt" });
      const confirm = (by: Client) =>
        by.post<SnapshotRevert>(`/api/v1/snapshot-reverts/${asked.id}/confirm`, { volumeName: "data" }, { ifMatch: asked.revision });
      await expect(confirm(plane.applicant)).rejects.toMatchObject({ problem: { code: "self-approval" } });
      expect(await content()).toBe("spoilt");
      await plane.kill("SIGTERM");
      await plane.start({ ZHENGYUN_FAULT: members > 0 ? "lxd.volume.restore:whole" : "backup.restore:exchanged" });
      // The kill may come before the answer does.
      await confirm(plane.approver).catch((error: unknown) => expect(String(error)).toMatch(/No control plane answers/));
      expect(await plane.exited).toBe("SIGKILL");
      await plane.start();
      const done = await waitFor(
        () => plane.applicant.get<SnapshotRevert>(`/api/v1/snapshot-reverts/${asked.id}`),
        (one) => one.state !== "pending" && one.state !== "running",
      );
      expect(done).toMatchObject({ state: "complete", error: null });
      expect(await content()).toBe("as it was");
      const { volumes } = await plane.driver.observe();
      expect(volumes.map((one) => [one.name, one.attachedTo, one.snapshots!.map((held) => held.name)])).toEqual([[data!.id, db, [id]]]);
      await plane.applicant.delete(`/api/v1/snapshots/${id}`, taken.revision);
      expect((await snapshot(id)).state).toBe("deleted");
      expect((await plane.driver.observe()).volumes.map((one) => one.snapshots)).toEqual([[]]);
    },
  );

  it("spares the neighbours of a host that cannot be made, and gives its quota back", async () => {
    const pools = await collect(plane.operations.all<{ id: string; code: string }>("/api/v1/pools"));
    expect(pools).toHaveLength(3);
    await plane.operations.post("/api/v1/city-imports", { name: "more", images: [{ code: "not-there", name: "An image that no pool has" }] });
    const request = await plane.ask([host("good"), { ...host("bad"), spec: { ...host("bad").spec, image: "not-there" } }], "bureau");
    await plane.approve(request.id);
    const done = await plane.settled(request.id);
    expect(done.state).toBe("active");
    expect(done.items.map((item) => item.state)).toEqual(["active", "failed"]);
    expect(done.items[1]?.error).toMatchObject({ code: "unknown-image" });
    const left = await waitFor(
      () => usage("bureau"),
      (row) => row.quota.find((one) => one.dimension === "hosts")?.reserved === 0,
    );
    expect(left.quota.find((one) => one.dimension === "hosts")).toMatchObject({ reserved: 0, used: 3 });
  });

  it("previews a department's stack with the real engine: nothing to do", async () => {
    const made = await plane.operations.post<StackOperation>("/api/v1/stack-operations", { department: "office", kind: "preview" });
    const done = await waitFor(
      () => plane.operations.get<StackOperation>(`/api/v1/stack-operations/${made.id}`),
      (one) => one.state === "complete" || one.state === "failed",
    );
    expect(done.error).toBeNull();
    expect(done.steps.map((step) => step.action)).toEqual(Array.from({ length: 5 }, () => "same"));
  });

  it("sees a host crash, and counts it as down", async () => {
    const [web] = await hosts();
    const { pid } = (await plane.driver.observe()).hosts.find((one) => one.name === web!.id)!;
    process.kill(pid!, "SIGKILL");
    await waitFor(
      () => plane.applicant.get<Host>(`/api/v1/hosts/${web!.id}`),
      (one) => one.observedState === "crashed",
      { timeoutMs: 20_000 },
    );
  });

  it("refreshes a department's stack: what drifted is found and told; nothing is changed by it", async () => {
    const before = (await plane.driver.observe()).hosts.map((one) => `${one.name} ${one.state}`).toSorted();
    const made = await plane.operations.post<StackOperation>("/api/v1/stack-operations", { department: "office", kind: "refresh" });
    const done = await waitFor(
      () => plane.operations.get<StackOperation>(`/api/v1/stack-operations/${made.id}`),
      (one) => one.state === "complete" || one.state === "failed",
    );
    expect(done.error).toBeNull();
    const drifted = done.steps.filter((step) => step.action !== "same" && step.changes.length > 0);
    expect(drifted.map((step) => step.changes.map((change) => change.path))).toEqual([["power"]]);
    expect((await plane.driver.observe()).hosts.map((one) => `${one.name} ${one.state}`).toSorted()).toEqual(before);
  });

  it("exposes metrics that promtool accepts and a real Prometheus answers as the API does", async () => {
    const text = await (await fetch(new URL("/metrics", plane.operations.url))).text();
    const checked = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });
    expect(checked.stderr + checked.stdout).toBe("");
    const prometheus = await startPrometheus(plane.operations.url);
    try {
      const [row] = await prometheus.query('zhengyun_department_quota_used{code="city",dimension="hosts"}');
      expect(row?.value).toBe((await usage("city")).tree.hosts);
      expect((await prometheus.query("sum(zhengyun_host_up)"))[0]?.value).toBe(
        (await collect(plane.operations.all<Host>("/api/v1/hosts", { phase: "live" }))).filter((one) => one.observedState === "running").length,
      );
    } finally {
      await prometheus.close();
    }
  });

  it("retires what is asked for, and its series and its charges go", async () => {
    const [web] = (await hosts()).filter((one) => one.name === "web");
    const request = await plane.ask([{ action: "retire", kind: "host", id: web!.id }]);
    await plane.approve(request.id);
    expect((await plane.settled(request.id)).state).toBe("active");
    expect((await plane.driver.list()).some((one) => one.name === web!.id)).toBe(false);
    expect(await (await fetch(new URL("/metrics", plane.operations.url))).text()).not.toContain(web!.id);
    expect((await usage("office")).own.hosts).toBe(1);
  });

  it("lists every resource in the register, with its request", async () => {
    const csv = await (await plane.operations.send("GET", "/api/v1/register.csv")).text();
    expect(csv.split("\r\n")[0]).toContain("申请编号");
    expect(csv).toMatch(/office,.*,web,.*2026-0000/);
  });
});

describe("one control plane", () => {
  const plane = new TestPlane();
  beforeAll(async () => {
    await plane.start();
    await plane.fill();
  });
  afterAll(() => plane.remove());

  it("is fair: a department with many requests doesn't keep another's one waiting", { timeout: 60_000 }, async () => {
    const flood = await Promise.all(Array.from({ length: 16 }, (_, index) => plane.ask([host(`flood-${index}`)], "city")));
    const one = await plane.ask([host("one")], "office");
    await waitFor(
      () => plane.read(one.id),
      (row) => undecided(row.state),
      { intervalMs: 20, timeoutMs: 30_000 },
    );
    const states = await Promise.all(flood.map(async (request) => (await plane.read(request.id)).state));
    expect(states.filter((state) => state === "submitted").length, "most of the flood still waits").toBeGreaterThan(8);
    for (const request of flood)
      await waitFor(
        () => plane.read(request.id),
        (row) => undecided(row.state),
        { intervalMs: 100, timeoutMs: 30_000 },
      );
  });

  it("refuses a second process on its data directory", async () => {
    const second = spawnSync(process.execPath, ["control-plane/main.ts"], {
      encoding: "utf8",
      env: { ...process.env, ZHENGYUN_DATA: plane.data, PORT: "0" },
    });
    expect(second.status).toBe(1);
    expect(second.stderr).toContain(`in use by process ${plane.pid}`);
  });
});
