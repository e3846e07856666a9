/** Looks at a department's stack: what the next apply would do (preview), and what is really there (refresh). */
import { currentFence } from "../store/applying.ts";
import { wantedSpec } from "../store/estates.ts";
import { finishStackOperation, getStackOperation } from "../store/stack-operations.ts";
import { change, type JobContext } from "./context.ts";
import { runEngine } from "./operation.ts";

export async function runStackOperation(context: JobContext, id: string): Promise<void> {
  const row = await getStackOperation(context.db, id);
  if (!row || row.state === "complete" || row.state === "failed") return;
  const spec = await wantedSpec(context.db, row.department_id, context.keys.unseal);
  const { outcome } = await runEngine(context, row.kind, spec, await currentFence(context.db, row.department_id));
  const error = outcome.failures[0]?.message ?? outcome.message ?? `the ${row.kind} did not succeed`;
  await change(context, (tx, act) => finishStackOperation(tx, act, id, outcome.result === "succeeded" ? { steps: outcome.steps } : { error }));
}

/**
 * Refreshes that wait: run by the department's apply job, so that the two never want the stack at once. A refresh writes what is there into
 * Pulumi's state; it changes nothing in the cloud, and the next apply brings the difference back to what is wanted.
 */
export async function runRefreshes(context: JobContext, departmentId: string): Promise<void> {
  const waiting = await context.db
    .selectFrom("stack_operations")
    .select("id")
    .where("department_id", "=", departmentId)
    .where("kind", "=", "refresh")
    .where("state", "in", ["pending", "running"])
    .orderBy("id")
    .execute();
  for (const { id } of waiting) await runStackOperation(context, id);
}
