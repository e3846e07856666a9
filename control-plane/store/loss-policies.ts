/** What pools' policies do about members that don't answer: file that one is given up, have hosts started elsewhere; and what comes back later is set aside. */
import { sql } from "kysely";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { audit, changed, type LossRow, lostHosts, policyActor, tellOperations } from "./losses.ts";
import { serverOf } from "../../infra/spec.ts";

/** A policy whose time has come. */
export interface DuePolicy {
  loss: LossRow;
  pool: string;
  code: string;
  action: "propose" | "restart";
  afterSeconds: number;
  setBy: string;
}

/** What came to nothing is tried again by itself after so long, ms. */
const againMs = 1_800_000;

export async function duePolicies(db: Db, now: Date): Promise<DuePolicy[]> {
  const { rows } = await sql<{ loss: string; pool: string; code: string; action: DuePolicy["action"]; after: number; set_by: string }>`
    select l.id as loss, p.id as pool, p.code, p.loss_action as action, p.loss_after_seconds as after, coalesce(p.loss_set_by, ${policyActor}) as set_by
    from member_losses l join pools p on p.driver = l.driver and split_part(p.endpoint, '?', 1) = split_part(l.endpoint, '?', 1)
    where p.loss_action <> 'wait' and l.since + p.loss_after_seconds * interval '1 second' <= ${now}
      and ((p.loss_action = 'propose' and l.state = 'lost' and l.filed_at is null) or (p.loss_action = 'restart' and p.shared_storage and l.state in ('lost', 'asked')))
    order by l.id, p.code`.execute(db);
  if (rows.length === 0) return [];
  const losses = await db
    .selectFrom("member_losses")
    .selectAll()
    .where("id", "in", [...new Set(rows.map((row) => row.loss))])
    .execute();
  return rows.map(({ loss, after, set_by, ...row }) => ({ ...row, loss: losses.find((one) => one.id === loss)!, afterSeconds: after, setBy: set_by }));
}

/** Of this policy's pool: what was on the member and isn't seen now. Locks the loss: of several control planes one acts. */
async function lockDue(tx: Tx, { loss, pool }: DuePolicy): Promise<{ row: LossRow; hosts: Awaited<ReturnType<typeof lostHosts>> } | undefined> {
  const row = await tx.selectFrom("member_losses").selectAll().where("id", "=", loss.id).forUpdate().executeTakeFirst();
  if (!row || (row.state !== "lost" && row.state !== "asked")) return undefined;
  return { row, hosts: (await lostHosts(tx, row)).filter((one) => one.pool === pool) };
}
const told = ({ code, afterSeconds, setBy }: DuePolicy) => ({ pool: code, afterSeconds, setBy });

/** Once for a loss, and never for a member that has nothing. Two people decide on it. */
export async function fileGiveUp(tx: Tx, act: Act, due: DuePolicy): Promise<void> {
  const there = await lockDue(tx, due);
  if (!there || there.row.state !== "lost" || there.row.filed_at !== null || there.hosts.length === 0) return;
  const { row, hosts } = there;
  const reason = `资源池 {code} 的策略：节点 {s} 秒无应答 / Policy of pool {code}: no answer for {s} s`
    .replaceAll("{code}", due.code)
    .replaceAll("{s}", String(due.afterSeconds));
  await changed(tx, act, row, { state: "asked", asked_by: policyActor, asked_at: act.now, filed_at: act.now, reason, error: null });
  await audit(tx, act, row, "member-loss.file", { policy: told(due), hosts: hosts.map((one) => one.id) });
  await tellOperations(tx, act, row, "member.filed", { pool: due.code, hosts: hosts.length });
}

/**
 * Has them started elsewhere by an operation plan, which is the system's, confirmed beforehand by whoever settled the policy. One plan at a time works on a cluster.
 * @returns the plan's id; undefined: there is nothing to do, or not now
 */
export async function planRestarts(tx: Tx, act: Act, due: DuePolicy): Promise<string | undefined> {
  const there = await lockDue(tx, due);
  if (!there) return undefined;
  const { row } = there;
  const hosts = await untried(
    tx,
    row.id,
    there.hosts.flatMap((one) => (one.policy.at === null ? [] : [one.id])),
    act.now,
  );
  if (hosts.length === 0) return undefined;
  const server = serverOf(row);
  const busy = await tx
    .selectFrom("operation_plans")
    .select("id")
    .where("server", "=", server)
    .where("state", "in", ["confirmed", "running"])
    .executeTakeFirst();
  if (busy) return undefined;
  const id = newId("opl", act.now);
  const reason = `节点 ${row.member} 失联，按资源池 ${due.code} 的策略在其他节点启动 / Member ${row.member} does not answer: started elsewhere by the policy of pool ${due.code}`;
  await tx
    .insertInto("operation_plans")
    .values({
      id,
      kind: "restart-lost",
      driver: row.driver,
      endpoint: row.endpoint,
      server,
      ask: JSON.stringify({ kind: "restart-lost", member: row.member, hosts }),
      state: "confirmed",
      reason,
      created_by: policyActor,
      ...(due.setBy === policyActor ? {} : { confirmed_by: due.setBy, confirmed_at: act.now }),
      loss_id: row.id,
      created_at: act.now,
      updated_at: act.now,
    })
    .execute();
  await appendAudit(tx, act, {
    action: "operation-plan.create",
    subjectKind: "operation-plan",
    subjectId: id,
    departmentId: null,
    after: { kind: "restart-lost", member: row.member, loss: row.id, policy: told(due), hosts },
  });
  await tellOperations(tx, act, row, "member.elsewhere", { pool: due.code, hosts: hosts.length });
  return id;
}

/** Those for which no plan of this loss is under way, has done it, or has failed just now. */
async function untried(tx: Tx, loss: string, hosts: readonly string[], now: Date): Promise<string[]> {
  if (hosts.length === 0) return [];
  const { rows } = await sql<{ id: string }>`
    select h.id from unnest(${sql.val([...hosts])}::text[]) as h(id) where not exists (
      select from operation_plans o left join operation_steps s on s.plan_id = o.id and s.subject = h.id where o.loss_id = ${loss} and o.ask->'hosts' @> to_jsonb(h.id)
        and (o.finished_at is null or s.state = 'done' or o.finished_at > ${new Date(now.getTime() - againMs)})) order by h.id`.execute(tx);
  return rows.map((row) => row.id);
}

/** Members that answer again though hosts of them were started elsewhere: they take none until somebody has looked what is left on them. */
export const toHold = (db: Db): Promise<LossRow[]> =>
  db
    .selectFrom("member_losses")
    .selectAll()
    .where("state", "=", "returned")
    .where("held_at", "is", null)
    .where(
      sql<boolean>`exists (select from operation_plans o join operation_steps s on s.plan_id = o.id where o.loss_id = member_losses.id and s.started_at is not null)`,
    )
    .orderBy("id")
    .execute();

export async function noteHeld(tx: Tx, act: Act, id: string): Promise<void> {
  const row = await tx.selectFrom("member_losses").selectAll().where("id", "=", id).forUpdate().executeTakeFirstOrThrow();
  if (row.held_at !== null) return;
  await changed(tx, act, row, { held_at: act.now });
  await audit(tx, act, row, "member-loss.hold", { state: "evacuated" });
  await tellOperations(tx, act, row, "member.held");
}
