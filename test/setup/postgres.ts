/** A real PostgreSQL for the whole run, as a user that is not root; tests make databases of their own in it (databases.ts). */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { Client } from "pg";
import type { TestProject } from "vitest/node";
import { makeTemplate } from "./databases.ts";
import { templateDump } from "./template.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Address of the server's `postgres` database. */
    postgresUrl: string;
  }
}

const versions = "/usr/lib/postgresql";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgres();
  await Promise.all([makeTemplate(server.url), templateDump()]);
  project.provide("postgresUrl", server.url);
  return server.stop;
}

/** Starts one with an empty data directory on a socket of its own; with `fsync` commits are durable, as in earnest, and slower. */
export async function startPostgres({ fsync = false }: { fsync?: boolean } = {}): Promise<{ url: string; stop: () => Promise<void> }> {
  const version = existsSync(versions) ? readdirSync(versions).sort((a, b) => Number(b) - Number(a))[0] : undefined;
  if (!version) throw new Error("There is no PostgreSQL: run `npm test`, which installs it, or apt-get install postgresql.");
  const binary = (name: string) => join(versions, version, "bin", name);
  const directory = mkdtempSync(join(tmpdir(), "zy-pg-"));
  const user = unprivileged();
  if (user) chownSync(directory, user.uid, user.gid);
  const data = join(directory, "data");
  execFileSync(binary("initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"], {
    ...user,
    stdio: "ignore",
    cwd: directory,
  });
  const settings = ["listen_addresses=", `fsync=${fsync ? "on" : "off"}`, "max_connections=200"].flatMap((one) => ["-c", one]);
  const server = spawn(binary("postgres"), ["-D", data, "-k", directory, ...settings], { ...user, cwd: directory, stdio: "ignore" });
  const ended = once(server, "exit");
  const url = `postgresql://postgres@/postgres?host=${directory}`;
  const stop = async () => {
    server.kill("SIGINT");
    await ended;
    rmSync(directory, { recursive: true, force: true });
  };
  for (let tries = 0; !(await answers(url)); tries++) {
    if (tries > 300 || server.exitCode !== null) {
      await stop();
      throw new Error("PostgreSQL did not start within 30 seconds.");
    }
    await wait(100);
  }
  return { url, stop };
}

const id = (what: string) => Number(execFileSync("id", [what, "postgres"], { encoding: "utf8" }));

/** PostgreSQL refuses to run as root: then it runs as Debian's user for it. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  return { uid: id("-u"), gid: id("-g") };
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
