/** Pools: for whom, how hosts spread over their members, what they own and what they give out of it; their members as they were read. */
import { type Kysely, sql } from "kysely";

const statements = [
  `alter table pools
    add column strategy text not null default 'spread' check (strategy in ('spread','pack')),
    add column dedicated_department text references departments(id),
    add column dedicated_application text references applications(id),
    add column vm boolean not null default false,
    add check (dedicated_application is null or dedicated_department is not null)`,
  // Until now every department's containers were let into pools of level 3 and above: those that there are belong to the whole government from now on.
  `update pools set dedicated_department = (select min(id) from departments where parent_id is null)
    where kind = 'compute' and security_level >= 3 and (select count(*) from departments where parent_id is null) = 1`,
  // `capacity` stays what may be given out; `owned` is what there is. They differ for vCPU, by the overcommit ratio.
  `alter table pool_accounts add column owned bigint check (owned >= 0)`,
  `update pool_accounts set owned = capacity`,
  `update pool_accounts a set capacity = a.owned * p.overcommit_percent / 100 from pools p where p.id = a.pool_id and a.dimension = 'vcpu'`,
  `alter table pool_accounts alter column owned set not null`,
  `alter table applications add column anti_affinity text not null default 'preferred' check (anti_affinity in ('preferred','required'))`,
  // Where a host was seen last; before that its specification says where it is to be made.
  `alter table resources add column if not exists member text`,
  `create table pool_members (
    pool_id text not null references pools(id) on delete cascade, name text not null,
    state text not null check (state in ('online','evacuated','offline')), groups jsonb not null, message text not null,
    vcpu int, memory_bytes bigint, memory_free_bytes bigint, disk_bytes bigint, disk_free_bytes bigint,
    since timestamptz not null, seen_at timestamptz not null, primary key (pool_id, name))`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
