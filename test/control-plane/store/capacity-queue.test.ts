import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ChangePlan } from "../../../control-plane/contract/requests.ts";
import type { JobContext } from "../../../control-plane/jobs/context.ts";
import { ticks } from "../../../control-plane/jobs/ticks.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { reconcile } from "../../../control-plane/store/reconciliation.ts";
import { expireReservations, type RequestRow, withdraw } from "../../../control-plane/store/requests.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, plain, smallCity } from "../../setup/small-city.ts";

describe.each(engines)("the queue for capacity, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let context: JobContext;
  let clock = new Date();
  const enqueued: string[] = [];
  beforeEach(async () => {
    opened = await openEmpty(engine);
    clock = new Date();
    books = openBooks(opened.db, () => clock);
    const city = smallCity();
    city.pools[0]!.capacity.hosts = 1;
    city.pools.push({ ...city.pools[0]!, code: "annex", capacity: { ...city.pools[0]!.capacity, hosts: 0 } });
    await books.import(city);
    context = {
      db: opened.db,
      queue: {
        plan: async (_tx: unknown, requests: readonly { id: string }[]) => void enqueued.push(...requests.map(({ id }) => `plan ${id}`)),
        apply: async (_tx: unknown, id: string) => void enqueued.push(`apply ${id}`),
      } as unknown as JobContext["queue"],
      log: pino({ level: "silent" }),
      now: () => clock,
      keys: { seal: plain, unseal: plain } as unknown as JobContext["keys"],
    } as JobContext;
  });
  afterEach(() => opened.close());

  const read = (id: string) => opened.db.selectFrom("requests").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  const stateOf = async ({ id }: { id: string }) => (await read(id)).state;
  const poolOf = async (request: { id: string }) =>
    (
      await opened.db
        .selectFrom("resources as r")
        .innerJoin("pools as p", "p.id", "r.pool_id")
        .select("p.code")
        .where("r.request_id", "=", request.id)
        .executeTakeFirstOrThrow()
    ).code;
  const department = async (code: string) => (await opened.db.selectFrom("departments").select("id").where("code", "=", code).executeTakeFirstOrThrow()).id;
  const taken = async (pool = "compute") =>
    (
      await opened.db
        .selectFrom("pool_accounts as a")
        .innerJoin("pools as p", "p.id", "a.pool_id")
        .select("a.taken")
        .where("p.code", "=", pool)
        .where("a.dimension", "=", "hosts")
        .executeTakeFirstOrThrow()
    ).taken;
  const room = (pool: string, hosts: number) =>
    opened.db
      .updateTable("pool_accounts")
      .set({ capacity: hosts })
      .where("dimension", "=", "hosts")
      .where("pool_id", "=", (of) => of.selectFrom("pools").select("id").where("code", "=", pool))
      .execute();
  const tick = async () => {
    enqueued.length = 0;
    await ticks["waiting"]!(context);
    return [...enqueued];
  };
  const sound = async () => expect((await reconcile(opened.db, systemAct(clock))).findings).toEqual([]);
  const later = () => (clock = new Date(clock.getTime() + 60_000));
  const decided = async (where: string, name: string, flavour = "standard"): Promise<RequestRow> => {
    later();
    return books.decide(await books.ask(where, [host(name, flavour)]));
  };

  it("plans what has no room, says so to its approvers, and gives it its place when the first one is retired", async () => {
    const first = await decided("office", "first");
    expect(first.state).toBe("approved");
    const second = await books.ask("bureau", [host("second")]);
    expect(second).toMatchObject({ state: "submitted", waits: true });
    expect(await taken(), "not taken twice").toBe(1);
    const planned = await books.plan(second);
    expect(planned.state).toBe("department-approval");
    expect((planned.plan as ChangePlan).waits).toEqual([expect.stringContaining("compute: hosts has 0 left, 1 needed")]);
    expect((planned.plan as ChangePlan).placement).toMatchObject([{ pool: "compute", reason: expect.stringContaining("waits for capacity") }]);
    await books.appoint();
    const waiting = await books.approveAs(books.authority, await books.approveAs(books.approver, planned));
    expect(waiting).toMatchObject({ state: "waiting", error: { code: "capacity" } });
    await sound();
    expect(await tick()).toEqual([]);
    await books.apply(await department("bureau"));
    expect(
      (await opened.db.selectFrom("resources").select("phase").where("request_id", "=", second.id).executeTakeFirstOrThrow()).phase,
      "not wanted yet",
    ).toBe("proposed");
    await books.apply(await department("office"));
    await books.observe();
    const [made] = await opened.db.selectFrom("resources").select("id").where("request_id", "=", first.id).execute();
    await books.decide(await books.ask("office", [{ action: "retire", kind: "host", id: made!.id, spec: {} }]));
    await books.apply(await department("office"));
    expect(await tick()).toEqual([`apply ${await department("bureau")}`]);
    expect(await read(second.id)).toMatchObject({ state: "approved", waits: false, error: null });
    expect(await taken()).toBe(1);
    await books.apply(await department("bureau"));
    await books.observe();
    expect(await stateOf(second)).toBe("active");
    await sound();
  });

  it("serves by the time of approval: nobody overtakes, neither who asked before nor who asks now", async () => {
    const first = await decided("office", "first");
    const early = await books.ask("office", [host("early")]);
    const large = await books.decide(await books.ask("city", [host("large-1"), host("large-2")]));
    later();
    const small = await decided("bureau", "small");
    later();
    const last = await books.decide(early);
    expect([large, small, last].map((one) => one.state)).toEqual(["waiting", "waiting", "waiting"]);
    await books.change((tx) => withdraw(tx, books.act("tok_applicant"), small.id));
    await room("compute", 2);
    expect(await tick(), "one place is free, the first needs two").toEqual([]);
    const fresh = await books.ask("bureau", [host("fresh")]);
    expect(fresh.waits, "the free place is the queue's").toBe(true);
    later();
    const late = await books.decide(fresh);
    expect(late.state, "nor does its approval take it").toBe("waiting");
    await books.change((tx) => withdraw(tx, books.act("tok_applicant"), late.id));
    await room("compute", 4);
    expect(await tick()).toEqual([`apply ${await department("city")}`, `apply ${await department("office")}`]);
    expect([await stateOf(large), await stateOf(last), await stateOf(first)]).toEqual(["approved", "approved", "approved"]);
    expect(await taken()).toBe(4);
    await sound();
  });

  it("never gives one place to two that are approved at the same moment", async () => {
    await decided("office", "first");
    const names = ["a", "b", "c", "d"];
    const planned = [];
    for (const name of names) planned.push(await books.plan(await books.ask("bureau", [host(name)])));
    await books.appoint();
    const half: RequestRow[] = [];
    for (const row of planned) half.push(await books.approveAs(books.approver, row));
    await room("compute", 3);
    const done = await Promise.all(half.map((row) => books.approveAs(books.authority, row)));
    expect(done.map((row) => row.state).toSorted()).toEqual(["approved", "approved", "waiting", "waiting"]);
    expect(await taken()).toBe(3);
    await room("compute", 4);
    await Promise.all([tick(), tick()]);
    expect(await taken()).toBe(4);
    await sound();
  });

  it("goes back to its approvers, with the difference, when there is room only elsewhere", async () => {
    await decided("office", "first");
    const second = await decided("bureau", "second");
    expect(second.state).toBe("waiting");
    expect(await poolOf(second)).toBe("compute");
    await room("annex", 1);
    expect(await tick()).toEqual([`plan ${second.id}`]);
    expect(await read(second.id)).toMatchObject({
      state: "submitted",
      waits: false,
      error: { code: "placed-elsewhere", message: expect.stringContaining("compute → annex") },
    });
    expect([await poolOf(second), await taken("annex")]).toEqual(["annex", 1]);
    const again = await books.plan(second);
    expect((again.plan as ChangePlan).differences.join("\n")).toContain("pool compute → annex");
    expect((again.plan as ChangePlan).waits).toEqual([]);
    expect((await books.approveAs(books.authority, await books.approveAs(books.approver, again))).state).toBe("approved");
    await books.apply(await department("bureau"));
    await books.observe();
    expect(await stateOf(second)).toBe("active");
    await sound();
  });

  it("goes back to planning when its project may no longer pay, and gives back nothing that it didn't take", async () => {
    await decided("office", "first");
    const second = await decided("bureau", "second");
    const third = await decided("city", "third");
    await opened.db
      .updateTable("projects")
      .set({ stage: "closed" })
      .where("department_id", "=", await department("bureau"))
      .execute();
    await room("compute", 2);
    expect(await tick()).toEqual([`plan ${second.id}`]);
    expect(await read(second.id)).toMatchObject({ state: "submitted", error: { code: "project-not-approved" } });
    expect(await tick(), "its place is the next one's").toEqual([`apply ${await department("city")}`]);
    expect(await stateOf(third)).toBe("approved");
    await books.change((tx) => withdraw(tx, books.act("tok_applicant"), second.id));
    expect(await taken()).toBe(2);
    await sound();
  });

  it("submits what waited before plans were made first", async () => {
    const body = await books.ask("bureau", [host("old")], plain, { draft: true });
    await opened.db.updateTable("requests").set({ state: "waiting", submitted_by: "tok_applicant" }).where("id", "=", body.id).execute();
    expect(await tick()).toEqual([`plan ${body.id}`]);
    expect(await read(body.id)).toMatchObject({ state: "submitted", waits: false });
    expect((await books.decide(body)).state).toBe("approved");
    await sound();
  });

  it("keeps its quota for as long as it waits", async () => {
    await decided("office", "first");
    const second = await decided("bureau", "second");
    clock = new Date(clock.getTime() + 40 * 86_400_000);
    expect(await books.change((tx) => expireReservations(tx, books.act()))).toEqual([]);
    expect(await stateOf(second)).toBe("waiting");
    await sound();
  });
});
