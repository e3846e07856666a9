/** Approval policies (审批流程), a version at a time, inherited down the tree. */
import type { Selectable } from "kysely";
import { Stage } from "../contract/approvals.ts";
import { defaultStages, policyErrors } from "../domain/approval-policy.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { ApprovalPolicies } from "./schema.ts";

export type PolicyRow = Selectable<ApprovalPolicies>;
/** What holds for a department, and where it comes from. */
export interface PolicyInForce {
  stages: readonly Stage[];
  /** The version that holds; undefined: the built-in default. */
  row: PolicyRow | undefined;
  /** Version of the department's own policy; 0: it never had one. */
  ownVersion: number;
}

export async function policyOf(db: Db, departmentId: string): Promise<PolicyInForce> {
  const newest = await db
    .selectFrom("department_ancestors as a")
    .innerJoin("approval_policies as p", "p.department_id", "a.ancestor_id")
    .selectAll("p")
    .select("a.distance")
    .distinctOn("a.distance")
    .where("a.department_id", "=", departmentId)
    .orderBy("a.distance")
    .orderBy("p.version", "desc")
    .execute();
  const row = newest.find((one) => one.stages !== null);
  const own = newest.find((one) => one.distance === 0);
  return { stages: row ? Stage.array().parse(row.stages) : defaultStages, row, ownVersion: own?.version ?? 0 };
}

/** Every version, newest first. */
export async function listPolicies(db: Db, departmentIds: readonly string[] | undefined, ask: PageAsk): Promise<Page<PolicyRow>> {
  let query = db.selectFrom("approval_policies").selectAll();
  if (departmentIds) query = query.where("department_id", "in", [...departmentIds]);
  return page(query, { ...ask, by: "id", descending: true });
}

/**
 * A new version. What is being decided already goes on by the version that it began with.
 * @param stages null: inherits again
 * @param check is given the version as it is now; throws to refuse
 * @throws Refusal invalid-body
 */
export async function setPolicy(
  tx: Tx,
  act: Act,
  departmentId: string,
  { stages, note }: { stages: readonly Stage[] | null; note: string },
  check: (version: number) => void,
): Promise<PolicyRow> {
  // One change at a time: the department's row is what they wait for.
  await tx.selectFrom("departments").select("id").where("id", "=", departmentId).forUpdate().executeTakeFirstOrThrow();
  const { ownVersion, stages: before } = await policyOf(tx, departmentId);
  check(ownVersion);
  const errors = policyErrors(stages ?? []);
  if (errors.length > 0) throw new Refusal("invalid-body", `${errors[0]!.pointer}: ${errors[0]!.detail}`, { errors });
  const row = await tx
    .insertInto("approval_policies")
    .values({
      id: newId("apl", act.now),
      department_id: departmentId,
      version: ownVersion + 1,
      stages: stages === null ? null : JSON.stringify(stages),
      note,
      created_by: act.actor,
      created_at: act.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "approval-policy.set",
    subjectKind: "department",
    subjectId: departmentId,
    departmentId,
    before: { version: ownVersion, stages: before },
    after: { version: row.version, stages, note },
  });
  return row;
}
