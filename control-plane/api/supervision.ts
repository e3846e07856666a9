/** Supervision as the contract shows it. */
import { type Correction, RuleTerms, type SupervisionCard, type SupervisionCardDetail, type SupervisionRule } from "../contract/supervision.ts";
import type { Db } from "../store/database.ts";
import { listCorrections, type NamedCorrection } from "../store/corrections.ts";
import { type NamedCard, takesAnswers, timelineOf } from "../store/supervision-cards.ts";
import type { NamedRule } from "../store/supervision-rules.ts";

const time = (at: Date | null) => at?.toISOString() ?? null;

export const shownRule = (row: NamedRule): SupervisionRule => ({
  id: row.id,
  department: row.department_id,
  departmentName: row.department_name,
  name: row.name,
  terms: RuleTerms.parse(row.terms),
  answerDays: row.answer_days,
  enabled: row.enabled,
  note: row.note,
  version: row.version,
  createdAt: row.created_at.toISOString(),
  changedAt: row.changed_at.toISOString(),
  changedBy: row.changed_by,
  changedByName: row.changed_by_name,
});

/** @param viewer who looks: may they answer it? */
export const shownCard = (row: NamedCard, viewer: string, now: Date): SupervisionCard => ({
  id: row.id,
  rule: row.rule_id,
  ruleName: row.rule_name,
  ruleVersion: row.rule_version,
  kind: row.kind,
  stage: row.stage,
  colour: row.colour,
  state: row.state,
  department: row.department_id,
  departmentName: row.department_name,
  request: row.request_id,
  requestNumber: row.request_number,
  requestTitle: row.request_title,
  detail: row.detail,
  requests: row.requests,
  people: row.people ?? [],
  limitAt: time(row.limit_at),
  happenedAt: row.happened_at.toISOString(),
  issuedAt: row.issued_at.toISOString(),
  answerDueAt: row.answer_due_at.toISOString(),
  answerOverdue: row.state === "open" && row.answer_due_at < now,
  previous: row.previous_id,
  mayAnswer: takesAnswers(row.state) && (row.people ?? []).some((one) => one.id === viewer && one.part === "concerned"),
  revision: row.revision,
});

export const shownCorrection = (row: NamedCorrection, now: Date): Correction => ({
  id: row.id,
  card: row.card_id,
  cardColour: row.colour,
  department: row.department_id,
  departmentName: row.department_name,
  request: row.request_id,
  requestNumber: row.request_number,
  what: row.what,
  assignee: row.assignee,
  assigneeName: row.assignee_name,
  state: row.state,
  dueAt: row.due_at.toISOString(),
  overdue: row.state === "open" && row.due_at < now,
  openedBy: row.opened_by,
  openedByName: row.opened_by_name,
  openedAt: row.opened_at.toISOString(),
  doneAt: time(row.done_at),
  closedAt: time(row.closed_at),
  revision: row.revision,
});

/** A card with what happened to it. */
export async function cardDetail(db: Db, row: NamedCard, viewer: string, now: Date): Promise<SupervisionCardDetail> {
  const timeline = await timelineOf(db, row.id);
  const corrections = await listCorrections(db, { card: row.id, limit: 500 }, now);
  return {
    ...shownCard(row, viewer, now),
    timeline: timeline.map((entry) => ({ kind: entry.kind, at: entry.at.toISOString(), by: entry.by_id, byName: entry.by_name, text: entry.text })),
    corrections: corrections.items.map((one) => shownCorrection(one, now)),
  };
}
