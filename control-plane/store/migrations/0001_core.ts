/** Everything but the Pulumi state service's tables. PostgreSQL 15 and PGlite run the same text. */
import { type Kysely, sql } from "kysely";

const statements = [
  `create extension if not exists btree_gist`,
  `create table departments (
    id text primary key, parent_id text references departments(id), code text not null unique,
    name_zh text not null, name_en text not null, level text not null, line text,
    revision int not null default 1, created_at timestamptz not null, updated_at timestamptz not null)`,
  `create index departments_parent on departments(parent_id)`,
  `create table department_ancestors (
    department_id text not null references departments(id) on delete cascade,
    ancestor_id text not null references departments(id) on delete cascade,
    distance int not null, primary key (department_id, ancestor_id))`,
  `create index department_ancestors_up on department_ancestors(ancestor_id, department_id)`,
  `create table projects (
    id text primary key, department_id text not null references departments(id), code text not null, name text not null,
    fiscal_year int not null, budget_fen bigint not null check (budget_fen >= 0), stage text not null,
    revision int not null default 1, created_at timestamptz not null, updated_at timestamptz not null,
    unique (department_id, code))`,
  `create table applications (
    id text primary key, department_id text not null references departments(id), project_id text not null references projects(id),
    code text not null, name text not null, contact text not null, protection_level int not null check (protection_level between 1 and 4),
    filing_number text, zone text not null,
    revision int not null default 1, created_at timestamptz not null, updated_at timestamptz not null,
    unique (department_id, code))`,
  `create table pools (
    id text primary key, code text not null unique, name text not null, kind text not null, site text not null, tier text not null,
    security_level int not null, zone text not null, overcommit_percent int not null default 100, driver text not null, endpoint text not null,
    state text not null default 'open',
    revision int not null default 1, created_at timestamptz not null, updated_at timestamptz not null)`,
  `create table pool_accounts (
    pool_id text not null references pools(id), dimension text not null, capacity bigint not null check (capacity >= 0),
    taken bigint not null default 0 check (taken >= 0 and taken <= capacity), primary key (pool_id, dimension))`,
  `create table quota_accounts (
    department_id text not null references departments(id), dimension text not null, limit_value bigint check (limit_value >= 0),
    reserved bigint not null default 0 check (reserved >= 0), used bigint not null default 0 check (used >= 0),
    revision int not null default 1, primary key (department_id, dimension))`,
  `create table requests (
    id text primary key, number text not null unique, department_id text not null references departments(id),
    project_id text not null references projects(id), application_id text not null references applications(id),
    state text not null, title text not null, reason text not null, requested_by text not null,
    decided_by text, decided_at timestamptz, decision_reason text, plan jsonb, plan_hash text, error jsonb,
    revision int not null default 1, created_at timestamptz not null, updated_at timestamptz not null)`,
  `create index requests_department on requests(department_id, id)`,
  `create index requests_state on requests(state, id)`,
  `create table request_items (
    id text primary key, request_id text not null references requests(id), position int not null, action text not null, kind text not null,
    resource_id text not null, spec jsonb not null, state text not null, error jsonb, unique (request_id, position))`,
  `create index request_items_resource on request_items(resource_id)`,
  `create table resources (
    id text primary key, kind text not null, department_id text not null references departments(id), project_id text not null references projects(id),
    application_id text not null references applications(id), pool_id text references pools(id), name text not null, phase text not null,
    wanted jsonb not null, applied jsonb, observed_state text not null default 'unknown', observed_at timestamptz, physical_id text,
    request_id text not null references requests(id), opened_at timestamptz, expires_at timestamptz, retired_at timestamptz,
    revision int not null default 1, created_at timestamptz not null, updated_at timestamptz not null)`,
  `create unique index resources_name on resources(application_id, kind, name) where phase in ('proposed','wanted','live','retiring')`,
  `create index resources_department on resources(department_id, kind, id)`,
  `create index resources_kind on resources(kind, id)`,
  `create table quota_charges (
    id text primary key, department_id text not null references departments(id), resource_id text not null, request_id text not null, item_id text not null,
    dimension text not null, quantity bigint not null, state text not null, expires_at timestamptz, created_at timestamptz not null, settled_at timestamptz)`,
  `create index quota_charges_resource on quota_charges(resource_id) where state <> 'released'`,
  `create index quota_charges_department on quota_charges(department_id) where state <> 'released'`,
  `create index quota_charges_item on quota_charges(item_id)`,
  `create table estates (
    department_id text primary key references departments(id), applied_hash text, applied_at timestamptz, fence bigint not null default 0,
    engine_pid int, engine_started text, operation_id text)`,
  `create table allocations (
    id text primary key, resource_id text not null, department_id text not null references departments(id), project_id text not null,
    application_id text not null, meter text not null, quantity bigint not null check (quantity > 0), from_at timestamptz not null, to_at timestamptz,
    check (to_at is null or to_at >= from_at),
    exclude using gist (resource_id with =, meter with =, tstzrange(from_at, to_at, '[)') with &&))`,
  `create index allocations_department on allocations(department_id, from_at)`,
  `create table uptime_intervals (
    id text primary key, resource_id text not null, department_id text not null references departments(id), state text not null,
    from_at timestamptz not null, to_at timestamptz, check (to_at is null or to_at >= from_at),
    exclude using gist (resource_id with =, tstzrange(from_at, to_at, '[)') with &&))`,
  `create index uptime_department on uptime_intervals(department_id, from_at)`,
  `create unique index uptime_open on uptime_intervals(resource_id) where to_at is null`,
  `create table backups (
    id text primary key, department_id text not null references departments(id), volume_id text not null, policy_id text, pool_id text not null references pools(id),
    state text not null, size_bytes bigint, sha256 text, error text, requested_by text not null,
    started_at timestamptz, completed_at timestamptz, created_at timestamptz not null)`,
  `create index backups_volume on backups(volume_id, created_at)`,
  `create index backups_department on backups(department_id, id)`,
  `create table restores (
    id text primary key, department_id text not null references departments(id), backup_id text not null references backups(id), volume_id text not null,
    state text not null, bytes bigint, error text, requested_by text not null,
    started_at timestamptz, completed_at timestamptz, created_at timestamptz not null)`,
  `create table stack_operations (
    id text primary key, department_id text not null references departments(id), kind text not null, state text not null, steps jsonb not null, error text,
    requested_by text not null, created_at timestamptz not null, completed_at timestamptz)`,
  `create table due_times (key text primary key, due_at timestamptz not null)`,
  `create table audit_entries (
    id bigint generated always as identity primary key, at timestamptz not null, actor text not null, role text not null, source text not null,
    action text not null, subject_kind text not null, subject_id text not null, department_id text, result text not null,
    before jsonb, after jsonb, correlation_id text not null)`,
  `create index audit_subject on audit_entries(subject_id, id)`,
  `create index audit_department on audit_entries(department_id, id)`,
  `create table tokens (
    id text primary key, name text not null, secret_hash text not null unique, role text not null check (role in ('department','operations','auditor')),
    department_id text references departments(id), expires_at timestamptz, revoked_at timestamptz, last_used_at timestamptz, created_at timestamptz not null,
    check (role <> 'department' or department_id is not null))`,
  `create table sessions (
    id text primary key, secret_hash text not null unique, token_id text not null references tokens(id), link_hash text unique, link_expires_at timestamptz,
    expires_at timestamptz not null, created_at timestamptz not null)`,
  `create table idempotency_keys (
    id text primary key, method_path text not null, body_hash text not null, status int, headers jsonb, body text, created_at timestamptz not null)`,
  `create table events (
    id bigint generated always as identity primary key, at timestamptz not null, department_id text, request_id text, type text not null, subject_id text, data jsonb not null)`,
  `create index events_request on events(request_id, id)`,
  `create index events_department on events(department_id, id)`,
  `create table catalogue (kind text not null, code text not null, name text not null, spec jsonb not null, primary key (kind, code))`,
  `create table settings (key text primary key, value jsonb not null)`,
  `create sequence request_numbers`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
