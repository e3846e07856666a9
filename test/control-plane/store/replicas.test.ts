import { spawnSync } from "node:child_process";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type OpenDatabase, openDatabase } from "../../../control-plane/store/database.ts";
import { beat, endConnections, giveUpGone, giveUpSilent, replicaName } from "../../../control-plane/store/replicas.ts";
import { engines, makeDatabase, openEmpty } from "../../setup/databases.ts";

describe.each(engines)("replicas, on %s", (engine) => {
  let opened: OpenDatabase;
  beforeEach(async () => {
    opened = await openEmpty(engine);
  });
  afterEach(() => opened.close());

  it("are led by the eldest that lives, and a silent one is given up once", async () => {
    const { db } = opened;
    expect(await beat(db, "a", true)).toEqual({ leader: true, revived: false });
    expect(await beat(db, "b", true)).toEqual({ leader: false, revived: false });
    await sql`update replicas set heartbeat_at = heartbeat_at - interval '20 s' where id = 'a'`.execute(db);
    expect((await beat(db, "b", false)).leader).toBe(true);
    expect((await Promise.all([giveUpSilent(db, 15), giveUpSilent(db, 15)])).flat().map(({ id }) => id)).toEqual(["a"]);
    await endConnections(db, "a");
    expect((await beat(db, "a", false)).revived).toBe(true);
  });

  it("are given up at once where their process is known to be gone", async () => {
    const { db } = opened;
    const gone = spawnSync("true").pid;
    for (const id of ["gone", "elsewhere", "living", "before"]) await beat(db, id, true);
    await db.updateTable("replicas").set({ pid: gone }).where("id", "in", ["gone", "elsewhere"]).execute();
    await db.updateTable("replicas").set({ host: "another-machine" }).where("id", "=", "elsewhere").execute();
    await db.updateTable("replicas").set({ pid: process.ppid }).where("id", "=", "living").execute();
    // "before" has this very PID: in a container the next one always has.
    expect((await giveUpGone(db, "me")).map(({ id }) => id).toSorted()).toEqual(["before", "gone"]);
    expect(await giveUpGone(db, "me")).toEqual([]);
  });
});

it("a replica that fell silent within a transaction holds its locks no longer than it is given up", async () => {
  const { url, drop } = await makeDatabase();
  const silent = await openDatabase({ url, directory: "unused", name: replicaName("silent") });
  const living = await openDatabase({ url, directory: "unused", name: replicaName("living") });
  try {
    const asleep = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const transaction = silent.db.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(1)`.execute(tx);
      locked.resolve();
      await asleep.promise;
      await sql`select 1`.execute(tx);
    });
    await locked.promise;
    const waits = living.db.transaction().execute(async (tx) => sql`select pg_advisory_xact_lock(1)`.execute(tx));
    await endConnections(living.db, "silent");
    await waits;
    asleep.resolve();
    await expect(transaction).rejects.toThrow(/connection/i);
    // What it does next has a new connection.
    await sql`select 1`.execute(silent.db);
  } finally {
    await silent.close();
    await living.close();
    await drop();
  }
});
