/** Starts the workers of every queue, and at the start enqueues anew what a kill left undone. */
import type { Job, PgBoss } from "pg-boss";
import { applyDepartment } from "./apply.ts";
import { runBackup, runRestore } from "./backup.ts";
import { change, type JobContext } from "./context.ts";
import { planRequest } from "./plan.ts";
import type { JobData, QueueName } from "./queue.ts";
import { runStackOperation } from "./stack-operation.ts";
import { ticks } from "./ticks.ts";

export interface JobMetrics {
  job(queue: string, result: "done" | "failed", seconds: number): void;
}

/** Engines are capped by the worker's slots; as many jobs are taken, so that one department's long apply doesn't hold up another's. */
export async function startJobs(boss: PgBoss, context: JobContext, options: { slots: number; metrics?: JobMetrics }): Promise<void> {
  const handlers: Record<QueueName, { concurrency: number; run: (data: JobData) => Promise<void> }> = {
    plan: { concurrency: options.slots, run: ({ id }) => planRequest(context, id) },
    apply: { concurrency: options.slots, run: ({ id }) => applyDepartment(context, id) },
    backup: { concurrency: 2, run: ({ id }) => runBackup(context, id) },
    restore: { concurrency: 2, run: ({ id }) => runRestore(context, id) },
    "stack-operation": { concurrency: 1, run: ({ id }) => runStackOperation(context, id) },
    tick: { concurrency: 1, run: async ({ id }) => ticks[id]?.(context) },
  };
  await resume(context);
  for (const [name, { concurrency, run }] of Object.entries(handlers)) {
    await boss.work<JobData>(
      name,
      { batchSize: 1, localConcurrency: concurrency, pollingIntervalSeconds: 0.5, notifyPollingIntervalSeconds: 2 },
      async ([job]: Job<JobData>[]) => {
        if (!job) return;
        const began = performance.now();
        const done = (result: "done" | "failed") => options.metrics?.job(name, result, (performance.now() - began) / 1000);
        try {
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

/** The database says what is under way: whatever a kill took from the queue is put there again. */
async function resume(context: JobContext): Promise<void> {
  const [requests, backups, restores, looks] = await Promise.all([
    context.db.selectFrom("requests").select(["id", "department_id", "state"]).where("state", "in", ["submitted", "approved", "applying"]).execute(),
    context.db.selectFrom("backups").select(["id", "department_id"]).where("state", "in", ["pending", "running"]).execute(),
    context.db.selectFrom("restores").select(["id", "department_id"]).where("state", "in", ["pending", "running"]).execute(),
    context.db.selectFrom("stack_operations").select(["id", "department_id"]).where("state", "in", ["pending", "running"]).execute(),
  ]);
  const failed = await context.db
    .selectFrom("quota_charges as c")
    .innerJoin("resources as r", "r.id", "c.resource_id")
    .select("r.department_id")
    .distinct()
    .where("r.phase", "=", "failed")
    .where("c.state", "<>", "released")
    .execute();
  await change(context, async (tx) => {
    for (const request of requests.filter((one) => one.state === "submitted")) await context.queue.plan(tx, request.id);
    const departments = new Set([...requests.filter((one) => one.state !== "submitted"), ...failed].map((one) => one.department_id));
    for (const departmentId of departments) await context.queue.apply(tx, departmentId);
    for (const one of backups) await context.queue.backup(tx, one.id, one.department_id);
    for (const one of restores) await context.queue.restore(tx, one.id, one.department_id);
    for (const one of looks) await context.queue.stackOperation(tx, one.id, one.department_id);
  });
  const count = requests.length + backups.length + restores.length;
  if (count > 0) context.log.info({ requests: requests.length, backups: backups.length, restores: restores.length }, "resuming what was under way");
}
