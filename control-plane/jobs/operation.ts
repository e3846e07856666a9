/** One engine operation on a department's stack, with all that must stand around it. */
import type { Approval } from "../../infra/approval.ts";
import type { Operation, OperationKind, Outcome, Progress } from "../../infra/operations.ts";
import type { DepartmentSpec } from "../../infra/spec.ts";
import { departmentStack, ensureStack, type Settled, settleUpdate } from "../state/index.ts";
import { recordEngine } from "../store/applying.ts";
import { poolEndpoints } from "../store/estates.ts";
import { newId } from "../store/ids.ts";
import { processStart } from "../store/lock.ts";
import { allowanceOf } from "../store/quotas.ts";
import type { JobContext } from "./context.ts";

/** @throws WorkerDied, EngineUnusable: it may be tried again */
export async function runEngine(
  context: JobContext,
  kind: OperationKind,
  spec: DepartmentSpec,
  fence: number,
  {
    approved,
    putBack,
    restarts,
    onProgress,
  }: { approved?: readonly Approval[]; putBack?: Operation["putBack"]; restarts?: readonly string[]; onProgress?: (progress: Progress) => void } = {},
): Promise<{ outcome: Outcome; settled: Settled | undefined }> {
  const stack = departmentStack(spec.department);
  await ensureStack(context.db, stack);
  const id = newId("upd", context.now());
  const changes = kind !== "preview" && kind !== "drift";
  const token = context.state.issueOperationToken(stack, { scope: kind, fence, operation: id });
  let settled: Settled | undefined;
  let outcome: Outcome;
  let noting: Promise<unknown> = Promise.resolve();
  try {
    outcome = await context.engine.run(
      {
        id,
        kind,
        spec,
        fence,
        ...(changes ? { allowance: await allowanceOf(context.db, spec.department) } : {}),
        ...(approved ? { approved: [...approved] } : {}),
        ...(putBack && putBack.length > 0 ? { putBack } : {}),
        ...(restarts && restarts.length > 0 ? { restarts: [...restarts] } : {}),
        pools: await poolEndpoints(context.db),
        state: { url: context.state.url, token, ...stack },
      },
      (progress) => {
        if (changes && progress.type === "started" && progress.enginePid !== undefined) {
          const engine = { operationId: id, pid: progress.enginePid, started: processStart(progress.enginePid) ?? "" };
          // Handled at once: nobody awaits it while the engine runs.
          noting = context.db
            .transaction()
            .execute((tx) => recordEngine(tx, spec.department, engine))
            .catch((error: unknown) => context.log.warn({ department: spec.department, error: String(error) }, "an engine's PID could not be recorded"));
        }
        onProgress?.(progress);
      },
    );
  } finally {
    context.state.revokeOperationToken(token);
    await noting;
    if (changes) {
      settled = await settleUpdate(context.db, stack, "its engine is gone");
      await context.db.transaction().execute((tx) => recordEngine(tx, spec.department, null));
    }
  }
  return { outcome, settled };
}
