import pino from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Driver, HostReading, PoolReading } from "../../../infra/drivers/driver.ts";
import { Observer } from "../../../control-plane/observe/observer.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { openEmpty } from "../../setup/databases.ts";
import { host, openBooks, smallCity } from "../../setup/small-city.ts";

let opened: OpenDatabase;
let clock: Date;
let reads: (endpoint: string, before?: PoolReading) => Promise<PoolReading>;
let observer: Observer;
let hostId: string;
let compute: string;

const reading = (...hosts: Partial<HostReading>[]): PoolReading => ({ at: clock.getTime(), hosts: hosts as HostReading[], volumes: [], backups: [] });
const row = () => opened.db.selectFrom("resources").select(["observed_state", "physical_id"]).where("id", "=", hostId).executeTakeFirstOrThrow();
const intervals = () =>
  opened.db.selectFrom("uptime_intervals").select(["state", "from_at", "to_at"]).where("resource_id", "=", hostId).orderBy("id").execute();
const pass = (seconds: number) => (clock = new Date(clock.getTime() + seconds * 1000));

beforeEach(async () => {
  opened = await openEmpty("pglite");
  const books = openBooks(opened.db);
  await books.import(smallCity({ endpoint: "/one" }));
  await books.decide(await books.ask("office", [host("web")]));
  const office = await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow();
  await books.apply(office.id);
  hostId = (await opened.db.selectFrom("resources").select("id").where("name", "=", "web").executeTakeFirstOrThrow()).id;
  compute = (await opened.db.selectFrom("pools").select("id").where("code", "=", "compute").executeTakeFirstOrThrow()).id;
  await opened.db.updateTable("pools").set({ endpoint: "/slow" }).where("code", "=", "storage").execute();
  clock = new Date();
  reads = async () => reading({ id: "phys.1", name: hostId, state: "running" });
  observer = new Observer({
    db: opened.db,
    log: pino({ level: "silent" }),
    now: () => clock,
    driver: (_name, endpoint) => ({ observe: (before?: PoolReading) => reads(endpoint, before) }) as unknown as Driver,
    everyMs: 3_600_000,
    timeoutMs: 500,
  });
});
afterEach(async () => {
  await observer.stop();
  await opened.close();
});

it("stores transitions, not samples: intervals touch, and a crash is down from its reading on", async () => {
  await observer.observe();
  const up = clock;
  for (const _ of [1, 2, 3]) {
    pass(5);
    await observer.observe();
  }
  expect(await row()).toEqual({ observed_state: "running", physical_id: "phys.1" });
  expect(await intervals()).toEqual([{ state: "up", from_at: up, to_at: null }]);
  pass(5);
  reads = async () => reading({ id: "phys.1", name: hostId, state: "crashed" });
  await observer.observe();
  expect((await row()).observed_state).toBe("crashed");
  expect(await intervals()).toEqual([
    { state: "up", from_at: up, to_at: clock },
    { state: "down", from_at: clock, to_at: null },
  ]);
});

it("calls missing what a readable endpoint does not report, and unknown what it cannot read", async () => {
  await observer.observe();
  reads = async () => reading();
  await observer.observe([compute]);
  expect((await row()).observed_state).toBe("missing");
  reads = () => Promise.reject(new Error("no route"));
  await observer.observe([compute]);
  expect((await row()).observed_state).toBe("unknown");
  expect((await intervals()).map((one) => one.state)).toEqual(["up", "down", "unknown"]);
});

it("holds up no endpoint for another that never answers", async () => {
  reads = (endpoint) => (endpoint === "/slow" ? new Promise(() => {}) : Promise.resolve(reading({ id: "phys.1", name: hostId, state: "running" })));
  await observer.observe();
  expect((await row()).observed_state).toBe("running");
  expect(observer.readings).toHaveLength(1);
});

it("takes a reading that began after it was asked for one", async () => {
  const begun = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  reads = async () => {
    begun.resolve();
    const old = reading();
    await release.promise;
    return old;
  };
  const early = observer.observe([compute]);
  await begun.promise;
  reads = async () => reading({ id: "phys.1", name: hostId, state: "running" });
  const late = observer.observe([compute]);
  release.resolve();
  await late;
  expect((await row()).observed_state).toBe("running");
  await early;
});

it("asks what things use at most a tenth of the time, and never for a job", async () => {
  const asked: boolean[] = [];
  reads = async (endpoint, before) => {
    if (endpoint !== "/slow") asked.push(before === undefined);
    await new Promise((done) => setTimeout(done, 200));
    return reading({ id: "phys.1", name: hostId, state: "running" });
  };
  await observer.observe();
  await observer.observe();
  await observer.observe([compute]);
  expect(asked).toEqual([true, false, false]);
});
