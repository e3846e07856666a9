/** Approval in steps, by policy; delegation, comments, evidence; the calendar of working days, with what is known of 2026. */
import { type Kysely, sql } from "kysely";

const statements = [
  `create table approval_policies (
    id text primary key, department_id text not null references departments(id), version int not null check (version > 0), stages jsonb,
    note text not null, created_by text not null, created_at timestamptz not null, unique (department_id, version))`,
  `create table approval_steps (
    id text primary key, request_id text not null references requests(id), round int not null, stage int not null, position int not null,
    name text not null, kind text not null check (kind in ('department-approval','authority-approval')), role text not null, approver text,
    mode text not null check (mode in ('serial','parallel')), needed int not null check (needed > 0), days int not null, extra_days int not null default 0,
    state text not null check (state in ('waiting','open','asked','approved','rejected','skipped')), opened_at timestamptz, due_at timestamptz,
    plan_hash text, decided_at timestamptz, decided_by text, decided_for text, delegation_id text, reason text not null default '',
    invalidated_at timestamptz, inbox_key text, unique (request_id, round, position),
    check ((state in ('approved','rejected','asked')) = (decided_by is not null)), check (decided_for is null or decided_for <> decided_by))`,
  // Nobody approves two steps of one request, in their own name or another's: whatever the code above this does.
  `create unique index approval_steps_once on approval_steps(request_id, decided_by) where state = 'approved' and invalidated_at is null`,
  `create unique index approval_steps_once_for on approval_steps(request_id, decided_for) where state = 'approved' and invalidated_at is null and decided_for is not null`,
  `create index approval_steps_todo on approval_steps(inbox_key) where state = 'open' and invalidated_at is null`,
  `create index approval_steps_done on approval_steps(decided_by, inbox_key) where decided_by is not null`,
  `create table delegations (
    id text primary key, from_id text not null, to_id text not null, begins_at timestamptz not null, ends_at timestamptz not null, reason text not null,
    ended_at timestamptz, created_at timestamptz not null, check (from_id <> to_id), check (ends_at > begins_at))`,
  `create index delegations_to on delegations(to_id, ends_at)`,
  `create index delegations_from on delegations(from_id, ends_at)`,
  `create table request_comments (
    id text primary key, request_id text not null references requests(id), kind text not null check (kind in ('comment','question','answer','amendment')),
    step_id text, text text not null, created_by text not null, created_at timestamptz not null)`,
  `create index request_comments_request on request_comments(request_id, id)`,
  `create table request_evidence (
    id text primary key, request_id text not null references requests(id), name text not null, type text not null, size_bytes int not null, sha256 text not null,
    content bytea not null, created_by text not null, created_at timestamptz not null, check (octet_length(content) = size_bytes))`,
  `create index request_evidence_request on request_evidence(request_id, id)`,
  `create table calendars (
    year int primary key, source text not null, holidays jsonb not null, working_days jsonb not null, revision int not null default 1, updated_at timestamptz not null)`,
  `alter table requests add column authors jsonb not null default '[]'`,
  `alter table requests add column previous_plan jsonb`,
  `update requests set authors = (select jsonb_agg(distinct who) from unnest(array[requested_by, submitted_by]) who where who is not null)`,
  // What waited for the one decision there was is planned anew, and goes the new way.
  `update requests set state = 'submitted', plan = null, plan_hash = null where state = 'planned'`,
];

/** Notice of the State Council's General Office of 2025-11-04 (国务院办公厅关于2026年部分节假日安排的通知). */
const notice2026 = {
  holidays: [
    ["01-01", "01-02", "01-03"],
    ["02-15", "02-16", "02-17", "02-18", "02-19", "02-20", "02-21", "02-22", "02-23"],
    ["04-04", "04-05", "04-06"],
    ["05-01", "05-02", "05-03", "05-04", "05-05"],
    ["06-19", "06-20", "06-21"],
    ["09-25", "09-26", "09-27"],
    ["10-01", "10-02", "10-03", "10-04", "10-05", "10-06", "10-07"],
  ].flat(),
  workingDays: ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"],
};
const of2026 = (days: readonly string[]) => JSON.stringify(days.map((day) => `2026-${day}`));

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
  await sql`insert into calendars (year, source, holidays, working_days, updated_at) values (2026, '国务院办公厅关于2026年部分节假日安排的通知（2025-11-04）',
    ${of2026(notice2026.holidays)}::jsonb, ${of2026(notice2026.workingDays)}::jsonb, now())`.execute(db);
}
