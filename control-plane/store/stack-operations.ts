/** Looks at a department's stack, asked for by people and run as jobs. */
import type { Selectable } from "kysely";
import type { Step } from "../../infra/operations.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import type { StackOperations } from "./schema.ts";

export type StackOperationRow = Selectable<StackOperations>;

export async function requestStackOperation(tx: Tx, act: Act, departmentId: string, kind: "preview" | "refresh"): Promise<StackOperationRow> {
  const row = await tx
    .insertInto("stack_operations")
    .values({ id: newId("stk", act.now), department_id: departmentId, kind, state: "pending", steps: "[]", requested_by: act.actor, created_at: act.now })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, { action: `stack.${kind}`, subjectKind: "stack", subjectId: departmentId, departmentId });
  return row;
}
export const getStackOperation = (db: Db, id: string): Promise<StackOperationRow | undefined> =>
  db.selectFrom("stack_operations").selectAll().where("id", "=", id).executeTakeFirst();
export async function finishStackOperation(tx: Tx, act: Act, id: string, result: { steps: Step[] } | { error: string }): Promise<void> {
  const change = "error" in result ? { state: "failed" as const, error: result.error } : { state: "complete" as const, steps: JSON.stringify(result.steps) };
  await tx
    .updateTable("stack_operations")
    .set({ ...change, completed_at: act.now })
    .where("id", "=", id)
    .where("state", "in", ["pending", "running"])
    .execute();
}
