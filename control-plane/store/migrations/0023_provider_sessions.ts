/** Which sessions an identity provider opened, so that it can end them; and which of its logout tokens have been used. */
import { type Kysely, sql } from "kysely";

const statements = [
  `alter table sessions add column provider_id text references identity_providers(id)`,
  // The provider's own session, where it names it.
  `alter table sessions add column provider_sid text`,
  // Sealed: shown to the provider when the person signs out.
  `alter table sessions add column id_token_sealed text`,
  `create index sessions_provider on sessions(provider_id, provider_sid) where provider_id is not null`,
  `create table oidc_logouts (provider_id text not null references identity_providers(id), jti_hash text not null, expires_at timestamptz not null,
    primary key (provider_id, jti_hash))`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
