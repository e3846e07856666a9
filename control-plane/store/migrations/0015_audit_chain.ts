/**
 * The hash chain (审计链) of the audit: each entry's place in it, signed checkpoints, and triggers that refuse to change what was written.
 * Entries that were written before are linked by the first start.
 */
import { type Kysely, sql } from "kysely";

const statements = [
  `alter table audit_entries add column sequence bigint, add column algorithm text, add column previous text, add column hash text,
    add constraint audit_linked_whole check (num_nulls(sequence, algorithm, previous, hash) in (0, 4))`,
  `create unique index audit_sequence on audit_entries(sequence) where sequence is not null`,
  // What waits for the chainer: small, however long the audit is, and it holds an entry that was committed late under a small id as well.
  `create index audit_unlinked on audit_entries(id) where sequence is null`,
  `create index audit_actor on audit_entries(actor, id)`,
  `create index audit_action on audit_entries(action, id)`,
  `create index audit_not_done on audit_entries(id) where result <> 'done'`,
  // One row: where the chain ends. Who holds its lock links; writers of entries never touch it.
  `create table audit_chain (
    id int primary key check (id = 1), sequence bigint not null, hash text not null, linked_at timestamptz, linked_by text,
    signed_sequence bigint not null default 0, unsigned_since timestamptz)`,
  `insert into audit_chain (id, sequence, hash) values (1, 0, repeat('0', 64))`,
  `create table audit_keys (id text primary key, algorithm text not null, public_key text not null, wrapped text not null, created_at timestamptz not null)`,
  `create table audit_checkpoints (
    number bigint primary key, sequence bigint not null unique, hash text not null, at timestamptz not null, algorithm text not null,
    previous text not null, key_id text not null references audit_keys(id), signature text not null)`,
  `create function audit_entry_stays() returns trigger language plpgsql as $$
  begin
    if tg_op = 'UPDATE' and old.sequence is null and new.sequence is not null
      and (new.id, new.at, new.actor, new.role, new.source, new.action, new.subject_kind, new.subject_id, new.result, new.correlation_id)
        = (old.id, old.at, old.actor, old.role, old.source, old.action, old.subject_kind, old.subject_id, old.result, old.correlation_id)
      and new.department_id is not distinct from old.department_id
      and new.before is not distinct from old.before and new.after is not distinct from old.after
    then return new; end if;
    raise exception 'an audit entry is never changed or removed' using errcode = 'insufficient_privilege';
  end $$`,
  `create function audit_stays() returns trigger language plpgsql as $$
  begin
    raise exception 'the audit is never changed or removed' using errcode = 'insufficient_privilege';
  end $$`,
  `create trigger audit_entry_stays before update or delete on audit_entries for each row execute function audit_entry_stays()`,
  `create trigger audit_entries_stay before truncate on audit_entries for each statement execute function audit_stays()`,
  `create trigger audit_checkpoint_stays before update or delete on audit_checkpoints for each row execute function audit_stays()`,
  `create trigger audit_checkpoints_stay before truncate on audit_checkpoints for each statement execute function audit_stays()`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
