/** The queue: pg-boss in the control plane's own database, so that work is enqueued in the transaction that makes it necessary. */
import { sql } from "kysely";
import { fromKysely, fromPglite, PgBoss } from "pg-boss";
import type { Db, OpenDatabase, Tx } from "../store/database.ts";
import type { Queue } from "../store/queue.ts";

export type { Queue };

/** Jobs about one thing: its id, and the department in whose turn it runs. */
export interface JobData {
  id: string;
  departmentId?: string;
}
export const queues = ["plan", "apply", "backup", "restore", "snapshots", "stack-operation", "look", "system-backup", "operation", "tick"] as const;
export type QueueName = (typeof queues)[number];

/**
 * Opens pg-boss. Every queue is `stately`: for one key at most one job waits while one runs, so that nothing is done twice
 * and no wish that came during a run is lost.
 * @param name of its connections, on PostgreSQL
 */
export async function openBoss(opened: OpenDatabase, onError: (error: Error) => void, name?: string): Promise<PgBoss> {
  const common = { schedule: false, useListenNotify: true, monitorIntervalSeconds: 10, superviseIntervalSeconds: 10, maintenanceIntervalSeconds: 60 };
  const boss = opened.pglite
    ? new PgBoss({ ...common, backend: "pglite", db: fromPglite(opened.pglite) })
    : new PgBoss({ ...common, connectionString: opened.url!, max: 4, ...(name === undefined ? {} : { application_name: name }) });
  boss.on("error", onError);
  await boss.start();
  for (const name of queues) {
    await boss.createQueue(name, {
      policy: "stately",
      retryLimit: 8,
      retryDelay: 1,
      retryBackoff: true,
      heartbeatSeconds: 15,
      expireInSeconds: 3600,
      notify: true,
      deleteAfterSeconds: 86_400,
    });
  }
  // Where only one process can be, a job that is active at the start has lost its process; the start enqueues anew what is to be done.
  if (opened.pglite) await sql`delete from pgboss.job where state = 'active'`.execute(opened.db);
  return boss;
}

/** Notes with a job that runs which replica runs it, where its output will be: whoever takes over from that one needs not wait for the job's own silence. */
export async function noteRunner(db: Db, job: { name: string; id: string }, replica: string): Promise<void> {
  await sql`update pgboss.job set output = jsonb_build_object('replica', ${replica}::text) where name = ${job.name} and id = ${job.id} and state = 'active'`.execute(
    db,
  );
}

/** Jobs refresh their own sign of life each 5 s: one that is older than this has lost its process. */
const lostJobSeconds = 12;

/** Takes jobs off the queue that a lost replica ran, noted or not; the database says what is to be put there anew. */
export async function dropLostJobs(db: Db, replica: string): Promise<void> {
  await sql`delete from pgboss.job where state = 'active'
    and (output->>'replica' = ${replica} or heartbeat_on < clock_timestamp() - make_interval(secs => ${lostJobSeconds}))`.execute(db);
}

export function createQueue(boss: PgBoss): Queue & { tick(name: string): Promise<void> } {
  const send = async (tx: Tx, name: QueueName, key: string, data: JobData) => void (await boss.send(name, data, { singletonKey: key, db: fromKysely(tx) }));
  return {
    plan: async (tx, requests) => {
      if (requests.length === 0) return;
      // In groups: one department's hundred plans don't keep another's one waiting.
      const jobs = requests.map(({ id, department_id: departmentId }) => ({ data: { id, departmentId }, singletonKey: id, group: { id: departmentId } }));
      await boss.insert("plan", jobs, { db: fromKysely(tx), returnId: false });
    },
    apply: (tx, departmentId) => send(tx, "apply", departmentId, { id: departmentId, departmentId }),
    backup: (tx, id, departmentId) => send(tx, "backup", id, { id, departmentId }),
    restore: (tx, id, departmentId) => send(tx, "restore", id, { id, departmentId }),
    snapshots: (tx, volumeId, departmentId) => send(tx, "snapshots", volumeId, { id: volumeId, departmentId }),
    // A refresh takes the stack: the department's apply job runs it.
    stackOperation: (tx, { id, department_id: departmentId, kind }) =>
      kind === "refresh" ? send(tx, "apply", departmentId, { id: departmentId, departmentId }) : send(tx, "stack-operation", id, { id, departmentId }),
    look: (tx, id) => send(tx, "look", id, { id }),
    systemBackup: (tx, id) => send(tx, "system-backup", id, { id }),
    operation: (tx, id) => send(tx, "operation", id, { id }),
    // Every replica ticks; the key lets one of them through.
    tick: async (name) => void (await boss.send("tick", { id: name }, { singletonKey: name })),
  };
}
