/** The API over an empty database of one kind, outside vitest. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { createApp } from "../../control-plane/api/app.ts";
import { createQueue, openBoss } from "../../control-plane/jobs/queue.ts";
import { openDatabase } from "../../control-plane/store/database.ts";
import { bootstrapToken } from "../../control-plane/store/tokens.ts";
import type { Engine } from "../setup/databases.ts";
import { startPostgres } from "../setup/postgres.ts";
import { plain } from "../setup/small-city.ts";

export async function openBench(engine: Engine) {
  const directory = mkdtempSync(join(tmpdir(), "zhengyun-bench-"));
  const postgres = engine === "postgres" ? await startPostgres() : undefined;
  const opened = await openDatabase({ directory: join(directory, "data"), url: postgres?.url, maxConnections: 16 });
  const boss = await openBoss(opened, () => undefined);
  const app = createApp({
    db: opened.db,
    queue: createQueue(boss),
    now: () => new Date(),
    log: pino({ level: "silent" }),
    ready: async () => ({ ok: true, checks: {} }),
    seal: plain,
    unseal: plain,
    masterKey: { fingerprint: "", escrowTo: () => "" },
    archives: join(directory, "archives"),
    images: join(directory, "images"),
    defaultEndpoint: join(directory, "embedded"),
  });
  let token = "";
  await bootstrapToken(opened.db, new Date(), (secret) => (token = secret));
  const close = async () => {
    await boss.stop({ graceful: false });
    await opened.close();
    await postgres?.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  return { db: opened.db, app, token, close };
}
