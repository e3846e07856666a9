/** What a control plane's job has around one engine run (database, state service, engine worker), with the idle driver. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import type { JobContext } from "../../control-plane/jobs/context.ts";
import { runEngine } from "../../control-plane/jobs/operation.ts";
import { createQueue, openBoss } from "../../control-plane/jobs/queue.ts";
import { Observer } from "../../control-plane/observe/observer.ts";
import { loadKeys, startStateService } from "../../control-plane/state/index.ts";
import { openDatabase } from "../../control-plane/store/database.ts";
import { findEngine } from "../../infra/engine/engine.ts";
import type { DepartmentSpec } from "../../infra/spec.ts";
import { startEngine } from "../../infra/worker-client.ts";
import type { Engine } from "../setup/databases.ts";
import { startPostgres } from "../setup/postgres.ts";
import { openBooks } from "../setup/small-city.ts";
import { loadDriver } from "./idle-driver.ts";

export type EnginePlane = Awaited<ReturnType<typeof openEnginePlane>>;

export async function openEnginePlane(engine: Engine) {
  const directory = mkdtempSync(join(tmpdir(), "zhengyun-bench-"));
  // Durable commits, as in earnest.
  const postgres = engine === "postgres" ? await startPostgres({ fsync: true }) : undefined;
  const opened = await openDatabase({ directory: join(directory, "data"), url: postgres?.url });
  const { db } = opened;
  const keys = loadKeys({ directory: join(directory, "data") });
  const state = await startStateService({ db, keys });
  const worker = await startEngine({
    engineRoot: (await findEngine()).root,
    directory: join(directory, "engine"),
    drivers: new URL("idle-driver.ts", import.meta.url).href,
  });
  const boss = await openBoss(opened, () => undefined);
  const books = openBooks(db);
  await books.import();
  const pool = await db.selectFrom("pools").select("id").where("code", "=", "compute").executeTakeFirstOrThrow();
  const [log, now] = [pino({ level: "silent" }), () => new Date()];
  const observer = new Observer({ db, log, now, driver: loadDriver, everyMs: 60_000 });
  const observe = (pools: readonly string[]) => observer.observe(pools);
  const context: JobContext = {
    db,
    queue: createQueue(boss),
    engine: worker,
    state,
    keys,
    log,
    now,
    archives: join(directory, "archives"),
    images: join(directory, "images"),
    driftMs: 0,
    version: "bench",
    driver: loadDriver,
    observe,
  };
  let fence = 0;

  /** An `up` as a job runs it. @returns how many steps of each action there were @throws Error when it did not succeed */
  async function up(spec: DepartmentSpec): Promise<Record<string, number>> {
    const { outcome } = await runEngine(context, "up", spec, ++fence);
    if (outcome.result !== "succeeded") throw new Error(`${outcome.result}: ${outcome.message ?? outcome.failures[0]?.message}`);
    const counts: Record<string, number> = {};
    for (const { action } of outcome.steps) counts[action] = (counts[action] ?? 0) + 1;
    return counts;
  }
  async function close(): Promise<void> {
    await worker.close();
    await state.close();
    await boss.stop({ graceful: false });
    await opened.close();
    await postgres?.stop();
    rmSync(directory, { recursive: true, force: true });
  }
  return { engine, db, context, books, pool: pool.id, up, close };
}
