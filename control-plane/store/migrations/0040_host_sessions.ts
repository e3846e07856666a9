/** People inside hosts: what owners consent to, each session with its recording. */
import { type Kysely, sql } from "kysely";

const statements = [
  // 授权: an owner lets operations in, for a purpose and a while. Whoever asked for it, or gets it, never gives it.
  `create table consents (
    id text primary key, department_id text not null references departments(id),
    host_id text references resources(id), application_id text not null references applications(id),
    grantee_id text, purpose text not null, minutes int not null check (minutes between 5 and 1440),
    state text not null check (state in ('asked','granted','refused','withdrawn','revoked')),
    asked_by text not null, asked_at timestamptz not null,
    decided_by text, decided_at timestamptz, reason text, valid_from timestamptz, valid_until timestamptz, ended_by text, ended_at timestamptz,
    check ((state = 'asked') = (decided_at is null and ended_at is null)),
    check (state not in ('granted','revoked') or (valid_from is not null and valid_until <= valid_from + interval '24 hours')),
    check (decided_by is null or (decided_by <> asked_by and decided_by is distinct from grantee_id)))`,
  `create index consents_department on consents(department_id, id desc)`,
  `create index consents_host on consents(application_id) where state = 'granted'`,
  `create table host_sessions (
    id text primary key, department_id text not null references departments(id), host_id text not null references resources(id),
    kind text not null check (kind in ('shell','exec')), purpose text not null, argv jsonb,
    person_id text not null, role text not null, source text not null, correlation_id text not null, sign_in_id text,
    basis text not null check (basis in ('owner','consent','break-glass')), consent_id text references consents(id), binding_id text references role_bindings(id),
    state text not null check (state in ('ready','open','ended')), ticket_hash text, ticket_until timestamptz,
    replica_id text, cols int not null, rows int not null, created_at timestamptz not null, opened_at timestamptz, ended_at timestamptz,
    end_asked_by text, end_asked_at timestamptz, end_reason text, exit_code int, recording_sha256 text, recording_bytes bigint not null default 0,
    check ((basis = 'consent') = (consent_id is not null)), check ((basis = 'break-glass') = (binding_id is not null)),
    check ((state = 'ended') = (ended_at is not null and end_reason is not null)))`,
  `create index host_sessions_department on host_sessions(department_id, id desc)`,
  `create index host_sessions_host on host_sessions(host_id, id desc)`,
  `create index host_sessions_unended on host_sessions(state) where state <> 'ended'`,
  // Lines of an asciicast, sealed, in the order in which they happened.
  `create table host_session_recordings (session_id text not null references host_sessions(id), seq int not null, sealed text not null, primary key (session_id, seq))`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
