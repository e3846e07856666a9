import fc from "fast-check";
import { sql } from "kysely";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { keepWindows } from "../../../control-plane/jobs/maintenance.ts";
import type { JobContext } from "../../../control-plane/jobs/context.ts";
import { Refusal } from "../../../control-plane/domain/refusal.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { announceWindow, cancelWindow, changeWindow, getWindow, hostsInMaintenance, listWindows, stateOf } from "../../../control-plane/store/maintenance.ts";
import { recordTransitions, transitionsOf } from "../../../control-plane/store/readings.ts";
import { countedUptime, turnUptime, type UptimeState } from "../../../control-plane/store/uptime.ts";
import { usage } from "../../../control-plane/store/usage.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks } from "../../setup/small-city.ts";

const any = () => {};

describe.each(engines)("maintenance windows, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  const start = new Date("2026-11-30T00:00:00Z");
  let clock = start;
  let web: string;
  let db2: string;
  let office: string;
  let application: string;
  const at = (seconds: number) => new Date(start.getTime() + seconds * 1000);
  const act = () => ({ ...systemAct(clock), actor: "tok_operations" });
  const tick = async () => {
    const context = { db: opened.db, now: () => clock } as JobContext;
    // Two control planes look at the same moment.
    await Promise.all([keepWindows(context), keepWindows(context)]);
  };
  const announce = (scope: Parameters<typeof announceWindow>[2]["scope"], from: Date | null, to: Date, emergencyReason: string | null = "a disk fails") =>
    books.change((tx) =>
      announceWindow(tx, act(), { scope, from: from?.toISOString() ?? null, to: to.toISOString(), reason: "new switches", emergencyReason }),
    );
  const cancel = (id: string) => books.change((tx) => cancelWindow(tx, act(), id, "not needed", any));
  const change = (id: string, span: { from?: Date; to?: Date }) =>
    books.change((tx) =>
      changeWindow(
        tx,
        act(),
        id,
        {
          ...(span.from ? { from: span.from.toISOString() } : {}),
          ...(span.to ? { to: span.to.toISOString() } : {}),
          reason: "it takes longer",
          emergencyReason: "it takes longer",
        },
        any,
      ),
    );
  const turn = (id: string, state: UptimeState) => books.change((tx) => turnUptime(tx, systemAct(clock), [{ id, department_id: office, state }]));
  const counted = async (id: string, to: Date, from = start) =>
    (
      await sql<{ state: string; from_at: Date; to_at: Date }>`
        select state, from_at, to_at from ${countedUptime(from, to, sql`u.resource_id = ${id}`)} x order by from_at`.execute(opened.db)
    ).rows;

  beforeAll(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db, () => clock);
    await books.import();
    await books.decide(await books.ask("office", [host("web"), host("db")]));
    office = (await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow()).id;
    await books.apply(office);
    const rows = await opened.db.selectFrom("resources").select(["id", "name", "application_id"]).where("kind", "=", "host").execute();
    web = rows.find((row) => row.name === "web")!.id;
    db2 = rows.find((row) => row.name === "db")!.id;
    application = rows[0]!.application_id;
  });
  afterAll(() => opened.close());
  beforeEach(async () => {
    clock = start;
    await sql`truncate maintenance_hosts, maintenance_windows, uptime_intervals, notices cascade`.execute(opened.db);
  });

  it("what is down in one is maintenance, to the second, whenever somebody looks; up stays up, and afterwards down is down", async () => {
    await turn(web, "up");
    await turn(db2, "up");
    await announce({ kind: "application", application }, at(100), at(200));
    clock = at(50);
    await turn(web, "down");
    clock = at(150);
    await turn(db2, "unknown");
    clock = at(160);
    await turn(db2, "stopped");
    // Nobody ticked all the while.
    clock = at(1000);
    expect(await counted(web, at(300))).toEqual([
      { state: "up", from_at: at(0), to_at: at(50) },
      { state: "down", from_at: at(50), to_at: at(100) },
      { state: "maintenance", from_at: at(100), to_at: at(200) },
      { state: "down", from_at: at(200), to_at: at(300) },
    ]);
    expect(await counted(db2, at(300))).toEqual([
      { state: "up", from_at: at(0), to_at: at(150) },
      { state: "maintenance", from_at: at(150), to_at: at(160) },
      { state: "stopped", from_at: at(160), to_at: at(300) },
    ]);
    const [shown] = await usage(opened.db, { departmentIds: [office], from: start, to: at(300) });
    expect(shown).toMatchObject({ uptimeSeconds: 200, maintenanceSeconds: 110, uptimeRatio: 200 / 350 });
  });

  it("past time is never made maintenance, by no way", async () => {
    await turn(web, "down");
    const refused = async (work: Promise<unknown>) => {
      await expect(work).rejects.toSatisfy((error) => error instanceof Refusal && (error.code === "rule-broken" || error.code === "conflict"));
    };
    clock = at(500);
    await refused(announce({ kind: "hosts", hosts: [web] }, at(499), at(600)));
    await refused(announce({ kind: "hosts", hosts: [web] }, at(600), at(700), null));
    const id = await announce({ kind: "hosts", hosts: [web] }, at(600), at(700));
    await refused(change(id, { from: at(400) }));
    clock = at(650);
    await refused(change(id, { from: at(550) }));
    await refused(change(id, { to: at(640) }));
    clock = at(700);
    await refused(change(id, { to: at(800) }));
    await refused(cancel(id));
    expect((await counted(web, at(700))).map((row) => [row.state, row.from_at])).toEqual([
      ["down", at(0)],
      ["maintenance", at(600)],
    ]);
  });

  it("a host that comes into the pool is covered from when it was seen there, one that leaves it until then", async () => {
    const { pool_id: pool } = await opened.db.selectFrom("resources").select("pool_id").where("id", "=", web).executeTakeFirstOrThrow();
    const other = await opened.db.selectFrom("pools").select("id").where("code", "=", "storage").executeTakeFirstOrThrow();
    const put = (id: string, to: string) => opened.db.updateTable("resources").set({ pool_id: to }).where("id", "=", id).execute();
    await turn(web, "down");
    await turn(db2, "down");
    await put(db2, other.id);
    await announce({ kind: "pool", pool: pool! }, at(100), at(200));
    clock = at(120);
    await put(db2, pool!);
    await tick();
    clock = at(150);
    await put(web, other.id);
    await tick();
    await put(web, pool!);
    const held = async (id: string) => (await counted(id, at(300))).filter((row) => row.state === "maintenance").map((row) => [row.from_at, row.to_at]);
    expect(await held(web)).toEqual([[at(100), at(150)]]);
    expect(await held(db2)).toEqual([[at(120), at(200)]]);
    expect([...(await hostsInMaintenance(opened.db, at(160)))]).toEqual([db2]);
  });

  it("one of a member concerns the hosts that were seen on it last, also while nobody sees them", async () => {
    const pools = (await opened.db.selectFrom("pools").select("id").execute()).map((row) => row.id);
    const see = async (...seen: { name: string; state: string; member?: string }[]) =>
      books.change(async (tx) => recordTransitions(tx, systemAct(clock), await transitionsOf(tx, pools, seen)));
    await see({ name: web, state: "running", member: "m1" }, { name: db2, state: "running", member: "m2" });
    await see({ name: web, state: "running", member: "m2" }, { name: db2, state: "running", member: "m1" });
    await see({ name: web, state: "running", member: "m2" }, { name: db2, state: "unknown" });
    const id = await announce({ kind: "member", pool: "compute", member: "m1" }, at(100), at(200));
    expect((await getWindow(opened.db, id)).hosts.map((one) => one.name)).toEqual(["db"]);
    await opened.db.updateTable("resources").set({ member: null, observed_state: "unknown" }).execute();
  });

  it("those concerned are told when it is announced, a day before, when it begins and ends: once each; what was missed is not told late", async () => {
    await books.appoint();
    const kinds = async () =>
      (await opened.db.selectFrom("notices").select(["kind", "person_id"]).orderBy("id").execute())
        .filter((row) => row.person_id === "tok_approver")
        .map((row) => row.kind);
    const day = 86_400;
    const id = await announce({ kind: "hosts", hosts: [web] }, at(10 * day), at(10 * day + 3600), null);
    expect(await kinds()).toEqual(["maintenance.announced"]);
    for (const [seconds, known] of [
      [8 * day, ["maintenance.announced"]],
      [9 * day, ["maintenance.announced", "maintenance.soon"]],
      [9 * day + 60, ["maintenance.announced", "maintenance.soon"]],
      [10 * day, ["maintenance.announced", "maintenance.soon", "maintenance.begun"]],
      [11 * day, ["maintenance.announced", "maintenance.soon", "maintenance.begun", "maintenance.ended"]],
      [12 * day, ["maintenance.announced", "maintenance.soon", "maintenance.begun", "maintenance.ended"]],
    ] as const) {
      clock = at(seconds);
      await tick();
      expect(await kinds()).toEqual(known);
    }
    clock = start;
    await sql`truncate notices cascade`.execute(opened.db);
    await announce({ kind: "hosts", hosts: [web] }, at(10 * day), at(10 * day + 3600), null);
    clock = at(12 * day);
    await tick();
    expect(await kinds()).toEqual(["maintenance.announced", "maintenance.ended"]);
    expect(stateOf(await getWindow(opened.db, id), clock)).toBe("ended");
    const list = await listWindows(opened.db, { departmentIds: [office], state: "coming" }, at(1));
    expect(list.items.map((row) => row.id)).toContain(id);
    expect((await listWindows(opened.db, { departmentIds: [] }, clock)).items).toEqual([]);
  });

  it(
    "random windows and transitions: intervals touch, never overlap, their time is all the time, and each second counts as it was in force when it passed",
    { timeout: 120_000 },
    async () => {
      const seconds = fc.integer({ min: 0, max: 12 });
      const step = fc.oneof(
        fc.record({ do: fc.constant("see" as const), state: fc.constantFrom<UptimeState>("up", "down", "unknown", "stopped"), wait: seconds }),
        fc.record({ do: fc.constant("announce" as const), in: seconds, for: seconds, wait: seconds }),
        fc.record({ do: fc.constant("change" as const), which: fc.nat(3), from: fc.option(seconds), to: seconds, wait: seconds }),
        fc.record({ do: fc.constant("cancel" as const), which: fc.nat(3), wait: seconds }),
        fc.record({ do: fc.constant("tick" as const), wait: seconds }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
          clock = start;
          await sql`truncate maintenance_hosts, maintenance_windows, uptime_intervals, notices cascade`.execute(opened.db);
          let [now, state] = [0, "down" as UptimeState];
          const windows: { id: string; from: number; to: number }[] = [];
          const passed: string[] = [];
          await turn(web, state);
          const ignoring = async (work: Promise<unknown>) => {
            try {
              return await work;
            } catch (error) {
              if (!(error instanceof Refusal)) throw error;
              return undefined;
            }
          };
          for (const one of steps) {
            if (one.do === "see") await turn(web, (state = one.state));
            if (one.do === "tick") await tick();
            if (one.do === "announce") {
              const id = await ignoring(announce({ kind: "hosts", hosts: [web] }, at(now + one.in), at(now + one.in + one.for)));
              if (typeof id === "string") windows.push({ id, from: now + one.in, to: now + one.in + one.for });
            }
            const window = "which" in one ? windows[one.which] : undefined;
            if (window && one.do === "cancel") await ignoring(cancel(window.id));
            if (window && one.do === "change")
              await ignoring(change(window.id, { ...(one.from === null ? {} : { from: at(now + one.from) }), to: at(now + one.to) }));
            if (window) {
              const row = await getWindow(opened.db, window.id);
              Object.assign(window, { from: (row.from_at.getTime() - start.getTime()) / 1000, to: (row.to_at.getTime() - start.getTime()) / 1000 });
            }
            // Each second is noted as it passes, by what is in force then.
            for (let second = now; second < now + one.wait; second++) {
              const held = windows.some(({ from, to }) => from <= second && second < to);
              passed.push(held && (state === "down" || state === "unknown") ? "maintenance" : state);
            }
            clock = at((now += one.wait));
          }
          const rows = await counted(web, clock);
          const bySecond = rows.flatMap((row) => Array<string>((row.to_at.getTime() - row.from_at.getTime()) / 1000).fill(row.state));
          expect(bySecond).toEqual(passed);
          for (const [index, row] of rows.entries()) expect(row.from_at).toEqual(index === 0 ? start : rows[index - 1]!.to_at);
          // A part of the time is as the whole says.
          const middle = Math.floor(now / 2);
          const part = (await counted(web, clock, at(middle))).flatMap((row) =>
            Array<string>((row.to_at.getTime() - row.from_at.getTime()) / 1000).fill(row.state),
          );
          expect(part).toEqual(passed.slice(middle));
        }),
        { numRuns: engine === "pglite" ? 40 : 20 },
      );
    },
  );
});
