/** Limits for a protection level as well as for all, soft limits, borrowing and guarantees; what a reconciliation finds. */
import { type Kysely, sql } from "kysely";

const statements = [
  // Level 0 stands for all levels: its row counts every charge, the others' rows count those of their level.
  `alter table quota_accounts
    add column level int not null default 0 check (level between 0 and 4),
    add column soft_limit bigint check (soft_limit >= 0),
    add column guaranteed bigint not null default 0 check (guaranteed >= 0),
    add column borrow_cap bigint check (borrow_cap >= 0),
    add column lends boolean not null default false,
    drop constraint quota_accounts_pkey,
    add primary key (department_id, dimension, level)`,
  `create index quota_accounts_lends on quota_accounts(department_id) where lends`,
  `create index quota_accounts_guaranteed on quota_accounts(department_id) where guaranteed > 0`,
  `alter table quota_charges add column level int`,
  `update quota_charges c set level = coalesce(
    (select a.protection_level from resources r join applications a on a.id = r.application_id where r.id = c.resource_id),
    (select a.protection_level from requests r join applications a on a.id = r.application_id where r.id = c.request_id), 1)`,
  `alter table quota_charges alter column level set not null, add check (level between 1 and 4)`,
  `create table quota_findings (
    id text primary key, kind text not null check (kind in ('account', 'charge', 'pool')), subject text not null, field text not null,
    department_id text references departments(id), resource_id text, pool_id text references pools(id), dimension text not null, level int,
    expected bigint not null, found bigint not null, first_seen_at timestamptz not null, last_seen_at timestamptz not null,
    closed_at timestamptz, closed_by text, reason text, corrected boolean, revision int not null default 1,
    check ((closed_at is null) = (closed_by is null) and (closed_at is null) = (reason is null)))`,
  `create unique index quota_findings_open on quota_findings(kind, subject) where closed_at is null`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
