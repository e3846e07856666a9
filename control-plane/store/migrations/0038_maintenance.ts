/** Maintenance windows, the hosts that each concerns and since when, and on which member of its cluster a host was seen last. */
import { type Kysely, sql } from "kysely";

const statements = [
  // A window holds in [from_at, to_at): one that was cancelled before it began ends where it begins, one that was cancelled later ends then.
  `create table maintenance_windows (
    id text primary key, scope jsonb not null, from_at timestamptz not null, to_at timestamptz not null, check (to_at >= from_at),
    reason text not null, emergency_reason text, announced_by text not null, announced_at timestamptz not null,
    told text not null default 'announced' check (told in ('announced','soon','begun','ended')),
    cancelled_at timestamptz, cancelled_by text, cancel_reason text, revision int not null default 1, updated_at timestamptz not null)`,
  `create index maintenance_windows_open on maintenance_windows(to_at) where told <> 'ended'`,
  `create table maintenance_hosts (
    window_id text not null references maintenance_windows(id), resource_id text not null references resources(id),
    since timestamptz not null, until timestamptz, primary key (window_id, resource_id, since))`,
  `create unique index maintenance_hosts_open on maintenance_hosts(window_id, resource_id) where until is null`,
  `create index maintenance_hosts_resource on maintenance_hosts(resource_id)`,
  `alter table resources add column if not exists member text`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
