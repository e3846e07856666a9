/** Starts the workers of every queue, after what a kill left undone was enqueued anew. */
import type { Job, PgBoss } from "pg-boss";
import { applyDepartment } from "./apply.ts";
import { runBackup, runRestore } from "./backup.ts";
import type { JobContext } from "./context.ts";
import { runOperationPlan } from "./operation-plan.ts";
import { look } from "./look.ts";
import { planRequest } from "./plan.ts";
import { type JobData, noteRunner, type QueueName } from "./queue.ts";
import { resume } from "./resume.ts";
import { runSnapshots } from "./snapshots.ts";
import { runStackOperation } from "./stack-operation.ts";
import { runSystemBackup } from "./system-backup.ts";
import { ticks } from "./ticks.ts";

export interface JobMetrics {
  job(queue: string, result: "done" | "failed", seconds: number): void;
}

/**
 * Engines are capped by the worker's slots; as many jobs are taken, so that one department's long apply doesn't hold up another's.
 * @param options.replica id of this control plane among those of one database
 */
export async function startJobs(boss: PgBoss, context: JobContext, options: { slots: number; replica: string; metrics?: JobMetrics }): Promise<void> {
  const handlers: Record<QueueName, { concurrency: number; run: (data: JobData) => Promise<void> }> = {
    plan: { concurrency: options.slots, run: ({ id }) => planRequest(context, id) },
    apply: { concurrency: options.slots, run: ({ id }) => applyDepartment(context, id) },
    backup: { concurrency: 2, run: ({ id }) => runBackup(context, id) },
    restore: { concurrency: 2, run: ({ id }) => runRestore(context, id) },
    snapshots: { concurrency: 2, run: ({ id }) => runSnapshots(context, id) },
    "stack-operation": { concurrency: 1, run: ({ id }) => runStackOperation(context, id) },
    look: { concurrency: 1, run: ({ id }) => look(context, id) },
    "system-backup": { concurrency: 1, run: ({ id }) => runSystemBackup(context, id) },
    operation: { concurrency: 2, run: ({ id }) => runOperationPlan(context, id) },
    tick: { concurrency: 1, run: async ({ id }) => ticks[id]?.(context) },
  };
  await resume(context);
  for (const [name, { concurrency, run }] of Object.entries(handlers)) {
    await boss.work<JobData>(
      name,
      {
        batchSize: 1,
        localConcurrency: concurrency,
        pollingIntervalSeconds: 0.5,
        heartbeatRefreshSeconds: 5,
        // Of a department's plans one runs at a time; the next is found by polling, for nobody is told that its turn has come.
        ...(name === "plan" ? { localGroupConcurrency: 1, notifyPollingIntervalSeconds: 0.5 } : { notifyPollingIntervalSeconds: 2 }),
      },
      async ([job]: Job<JobData>[]) => {
        if (!job) return;
        const began = performance.now();
        const done = (result: "done" | "failed") => options.metrics?.job(name, result, (performance.now() - began) / 1000);
        try {
          await noteRunner(context.db, job, options.replica);
          await run(job.data);
          done("done");
        } catch (error) {
          done("failed");
          context.log.error({ queue: name, id: job.data.id, error }, "a job failed; it will be tried again");
          throw error;
        }
      },
    );
  }
}
