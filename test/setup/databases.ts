/** Both stores for tests: an empty database each, gone afterwards. */
import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { inject } from "vitest";
import { type OpenDatabase, openDatabase } from "../../control-plane/store/database.ts";

export type Engine = "pglite" | "postgres";
export const engines: Engine[] = ["pglite", "postgres"];

/** Opens an empty, migrated database; `close` removes it. */
export async function openEmpty(engine: Engine): Promise<OpenDatabase> {
  if (engine === "pglite") return openDatabase({ directory: "memory" });
  const { url, drop } = await makeDatabase();
  const opened = await openDatabase({ url, directory: "unused" });
  const close = async () => {
    await opened.close();
    await drop();
  };
  return { ...opened, close };
}

/** An empty database on the tests' PostgreSQL. */
export async function makeDatabase(): Promise<{ url: string; drop: () => Promise<void> }> {
  const server = inject("postgresUrl");
  const name = `test_${randomBytes(8).toString("hex")}`;
  await administer(server, `create database ${name}`);
  return { url: server.replace("/postgres?", `/${name}?`), drop: () => administer(server, `drop database ${name} with (force)`) };
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
