/** The steps of a running operation plan: which may begin now, how a move begins and ends. */
import { type Selectable, sql } from "kysely";
import { undecidedStates } from "../domain/lifecycle.ts";
import { nextSteps } from "../domain/operation-order.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { type PlanRow, type StepRow, stepsOf, tellProgress } from "./operation-plans.ts";
import { moveToPool, PoolMoveRefused } from "./pool-moves.ts";
import type { Resources } from "./schema.ts";

export interface StepError {
  code: string;
  message: string;
}

/**
 * Marks what may begin now as running: the steps of members one by one, moves in parallel where their members are free.
 * @returns what was marked
 */
export async function claimSteps(tx: Tx, act: Act, plan: PlanRow): Promise<StepRow[]> {
  const steps = await stepsOf(tx, [plan.id]);
  const busy = await busyVolumes(tx, steps);
  const begun: StepRow[] = [];
  for (const step of nextSteps(steps).filter((one) => !busy.has(one.subject)))
    begun.push(await turn(tx, act, plan, step, { state: "running", started_at: act.now }));
  return begun;
}

/** Hosts and volumes whose content is being copied to or from a backup or a snapshot: they wait. */
async function busyVolumes(tx: Tx, steps: readonly StepRow[]): Promise<Set<string>> {
  const subjects = steps.filter((one) => one.state === "planned").map((one) => one.subject);
  const { rows } = await sql<{ subject: string }>`
    with busy as (select volume_id from backups where state = 'running' union select volume_id from restores where state = 'running'
      union select volume_id from snapshots where state in ('running', 'deleting') union select volume_id from snapshot_reverts where state = 'running')
    select volume_id as subject from busy where volume_id = any(${sql.val(subjects)}::text[])
    union select t.wanted->>'host' from resources t join busy b on t.wanted->>'volume' = b.volume_id where t.kind = 'attachment' and t.phase in ('wanted', 'live', 'retiring')`.execute(
    tx,
  );
  return new Set(rows.map((row) => row.subject));
}

/** Whether a volume is being moved, by itself or with its host: then it is not read or written for a backup. */
export async function isMoving(db: Db, volumeId: string): Promise<boolean> {
  const { rows } = await sql`
    select 1 from operation_steps s where s.state = 'running' and (s.subject = ${volumeId} or s.subject in (
      select t.wanted->>'host' from resources t where t.kind = 'attachment' and t.phase in ('wanted', 'live', 'retiring') and t.wanted->>'volume' = ${volumeId})) limit 1`.execute(
    db,
  );
  return rows.length > 0;
}

/** After a member could not be closed or opened, what would follow makes no sense. */
export async function skipRest(tx: Tx, plan: PlanRow): Promise<void> {
  await tx.updateTable("operation_steps").set({ state: "skipped" }).where("plan_id", "=", plan.id).where("state", "=", "planned").execute();
}

/** Of a department: moves that are to be done now. Its apply job does them, so that neither is in the other's way. */
export async function movesOf(db: Db, departmentId: string): Promise<{ id: string; plan_id: string }[]> {
  return db
    .selectFrom("operation_steps")
    .select(["id", "plan_id"])
    .where("department_id", "=", departmentId)
    .where("state", "=", "running")
    .where("action", "in", ["move-host", "move-volume", "restart-host"])
    .orderBy("id")
    .execute();
}
/** Departments with such moves. */
export async function departmentsMoving(db: Db, planId?: string): Promise<string[]> {
  let query = db.selectFrom("operation_steps").select("department_id").distinct().where("state", "=", "running").where("department_id", "is not", null);
  if (planId !== undefined) query = query.where("plan_id", "=", planId);
  return (await query.execute()).map((row) => row.department_id!);
}

export interface Move {
  step: StepRow;
  kind: "host" | "volume";
  driver: string;
  endpoint: string;
  departmentId: string;
  /** Null: it stays on its member. */
  to: string | null;
  /** It is started elsewhere, since this member of it doesn't answer: by the id that it was seen with last, since nobody can ask for it there. */
  lost?: { id: string | null; member: string };
}

/**
 * Begins a move, or goes on with one that a kill interrupted: what goes to another pool takes its capacity there, and gives the old one's back, at once.
 * Undefined: there is nothing to be done any more, and the step says why.
 */
export async function beginMove(tx: Tx, act: Act, stepId: string): Promise<Move | undefined> {
  const { step, plan } = await lockStep(tx, stepId);
  if (step.state !== "running") return undefined;
  const resource = await tx.selectFrom("resources").selectAll().where("id", "=", step.subject).forUpdate().executeTakeFirst();
  const give = async (error: StepError, state: "failed" | "skipped"): Promise<undefined> => {
    await settleMove(tx, act, plan, step, { state, error });
    return undefined;
  };
  if (!resource || resource.phase !== "live") return give({ code: "not-found", message: "It is no longer there." }, "skipped");
  if (resource.department_id !== step.department_id) return give({ code: "conflict", message: "It belongs to another department by now." }, "failed");
  const pool = await tx
    .selectFrom("pools")
    .select(["driver", "endpoint"])
    .where("id", "=", step.to_pool_id ?? resource.pool_id)
    .executeTakeFirstOrThrow();
  const move: Move = {
    step,
    kind: resource.kind as "host" | "volume",
    ...pool,
    departmentId: resource.department_id,
    to: step.to_member === step.from_member ? null : step.to_member,
    ...(step.action === "restart-host" ? { lost: { id: resource.physical_id, member: step.from_member! } } : {}),
  };
  if (step.to_pool_id === null || resource.pool_id === step.to_pool_id) return move;
  if (resource.pool_id !== step.from_pool_id) return give({ code: "conflict", message: "It lies in another pool by now." }, "failed");
  if (await isBeingChanged(tx, resource)) return give({ code: "conflict", message: "A request that changes it is under way." }, "failed");
  try {
    await moveToPool(tx, act, resource, step.to_pool_id, plan.id);
  } catch (error) {
    if (error instanceof PoolMoveRefused) return give({ code: error.code, message: error.message }, "failed");
    throw error;
  }
  return move;
}

/** How it ended. What could not be moved goes back to the pool that it came from. */
export async function finishMove(tx: Tx, act: Act, stepId: string, result: { restarted: boolean } | StepError): Promise<void> {
  const { step, plan } = await lockStep(tx, stepId);
  if (step.state !== "running") return;
  if (!("code" in result)) return settleMove(tx, act, plan, step, { state: "done", restarted: result.restarted });
  const resource = await tx.selectFrom("resources").selectAll().where("id", "=", step.subject).forUpdate().executeTakeFirstOrThrow();
  const moved = step.to_pool_id !== step.from_pool_id && resource.pool_id === step.to_pool_id;
  if (moved) await moveToPool(tx, act, resource, step.from_pool_id!, plan.id);
  await settleMove(tx, act, plan, step, { state: "failed", error: result });
}

async function settleMove(
  tx: Tx,
  act: Act,
  plan: PlanRow,
  step: StepRow,
  { state, error = null, restarted = null }: { state: "done" | "failed" | "skipped"; error?: StepError | null; restarted?: boolean | null },
): Promise<void> {
  await turn(tx, act, plan, step, { state, error: error && JSON.stringify(error), restarted, finished_at: act.now });
  await appendAudit(tx, act, {
    action: step.action === "restart-host" ? "host.restart-elsewhere" : `${step.action === "move-host" ? "host" : "volume"}.move`,
    subjectKind: step.action === "move-volume" ? "volume" : "host",
    subjectId: step.subject,
    departmentId: step.department_id,
    result: state === "done" ? "done" : "failed",
    before: { member: step.from_member, pool: step.from_pool_id },
    after: {
      plan: plan.id,
      member: step.to_member,
      pool: step.to_pool_id,
      restarted,
      ...(plan.loss_id === null ? {} : { loss: plan.loss_id, underPolicyOf: plan.confirmed_by }),
      ...(error ? { error } : {}),
    },
  });
}

/** A member was closed or opened, or could not be. */
export async function settleMemberStep(tx: Tx, act: Act, plan: PlanRow, step: StepRow, error: StepError | null): Promise<void> {
  await turn(tx, act, plan, step, { state: error ? "failed" : "done", error: error && JSON.stringify(error), finished_at: act.now });
  await appendAudit(tx, act, {
    action: step.action === "close-member" ? "member.close" : "member.open",
    subjectKind: "member",
    subjectId: step.subject,
    departmentId: null,
    result: error ? "failed" : "done",
    after: { plan: plan.id, ...(error ? { error } : {}) },
  });
}

async function lockStep(tx: Tx, id: string): Promise<{ step: StepRow; plan: PlanRow }> {
  const step = await tx.selectFrom("operation_steps").selectAll().where("id", "=", id).forUpdate().executeTakeFirstOrThrow();
  const plan = await tx.selectFrom("operation_plans").selectAll().where("id", "=", step.plan_id).executeTakeFirstOrThrow();
  return { step, plan };
}

async function turn(
  tx: Tx,
  act: Act,
  plan: PlanRow,
  step: StepRow,
  change: { state: StepRow["state"]; error?: string | null; restarted?: boolean | null; started_at?: Date; finished_at?: Date },
): Promise<StepRow> {
  const changed = await tx.updateTable("operation_steps").set(change).where("id", "=", step.id).returningAll().executeTakeFirstOrThrow();
  await tellProgress(tx, act, plan, changed);
  return changed;
}

/** A request that changes it holds the pool that it was planned with. */
async function isBeingChanged(tx: Tx, resource: Selectable<Resources>): Promise<boolean> {
  const open = await tx
    .selectFrom("request_items as i")
    .innerJoin("requests as q", "q.id", "i.request_id")
    .select("q.id")
    .where("i.resource_id", "=", resource.id)
    .where("i.action", "not in", ["create", "extend"])
    .where("i.state", "in", ["pending", "scheduled", "applying"])
    .where("q.state", "in", [...undecidedStates, "waiting", "approved", "applying", "scheduled"])
    .executeTakeFirst();
  return open !== undefined;
}
