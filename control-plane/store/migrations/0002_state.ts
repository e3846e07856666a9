/** The Pulumi state service's tables. */
import { type Kysely, sql } from "kysely";

const statements: string[] = [
  `create table state_stacks (
    id text primary key, organization text not null, project text not null, name text not null,
    tags jsonb not null default '{}', version bigint not null default 0, created_at timestamptz not null,
    unique (organization, project, name))`,
  `create table state_updates (
    id text primary key, stack_id text not null references state_stacks(id) on delete cascade, kind text not null, status text not null,
    token_hash text, lease_expires_at timestamptz, fence bigint not null, base_version bigint not null default 0, version bigint,
    checkpoint text, message text not null, environment jsonb not null, changes jsonb, interrupted jsonb, reason text, fault text,
    owner_host text not null, owner_pid int not null, owner_started text not null,
    created_at timestamptz not null, started_at timestamptz, finished_at timestamptz)`,
  // The lock of a stack: whoever gets a row in here holds it.
  `create unique index state_updates_lock on state_updates(stack_id) where status in ('running','settling') and kind <> 'preview'`,
  `create index state_updates_history on state_updates(stack_id, created_at)`,
  // No foreign key: it would cost a look-up per entry, and every insert joins state_updates anyway.
  `create table state_journal (update_id text not null, sequence_id bigint not null, entry text not null, primary key (update_id, sequence_id))`,
  `create table state_snapshots (
    stack_id text not null references state_stacks(id) on delete cascade, version bigint not null, schema_version int not null,
    features jsonb not null default '[]', deployment text not null, resources int not null, created_at timestamptz not null,
    primary key (stack_id, version))`,
  `create table state_data_keys (
    stack_id text not null references state_stacks(id) on delete cascade, version int not null, wrapped text not null,
    created_at timestamptz not null, primary key (stack_id, version))`,
  `create table state_master_key (id int primary key check (id = 1), fingerprint text not null)`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
