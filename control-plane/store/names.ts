/** What whoever acts is called: an account by its person's name, a token that is no account's by its own. */
import { type RawBuilder, sql } from "kysely";
import type { Db } from "./database.ts";

/** In SQL, of the id in a column; null: nobody has that id. */
export const nameOf = (column: string): RawBuilder<string | null> =>
  sql`coalesce((select display_name from accounts where id = ${sql.ref(column)}), (select name from tokens where id = ${sql.ref(column)}))`;

/** By id. */
export async function namesOf(db: Db, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const accounts = db.selectFrom("accounts").select(["id", "display_name as name"]).where("id", "in", ids);
  const tokens = db.selectFrom("tokens").select(["id", "name"]).where("id", "in", ids);
  return new Map((await accounts.unionAll(tokens).execute()).map((row) => [row.id, row.name]));
}
