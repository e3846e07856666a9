/** A look at a department's stack: what the next apply would do. */
import { currentFence, wantedSpec } from "../store/estates.ts";
import { finishStackOperation, getStackOperation } from "../store/stack-operations.ts";
import { change, type JobContext } from "./context.ts";
import { runEngine } from "./operation.ts";

export async function runStackOperation(context: JobContext, id: string): Promise<void> {
  const row = await getStackOperation(context.db, id);
  if (!row || row.state === "complete" || row.state === "failed") return;
  const spec = await wantedSpec(context.db, row.department_id, context.keys.unseal);
  const { outcome } = await runEngine(context, "preview", spec, await currentFence(context.db, row.department_id));
  const error = outcome.failures[0]?.message ?? outcome.message ?? "the preview did not succeed";
  await change(context, (tx, act) => finishStackOperation(tx, act, id, outcome.result === "succeeded" ? { steps: outcome.steps } : { error }));
}
