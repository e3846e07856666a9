import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createQueue, openBoss } from "../../../control-plane/jobs/queue.ts";
import { createMetrics, type Metrics } from "../../../control-plane/metrics.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { createWebhook, testWebhook } from "../../../control-plane/store/webhooks.ts";
import { withdraw } from "../../../control-plane/store/requests.ts";
import { supervise } from "../../../control-plane/store/supervising.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, volume } from "../../setup/small-city.ts";
import { chainerOf } from "../audit/support.ts";

describe.each(engines)("metrics, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let metrics: Metrics;
  let stop: () => Promise<void>;
  let clock = new Date();
  const seen = { hosts: new Map<string, { state: string; cpuSeconds: number; memoryBytes: number }>(), volumes: new Map<string, { usedBytes: number }>() };
  const idOf = async (name: string) => (await opened.db.selectFrom("resources").select("id").where("name", "=", name).executeTakeFirstOrThrow()).id;
  let office: string;
  beforeAll(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
    await books.import();
    office = (await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow()).id;
    const boss = await openBoss(opened, () => {});
    stop = () => boss.stop({ graceful: false });
    metrics = createMetrics(
      opened.db,
      { hosts: () => seen.hosts, volumes: () => seen.volumes, of: () => ({ disk: { totalBytes: 1000, freeBytes: 250 } }) },
      () => clock,
      () => ({ state: "open" }),
    );
    await books.decide(
      await books.ask("office", [host("web"), host("db"), volume("data"), { action: "create", kind: "backup-policy", spec: { name: "p", volume: "data" } }]),
    );
    await books.apply(office);
    await books.observe();
    for (const name of ["web", "db"]) seen.hosts.set(await idOf(name), { state: "running", cpuSeconds: 1.5, memoryBytes: 1000 });
    seen.volumes.set(await idOf("data"), { usedBytes: 4096 });
    await opened.db.transaction().execute((tx) => createQueue(boss).apply(tx, office));
    clock = new Date(Date.now() + 3_600_000);
    metrics.request("GET", "/api/v1/hosts", 200, 0.01);
    metrics.job("apply", "done", 1);
  });
  afterAll(async () => {
    await stop();
    await opened.close();
  });
  /** The value of one series; labels in any order. */
  const value = async (name: string, labels: Record<string, string> = {}) => {
    const lines = (await metrics.expose()).split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    const found = lines.filter((line) => Object.entries(labels).every(([key, one]) => line.includes(`${key}="${one}"`)));
    return found.map((line) => Number(line.slice(line.lastIndexOf(" "))));
  };

  it("say which endpoints have been given up", async () => {
    expect(await value("zhengyun_pool_circuit_state", { pool: "compute" })).toEqual([2]);
  });

  it("say from 1 December on that the next year's calendar of working days is missing", async () => {
    const before = clock;
    const missing = async (year: string) => (await value("zhengyun_working_calendar_missing", { year }))[0];
    clock = new Date("2026-11-30T15:00:00Z");
    expect([await missing("present"), await missing("next")]).toEqual([0, 0]);
    clock = new Date("2026-11-30T17:00:00Z");
    expect([await missing("present"), await missing("next")]).toEqual([0, 1]);
    clock = new Date("2027-01-02T00:00:00Z");
    expect([await missing("present"), await missing("next")]).toEqual([1, 0]);
    clock = before;
  });

  it("count what was sent, what waits and what is dead", async () => {
    const ask = { name: "W", url: "https://receiver.example/", kinds: ["request.active" as const], departmentId: null };
    const act = { ...books.act(), now: new Date(clock.getTime() - 600_000) };
    const { webhook } = await books.change((tx) => createWebhook(tx, act, ask, (_context, text) => text));
    for (let n = 0; n < 3; n++) await books.change((tx) => testWebhook(tx, act, webhook.id));
    const [dead] = await opened.db.selectFrom("deliveries").select("id").orderBy("id").execute();
    await opened.db.updateTable("deliveries").set({ state: "dead" }).where("id", "=", dead!.id).execute();
    metrics.delivery("webhook", "failed");
    expect(await value("zhengyun_deliveries_waiting", { channel: "webhook" })).toEqual([2]);
    expect(await value("zhengyun_deliveries_oldest_age_seconds", { channel: "webhook" })).toEqual([600]);
    expect(await value("zhengyun_deliveries_dead", { channel: "webhook" })).toEqual([1]);
    expect(await value("zhengyun_deliveries_waiting", { channel: "mail" })).toEqual([0]);
    expect(await value("zhengyun_delivery_attempts_total", { channel: "webhook", result: "failed" })).toEqual([1]);
  });

  it("are what promtool accepts", async () => {
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], { input: await metrics.expose(), encoding: "utf8" });
    expect(stdout + stderr).toBe("");
    expect(status).toBe(0);
  });

  it("give a department's figures, and its ancestors' quota", async () => {
    expect(await value("zhengyun_department_hosts", { code: "office", state: "running" })).toEqual([2]);
    for (const code of ["city", "bureau", "office"]) expect(await value("zhengyun_department_quota_used", { code, dimension: "hosts" })).toEqual([2]);
    expect(await value("zhengyun_department_cpu_usage_seconds", { code: "office" })).toEqual([3]);
    expect(await value("zhengyun_department_memory_usage_bytes", { code: "office" })).toEqual([2000]);
    expect(await value("zhengyun_department_storage_usage_bytes", { code: "office" })).toEqual([4096]);
    const [uptime] = await value("zhengyun_department_host_uptime_seconds_total", { code: "office" });
    expect(uptime! / 7200).toBeCloseTo(1, 1);
    const [age] = await value("zhengyun_department_backup_age_seconds", { code: "office" });
    expect(age! / 3600).toBeCloseTo(1, 1);
    expect(await value("zhengyun_pool_disk_size_bytes", { pool: "compute" })).toEqual([1000]);
    expect(await value("zhengyun_pool_disk_free_bytes", { pool: "compute" })).toEqual([250]);
    expect(await value("zhengyun_pool_taken", { pool: "compute", dimension: "hosts" })).toEqual([2]);
    expect(await value("zhengyun_jobs_queued", { queue: "apply" })).toEqual([1]);
  });

  it("count requests by state, those that there are none of too", async () => {
    expect(await value("zhengyun_requests", { state: "active" })).toEqual([1]);
    expect(await value("zhengyun_requests", { state: "expiring" })).toEqual([0]);
    const waiting = (await books.ask("bureau", [host("later")])).id;
    const decided_at = new Date(clock.getTime() - 900_000);
    await opened.db.updateTable("requests").set({ state: "waiting", decided_at }).where("id", "=", waiting).execute();
    expect(await value("zhengyun_requests", { state: "waiting" })).toEqual([1]);
    expect(await value("zhengyun_capacity_queue_oldest_age_seconds")).toEqual([900]);
    await opened.db.updateTable("requests").set({ state: "submitted", decided_at: null }).where("id", "=", waiting).execute();
    await books.change((tx) => withdraw(tx, books.act("tok_applicant"), waiting));
  });

  it("say how much of the audit is in its chain, and how old what isn't is", async () => {
    const { written, oldest } = await opened.db
      .selectFrom("audit_entries")
      .select((of) => [of.fn.countAll<number>().as("written"), of.fn.min("at").as("oldest")])
      .executeTakeFirstOrThrow();
    expect(await value("zhengyun_audit_unlinked_entries")).toEqual([written]);
    const [age] = await value("zhengyun_audit_unlinked_oldest_age_seconds");
    expect(age).toBeCloseTo((clock.getTime() - oldest.getTime()) / 1000, 1);
    expect(await value("zhengyun_audit_entries_total")).toEqual([0]);
    await chainerOf(opened.db).close();
    for (const name of ["unlinked_entries", "unlinked_oldest_age_seconds", "unsigned_oldest_age_seconds"])
      expect(await value(`zhengyun_audit_${name}`)).toEqual([0]);
    expect(await value("zhengyun_audit_entries_total")).toEqual([written]);
    const [checkpoint] = await value("zhengyun_audit_checkpoint_age_seconds");
    expect(checkpoint! / 3600).toBeCloseTo(1, 1);
  });

  it("say that a host is down, and nothing of one that is gone", async () => {
    const web = await idOf("web");
    await opened.db.updateTable("resources").set({ observed_state: "crashed" }).where("id", "=", web).execute();
    expect(await value("zhengyun_host_up", { host: web })).toEqual([0]);
    await books.decide(await books.ask("office", [{ action: "retire", kind: "host", id: web }]));
    await books.apply(office);
    expect(await metrics.expose()).not.toContain(web);
    expect(await value("zhengyun_department_hosts", { code: "office" })).toEqual([1]);
  });

  it("say how many supervision cards wait, and when supervision looked last", async () => {
    const look = (hours: number) => books.change((tx) => supervise(tx, { ...books.act(), now: new Date(Date.now() + hours * 3_600_000) }));
    await look(0);
    const [age] = await value("zhengyun_supervision_looked_age_seconds");
    expect(age! / 3600).toBeCloseTo(1, 1);
    expect(await value("zhengyun_supervision_cards_open", { colour: "yellow" })).toEqual([0]);
    // Nobody plans it for longer than the rule allows.
    await books.ask("office", [host("late")]);
    await look(5);
    expect(await value("zhengyun_supervision_cards_open", { colour: "yellow" })).toEqual([1]);
    expect(await value("zhengyun_supervision_cards_open", { colour: "red" })).toEqual([0]);
    expect(await value("zhengyun_supervision_answers_overdue")).toEqual([0]);
    expect(await value("zhengyun_supervision_corrections_open")).toEqual([0]);
  });
});
