/** Notices to people, and what is sent out of the house: webhooks and mail, by an outbox. */
import { type Kysely, sql } from "kysely";

const statements = [
  `create table notices (
    id text primary key, person_id text not null, kind text not null, department_id text, request_id text, subject_id text, data jsonb not null,
    created_at timestamptz not null, read_at timestamptz)`,
  `create index notices_person on notices(person_id, id desc)`,
  `create index notices_unread on notices(person_id, id) where read_at is null`,
  `create index notices_created on notices(created_at)`,
  `alter table accounts add column email text, add column language text not null default 'zh-CN' check (language in ('zh-CN','en')),
    add column mail_kinds jsonb not null default '[]'`,
  `create table webhooks (
    id text primary key, name text not null, url text not null, kinds jsonb not null, department_id text references departments(id),
    secret_sealed text not null, old_secret_sealed text, old_secret_until timestamptz,
    state text not null check (state in ('active','paused')), paused_reason text, last_success_at timestamptz,
    revision int not null default 1, created_by text not null, created_at timestamptz not null, updated_at timestamptz not null,
    check ((old_secret_sealed is null) = (old_secret_until is null)))`,
  // The body of a webhook's delivery is kept as it is signed; a mail's text is made when it is sent, of its notice.
  `create table deliveries (
    id text primary key, channel text not null check (channel in ('webhook','mail')), webhook_id text references webhooks(id) on delete cascade,
    notice_id text references notices(id) on delete cascade, kind text not null, body text,
    state text not null check (state in ('waiting','delivered','dead')), attempts int not null default 0, due_at timestamptz not null, taken_until timestamptz,
    last_status int, last_error text, created_at timestamptz not null, settled_at timestamptz,
    check ((channel = 'webhook') = (webhook_id is not null and body is not null)), check ((channel = 'mail') = (notice_id is not null)))`,
  `create index deliveries_due on deliveries(due_at) where state = 'waiting'`,
  `create index deliveries_webhook on deliveries(webhook_id, id desc)`,
  `create index deliveries_dead on deliveries(id) where state = 'dead'`,
  `create index deliveries_notice on deliveries(notice_id)`,
  `create index deliveries_created on deliveries(created_at)`,
  // For which due time it was said that it comes near: an answer moves it, and it is said again.
  `alter table approval_steps add column reminded_for timestamptz`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
