/** Audit entries (审计记录): who did what, written in the transaction of what was done. */
import type { Act } from "./act.ts";
import type { Db, Tx } from "./database.ts";
import { type Page, page, type PageAsk } from "./page.ts";
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

/** Many at once, in one statement for each thousand. */
export async function appendAudits(tx: Tx, act: Act, subjects: AuditSubject[]): Promise<void> {
  for (let from = 0; from < subjects.length; from += 1000) {
    const rows = subjects.slice(from, from + 1000).map((subject) => ({
      at: act.now,
      actor: act.actor,
      role: act.role,
      source: act.source,
      action: subject.action,
      subject_kind: subject.subjectKind,
      subject_id: subject.subjectId,
      department_id: subject.departmentId,
      result: subject.result ?? ("done" as const),
      before: json(subject.before),
      after: json(subject.after),
      correlation_id: act.correlationId,
    }));
    await tx.insertInto("audit_entries").values(rows).execute();
  }
}

export interface AuditFilter extends PageAsk {
  /** Entries about these departments only. */
  departmentIds?: string[] | undefined;
  subjectId?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

/** Newest first. */
export async function listAudit(db: Db, filter: AuditFilter): Promise<Page<AuditRow>> {
  let query = db.selectFrom("audit_entries").selectAll();
  if (filter.departmentIds) query = query.where("department_id", "in", filter.departmentIds);
  if (filter.subjectId) query = query.where("subject_id", "=", filter.subjectId);
  if (filter.from) query = query.where("at", ">=", filter.from);
  if (filter.to) query = query.where("at", "<", filter.to);
  return page(query, { limit: filter.limit, cursor: filter.cursor, by: "id", descending: true, numeric: true });
}

function json(value: unknown): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value);
}
