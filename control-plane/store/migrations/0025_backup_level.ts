/** A backup keeps the protection level of what it was made of, and the size of its volume then: it is never restored to less. */
import { type Kysely, sql } from "kysely";

const statements = [
  `alter table backups add column protection_level int`,
  `alter table backups add column volume_gib int`,
  `update backups b set protection_level = a.protection_level, volume_gib = (r.wanted->>'sizeGib')::int
    from resources r join applications a on a.id = r.application_id where r.id = b.volume_id`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
