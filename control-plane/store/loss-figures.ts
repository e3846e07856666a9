/** Members that don't answer, in figures. */
import { sql } from "kysely";
import type { Db } from "./database.ts";
import { policyActor } from "./losses.ts";

export interface LossFigures {
  /** Per pool whose members are read; 0 where all answer. */
  away: { pool: string; n: number }[];
  hosts: { pool: string; state: "unknown" | "down"; n: number }[];
  asked: number;
  filed: number;
  oldestSeconds: number;
  restarts: Record<"done" | "failed" | "blocked", number>;
}

export async function lossFigures(db: Db, now: Date): Promise<LossFigures> {
  const [away, hosts, open, steps] = await Promise.all([
    sql<{ pool: string; n: number }>`select p.code as pool, (count(*) filter (where m.state = 'offline'))::float8 as n
      from pool_members m join pools p on p.id = m.pool_id group by 1 having count(*) > 1`.execute(db),
    sql<{ pool: string; state: "unknown" | "down"; n: number }>`select p.code as pool, r.observed_state as state, count(*)::float8 as n
      from resources r join pools p on p.id = r.pool_id
      where r.kind = 'host' and r.phase = 'live' and r.unreachable_since is not null and r.observed_state in ('unknown', 'down') group by 1, 2`.execute(db),
    sql<{ asked: number; filed: number; oldest: Date | null }>`select (count(*) filter (where state = 'asked' and asked_by <> ${policyActor}))::float8 as asked,
      (count(*) filter (where state = 'asked' and asked_by = ${policyActor}))::float8 as filed, min(since) as oldest
      from member_losses where state in ('lost', 'asked', 'confirmed')`.execute(db),
    sql<{
      result: "done" | "failed" | "blocked";
      n: number;
    }>`select case when blocked is not null then 'blocked' else state end as result, count(*)::float8 as n
      from operation_steps where action = 'restart-host' and (state in ('done', 'failed') or blocked is not null) group by 1`.execute(db),
  ]);
  const [{ asked, filed, oldest }] = open.rows as [(typeof open.rows)[0]];
  const restarts = { done: 0, failed: 0, blocked: 0 };
  for (const { result, n } of steps.rows) restarts[result] = n;
  const pools = away.rows.map((row) => row.pool);
  return {
    away: away.rows,
    hosts: [...new Set([...pools, ...hosts.rows.map((row) => row.pool)])].flatMap((pool) =>
      (["unknown", "down"] as const).map((state) => ({ pool, state, n: hosts.rows.find((row) => row.pool === pool && row.state === state)?.n ?? 0 })),
    ),
    asked,
    filed,
    oldestSeconds: oldest === null ? 0 : Math.max(0, (now.getTime() - new Date(oldest).getTime()) / 1000),
    restarts,
  };
}
