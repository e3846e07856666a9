/** Many rows in one statement with one parameter: the text stays the same however many there are, and JSON columns take values as they are. */
import { type Selectable, sql } from "kysely";
import type { Tx } from "./database.ts";
import type { Database } from "./schema.ts";

/**
 * Every row has the same columns; those that are left out get their default.
 * @param replaced columns that a row which is there already (by its id) takes from the new one
 */
export async function insertRows<Table extends keyof Database>(
  tx: Tx,
  table: Table,
  rows: readonly Partial<Selectable<Database[Table]>>[],
  replaced: readonly (keyof Database[Table] & string)[] = [],
): Promise<void> {
  const first = rows[0];
  if (!first) return;
  const columns = sql.join(Object.keys(first).map((column) => sql.ref(column)));
  const sets = sql.join(replaced.map((column) => sql`${sql.ref(column)} = excluded.${sql.ref(column)}`));
  const conflict = replaced.length === 0 ? sql`` : sql`on conflict (id) do update set ${sets}`;
  await sql`insert into ${sql.table(table)} (${columns}) select ${columns} from jsonb_populate_recordset(null::${sql.table(table)}, ${JSON.stringify(rows)}::jsonb) ${conflict}`.execute(
    tx,
  );
}
