/** Both stores; every test file has databases of its own. */
import { execFileSync, spawn } from "node:child_process";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import pg from "pg";
import { type OpenDatabase, openDatabase } from "../../../../control-plane/store/database.ts";

export type Store = "pglite" | "postgres";
export const stores: Store[] = ["pglite", "postgres"];

const binaries = "/usr/lib/postgresql/15/bin";

/** Opens an empty database; `close` leaves nothing behind. */
export async function openStore(store: Store): Promise<OpenDatabase> {
  if (store === "pglite") return openDatabase({ directory: "memory" });
  const directory = mkdtempSync(join(tmpdir(), "zy-pg-"));
  const user = Number(execFileSync("id", ["-u", "postgres"], { encoding: "utf8" }));
  chownSync(directory, user, user);
  const data = join(directory, "data");
  execFileSync(`${binaries}/initdb`, ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"], {
    uid: user,
    stdio: "ignore",
    cwd: directory,
  });
  const server = spawn(`${binaries}/postgres`, ["-D", data, "-k", directory, "-c", "listen_addresses="], { uid: user, cwd: directory, stdio: "ignore" });
  const url = `postgresql://postgres@/postgres?host=${directory}`;
  for (let tries = 0; ; tries++) {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      await client.end();
      break;
    } catch (error) {
      if (tries > 100) throw error;
      await wait(100);
    }
  }
  const opened = await openDatabase({ url, directory });
  return {
    ...opened,
    close: async () => {
      await opened.close();
      const ended = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGINT");
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
