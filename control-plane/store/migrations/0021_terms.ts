/** Terms, trials and the queue for capacity: what a request is about when the system made it, its trial, and whether its capacity is still to be taken. */
import { type Kysely, sql } from "kysely";

const statements = [
  `alter table requests add column origin text check (origin in ('term-stop','term-reclaim','trial-refusal'))`,
  `alter table requests add column about_id text references requests(id)`,
  `alter table requests add column trial_days int check (trial_days > 0)`,
  `alter table requests add column trial_until timestamptz`,
  `alter table requests add column term_told text`,
  `alter table requests add column waits boolean not null default false`,
  `create index requests_about on requests(about_id) where about_id is not null`,
  `create index resources_term on resources(expires_at) where phase = 'live' and expires_at is not null`,
  `create index resources_request on resources(request_id)`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
