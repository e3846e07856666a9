/** Restarts that owners agree to: which items take one and when it is to be, and the spans that count as planned time. */
import { type Kysely, sql } from "kysely";

const statements = [
  // need: {host, why}, as the change plan found it · restart: {when, at, by, agreedAt}, as somebody of the owner agreed to it
  `alter table request_items add column restart_need jsonb, add column restart jsonb, add column restart_begun_at timestamptz, add column restart_told text`,
  `create index request_items_scheduled on request_items(request_id) where state = 'scheduled'`,
  // to_at is the longest that counts; it moves down to when the host was back.
  `create table planned_restarts (
    item_id text primary key references request_items(id), resource_id text not null references resources(id),
    from_at timestamptz not null, to_at timestamptz not null, check (to_at >= from_at))`,
  `create index planned_restarts_resource on planned_restarts(resource_id)`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
