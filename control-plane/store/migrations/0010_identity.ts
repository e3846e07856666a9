/** Accounts of people and of services, their passwords, second factors, links and sessions; and how often somebody tried. */
import { type Kysely, sql } from "kysely";

const statements = [
  // A login name is lower case: two that differ in case only would be taken for each other.
  `create table accounts (
    id text primary key, name text not null unique check (name = lower(name)), display_name text not null, kind text not null check (kind in ('person','service')),
    password_hash text, password_set_at timestamptz, failed_attempts int not null default 0, locked_until timestamptz,
    totp_sealed text, totp_confirmed_at timestamptz, totp_last_step bigint,
    disabled_at timestamptz, last_sign_in_at timestamptz, revision int not null default 1, created_at timestamptz not null, updated_at timestamptz not null,
    check (kind = 'person' or (password_hash is null and totp_sealed is null)))`,
  `create table password_history (account_id text not null references accounts(id), password_hash text not null, set_at timestamptz not null, primary key (account_id, set_at))`,
  `create table recovery_codes (account_id text not null references accounts(id), code_hash text not null, used_at timestamptz, primary key (account_id, code_hash))`,
  `create table account_links (
    code_hash text primary key, purpose text not null check (purpose in ('bootstrap','set-up')), account_id text references accounts(id),
    expires_at timestamptz not null, created_at timestamptz not null, check ((purpose = 'bootstrap') = (account_id is null)))`,
  // Of two control planes that start on one empty database only the later one's link holds.
  `create unique index account_links_bootstrap on account_links(purpose) where purpose = 'bootstrap'`,
  `alter table sessions alter column token_id drop not null`,
  `alter table sessions add column account_id text references accounts(id), add column last_seen_at timestamptz, add column source text, add column agent text`,
  `alter table sessions add constraint sessions_of_one check ((token_id is null) <> (account_id is null))`,
  `create index sessions_account on sessions(account_id)`,
  `alter table tokens add column account_id text references accounts(id), add column read_only boolean not null default false`,
  `create index tokens_account on tokens(account_id)`,
  `create table rate_limits (key text primary key, window_start timestamptz not null, count int not null)`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
