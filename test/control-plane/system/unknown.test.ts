import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Driver } from "../../../infra/drivers/driver.ts";
import { sweep } from "../../../control-plane/jobs/apply.ts";
import type { JobContext } from "../../../control-plane/jobs/context.ts";
import { compareDrivers } from "../../../control-plane/jobs/unknown.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { newId, timeOf } from "../../../control-plane/store/ids.ts";
import { acknowledgeRestore, restoreMark, settleRestored } from "../../../control-plane/store/restored.ts";
import { listUnknown } from "../../../control-plane/store/unknown.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks } from "../../setup/small-city.ts";

type Listed = Awaited<ReturnType<Driver["list"]>>[number];

it("an id tells when it was made", () => {
  const at = new Date("2026-11-23T12:34:56.789Z");
  expect(timeOf(newId("hst", at))).toBe(at.getTime());
  expect(timeOf("hst_short")).toBeUndefined();
  expect(timeOf("../../etc/passwd")).toBeUndefined();
});

describe.each(engines)("after a restore of an older copy on %s", (engine) => {
  let database: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let context: JobContext;
  let things: Listed[];
  let reachable: boolean;
  let departmentId: string;
  const restoredAt = new Date();
  const thing = (kind: Listed["kind"], name: string): Listed => ({ kind, id: `${name}.1`, name, scope: departmentId });
  const longAgo = () => newId("hst", new Date(restoredAt.getTime() - 60_000));
  const since = () => newId("hst", new Date(restoredAt.getTime() + 60_000));
  const there = () => things.map((one) => one.name);
  const restore = () => books.change((tx) => settleRestored(tx, { ...books.act(), now: restoredAt }, { createdAt: "2026-11-01T00:00:00.000Z", digest: "d" }));

  beforeEach(async () => {
    database = await openEmpty(engine);
    books = openBooks(database.db);
    await books.import();
    const request = await books.decide(await books.ask("office", [host("web")]));
    departmentId = request.department_id;
    await books.apply(departmentId);
    things = [];
    reachable = true;
    const remove = async (id: string) => void (things = things.filter((one) => one.id !== id));
    const driver = {
      list: async (scope?: string) => {
        if (!reachable) throw new Error("unreachable");
        return things.filter((one) => scope === undefined || one.scope === scope);
      },
      deleteHost: remove,
      deleteVolume: remove,
    } as unknown as Driver;
    context = { db: database.db, log: pino({ level: "silent" }), now: () => new Date(), driver: () => driver } as unknown as JobContext;
  });
  afterEach(() => database.close());

  it("a sweep takes what was asked for since, and nothing from before; without a restore it takes both", async () => {
    const [old, fresh, nameless] = [longAgo(), since(), "made-by-hand"];
    things = [thing("host", old), thing("volume", fresh), thing("host", nameless)];
    await restore();
    expect(await sweep(context, departmentId)).toEqual([`${fresh}.1`]);
    expect(there()).toEqual([old, nameless]);
    await database.db.deleteFrom("settings").where("key", "=", "restored").execute();
    await sweep(context, departmentId);
    expect(there()).toEqual([]);
  });

  it("spares what the copy knows as only proposed: it may have been approved since", async () => {
    const asked = await books.ask("office", [host("proposed")]);
    const { id } = await database.db.selectFrom("resources").select("id").where("request_id", "=", asked.id).executeTakeFirstOrThrow();
    things = [thing("host", id)];
    const later = new Date(Date.now() + 1000);
    await books.change((tx) => settleRestored(tx, { ...books.act(), now: later }, { createdAt: later.toISOString(), digest: "d" }));
    expect(await sweep(context, departmentId)).toEqual([]);
    await compareDrivers(context);
    expect(await listUnknown(database.db)).toMatchObject([{ name: id, phase: "proposed", kept: false, department_code: "office" }]);
  });

  it("lists what isn't known, and keeps it after the acknowledgement; what comes later is swept again", async () => {
    const known = (await database.db.selectFrom("resources").select("id").executeTakeFirstOrThrow()).id;
    const [old, backup] = [longAgo(), newId("bak")];
    things = [thing("host", known), thing("host", old), thing("backup", backup)];
    await restore();
    reachable = false;
    await compareDrivers(context);
    // Not before every driver answered: what it has would lose its protection unseen.
    await expect(books.change((tx) => acknowledgeRestore(tx, books.act("tok_a")))).rejects.toThrow("Not every driver");
    reachable = true;
    await compareDrivers(context);
    expect((await listUnknown(database.db)).map((one) => [one.kind, one.name, one.scope])).toEqual([
      ["backup", backup, departmentId],
      ["host", old, departmentId],
    ]);
    await books.change((tx) => acknowledgeRestore(tx, books.act("tok_a")));
    expect((await restoreMark(database.db))?.acknowledgedAt).not.toBeNull();
    const other = longAgo();
    things.push(thing("volume", other));
    await compareDrivers(context);
    expect(await sweep(context, departmentId)).toEqual([`${other}.1`]);
    expect(there()).toEqual([known, old, backup]);
    expect((await listUnknown(database.db)).filter((one) => one.kept)).toHaveLength(2);
  });

  it("fencing tokens are above those that drivers have seen, also for departments without one, and no restore of a volume is repeated", async () => {
    const tx = database.db;
    const volume = newId("vol");
    const pool = (await tx.selectFrom("pools").select("id").executeTakeFirstOrThrow()).id;
    const backup = newId("bak");
    await tx
      .insertInto("backups")
      .values({
        id: backup,
        department_id: departmentId,
        volume_id: volume,
        policy_id: null,
        pool_id: pool,
        state: "complete",
        size_bytes: 1,
        sha256: "0",
        error: null,
        requested_by: "x",
        created_at: new Date(),
      })
      .execute();
    await tx
      .insertInto("restores")
      .values({
        id: newId("rst"),
        department_id: departmentId,
        backup_id: backup,
        volume_id: volume,
        state: "running",
        bytes: null,
        error: null,
        requested_by: "x",
        created_at: new Date(),
      })
      .execute();
    await restore();
    const fences = await tx.selectFrom("estates").select(["fence", "applied_hash"]).execute();
    expect(fences).toHaveLength(3);
    for (const one of fences) expect(one).toEqual({ fence: Math.floor(restoredAt.getTime() / 1000), applied_hash: null });
    expect(await tx.selectFrom("restores").select(["state", "error"]).execute()).toEqual([
      { state: "failed", error: expect.stringContaining("ask for it again") },
    ]);
    const acts = await tx.selectFrom("audit_entries").select("action").where("action", "=", "system.restore").execute();
    expect(acts).toHaveLength(1);
  });
});
