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
  const server = inject("postgresUrl");
  const name = `test_${randomBytes(8).toString("hex")}`;
  await administer(server, `create database ${name}`);
  const opened = await openDatabase({ url: server.replace("/postgres?", `/${name}?`), directory: "unused" });
  const close = async () => {
    await opened.close();
    await administer(server, `drop database ${name} with (force)`);
  };
  return { ...opened, close };
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
