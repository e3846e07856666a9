/** Control planes that share this database, each with its last sign of life; and which of them runs an update. */
import { type Kysely, sql } from "kysely";

const statements = [
  `create table replicas (id text primary key, host text not null, pid int not null, started_at timestamptz not null default clock_timestamp(), heartbeat_at timestamptz not null default clock_timestamp())`,
  `alter table state_updates add column owner_replica text`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
