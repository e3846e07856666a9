import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sql } from "kysely";
import { specDigest } from "../../../infra/approval.ts";
import type { Outcome } from "../../../infra/operations.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { beginApply } from "../../../control-plane/store/applying.ts";
import { plannedSpec } from "../../../control-plane/store/estates.ts";
import { failApply, settleApply } from "../../../control-plane/store/settling.ts";
import { recordTransitions, transitionsOf } from "../../../control-plane/store/readings.ts";
import { registerRows } from "../../../control-plane/store/register.ts";
import { expireReservations, type RequestRow, withdraw } from "../../../control-plane/store/requests.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, plain, smallCity, volume } from "../../setup/small-city.ts";

describe.each(engines)("estates, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let office: string;
  beforeAll(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
    await books.import(smallCity({ hosts: 60 }));
    office = (await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow()).id;
  });
  afterAll(() => opened.close());

  const resource = (name: string) => opened.db.selectFrom("resources").selectAll().where("name", "=", name).executeTakeFirstOrThrow();
  const stateOf = async (request: RequestRow) =>
    (await opened.db.selectFrom("requests").select("state").where("id", "=", request.id).executeTakeFirstOrThrow()).state;
  const used = async (dimension = "hosts") =>
    await opened.db
      .selectFrom("quota_accounts")
      .select(["reserved", "used"])
      .where("department_id", "=", office)
      .where("dimension", "=", dimension as "hosts")
      .executeTakeFirstOrThrow();
  const see = async (name: string, state: string) => {
    const row = await resource(name);
    const others = await opened.db
      .selectFrom("resources")
      .select(["id", "observed_state"])
      .where("kind", "in", ["host", "volume"])
      .where("phase", "=", "live")
      .execute();
    const seen = others.map((one) => ({ name: one.id, state: one.id === row.id ? state : one.observed_state }));
    const pools = (await opened.db.selectFrom("pools").select("id").execute()).map((one) => one.id);
    await books.change(async (tx) => recordTransitions(tx, books.act(), await transitionsOf(tx, pools, seen)));
  };
  const live = async (name: string) => {
    await books.decide(await books.ask("office", [host(name)]));
    await books.apply(office);
    await see(name, "running");
    return resource(name);
  };
  const outcome = (result: Outcome["result"], changes: Partial<Outcome> = {}): Outcome => ({
    operation: "op",
    result,
    steps: [],
    failures: [],
    durationMs: 1,
    ...changes,
  });
  const counts = async () =>
    Promise.all(
      (["audit_entries", "events", "allocations", "quota_charges"] as const).map(
        async (table) =>
          (
            await opened.db
              .selectFrom(table)
              .select((eb) => eb.fn.countAll<number>().as("n"))
              .executeTakeFirstOrThrow()
          ).n,
      ),
    );

  it("sends back what the provider refused as not approved, with the difference; approved anew it is made", async () => {
    const request = await books.decide(await books.ask("office", [host("true-one"), host("changed")]));
    // Somebody with the database's password.
    await opened.db
      .updateTable("resources")
      .set({ wanted: sql<string>`jsonb_set(wanted, '{flavour,vcpu}', '64')` })
      .where("name", "=", "changed")
      .execute();
    const begun = await books.change((tx) => beginApply(tx, books.act(), office, plain));
    if (begun.unchanged) throw new Error("there is something to apply");
    const changed = await resource("changed");
    const approvalOf = (id: string) => begun.approved.find((one) => one.name === id);
    expect(approvalOf(changed.id)).toMatchObject({ digest: expect.any(String), remove: true });
    expect(approvalOf(changed.id)?.digest).not.toBe(specDigest("host", changed.wanted));
    expect(approvalOf((await resource("true-one")).id)?.digest).toBe(specDigest("host", (await resource("true-one")).wanted));
    const refusal = { kind: "host", name: changed.id, code: "not-approved", message: "nothing was done" };
    await books.change((tx) =>
      settleApply(tx, books.act(), office, { hash: begun.hash, fence: begun.fence, outcome: outcome("failed", { failures: [refusal] }) }),
    );
    const sent = await opened.db.selectFrom("requests").selectAll().where("id", "=", request.id).executeTakeFirstOrThrow();
    expect(sent).toMatchObject({ state: "submitted", plan_hash: null, error: { code: "not-approved" } });
    expect((sent.error as { message: string }).message).toContain("changed: flavour.vcpu 2 → 64");
    expect((await resource("changed")).phase).toBe("proposed");
    expect(((await resource("changed")).wanted as { flavour: { vcpu: number } }).flavour.vcpu).toBe(2);
    expect((await resource("true-one")).phase).toBe("live");
    expect(await opened.db.selectFrom("audit_entries").select("result").where("action", "=", "request.refused").execute()).toEqual([{ result: "denied" }]);
    await books.decide(sent);
    await books.apply(office);
    await books.observe();
    expect(await stateOf(request)).toBe("active");
  });

  it("settles once, however often it is told: a kill between changes nothing", async () => {
    await books.decide(await books.ask("office", [host("once"), volume("once-data")]));
    const begun = await books.change((tx) => beginApply(tx, books.act(), office, plain));
    if (begun.unchanged) throw new Error("there was something to apply");
    const settle = () => books.change((tx) => settleApply(tx, books.act(), office, { hash: begun.hash, fence: begun.fence, outcome: outcome("succeeded") }));
    await settle();
    const [before, account] = [await counts(), await used()];
    await settle();
    expect(await counts()).toEqual(before);
    expect(await used()).toEqual(account);
    expect(await books.change((tx) => beginApply(tx, books.act(), office, plain))).toMatchObject({ unchanged: true });
    expect(await counts()).toEqual(before);
  });

  it("ignores the outcome of an apply that another has overtaken", async () => {
    const request = await books.decide(await books.ask("office", [host("late")]));
    const begun = await books.change((tx) => beginApply(tx, books.act(), office, plain));
    if (begun.unchanged) throw new Error("there was something to apply");
    await books.change((tx) => beginApply(tx, books.act(), office, plain));
    await books.change((tx) => settleApply(tx, books.act(), office, { hash: begun.hash, fence: begun.fence, outcome: outcome("succeeded") }));
    expect((await resource("late")).phase).toBe("wanted");
    await books.apply(office);
    await see("late", "running");
    expect(await stateOf(request)).toBe("active");
  });

  it("a host is active when it is seen running; uptime intervals touch, and a stop by its owner is no downtime", async () => {
    const request = await books.decide(await books.ask("office", [host("seen")]));
    await books.apply(office);
    expect(await stateOf(request)).toBe("applying");
    const { id } = await resource("seen");
    const states = async () =>
      await opened.db.selectFrom("uptime_intervals").selectAll().where("resource_id", "=", id).orderBy("from_at").orderBy("id").execute();
    await see("seen", "running");
    expect(await stateOf(request)).toBe("active");
    await see("seen", "stopped");
    await books.decide(await books.ask("office", [{ action: "stop", kind: "host", id }]));
    await books.apply(office);
    await books.decide(await books.ask("office", [{ action: "start", kind: "host", id }]));
    await books.apply(office);
    await see("seen", "running");
    await see("seen", "missing");
    const intervals = await states();
    expect(intervals.map((one) => one.state)).toEqual(["up", "down", "stopped", "down", "up", "down"]);
    for (const [index, one] of intervals.entries()) expect(one.to_at).toEqual(intervals[index + 1]?.from_at ?? null);
    await books.decide(await books.ask("office", [{ action: "retire", kind: "host", id }]));
    await books.apply(office);
    expect((await states()).filter((one) => one.to_at === null)).toEqual([]);
  });

  it("a reading that says nothing new writes nothing", async () => {
    await live("quiet");
    const before = await counts();
    const { observed_at } = await resource("quiet");
    await see("quiet", "running");
    expect(await counts()).toEqual(before);
    expect((await resource("quiet")).observed_at).toEqual(observed_at);
  });

  it("where something failed, only what the engine says is deleted is gone", async () => {
    const [bystander, goner] = [await live("bystander"), await live("goner")];
    const before = await used();
    await books.decide(
      await books.ask(
        "office",
        [bystander, goner].map(({ id }) => ({ action: "retire", kind: "host", id })),
      ),
    );
    await books.decide(await books.ask("office", [host("broken")]));
    const begun = await books.change((tx) => beginApply(tx, books.act(), office, plain));
    if (begun.unchanged) throw new Error("there was something to apply");
    const failed = outcome("failed", {
      steps: [{ action: "delete", kind: "host", name: goner.id, changes: [] }],
      failures: [{ kind: "host", name: (await resource("broken")).id, code: "unknown-image", message: "no such image" }],
    });
    expect(await books.change((tx) => settleApply(tx, books.act(), office, { hash: begun.hash, fence: begun.fence, outcome: failed }))).toEqual({
      again: true,
    });
    expect([(await resource("goner")).phase, (await resource("bystander")).phase, (await resource("broken")).phase]).toEqual(["gone", "retiring", "failed"]);
    expect(await used()).toEqual({ reserved: 1, used: before.used - 1 });
    await books.apply(office);
    expect((await resource("bystander")).phase).toBe("gone");
    expect(await used()).toEqual({ reserved: 0, used: before.used - 2 });
  });

  it("when the engine cannot do it at all, requests fail, and the next up gives everything back", async () => {
    const before = await used();
    const request = await books.decide(await books.ask("office", [host("hopeless")]));
    const begun = await books.change((tx) => beginApply(tx, books.act(), office, plain));
    if (begun.unchanged) throw new Error("there was something to apply");
    expect(
      await books.change((tx) => settleApply(tx, books.act(), office, { hash: begun.hash, outcome: outcome("failed", { message: "no engine" }) })),
    ).toEqual({ again: true });
    expect((await resource("hopeless")).phase).toBe("wanted");
    await books.change((tx) => failApply(tx, books.act(), office, { code: "engine-failed", message: "no engine" }));
    expect(await stateOf(request)).toBe("failed");
    expect(await books.change((tx) => beginApply(tx, books.act(), office, plain))).toMatchObject({ unchanged: false });
    await books.apply(office);
    expect(await used()).toEqual(before);
  });

  it("keeps userData sealed in the tables and open only in the spec", async () => {
    const secret = {
      action: "create",
      kind: "host",
      spec: { name: "sealed", flavour: "small", image: "zhengyun-base-1", userData: "the password is swordfish" },
    };
    const request = await books.ask("office", [secret], (context, text) => Buffer.from(`${context}:${text}`).toString("base64"));
    const everything = await Promise.all(
      (["resources", "request_items", "audit_entries", "events", "requests"] as const).map((table) => opened.db.selectFrom(table).selectAll().execute()),
    );
    expect(JSON.stringify(everything)).not.toContain("swordfish");
    const { spec } = await plannedSpec(opened.db, request.id, (context, text) =>
      Buffer.from(text, "base64")
        .toString()
        .slice(context.length + 1),
    );
    expect(spec.hosts.find((one) => one.hostname === "sealed")?.userData).toBe("the password is swordfish");
    await books.change((tx) => withdraw(tx, books.act(), request.id));
  });

  it("a race for the last room in the pool: nobody is refused, and what comes too late takes none (capacity-queue.test.ts says what becomes of it)", async () => {
    const room = async () =>
      opened.db
        .selectFrom("pool_accounts as a")
        .innerJoin("pools as p", "p.id", "a.pool_id")
        .select(["a.capacity", "a.taken"])
        .where("p.code", "=", "compute")
        .where("a.dimension", "=", "hosts")
        .executeTakeFirstOrThrow();
    const { taken } = await room();
    await opened.db
      .updateTable("pool_accounts")
      .set({ capacity: taken + 3 })
      .where("dimension", "=", "hosts")
      .execute();
    const places = ["office", "bureau", "city"];
    const answers = await Promise.all(Array.from({ length: 12 }, (_, index) => books.ask(places[index % 3]!, [host(`race-${index}`)])));
    expect(new Set(answers.map((one) => one.state))).toEqual(new Set(["submitted"]));
    expect(answers.filter((one) => !one.waits)).toHaveLength(3);
    expect(await room()).toEqual({ capacity: taken + 3, taken: taken + 3 });
    for (const one of answers.slice(0, 6)) await books.change((tx) => withdraw(tx, books.act(), one.id));
    expect((await room()).taken, "what waits has nothing to give back").toBe(taken + answers.slice(6).filter((one) => !one.waits).length);
    await opened.db.updateTable("pool_accounts").set({ capacity: 1000 }).where("dimension", "=", "hosts").execute();
  });

  it("gives expired reservations back, and says so", async () => {
    const month = new Date(Date.now() + 31 * 86_400_000);
    const expired = await books.change((tx) => expireReservations(tx, { ...books.act(), now: month }));
    expect(expired.length).toBeGreaterThan(0);
    const states = await opened.db.selectFrom("requests").select(["state", "error"]).where("id", "in", expired).execute();
    for (const one of states) expect(one).toMatchObject({ state: "withdrawn", error: { code: "expired" } });
    expect(await opened.db.selectFrom("quota_charges").select("id").where("state", "=", "reserved").execute()).toEqual([]);
  });

  it("writes everything that was ever opened into the register, with its request", async () => {
    const rows = [];
    for await (const row of registerRows(opened.db, [office])) rows.push(row);
    const opens = await opened.db
      .selectFrom("resources")
      .select("id")
      .where("department_id", "=", office)
      .where("opened_at", "is not", null)
      .orderBy("id")
      .execute();
    expect(rows.map((row) => row.id)).toEqual(opens.map((row) => row.id));
    expect(rows.find((row) => row.name === "goner")).toMatchObject({
      departmentCode: "office",
      kind: "host",
      phase: "gone",
      specification: "2 vCPU, 4096 MiB, 40 GiB, zhengyun-base-1",
      retired: expect.any(Date),
    });
    expect(rows.every((row) => /^\d{4}-\d{6}$/.test(row.request))).toBe(true);
  });
});
