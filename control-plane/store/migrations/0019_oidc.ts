/** Signing in by an identity provider (OpenID Connect): providers, who of theirs is which account, and roles that come from their claims. */
import { type Kysely, sql } from "kysely";

const statements = [
  `create table identity_providers (
    id text primary key, name_zh text not null, name_en text not null, issuer text not null unique, client_id text not null, secret_sealed text,
    scopes text not null, makes_accounts boolean not null, enabled boolean not null, mapping jsonb not null default '[]',
    revision int not null default 1, created_at timestamptz not null, updated_at timestamptz not null)`,
  `create table identities (
    provider_id text not null references identity_providers(id), subject text not null, account_id text not null references accounts(id), created_at timestamptz not null,
    primary key (provider_id, subject), unique (provider_id, account_id))`,
  // What a browser that has gone to a provider will come back with: once, within ten minutes, and the same browser.
  `create table oidc_attempts (
    state_hash text primary key, browser_hash text not null, provider_id text not null references identity_providers(id), nonce text not null, verifier text not null,
    redirect_uri text not null, expires_at timestamptz not null)`,
  `alter table role_bindings add column provider_id text references identity_providers(id)`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
