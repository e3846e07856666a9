/** Audit entries (审计记录): who did what, written in the transaction of what was done. */
import type { Act } from "./act.ts";
import type { Db, Tx } from "./database.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { insertRows } from "./rows.ts";
import type { AuditEntries } from "./schema.ts";
import type { Selectable } from "kysely";

export interface AuditSubject {
  /** request.submit, quota.set, backup.create … */
  action: string;
  subjectKind: string;
  subjectId: string;
  departmentId: string | null;
  result?: "done" | "denied" | "failed";
  /** What it was and has become; never a secret. */
  before?: unknown;
  after?: unknown;
}

export type AuditRow = Selectable<AuditEntries>;

export async function appendAudit(tx: Tx, act: Act, subject: AuditSubject): Promise<void> {
  await appendAudits(tx, act, [subject]);
}

/** Many of one act. */
export async function appendAudits(tx: Tx, act: Act, subjects: readonly AuditSubject[]): Promise<void> {
  await appendAuditsOf(
    tx,
    subjects.map((subject) => ({ act, subject })),
  );
}

/** Many of several acts, in their order. */
export async function appendAuditsOf(tx: Tx, entries: readonly { act: Act; subject: AuditSubject }[]): Promise<void> {
  await insertRows(
    tx,
    "audit_entries",
    entries.map(({ act, subject }) => ({
      at: act.now,
      actor: act.actor,
      role: act.role,
      source: act.source,
      action: subject.action,
      subject_kind: subject.subjectKind,
      subject_id: subject.subjectId,
      department_id: subject.departmentId,
      result: subject.result ?? ("done" as const),
      before: subject.before ?? null,
      after: subject.after ?? null,
      correlation_id: act.correlationId,
    })),
  );
}

export interface AuditFilter extends PageAsk {
  /** Entries about these departments only. */
  departmentIds?: string[] | undefined;
  subjectId?: string | undefined;
  actor?: string | undefined;
  action?: string | undefined;
  result?: AuditRow["result"] | undefined;
  correlationId?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

/** Newest first. */
export async function listAudit(db: Db, filter: AuditFilter): Promise<Page<AuditRow>> {
  let query = db.selectFrom("audit_entries").selectAll();
  if (filter.departmentIds) query = query.where("department_id", "in", filter.departmentIds);
  if (filter.subjectId) query = query.where("subject_id", "=", filter.subjectId);
  if (filter.actor) query = query.where("actor", "=", filter.actor);
  if (filter.action) query = query.where("action", "=", filter.action);
  // Said twice: what isn't done is seldom, and has an index of its own.
  if (filter.result) query = query.where("result", "=", filter.result);
  if (filter.result && filter.result !== "done") query = query.where("result", "<>", "done");
  if (filter.correlationId) query = query.where("correlation_id", "=", filter.correlationId);
  if (filter.from) query = query.where("at", ">=", filter.from);
  if (filter.to) query = query.where("at", "<", filter.to);
  return page(query, { limit: filter.limit, cursor: filter.cursor, by: "id", descending: true, numeric: true });
}
