import { sql } from "kysely";
import type { PgBoss } from "pg-boss";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitFor } from "../../../control-plane/cli/wait.ts";
import { createQueue, dropLostJobs, type JobData, noteRunner, openBoss } from "../../../control-plane/jobs/queue.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { engines, openEmpty } from "../../setup/databases.ts";

describe.each(engines)("the queue, on %s", (engine) => {
  let opened: OpenDatabase;
  let boss: PgBoss;
  const began: string[] = [];
  const running = new Map<string, () => void>();
  const complaints: unknown[] = [];
  beforeAll(async () => {
    opened = await openEmpty(engine);
    boss = await openBoss(opened, (error) => complaints.push(error));
    await boss.work<JobData>("apply", { batchSize: 1, localConcurrency: 2, pollingIntervalSeconds: 0.5, notifyPollingIntervalSeconds: 2 }, async ([job]) => {
      await noteRunner(opened.db, job!, job!.data.id.startsWith("lost") ? "lost" : "living");
      began.push(job!.data.id);
      await new Promise<void>((resolve) => running.set(job!.data.id, resolve));
    });
  });
  afterAll(async () => {
    for (const end of running.values()) end();
    await boss.stop({ graceful: true, timeout: 5000 });
    await opened.close();
  });
  const apply = (id: string) => opened.db.transaction().execute((tx) => createQueue(boss).apply(tx, id));
  const begins = (...ids: string[]) =>
    waitFor(
      async () => [...began],
      (seen) => seen.length >= ids.length,
      { timeoutMs: 15_000, intervalMs: 20 },
    ).then((seen) => expect(seen).toEqual(ids));

  it("keeps a department to one job at a time, holds up no other, and loses no wish that came meanwhile", async () => {
    await apply("a");
    await begins("a");
    await apply("a");
    await apply("a");
    await apply("b");
    await begins("a", "b");
    running.get("a")!();
    await begins("a", "b", "a");
    expect(complaints).toEqual([]);
  });

  it("gives up at once what a lost control plane ran, and only that: the next goes on with it", async () => {
    // Both places are taken: by a living one's job, and by one that nobody works on any more.
    running.get("b")!();
    await apply("lost");
    await begins("a", "b", "a", "lost");
    await apply("lost");
    await dropLostJobs(opened.db, "lost");
    const left = await sql<{ key: string }>`select singleton_key as key from pgboss.job where state = 'active'`.execute(opened.db);
    expect(left.rows).toEqual([{ key: "a" }]);
    running.get("lost")!();
    await begins("a", "b", "a", "lost", "lost");
    expect(complaints).toEqual([]);
  });

  it("takes nothing from a transaction that does not commit", async () => {
    const kept = async (key: string) => (await sql`select 1 from pgboss.job where name = 'apply' and singleton_key = ${key}`.execute(opened.db)).rows.length;
    const failing = opened.db.transaction().execute(async (tx) => {
      await createQueue(boss).apply(tx, "never");
      throw new Error("no commit");
    });
    await expect(failing).rejects.toThrow("no commit");
    expect([await kept("never"), await kept("b")]).toEqual([0, 1]);
  });
});
