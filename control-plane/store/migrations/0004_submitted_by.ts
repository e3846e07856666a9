/** Who submitted a request, beside who wrote it; and applications found by their code alone. */
import { type Kysely, sql } from "kysely";

const statements = [
  `alter table requests add column submitted_by text`,
  `update requests set submitted_by = requested_by where state <> 'draft'`,
  `create index applications_code on applications(code)`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
