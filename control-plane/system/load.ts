/** Puts an archive's rows into a database that has the archive's own schema: in one transaction, all or nothing. */
import { sql } from "kysely";
import type { Tx } from "../store/database.ts";
import type { Archive, ArchivedTable } from "./reader.ts";
import { foreignKeysOf, migrationsOf, type Table, tablesOf } from "./tables.ts";
import { ArchiveInvalid } from "./tar.ts";

const batchCharacters = 4_000_000;
const mostRows = 2000;

/**
 * Replaces the content of every table by the archive's.
 * @throws ArchiveInvalid when it is damaged or was made with another schema
 */
export async function loadArchive(tx: Tx, archive: Archive): Promise<void> {
  const { manifest } = archive;
  const tables = await tablesOf(tx);
  requireSame("migrations", manifest.migrations, await migrationsOf(tx));
  requireSame(
    "tables",
    manifest.tables.map((one) => `${one.name}(${one.columns.join()})`),
    tables.map((one) => `${one.name}(${one.columns.map((column) => column.name).join()})`),
  );
  const keys = await foreignKeysOf(tx);
  // Tables may refer to themselves and to each other: with the constraints away no order matters; they are made anew, and checked, at the end.
  for (const key of keys) await sql`alter table ${sql.table(key.table)} drop constraint ${sql.ref(key.name)}`.execute(tx);
  for (const table of tables) await sql`alter table ${sql.table(table.name)} disable trigger user`.execute(tx);
  await sql`truncate ${sql.join(tables.map((one) => sql.table(one.name)))}`.execute(tx);
  for (const [index, table] of tables.entries()) await loadTable(tx, archive, manifest.tables[index]!, table);
  for (const { name, value, given } of manifest.sequences) await sql`select setval(${`public.${name}`}::regclass, ${value}::bigint, ${given})`.execute(tx);
  for (const table of tables) await sql`alter table ${sql.table(table.name)} enable trigger user`.execute(tx);
  for (const key of keys) await sql`alter table ${sql.table(key.table)} add constraint ${sql.ref(key.name)} ${sql.raw(key.definition)}`.execute(tx);
}

function requireSame(what: string, archived: readonly string[], here: readonly string[]): void {
  const strange = archived.find((one, index) => here[index] !== one) ?? here[archived.length];
  if (strange !== undefined) throw new ArchiveInvalid(`The archive's ${what} are not those of this database: ${strange}.`);
}

async function loadTable(tx: Tx, archive: Archive, archived: ArchivedTable, table: Table): Promise<void> {
  let batch: string[] = [];
  let size = 0;
  const flush = async () => {
    if (batch.length > 0) await insert(tx, table, batch);
    batch = [];
    size = 0;
  };
  for await (const line of archive.rows(archived)) {
    batch.push(line);
    size += line.length;
    if (size >= batchCharacters || batch.length >= mostRows) await flush();
  }
  await flush();
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from ${sql.table(table.name)}`.execute(tx);
  if (rows[0]!.count !== archived.rows) throw new ArchiveInvalid(`${archived.file}: ${rows[0]!.count} of its ${archived.rows} rows came in.`);
}

async function insert(tx: Tx, table: Table, lines: readonly string[]): Promise<void> {
  const names = sql.join(table.columns.map(({ name }) => sql.ref(name)));
  const values = sql.join(table.columns.map(({ name, type }) => (type === "jsonb" ? sql`${sql.ref(name)}::jsonb` : sql.ref(name))));
  const types = sql.join(table.columns.map(({ name, type }) => sql`${sql.ref(name)} ${sql.raw(type === "jsonb" ? "text" : type)}`));
  await sql`insert into ${sql.table(table.name)} (${names}) overriding system value
    select ${values} from json_to_recordset(${`[${lines.join(",")}]`}::json) as r(${types})`.execute(tx);
}
