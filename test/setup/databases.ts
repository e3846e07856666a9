/** Both stores for tests: an empty database each, gone afterwards. */
import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { inject } from "vitest";
import { type OpenDatabase, openDatabase } from "../../control-plane/store/database.ts";
import { templateDump } from "./template.ts";

export type Engine = "pglite" | "postgres";
export const engines: Engine[] = ["pglite", "postgres"];

/** Opens an empty, migrated database; `close` removes it. */
export async function openEmpty(engine: Engine): Promise<OpenDatabase> {
  if (engine === "pglite") return openDatabase({ directory: "memory", dump: await templateDump() });
  const { url, drop } = await makeDatabase();
  const opened = await openDatabase({ url, directory: "unused" });
  const close = async () => {
    await opened.close();
    await drop();
  };
  return { ...opened, close };
}

/** An empty database on the tests' PostgreSQL. @param migrated false: without a schema */
export async function makeDatabase({ migrated = true } = {}): Promise<{ url: string; drop: () => Promise<void> }> {
  const server = inject("postgresUrl");
  const name = `test_${randomBytes(8).toString("hex")}`;
  await administer(server, `create database ${name}${migrated ? ` template ${template}` : ""}`);
  return { url: urlOf(server, name), drop: () => administer(server, `drop database ${name} with (force)`) };
}

const template = "zhengyun_template";
const urlOf = (server: string, name: string) => server.replace("/postgres?", `/${name}?`);

/** A migrated database on a server, to be copied for each test. */
export async function makeTemplate(server: string): Promise<void> {
  await administer(server, `create database ${template}`);
  const opened = await openDatabase({ url: urlOf(server, template), directory: "unused" });
  await opened.close();
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
