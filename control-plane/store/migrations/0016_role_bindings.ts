/** Roles are held on nodes of the department tree, by accounts and tokens; a token by itself may nothing. */
import { type Kysely, sql } from "kysely";

const statements = [
  `create table role_bindings (
    id text primary key, subject_id text not null, role text not null, department_id text references departments(id),
    kind text not null check (kind in ('standing', 'eligible', 'elevated')),
    valid_from timestamptz not null, valid_until timestamptz, period_from timestamptz, period_to timestamptz,
    reason text not null, granted_by text not null, granted_at timestamptz not null, revoked_by text, revoked_at timestamptz,
    reviewed_by text, reviewed_at timestamptz, verdict text check (verdict in ('justified', 'unjustified')), review_comment text,
    check (valid_until is null or valid_until > valid_from),
    check (reviewed_by is null or (kind = 'elevated' and reviewed_by <> subject_id)),
    check (role <> 'auditor' or (valid_until is not null and period_from is not null and period_to > period_from)),
    check (granted_by <> subject_id or kind = 'elevated'),
    constraint role_bindings_administrators exclude using gist (
      subject_id with =, role with <>, tstzrange(valid_from, coalesce(valid_until, 'infinity')) with &&)
      where (role in ('system-admin', 'security-admin', 'audit-admin') and revoked_at is null))`,
  `create index role_bindings_subject on role_bindings(subject_id) where revoked_at is null`,
  `insert into role_bindings (id, subject_id, role, department_id, kind, valid_from, valid_until, period_from, period_to, reason, granted_by, granted_at)
    select 'rbd' || substr(t.id, 4), t.id, case t.role when 'department' then 'applicant' else t.role end, t.department_id, 'standing', t.created_at,
      case t.role when 'auditor' then coalesce(t.expires_at, t.created_at + interval '10 years') else t.expires_at end,
      case t.role when 'auditor' then t.created_at - interval '10 years' end, case t.role when 'auditor' then t.created_at + interval '10 years' end,
      'held before roles were bound to the tree', 'system', t.created_at
    from tokens t`,
  // Operations staff ran the platform and its tokens too.
  `insert into role_bindings (id, subject_id, role, kind, valid_from, valid_until, reason, granted_by, granted_at)
    select 'rba' || substr(t.id, 4), t.id, 'system-admin', 'standing', t.created_at, t.expires_at, 'held before roles were bound to the tree', 'system', t.created_at
    from tokens t where t.role = 'operations'`,
  `alter table tokens drop column role`,
  `alter table tokens drop column department_id`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
