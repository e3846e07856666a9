/** Members that don't answer: since when each host on one is out of sight, and what was decided about it. */
import { type Kysely, sql } from "kysely";

const statements = [
  `alter table resources add column unreachable_since timestamptz`,
  `create table member_losses (
    id text primary key, driver text not null, endpoint text not null, member text not null, since timestamptz not null,
    state text not null check (state in ('lost','asked','confirmed','removed','returned')),
    asked_by text, asked_at timestamptz, reason text, confirmed_by text, confirmed_at timestamptz,
    ended_at timestamptz, proposed_at timestamptz, error text, revision int not null default 1, updated_at timestamptz not null,
    check (confirmed_by is null or confirmed_by <> asked_by))`,
  `create unique index member_losses_open on member_losses(driver, split_part(endpoint, '?', 1), member) where state in ('lost','asked','confirmed')`,
  `alter table requests add column loss_id text references member_losses(id)`,
  `create index requests_loss on requests(loss_id) where loss_id is not null`,
  `alter table requests drop constraint requests_origin_check`,
  `alter table requests add constraint requests_origin_check check (origin in ('term-stop','term-reclaim','trial-refusal','member-lost'))`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
