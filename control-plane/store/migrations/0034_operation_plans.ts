/**
 * Operation plans (运维方案): what operations mean to move on a cluster, step by step, shown before it is done.
 * Of a resource that was moved to another pool the digest of what it is since is kept: approved by the plan, not by a request.
 */
import { type Kysely, sql } from "kysely";

const statements = [
  `create table operation_plans (id text primary key,
    kind text not null check (kind in ('drain-member','restore-member','replace-member','rebalance','move-host','move-volume')),
    driver text not null, endpoint text not null, server text not null, ask jsonb not null,
    state text not null check (state in ('planning','draft','confirmed','running','done','failed','cancelled')),
    hash text, difference jsonb not null default '[]', reason text not null, error text,
    created_by text not null, confirmed_by text, confirmed_at timestamptz, cancelled_by text, cancelled_at timestamptz,
    started_at timestamptz, finished_at timestamptz, revision integer not null default 1, created_at timestamptz not null, updated_at timestamptz not null,
    check (confirmed_by is null or confirmed_by <> created_by))`,
  // Two plans never work on one cluster at a time.
  `create unique index operation_plans_active on operation_plans (server) where state in ('confirmed','running')`,
  `create table operation_steps (id text primary key, plan_id text not null references operation_plans(id), position integer not null,
    action text not null check (action in ('close-member','open-member','move-host','move-volume')),
    subject text not null, name text not null, department_id text references departments(id), application_id text references applications(id),
    from_member text, to_member text, from_pool_id text references pools(id), to_pool_id text references pools(id),
    restarts boolean not null, bytes bigint, reason text not null, blocked text,
    state text not null check (state in ('planned','running','done','failed','skipped')),
    error jsonb, restarted boolean, started_at timestamptz, finished_at timestamptz, unique (plan_id, position))`,
  `create index operation_steps_running on operation_steps (department_id) where state = 'running'`,
  `create table pool_moves (resource_id text primary key references resources(id), plan_id text not null references operation_plans(id),
    digest text not null, at timestamptz not null)`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
