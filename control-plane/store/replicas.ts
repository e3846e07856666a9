/** Control planes on one database. All times are the database's: clocks of machines may differ. */
import { hostname } from "node:os";
import { sql } from "kysely";
import type { Db } from "./database.ts";
import { processStart } from "./lock.ts";

export interface Silent {
  id: string;
  host: string;
  pid: number;
}

/**
 * A sign of life.
 * @returns whether this is the leader, and `revived` when others had given this one up meanwhile
 */
export async function beat(db: Db, id: string, first: boolean): Promise<{ leader: boolean; revived: boolean }> {
  const { rows } = await sql<{ fresh: boolean; leader: string }>`
    with mine as (
      insert into replicas (id, host, pid) values (${id}, ${hostname()}, ${process.pid})
      on conflict (id) do update set heartbeat_at = clock_timestamp() returning (xmax = 0) as fresh)
    select mine.fresh, coalesce((select r.id from replicas r where r.id <> ${id} and r.heartbeat_at > clock_timestamp() - interval '15 s' and (r.started_at, r.id) < (coalesce((select started_at from replicas where id = ${id}), clock_timestamp()), ${id}) order by r.started_at, r.id limit 1), ${id}) as leader
    from mine`.execute(db);
  const row = rows[0]!;
  return { leader: row.leader === id, revived: row.fresh && !first };
}

/** Takes replicas that have been silent for too long out of the list; of several that notice it, one gets each. */
export async function giveUpSilent(db: Db, seconds: number): Promise<Silent[]> {
  const { rows } =
    await sql<Silent>`delete from replicas where heartbeat_at < clock_timestamp() - make_interval(secs => ${seconds}) returning id, host, pid`.execute(db);
  return rows;
}

/**
 * Takes replicas out of the list that ran on this machine and whose process is no more: after a restart here there is nothing to wait for.
 * One whose PID another process has by now is left to its silence.
 */
export async function giveUpGone(db: Db, id: string): Promise<Silent[]> {
  const here = await db.selectFrom("replicas").select(["id", "pid"]).where("host", "=", hostname()).where("id", "<>", id).execute();
  const gone = here.filter(({ pid }) => pid === process.pid || processStart(pid) === undefined).map((one) => one.id);
  return gone.length === 0 ? [] : db.deleteFrom("replicas").where("id", "in", gone).returning(["id", "host", "pid"]).execute();
}

/** The name under which PostgreSQL knows a replica's connections. */
export const replicaName = (id: string): string => `zhengyun ${id}`;

/**
 * Ends what a silent replica holds open in PostgreSQL: paused in the middle of a transaction, it would keep its locks, and everybody
 * who needs them would wait for as long as it sleeps. When it wakes, that transaction has failed.
 */
export async function endConnections(db: Db, id: string): Promise<void> {
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = ${replicaName(id)} and pid <> pg_backend_pid()`.execute(db);
}

/** A replica that ends in order. */
export async function sayGoodbye(db: Db, id: string): Promise<void> {
  await db.deleteFrom("replicas").where("id", "=", id).execute();
}

/** Departments whose fences must pass what a lost replica holds. */
export async function raiseFences(db: Db, departmentIds: readonly string[]): Promise<void> {
  if (departmentIds.length === 0) return;
  await db
    .updateTable("estates")
    .set({ fence: sql<number>`fence + 1`, applied_hash: null })
    .where("department_id", "in", [...departmentIds])
    .execute();
}
