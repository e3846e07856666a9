/** What the database consists of, asked of its own catalogue: a table that a later migration adds is carried without a line here. */
import { type Kysely, sql } from "kysely";
import type { Database } from "../store/schema.ts";

type Queries = Kysely<Database>;

export interface Column {
  name: string;
  /** As PostgreSQL writes it, such as `timestamp with time zone`. */
  type: string;
}
export interface Table {
  name: string;
  /** In their order, but for those that are computed. */
  columns: Column[];
}
/** A constraint that ties a table to others. */
export interface ForeignKey {
  table: string;
  name: string;
  definition: string;
}

const inPublic = sql`n.nspname = 'public'`;

/** Every table but the migrator's own, by name. pg-boss' lie in a schema of its own and are not carried: the start enqueues anew what is under way. */
export async function tablesOf(db: Queries): Promise<Table[]> {
  const { rows } = await sql<{ table: string; name: string; type: string }>`
    select c.relname as "table", a.attname as name, format_type(a.atttypid, a.atttypmod) as type
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
    where ${inPublic} and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      and c.relname not in ('kysely_migration', 'kysely_migration_lock')
    order by c.relname, a.attnum`.execute(db);
  return [...Map.groupBy(rows, (row) => row.table)].map(([name, columns]) => ({ name, columns: columns.map((one) => ({ name: one.name, type: one.type })) }));
}

export async function foreignKeysOf(db: Queries): Promise<ForeignKey[]> {
  const { rows } = await sql<ForeignKey>`
    select c.relname as "table", k.conname as name, pg_get_constraintdef(k.oid) as definition
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    where ${inPublic} and k.contype = 'f' and k.conparentid = 0 order by 1, 2`.execute(db);
  return rows;
}

export async function sequencesOf(db: Queries): Promise<{ name: string; value: string; given: boolean }[]> {
  const { rows } = await sql<{ name: string }>`
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where ${inPublic} and c.relkind = 'S' order by 1`.execute(db);
  const sequences = [];
  for (const { name } of rows) {
    const read = await sql<{ value: string; given: boolean }>`select last_value::text as value, is_called as given from ${sql.table(name)}`.execute(db);
    sequences.push({ name, ...read.rows[0]! });
  }
  return sequences;
}

export async function migrationsOf(db: Queries): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
  return rows.map((row) => row.name);
}
