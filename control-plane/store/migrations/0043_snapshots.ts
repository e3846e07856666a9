/** Snapshots of volumes, and the reverts that two people decide on. */
import { type Kysely, sql } from "kysely";

const statements = [
  `create table snapshots (
    id text primary key, department_id text not null references departments(id), volume_id text not null references resources(id),
    name text not null, note text not null,
    state text not null check (state in ('pending','running','complete','failed','deleting','deleted')),
    expires_at timestamptz, size_bytes bigint, taken_at timestamptz,
    requested_by text not null, created_at timestamptz not null, completed_at timestamptz,
    deleted_by text, deleted_at timestamptz, end_reason text check (end_reason in ('asked','expired','volume-gone')),
    error text, revision int not null default 1, updated_at timestamptz not null,
    check (state <> 'complete' or taken_at is not null),
    check (state not in ('deleting','deleted') or (end_reason is not null and deleted_at is not null)))`,
  // A name is free again once its snapshot is gone.
  `create unique index snapshots_name on snapshots(volume_id, name) where state not in ('failed','deleted')`,
  `create index snapshots_department on snapshots(department_id, id desc)`,
  `create index snapshots_volume on snapshots(volume_id, id desc)`,
  `create index snapshots_unfinished on snapshots(volume_id) where state in ('pending','running','deleting')`,
  `create index snapshots_expiring on snapshots(expires_at) where state = 'complete' and expires_at is not null`,
  `create table snapshot_reverts (
    id text primary key, department_id text not null references departments(id),
    snapshot_id text not null references snapshots(id), volume_id text not null references resources(id),
    state text not null check (state in ('asked','refused','withdrawn','lapsed','pending','running','complete','failed')),
    reason text not null, asked_by text not null, asked_at timestamptz not null,
    decided_by text, decided_at timestamptz, decision_reason text, started_at timestamptz, ended_at timestamptz,
    error text, revision int not null default 1, updated_at timestamptz not null,
    check (state not in ('pending','running','complete','failed') or (decided_by is not null and decided_by <> asked_by)))`,
  `create unique index snapshot_reverts_open on snapshot_reverts(volume_id) where state in ('asked','pending','running')`,
  `create index snapshot_reverts_department on snapshot_reverts(department_id, id desc)`,
  `create index snapshot_reverts_snapshot on snapshot_reverts(snapshot_id)`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
