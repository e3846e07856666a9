/** What somebody changed on the cloud behind our back, and instances there that are none of ours and may be adopted. */
import { type Kysely, sql } from "kysely";

const statements = [
  `create table drift_findings (
    id text primary key, department_id text not null references departments(id), resource_id text not null references resources(id),
    kind text not null, property text not null, wanted jsonb, actual jsonb,
    state text not null check (state in ('open','proposed','putting-back','adopting','accepted','put-back','adopted','gone')),
    first_seen_at timestamptz not null, last_seen_at timestamptz not null,
    proposed_by text, decided_by text, decided_at timestamptz, reason text, request_id text references requests(id), error text,
    closed_at timestamptz, revision int not null default 1,
    check ((closed_at is null) = (state in ('open','proposed','putting-back','adopting','accepted'))))`,
  // One open finding a property, however often and by however many it is seen.
  `create unique index drift_findings_open on drift_findings(resource_id, property) where closed_at is null`,
  `create index drift_findings_department on drift_findings(department_id, id)`,
  `create index drift_findings_request on drift_findings(request_id) where request_id is not null`,
  `create table found_instances (
    id text primary key, driver text not null, endpoint text not null, project text not null, instance text not null,
    facts jsonb not null, seen_at timestamptz not null, gone_at timestamptz, resource_id text references resources(id),
    revision int not null default 1, unique (driver, endpoint, project, instance))`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
