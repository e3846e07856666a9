/** Rows of the store as the chain and the API speak of them. */
import type { AuditRow } from "../store/audit.ts";
import type { CheckpointRow, LinkedRow } from "../store/audit-chain.ts";
import type { ChainedEntry, Checkpoint, EntryContent } from "./chain.ts";

export function contentOf(row: AuditRow): EntryContent {
  return {
    id: row.id,
    at: row.at.toISOString(),
    actor: row.actor,
    role: row.role,
    source: row.source,
    action: row.action,
    subjectKind: row.subject_kind,
    subject: row.subject_id,
    department: row.department_id,
    result: row.result,
    before: row.before,
    after: row.after,
    correlationId: row.correlation_id,
  };
}

export function chainedOf(row: LinkedRow): ChainedEntry {
  const { sequence, algorithm, previous, hash } = row;
  return { sequence, ...contentOf(row), algorithm, previous, hash };
}

export function checkpointOf(row: CheckpointRow): Checkpoint {
  const { number, sequence, hash, at, algorithm, previous, key_id: key, signature } = row;
  return { number, sequence, hash, at: at.toISOString(), algorithm, previous, key, signature };
}
