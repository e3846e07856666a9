/** Restarts that owners agree to: what waits for them, what begins at their time, what goes back, on both engines. */
import { sql } from "kysely";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RestartTime } from "../../../control-plane/contract/requests.ts";
import type { JobContext } from "../../../control-plane/jobs/context.ts";
import { keepRestarts } from "../../../control-plane/jobs/restarts.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { beginApply } from "../../../control-plane/store/applying.ts";
import { settleApply } from "../../../control-plane/store/settling.ts";
import { announceWindow } from "../../../control-plane/store/maintenance.ts";
import { recordTransitions } from "../../../control-plane/store/readings.ts";
import { reconcile } from "../../../control-plane/store/reconciliation.ts";
import { type RequestRow, withdraw } from "../../../control-plane/store/requests.ts";
import { agreeRestart } from "../../../control-plane/store/restarts.ts";
import { countedUptime } from "../../../control-plane/store/uptime.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, plain } from "../../setup/small-city.ts";

describe.each(engines)("restarts, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let clock: Date;
  let context: JobContext;
  let office: string;
  let queued: string[];
  const start = new Date();
  const at = (minutes: number) => new Date(start.getTime() + minutes * 60_000);
  const atTime = (minutes: number): RestartTime => ({ when: "at", at: at(minutes).toISOString() });
  beforeEach(async () => {
    opened = await openEmpty(engine);
    clock = start;
    queued = [];
    books = openBooks(opened.db, () => clock);
    await books.import();
    office = (await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow()).id;
    await hold("tok_applicant", "applicant");
    await hold("tok_operator", "operations");
    context = {
      db: opened.db,
      queue: { plan: async () => void queued.push("plan"), apply: async () => void queued.push("apply") } as unknown as JobContext["queue"],
      log: pino({ level: "silent" }),
      now: () => clock,
    } as JobContext;
  });
  afterEach(() => opened.close());

  const hold = async (id: string, role: "applicant" | "operations") => {
    const long = new Date(0);
    await opened.db.insertInto("tokens").values({ id, name: role, secret_hash: id, expires_at: null, created_at: long }).execute();
    const held = { subject_id: id, role, department_id: role === "applicant" ? office : null, kind: "standing" as const, valid_from: long, valid_until: null };
    await opened.db
      .insertInto("role_bindings")
      .values({ id: `rbd_${role}`, ...held, period_from: null, period_to: null, reason: "test", granted_by: "test", granted_at: long })
      .execute();
  };
  const read = (id: string) => opened.db.selectFrom("requests").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  const itemsOf = (id: string) => opened.db.selectFrom("request_items").selectAll().where("request_id", "=", id).orderBy("position").execute();
  const told = async (kind: string) =>
    (await opened.db.selectFrom("notices").selectAll().where("kind", "=", kind).orderBy("id").execute()).map((one) => one.person_id);
  const idOf = async (name: string) => (await opened.db.selectFrom("resources").select("id").where("name", "=", name).executeTakeFirstOrThrow()).id;
  const memory = async (name: string) => {
    const { wanted } = await opened.db.selectFrom("resources").select("wanted").where("name", "=", name).executeTakeFirstOrThrow();
    return (wanted as { flavour: { memoryMib: number } }).flavour.memoryMib;
  };
  const used = async (dimension: "vcpu" | "hosts") => {
    const row = await opened.db
      .selectFrom("quota_accounts")
      .select(["used", "reserved"])
      .where("department_id", "=", office)
      .where("dimension", "=", dimension)
      .where("level", "=", 0)
      .executeTakeFirstOrThrow();
    return [row.used, row.reserved];
  };
  const sound = async () => expect((await reconcile(opened.db, systemAct(clock))).findings).toEqual([]);
  const up = async () => {
    await books.apply(office);
    await books.observe();
  };
  const made = async (...names: string[]) => {
    const row = await books.decide(
      await books.ask(
        "office",
        names.map((name) => host(name)),
      ),
    );
    await up();
    expect((await read(row.id)).state).toBe("active");
  };
  const resize = async (names: string[], restart?: RestartTime, more: unknown[] = []) => {
    const items = [];
    for (const name of names) items.push({ action: "resize", kind: "host", id: await idOf(name), spec: { flavour: "large", ...(restart ? { restart } : {}) } });
    return books.ask("office", [...items, ...more]);
  };
  const needOf = async (name: string) => ({ resource: await idOf(name), host: await idOf(name), why: "the kernel says so" });
  /** Approved, and everything of it that needs no restart is there. */
  const scheduled = async (names: string[], restart?: RestartTime, more: unknown[] = []): Promise<RequestRow> => {
    const row = await resize(names, restart, more);
    await books.decide(row, await Promise.all(names.map(needOf)));
    await up();
    const after = await read(row.id);
    expect(after.state).toBe("scheduled");
    return after;
  };
  const agree = (row: RequestRow, time: RestartTime, by = "tok_applicant", items?: string[]) =>
    books.change((tx) => agreeRestart(tx, books.act(by), row.id, { time, ...(items ? { items } : {}) }));
  /** Two control planes look at the same moment. */
  const look = async (minutes: number) => {
    clock = at(minutes);
    await Promise.all([keepRestarts(context), keepRestarts(context)]);
  };

  it("wait for the moment that was named, with quota reserved and nothing else changing the host; then it begins, once, and its owner is told", async () => {
    await made("web");
    const before = await memory("web");
    const [vcpu] = await used("vcpu");
    const row = await scheduled(["web"], atTime(120));
    expect((row.plan as { restarts: unknown }).restarts).toEqual([{ ...(await needOf("web")), hostName: "web" }]);
    expect(await itemsOf(row.id)).toMatchObject([{ state: "scheduled", restart: { when: "at", by: "tok_applicant" } }]);
    expect([await memory("web"), await used("vcpu")]).toEqual([before, [vcpu, 2]]);
    await expect(books.ask("office", [{ action: "stop", kind: "host", id: await idOf("web") }])).rejects.toMatchObject({ code: "conflict" });
    await look(59);
    expect(await told("restart.soon")).toEqual([]);
    await look(61);
    await look(62);
    expect(await told("restart.soon")).toEqual(["tok_applicant"]);
    await look(119);
    expect([(await read(row.id)).state, queued]).toEqual(["scheduled", []]);
    await look(120);
    expect([(await read(row.id)).state, queued]).toEqual(["applying", ["apply"]]);
    const begun = await books.change((tx) => beginApply(tx, books.act(), office, plain));
    expect(begun).toMatchObject({ unchanged: false, restarts: [await idOf("web")] });
    // As after a kill: begun once more, planned from where it began.
    clock = at(121);
    await up();
    expect([(await read(row.id)).state, await used("vcpu")]).toEqual(["active", [vcpu! + 2, 0]]);
    expect(await memory("web")).toBeGreaterThan(before);
    expect(await told("restart.done")).toEqual(["tok_applicant"]);
    expect(await opened.db.selectFrom("planned_restarts").select(["from_at", "to_at"]).execute()).toEqual([{ from_at: at(120), to_at: at(121) }]);
    await sound();
  });

  it("are asked for where nobody named one, and again where the moment went by; by the owner alone, who may change it or withdraw until it begins", async () => {
    await made("web");
    const row = await scheduled(["web"]);
    expect(await told("restart.needed")).toEqual(["tok_applicant"]);
    await look(3000);
    expect((await read(row.id)).state).toBe("scheduled");
    await expect(agree(row, { when: "now" }, "tok_operator")).rejects.toMatchObject({ code: "forbidden" });
    await expect(agree(row, { when: "now" }, "tok_authority")).rejects.toMatchObject({ code: "forbidden" });
    await expect(agree(row, atTime(3000))).rejects.toMatchObject({ code: "invalid-body" });
    await expect(agree(row, { when: "now" }, "tok_applicant", ["itm_no"])).rejects.toMatchObject({ code: "conflict" });
    await agree(row, atTime(3100));
    await agree(row, atTime(3200));
    // Nothing ran at that moment.
    await look(3300);
    expect(await itemsOf(row.id)).toMatchObject([{ state: "scheduled", restart: null }]);
    expect(await told("restart.needed")).toHaveLength(2);
    await agree(row, { when: "now" });
    await look(3301);
    expect((await read(row.id)).state).toBe("applying");
    await expect(agree(row, atTime(4000))).rejects.toMatchObject({ code: "conflict" });
    await expect(books.change((tx) => withdraw(tx, books.act("tok_applicant"), row.id))).rejects.toMatchObject({ code: "conflict" });
    await up();
    expect((await read(row.id)).state).toBe("active");
    await sound();
  });

  it("may not be agreed to by operations with the request either", async () => {
    await made("web");
    const items = [{ action: "resize", kind: "host", id: await idOf("web"), spec: { flavour: "large", restart: { when: "now" } } }];
    await opened.db.updateTable("role_bindings").set({ subject_id: "tok_applicant" }).where("role", "=", "operations").execute();
    await expect(books.ask("office", items)).rejects.toMatchObject({ code: "forbidden" });
  });

  it("hold up nothing else of their request; withdrawn, what was made stays, and what waited is given back", async () => {
    await made("web", "db");
    const [vcpu] = await used("vcpu");
    const row = await scheduled(["web", "db"], undefined, [host("new")]);
    expect((await itemsOf(row.id)).map((item) => item.state)).toEqual(["scheduled", "scheduled", "active"]);
    const [web] = await itemsOf(row.id);
    await agree(row, { when: "now" }, "tok_applicant", [web!.id]);
    await look(1);
    await up();
    expect((await itemsOf(row.id)).map((item) => item.state)).toEqual(["active", "scheduled", "active"]);
    expect((await read(row.id)).state).toBe("scheduled");
    await books.change((tx) => withdraw(tx, books.act("tok_applicant"), row.id));
    expect([(await read(row.id)).state, (await itemsOf(row.id)).map((item) => item.state)]).toEqual(["active", ["active", "cancelled", "active"]]);
    expect(await used("vcpu")).toEqual([vcpu! + 2 + 2, 0]);
    const second = await scheduled(["db"], atTime(100));
    await books.change((tx) => withdraw(tx, books.act("tok_applicant"), second.id));
    expect((await read(second.id)).state).toBe("withdrawn");
    expect(await used("vcpu")).toEqual([vcpu! + 2 + 2, 0]);
    await sound();
  });

  it("are not begun where something has moved since: it goes back to its approvers", async () => {
    await made("web");
    const row = await scheduled(["web"], atTime(10));
    await sql`update resources set wanted = jsonb_set(wanted, '{flavour,memoryMib}', '4097') where name = 'web'`.execute(opened.db);
    await look(10);
    expect(queued).toEqual(["plan"]);
    const back = await read(row.id);
    expect(back).toMatchObject({ state: "submitted", error: { code: "plan-changed", message: expect.stringContaining("web") } });
    expect(await itemsOf(row.id)).toMatchObject([{ state: "pending", approved_digest: null }]);
    expect(await memory("web")).toBe(4097);
  });

  it("that turn out to be needed only when it is applied go back, and are approved and named before anything restarts", async () => {
    await made("web");
    const row = await resize(["web"]);
    await books.decide(row);
    const begun = await books.change((tx) => beginApply(tx, books.act(), office, plain));
    if (begun.unchanged) throw new Error("nothing to apply");
    expect(begun.restarts, "nobody agreed to any").toEqual([]);
    const failures = [{ kind: "host", name: await idOf("web"), code: "needs-restart", message: "web holds 900 MiB of memory" }];
    const outcome = { operation: "op", steps: [], durationMs: 1, result: "failed" as const, failures };
    await books.change((tx) => settleApply(tx, books.act(), office, { hash: begun.hash, fence: begun.fence, outcome }));
    expect(await read(row.id)).toMatchObject({ state: "submitted", error: { message: expect.stringContaining("web holds 900 MiB") } });
    await books.decide(row, [await needOf("web")]);
    await up();
    expect((await read(row.id)).state).toBe("scheduled");
    await agree(row, { when: "now" });
    await look(1);
    await up();
    expect((await read(row.id)).state).toBe("active");
    await sound();
  });

  it("in a maintenance window begin when one that concerns the host holds", async () => {
    await made("web");
    const row = await scheduled(["web"], { when: "window" });
    const hosts = [await idOf("web")];
    const ask = { from: at(200).toISOString(), to: at(260).toISOString(), reason: "power", emergencyReason: "test" };
    await books.change((tx) => announceWindow(tx, books.act(), { scope: { kind: "hosts", hosts }, ...ask }));
    await look(199);
    expect((await read(row.id)).state).toBe("scheduled");
    await look(200);
    expect((await read(row.id)).state).toBe("applying");
  });

  it("count as planned time and not as downtime, from when they begin until the host is back; what takes longer is down", async () => {
    await made("web");
    const web = await idOf("web");
    const row = await scheduled(["web"], atTime(10));
    await look(10);
    const begun = await books.change((tx) => beginApply(tx, books.act(), office, plain));
    if (begun.unchanged) throw new Error("nothing to apply");
    const seen = (from: string, to: string) => {
      const one = { id: web, department_id: office, kind: "host" as const, name: "web", from, to, power: "running" as const };
      return books.change((tx) => recordTransitions(tx, books.act(), [{ ...one, physicalId: null, member: null, unreachable: false }]));
    };
    clock = at(11);
    await seen("running", "crashed");
    const outcome = { operation: "op", steps: [], durationMs: 1, result: "succeeded" as const, failures: [] };
    clock = at(12);
    await books.change((tx) => settleApply(tx, books.act(), office, { hash: begun.hash, fence: begun.fence, outcome }));
    expect((await read(row.id)).state, "no reading has seen it run again").toBe("applying");
    clock = at(13);
    await seen("crashed", "running");
    expect((await read(row.id)).state).toBe("active");
    // Another time it stays away.
    clock = at(60);
    await seen("running", "crashed");
    const { rows } = await sql<{
      state: string;
      seconds: number;
    }>`select state, seconds::int as seconds from ${countedUptime(at(0), at(61))} u where resource_id = ${web} order by from_at`.execute(opened.db);
    expect(rows).toEqual([
      { state: "up", seconds: 660 },
      { state: "maintenance", seconds: 120 },
      { state: "up", seconds: 47 * 60 },
      { state: "down", seconds: 60 },
    ]);
  });
});
