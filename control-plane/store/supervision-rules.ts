/** The rules of electronic supervision (监察规则), a version at a time. */
import { type Selectable, sql } from "kysely";
import { RuleTerms, type SupervisionRuleChange } from "../contract/supervision.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import { termsErrors } from "../domain/supervision.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import type { Viewer } from "./departments.ts";
import { newId } from "./ids.ts";
import { nameOf } from "./names.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { SupervisionRules, SupervisionRuleVersions } from "./schema.ts";

export type RuleRow = Selectable<SupervisionRules>;
export type NamedRule = RuleRow & { department_name: string | null; changed_by_name: string | null };

const named = (db: Db) =>
  db
    .selectFrom("supervision_rules as u")
    .leftJoin("departments as d", "d.id", "u.department_id")
    .selectAll("u")
    .select(["d.name_zh as department_name", nameOf("u.changed_by").as("changed_by_name")]);

/** Those that hold for what the viewer sees: of all, of nodes above it, and of what is below. */
function visible(db: Db, { nodes }: Viewer) {
  const query = named(db);
  if (nodes === null) return query;
  return query.where((where) =>
    where.or([
      where("u.department_id", "is", null),
      where.exists(
        where
          .selectFrom("department_ancestors as a")
          .select("a.department_id")
          .where((one) =>
            one.or([
              one.and([one("a.ancestor_id", "=", sql<string>`any(${nodes}::text[])`), one("a.department_id", "=", one.ref("u.department_id"))]),
              one.and([one("a.department_id", "=", sql<string>`any(${nodes}::text[])`), one("a.ancestor_id", "=", one.ref("u.department_id"))]),
            ]),
          ),
      ),
    ]),
  );
}

export const listRules = (db: Db, viewer: Viewer, ask: PageAsk): Promise<Page<NamedRule>> => page(visible(db, viewer), { ...ask, by: "u.id" });

/** @throws Refusal not-found */
export async function getRule(db: Db, viewer: Viewer, id: string): Promise<NamedRule> {
  const row = await visible(db, viewer).where("u.id", "=", id).executeTakeFirst();
  if (!row) throw notFound("supervision rule", id);
  return row;
}

/** Every version, newest first. */
export const ruleVersions = (db: Db, id: string): Promise<Selectable<SupervisionRuleVersions>[]> =>
  db.selectFrom("supervision_rule_versions").selectAll().where("rule_id", "=", id).orderBy("version", "desc").execute();

function requireSound(terms: RuleTerms): void {
  const errors = termsErrors(terms);
  if (errors.length > 0) throw new Refusal("invalid-body", `${errors[0]!.pointer}: ${errors[0]!.detail}`, { errors });
}

const columnsOf = (change: SupervisionRuleChange) => ({
  name: change.name,
  terms: JSON.stringify(change.terms),
  answer_days: change.answerDays,
  enabled: change.enabled,
  note: change.note,
});

/** @param departmentId null: for all @throws Refusal invalid-body */
export async function createRule(tx: Tx, act: Act, departmentId: string | null, ask: SupervisionRuleChange): Promise<NamedRule> {
  requireSound(ask.terms);
  const id = newId("srl", act.now);
  await tx
    .insertInto("supervision_rules")
    .values({
      id,
      department_id: departmentId,
      kind: ask.terms.kind,
      ...columnsOf(ask),
      version: 1,
      created_at: act.now,
      changed_at: act.now,
      changed_by: act.actor,
    })
    .execute();
  await keepVersion(tx, act, { id, version: 1, departmentId }, ask, null);
  return named(tx).where("u.id", "=", id).executeTakeFirstOrThrow();
}

/**
 * A new version, for what is found from now on.
 * @param check is given the version as it is now, the row being locked; throws to refuse
 * @throws Refusal not-found, invalid-body
 */
export async function changeRule(tx: Tx, act: Act, id: string, ask: SupervisionRuleChange, check: (version: number) => void): Promise<NamedRule> {
  const before = await tx.selectFrom("supervision_rules").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!before) throw notFound("supervision rule", id);
  check(before.version);
  const was = RuleTerms.parse(before.terms);
  const stageOf = (terms: RuleTerms) => (terms.kind === "time-limit" ? terms.stage : undefined);
  const stays = was.kind === ask.terms.kind ? (stageOf(was) === stageOf(ask.terms) ? undefined : "stage") : "kind";
  if (stays) {
    const detail = `A rule's ${stays} stays what it is: disable this one and make another.`;
    throw new Refusal("invalid-body", detail, { errors: [{ pointer: `/terms/${stays}`, detail }] });
  }
  requireSound(ask.terms);
  const version = before.version + 1;
  await tx
    .updateTable("supervision_rules")
    .set({ ...columnsOf(ask), version, changed_at: act.now, changed_by: act.actor })
    .where("id", "=", id)
    .execute();
  await keepVersion(tx, act, { id, version, departmentId: before.department_id }, ask, {
    name: before.name,
    terms: before.terms,
    answerDays: before.answer_days,
    enabled: before.enabled,
    note: before.note,
  });
  return named(tx).where("u.id", "=", id).executeTakeFirstOrThrow();
}

async function keepVersion(
  tx: Tx,
  act: Act,
  { id, version, departmentId }: { id: string; version: number; departmentId: string | null },
  ask: SupervisionRuleChange,
  before: SupervisionRuleChange | object | null,
): Promise<void> {
  await tx
    .insertInto("supervision_rule_versions")
    .values({ rule_id: id, version, ...columnsOf(ask), changed_at: act.now, changed_by: act.actor })
    .execute();
  await appendAudit(tx, act, {
    action: "supervision-rule.set",
    subjectKind: "supervision-rule",
    subjectId: id,
    departmentId,
    before,
    after: { version, name: ask.name, terms: ask.terms, answerDays: ask.answerDays, enabled: ask.enabled, note: ask.note },
  });
}
