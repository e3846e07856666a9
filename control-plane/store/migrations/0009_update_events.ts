/** What an engine reports is kept with the update of Pulumi's state that it belongs to. */
import { type Kysely, sql } from "kysely";

const statements = [`alter table events add column update_id text`, `create index events_update on events(update_id, id) where update_id is not null`];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
