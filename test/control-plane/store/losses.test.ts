import { sql } from "kysely";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { PoolReading } from "../../../infra/drivers/driver.ts";
import type { JobContext } from "../../../control-plane/jobs/context.ts";
import { keepLosses } from "../../../control-plane/jobs/losses.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { runMoves } from "../../../control-plane/jobs/moves.ts";
import { runOperationPlan } from "../../../control-plane/jobs/operation-plan.ts";
import { lossFigures } from "../../../control-plane/store/loss-figures.ts";
import { stepsOf } from "../../../control-plane/store/operation-plans.ts";
import { changePool } from "../../../control-plane/store/pools.ts";
import { askGiveUp, confirmGiveUp, hasLosses, listLosses, lostHosts, recordLosses, withdrawGiveUp } from "../../../control-plane/store/losses.ts";
import { announceWindow } from "../../../control-plane/store/maintenance.ts";
import { recordTransitions, transitionsOf, type Seen } from "../../../control-plane/store/readings.ts";
import { countedUptime } from "../../../control-plane/store/uptime.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, plain, smallCity, volume } from "../../setup/small-city.ts";

const any = () => {};

describe.each(engines)("a member that does not answer, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  const start = new Date("2026-11-30T00:00:00Z");
  let clock = start;
  let web: string;
  let db: string;
  let data: string;
  let members: NonNullable<PoolReading["members"]>;
  const removed: string[] = [];
  const cluster = { driver: "lxd", endpoint: "unix:/nowhere" };
  const at = (seconds: number) => new Date(start.getTime() + seconds * 1000);
  const act = (actor = "system") => ({ ...systemAct(clock), actor });
  const gib = 1_073_741_824;
  const member = (name: string, state: "online" | "offline") => ({
    name,
    state,
    groups: [],
    message: "",
    vcpu: 16,
    memory: { totalBytes: 64 * gib, freeBytes: 64 * gib },
  });
  const planned: string[] = [];
  const operations: string[] = [];
  const calls: string[] = [];
  const context = () => {
    const driver = {
      observe: async () => ({
        at: 0,
        hosts: [{ id: `${db}.g1`, name: db, state: "running", member: "n2" }],
        volumes: [],
        backups: [],
        members,
        unreachable: [web],
      }),
      restartHost: async (...[id, from, to]: string[]) => void calls.push(`restart ${id} ${from}→${to}`),
      setMember: async (name: string, state: string) => void calls.push(`${state} ${name}`),
      members: async () => members,
      removeMember: async (name: string) => {
        removed.push(name);
        members = members.filter((one) => one.name !== name);
      },
    };
    return {
      db: opened.db,
      now: () => clock,
      driver: () => driver,
      log: { warn: any },
      keys: { seal: plain },
      queue: {
        plan: async (_: unknown, rows: { id: string }[]) => void planned.push(...rows.map((row) => row.id)),
        operation: async (_: unknown, id: string) => void operations.push(id),
        apply: async () => {},
      },
    } as unknown as JobContext;
  };
  /** Two control planes look at the same moment. */
  const tick = () => Promise.all([keepLosses(context()), keepLosses(context())]);
  /** As the observer writes a reading. */
  const read = async (seen: readonly Seen[] | "unreadable") => {
    const pools = (await opened.db.selectFrom("pools").select("id").execute()).map((row) => row.id);
    if (seen !== "unreadable" && (await hasLosses(opened.db, cluster, members))) await books.change((tx) => recordLosses(tx, act(), cluster, members));
    await books.change(async (tx) => recordTransitions(tx, act(), await transitionsOf(tx, pools, seen)));
  };
  const there = (n: string) => ({ name: data, state: "present", member: n });
  const whole = () => [{ name: web, state: "running", member: "n1", physicalId: `${web}.g1` }, { name: db, state: "running", member: "n2" }, there("n2")];
  const lost = () => [{ name: web, state: "running", member: "n1" }, { name: db, state: "unknown", unreachable: true }, there("n2")];
  const intervals = async (id: string, to: Date) =>
    (
      await sql<{ state: string; from_at: Date; to_at: Date }>`
        select state, from_at, to_at from ${countedUptime(start, to, sql`u.resource_id = ${id}`)} x order by from_at`.execute(opened.db)
    ).rows.map((row) => [row.state, (row.from_at.getTime() - start.getTime()) / 1000, (row.to_at.getTime() - start.getTime()) / 1000]);
  const told = async (kind: string) =>
    (await opened.db.selectFrom("notices").select("person_id").where("kind", "=", kind).orderBy("person_id").execute()).map((row) => row.person_id);

  beforeAll(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db, () => clock);
    await books.import(smallCity(cluster));
    const attached = { action: "create", kind: "attachment", spec: { host: "db", volume: "data" } };
    await books.decide(await books.ask("office", [host("web"), host("db"), volume("data", 2), attached]));
    const office = await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow();
    await books.apply(office.id);
    const rows = await opened.db.selectFrom("resources").select(["id", "name", "kind"]).execute();
    const idOf = (name: string) => rows.find((row) => row.name === name && row.kind !== "attachment")!.id;
    [web, db, data] = [idOf("web"), idOf("db"), idOf("data")];
  });
  afterAll(() => opened.close());
  beforeEach(async () => {
    clock = start;
    removed.length = 0;
    planned.length = 0;
    operations.length = 0;
    calls.length = 0;
    await sql`truncate operation_plans, operation_steps cascade`.execute(opened.db);
    await sql`update pools set loss_action = 'wait', shared_storage = null`.execute(opened.db);
    members = [member("n1", "online"), member("n2", "online"), member("n3", "online")];
    await sql`truncate maintenance_hosts, maintenance_windows, uptime_intervals, notices cascade`.execute(opened.db);
    await sql`update resources set observed_state = 'unknown', unreachable_since = null`.execute(opened.db);
    await sql`update requests set loss_id = null`.execute(opened.db);
    await sql`delete from member_losses`.execute(opened.db);
    await books.appoint();
    await read(whole());
  });
  const lose = async (seconds: number) => {
    clock = at(seconds);
    members = [member("n1", "online"), member("n2", "offline"), member("n3", "online")];
    await read(lost());
  };

  it("makes its hosts unknown, and down after five minutes, to the second, whenever it is looked at; then what they are", async () => {
    await lose(100);
    clock = at(399);
    await tick();
    expect(await intervals(db, at(399))).toEqual([
      ["up", 0, 100],
      ["unknown", 100, 399],
    ]);
    clock = at(470);
    await tick();
    await read(lost());
    clock = at(480);
    await read("unreadable");
    clock = at(490);
    await read(lost());
    expect(await told("hosts.down")).toEqual(["tok_approver"]);
    clock = at(500);
    members = [member("n1", "online"), member("n2", "online"), member("n3", "online")];
    await read(whole());
    expect(await intervals(db, at(600))).toEqual([
      ["up", 0, 100],
      ["unknown", 100, 400],
      ["down", 400, 500],
      ["up", 500, 600],
    ]);
    expect((await listLosses(opened.db, {})).items).toMatchObject([{ member: "n2", state: "returned", since: at(100), ended_at: at(500) }]);
  });

  it("counts so also when nobody looked in between, and as maintenance in a window", async () => {
    await lose(100);
    await books.change((tx) =>
      announceWindow(tx, act("tok_operations"), {
        scope: { kind: "member", pool: "compute", member: "n2" },
        from: at(450).toISOString(),
        to: at(480).toISOString(),
        reason: "r",
        emergencyReason: "e",
      }),
    );
    clock = at(500);
    await read(whole());
    expect(await intervals(db, at(500))).toEqual([
      ["up", 0, 100],
      ["unknown", 100, 400],
      ["down", 400, 450],
      ["maintenance", 450, 480],
      ["down", 480, 500],
    ]);
    expect(await intervals(web, at(500))).toEqual([["up", 0, 500]]);
  });

  it("an endpoint that cannot be read says nothing of its members: its hosts stay unknown", async () => {
    clock = at(10);
    await read("unreadable");
    clock = at(1000);
    await tick();
    expect((await intervals(db, at(1000))).map(([state]) => state)).toEqual(["up", "unknown"]);
  });

  it("is given up by two people, and what was on it is asked for anew once; without a backup of its volume a host is not", async () => {
    await lose(100);
    const { id } = (await listLosses(opened.db, {})).items[0]!;
    const [loss0] = (await listLosses(opened.db, {})).items;
    expect(await lostHosts(opened.db, loss0!)).toMatchObject([{ name: "db", remedy: "none", volumes: [{ name: "data", backup: null }] }]);
    await books.change((tx) => askGiveUp(tx, act("tok_a"), id, "the machine burnt", any));
    await expect(books.change((tx) => confirmGiveUp(tx, act("tok_a"), id, "n2", any))).rejects.toMatchObject({ code: "self-approval" });
    await expect(books.change((tx) => confirmGiveUp(tx, act("tok_b"), id, "n1", any))).rejects.toMatchObject({ code: "invalid-body" });
    await tick();
    expect(removed).toEqual([]);
    const { pool_id } = await opened.db.selectFrom("resources").select("pool_id").where("id", "=", data).executeTakeFirstOrThrow();
    const backup = {
      id: "bak_00000000000000000000000001",
      department_id: (await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow()).id,
    };
    await opened.db
      .insertInto("backups")
      .values({
        ...backup,
        volume_id: data,
        policy_id: null,
        pool_id: pool_id!,
        state: "complete",
        size_bytes: 1,
        sha256: "0".repeat(64),
        requested_by: "system",
        created_at: start,
        completed_at: start,
        error: null,
        protection_level: 2,
        volume_gib: 2,
      })
      .execute();
    await books.change((tx) => confirmGiveUp(tx, act("tok_b"), id, "n2", any));
    await tick();
    await tick();
    expect(new Set(removed)).toEqual(new Set(["n2"]));
    const loss = (await listLosses(opened.db, {})).items[0]!;
    expect(loss).toMatchObject({ state: "removed", asked_by: "tok_a", confirmed_by: "tok_b", error: null });
    expect(loss.requests).toHaveLength(1);
    expect(planned).toEqual([loss.requests[0]!.id]);
    const items = await opened.db.selectFrom("request_items").select(["action", "kind"]).where("request_id", "=", planned[0]!).orderBy("position").execute();
    expect(items.map((one) => `${one.action} ${one.kind}`)).toEqual([
      "retire attachment",
      "retire volume",
      "redeploy host",
      "create volume",
      "create attachment",
    ]);
  });

  const settle = (action: "propose" | "restart", fenced = true) =>
    books.change(async (tx) => {
      const { id } = await tx.selectFrom("pools").select("id").where("code", "=", "compute").executeTakeFirstOrThrow();
      return changePool(tx, act("tok_operations"), id, { onMemberLoss: { action, afterSeconds: 60, fenced } }, any);
    });
  const audited = async (action: string) =>
    (await opened.db.selectFrom("audit_entries").select(["actor", "after"]).where("action", "=", action).where("at", ">=", start).orderBy("id").execute()) as {
      actor: string;
      after: Record<string, unknown>;
    }[];

  it("is filed by its pool's policy, once, and given up when two people have said one after the other that it is off", async () => {
    await settle("propose");
    await lose(100);
    const one = async () => (await listLosses(opened.db, {})).items[0]!;
    clock = at(159);
    await tick();
    expect((await one()).state).toBe("lost");
    clock = at(160);
    await tick();
    const { id, hosts } = await one();
    expect(await one()).toMatchObject({ state: "asked", asked_by: "system", filed_at: at(160) });
    expect(hosts).toMatchObject([{ policy: { action: "propose", at: at(160).toISOString(), why: null } }]);
    expect(await lossFigures(opened.db, clock)).toMatchObject({ filed: 1, asked: 0, oldestSeconds: 60 });
    expect((await audited("member-loss.file")).at(-1)).toMatchObject({ actor: "system", after: { policy: { pool: "compute", setBy: "tok_operations" } } });
    await books.change((tx) => confirmGiveUp(tx, act("tok_a"), id, "n2", any));
    expect(await one()).toMatchObject({ state: "asked", asked_by: "tok_a" });
    await tick();
    expect(removed).toEqual([]);
    await expect(books.change((tx) => confirmGiveUp(tx, act("tok_a"), id, "n2", any))).rejects.toMatchObject({ code: "self-approval" });
    await books.change((tx) => withdrawGiveUp(tx, act("tok_b"), id, any));
    await tick();
    expect((await one()).state, "withdrawn by people: not filed again").toBe("lost");
    await books.change((tx) => askGiveUp(tx, act("tok_a"), id, "r", any));
    await books.change((tx) => confirmGiveUp(tx, act("tok_b"), id, "n2", any));
    await tick();
    expect((await one()).state).toBe("removed");
  });

  const loseFirst = async () => {
    clock = at(100);
    members = [member("n1", "offline"), member("n2", "online"), member("n3", "online")];
    await read([{ name: web, state: "unknown", unreachable: true }, { name: db, state: "running", member: "n2" }, there("n2")]);
  };
  it("has its hosts started elsewhere by their pool's policy, by one plan; a kill between any steps does it once; its return sets it aside", async () => {
    await expect(settle("restart", false)).rejects.toMatchObject({ code: "rule-broken" });
    await settle("restart");
    await loseFirst();
    clock = at(200);
    await tick();
    expect(operations, "whether its storage is shared isn't known").toEqual([]);
    expect((await listLosses(opened.db, {})).items[0]!.hosts[0]!.policy.why).toContain("not been read");
    await sql`update pools set shared_storage = false`.execute(opened.db);
    await tick();
    expect(operations).toEqual([]);
    expect((await listLosses(opened.db, {})).items[0]!.hosts[0]!.policy).toMatchObject({ at: null, why: expect.stringContaining("share no storage") });
    await sql`update pools set shared_storage = true`.execute(opened.db);
    // That we don't reach it says nothing: its cluster must say so itself.
    members = [member("n1", "online"), member("n2", "online"), member("n3", "online")];
    await tick();
    expect(operations).toEqual([]);
    members = [member("n1", "offline"), member("n2", "online"), member("n3", "online")];
    await tick();
    await tick();
    expect(operations).toHaveLength(1);
    const [plan] = operations as [string];
    const row = () => opened.db.selectFrom("operation_plans").selectAll().where("id", "=", plan).executeTakeFirstOrThrow();
    expect(await row()).toMatchObject({ kind: "restart-lost", state: "confirmed", created_by: "system", confirmed_by: "tok_operations" });
    await runOperationPlan(context(), plan);
    await runOperationPlan(context(), plan);
    expect(await row()).toMatchObject({ state: "running" });
    const [step] = await stepsOf(opened.db, [plan]);
    expect(step).toMatchObject({ action: "restart-host", subject: web, from_member: "n1", to_member: "n3", state: "running", restarts: true });
    await runMoves(context(), step!.department_id!);
    await runMoves(context(), step!.department_id!);
    expect(calls).toEqual([`restart ${web}.g1 n1→n3`]);
    await runOperationPlan(context(), plan);
    expect(await row()).toMatchObject({ state: "done", error: null });
    expect((await audited("host.restart-elsewhere")).at(-1)).toMatchObject({ actor: "system", after: { member: "n3", underPolicyOf: "tok_operations", plan } });
    clock = at(3000);
    await tick();
    expect(operations, "what was done isn't done again").toEqual([plan, ...operations.slice(1).filter((one) => one === plan)]);
    expect(await lossFigures(opened.db, clock)).toMatchObject({ restarts: { done: 1, failed: 0, blocked: 0 } });

    await read([{ name: web, state: "running", member: "n3" }, { name: db, state: "running", member: "n2" }, there("n2")]);
    expect((await listLosses(opened.db, {})).items[0]).toMatchObject({ state: "lost", hosts: [], plans: [{ id: plan, state: "done" }] });
    members = [member("n1", "online"), member("n2", "online"), member("n3", "online")];
    await read([{ name: web, state: "running", member: "n3" }, { name: db, state: "running", member: "n2" }, there("n2")]);
    calls.length = 0;
    await tick();
    await tick();
    expect(new Set(calls)).toEqual(new Set(["evacuated n1"]));
    expect((await listLosses(opened.db, {})).items[0]).toMatchObject({ state: "returned", held_at: clock });
  });

  it("that answers again before it was removed keeps its hosts", async () => {
    await lose(100);
    const { id } = (await listLosses(opened.db, {})).items[0]!;
    await books.change((tx) => askGiveUp(tx, act("tok_a"), id, "r", any));
    await books.change((tx) => confirmGiveUp(tx, act("tok_b"), id, "n2", any));
    members = [member("n1", "online"), member("n2", "online"), member("n3", "online")];
    await tick();
    expect(removed).toEqual([]);
    expect((await listLosses(opened.db, {})).items).toMatchObject([{ state: "returned", requests: [] }]);
  });
});
