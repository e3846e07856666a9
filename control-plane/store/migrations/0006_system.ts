/** Copies of the whole system, what drivers have and the database does not know, and shares of the master key's way out. */
import { type Kysely, sql } from "kysely";

const statements = [
  `create table system_backups (
    id text primary key, state text not null check (state in ('pending','running','complete','failed')), size_bytes bigint, sha256 text, error text,
    requested_by text not null, created_at timestamptz not null, completed_at timestamptz)`,
  // Made anew at each comparison, but for what is kept: a driver's id is never used twice.
  `create table unknown_things (
    driver text not null, endpoint text not null, kind text not null, id text not null, name text not null, scope text not null, phase text,
    seen_at timestamptz not null, kept boolean not null default false, primary key (driver, endpoint, kind, id))`,
  `create table key_escrows (
    id text primary key, public_key text not null, reason text not null, fingerprint text not null,
    requested_by text not null, created_at timestamptz not null, expires_at timestamptz not null, approved_by text, approved_at timestamptz,
    check (approved_by is null or approved_by <> requested_by))`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
