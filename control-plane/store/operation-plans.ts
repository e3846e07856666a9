/** Operation plans (运维方案) and their steps: asked for, computed, confirmed by a second person, carried out. */
import { type Selectable, sql } from "kysely";
import type { NewOperationPlan, OperationState } from "../contract/operation-plans.ts";
import { serverOf } from "../../infra/spec.ts";
import { type Ask, hashOf, type PlannedStep, stepDifferences } from "../domain/operation-plans.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvent } from "./events.ts";
import { newId } from "./ids.ts";
import { tellOwners } from "./operation-notices.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { getPool } from "./pools.ts";
import { insertRows } from "./rows.ts";
import type { OperationPlans, OperationSteps } from "./schema.ts";

export type PlanRow = Selectable<OperationPlans>;
export type StepRow = Selectable<OperationSteps>;

/** Written down; a job computes its steps. @throws Refusal not-found for a pool, host or volume that isn't there */
export async function askOperation(tx: Tx, act: Act, asked: NewOperationPlan): Promise<PlanRow> {
  const { ask, driver, endpoint } = await resolve(tx, asked);
  const row = await tx
    .insertInto("operation_plans")
    .values({
      id: newId("opl", act.now),
      kind: asked.kind,
      driver,
      endpoint,
      server: serverOf({ driver, endpoint }),
      ask: JSON.stringify(ask),
      state: "planning",
      reason: asked.reason,
      created_by: act.actor,
      created_at: act.now,
      updated_at: act.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await audit(tx, act, row, "create", { kind: asked.kind, ask, reason: asked.reason });
  return row;
}

async function resolve(tx: Tx, asked: NewOperationPlan): Promise<{ ask: Ask; driver: string; endpoint: string }> {
  if (asked.kind === "move-host" || asked.kind === "move-volume") {
    const [kind, id] = asked.kind === "move-host" ? (["host", asked.host] as const) : (["volume", asked.volume] as const);
    const row = await tx
      .selectFrom("resources as r")
      .innerJoin("pools as p", "p.id", "r.pool_id")
      .select(["p.driver", "p.endpoint"])
      .where("r.id", "=", id)
      .where("r.kind", "=", kind)
      .where("r.phase", "=", "live")
      .executeTakeFirst();
    if (!row) throw notFound(kind, id);
    const toPool = asked.toPool === null ? null : (await getPool(tx, asked.toPool)).id;
    return { ask: { kind: asked.kind, resource: id, toMember: asked.toMember, toPool }, ...row };
  }
  const { id, driver, endpoint } = await getPool(tx, asked.pool);
  const at = { driver, endpoint };
  if (asked.kind === "drain-member") return { ask: { kind: asked.kind, member: asked.member }, ...at };
  if (asked.kind === "replace-member") return { ask: { kind: asked.kind, member: asked.member, successor: asked.successor }, ...at };
  if (asked.kind === "rebalance") return { ask: { kind: asked.kind, pool: id, maxMoves: asked.maxMoves }, ...at };
  return { ask: { kind: asked.kind, member: asked.member, bringBack: asked.bringBack ? await drainedFrom(tx, serverOf(at), asked.member) : [] }, ...at };
}

/** What the last drain of a member took away. */
async function drainedFrom(tx: Tx, server: string, member: string): Promise<string[]> {
  const plan = await tx
    .selectFrom("operation_plans")
    .select("id")
    .where("server", "=", server)
    .where("kind", "=", "drain-member")
    .where(sql<boolean>`ask->>'member' = ${member}`)
    .where("started_at", "is not", null)
    .orderBy("id", "desc")
    .executeTakeFirst();
  if (!plan) return [];
  const steps = await tx
    .selectFrom("operation_steps")
    .select("subject")
    .where("plan_id", "=", plan.id)
    .where("action", "in", ["move-host", "move-volume"])
    .where("state", "=", "done")
    .execute();
  return steps.map((one) => one.subject);
}

export async function getOperation(db: Db, id: string): Promise<PlanRow> {
  const row = await db.selectFrom("operation_plans").selectAll().where("id", "=", id).executeTakeFirst();
  if (!row) throw notFound("operation plan", id);
  return row;
}
export const listOperations = (db: Db, { state, ...ask }: PageAsk & { state?: OperationState | undefined }): Promise<Page<PlanRow>> => {
  let query = db.selectFrom("operation_plans").selectAll();
  if (state) query = query.where("state", "=", state);
  return page(query, { ...ask, by: "id", descending: true });
};
export const stepsOf = (db: Db, planIds: readonly string[]): Promise<StepRow[]> =>
  planIds.length === 0
    ? Promise.resolve([])
    : db
        .selectFrom("operation_steps")
        .selectAll()
        .where("plan_id", "in", [...planIds])
        .orderBy("plan_id")
        .orderBy("position")
        .execute();

/** The row, locked. */
export const lockOperation = (tx: Tx, id: string): Promise<PlanRow | undefined> =>
  tx.selectFrom("operation_plans").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();

/** What was computed is to be looked at. Computed again after a confirmation, it needs a new one. */
export async function showOperation(tx: Tx, act: Act, row: PlanRow, steps: readonly PlannedStep[]): Promise<void> {
  const before = (await stepsOf(tx, [row.id])).map(plannedOf);
  await writeSteps(tx, act, row, steps);
  const difference = row.state === "confirmed" ? stepDifferences(before, steps) : [];
  await set(tx, act, row, { state: "draft", hash: hashOf(steps), difference: JSON.stringify(difference), confirmed_by: null, confirmed_at: null });
  await audit(tx, act, row, "compute", { hash: hashOf(steps), steps: steps.length, difference });
}

/** Under a pool's policy nobody confirms what goes where: what can be begun begins, what cannot says why. */
export async function beginRestarts(tx: Tx, act: Act, row: PlanRow, steps: readonly PlannedStep[]): Promise<void> {
  await writeSteps(tx, act, row, steps);
  await tx.updateTable("operation_steps").set({ state: "skipped" }).where("plan_id", "=", row.id).where("blocked", "is not", null).execute();
  const hash = hashOf(steps);
  const shown = await set(tx, act, row, { hash });
  await audit(tx, act, row, "compute", { hash, steps: steps.length, underPolicyOf: row.confirmed_by });
  if (steps.some((one) => one.blocked === null)) return startOperation(tx, act, shown);
  const [first] = steps;
  await set(tx, act, shown, {
    state: "failed",
    error: first ? `${first.name}: ${first.blocked}` : "nothing of it is on that member any more",
    finished_at: act.now,
  });
}

async function writeSteps(tx: Tx, act: Act, row: PlanRow, steps: readonly PlannedStep[]): Promise<void> {
  await tx.deleteFrom("operation_steps").where("plan_id", "=", row.id).execute();
  await insertRows(
    tx,
    "operation_steps",
    steps.map((step, position) => ({
      id: newId("ops", act.now),
      plan_id: row.id,
      position,
      action: step.action,
      subject: step.subject,
      name: step.name,
      department_id: step.department,
      application_id: step.application,
      from_member: step.from,
      to_member: step.to,
      from_pool_id: step.fromPool,
      to_pool_id: step.toPool,
      restarts: step.restarts,
      bytes: step.bytes,
      reason: step.reason,
      blocked: step.blocked,
      state: "planned" as const,
    })),
  );
}

export const plannedOf = (step: StepRow): PlannedStep => ({
  action: step.action,
  subject: step.subject,
  name: step.name,
  department: step.department_id,
  application: step.application_id,
  from: step.from_member,
  to: step.to_member,
  fromPool: step.from_pool_id,
  toPool: step.to_pool_id,
  restarts: step.restarts,
  bytes: step.bytes,
  reason: step.reason,
  blocked: step.blocked,
});

/**
 * By somebody else than its author, of what was shown.
 * @param check is given the revision as it is now; throws to refuse
 */
export async function confirmOperation(tx: Tx, act: Act, id: string, hash: string, check: (revision: number) => void): Promise<PlanRow> {
  const row = await lockOperation(tx, id);
  if (!row) throw notFound("operation plan", id);
  if (row.created_by === act.actor)
    throw new Refusal("self-approval", "You drew this plan up yourself.", { remedy: "Another person of operations looks at it and confirms it." });
  check(row.revision);
  if (row.state !== "draft") throw new Refusal("conflict", `The plan is ${row.state}: only a draft is confirmed.`);
  if (row.hash !== hash) throw new Refusal("plan-changed", "The plan is no longer the one that you saw.", { remedy: "Look at it again and confirm that." });
  const steps = await stepsOf(tx, [id]);
  if (steps.length === 0) throw new Refusal("rule-broken", "There is nothing to do.");
  const blocked = steps.filter((one) => one.blocked !== null);
  if (blocked.length > 0)
    throw new Refusal("rule-broken", `${blocked.length} step${blocked.length === 1 ? " is" : "s are"} blocked: ${blocked[0]!.name}: ${blocked[0]!.blocked}`, {
      remedy: "Remove what stands in the way, then have the plan computed again.",
    });
  const other = await tx
    .selectFrom("operation_plans")
    .select("id")
    .where("server", "=", row.server)
    .where("state", "in", ["confirmed", "running"])
    .executeTakeFirst();
  if (other) throw new Refusal("conflict", `The plan ${other.id} is under way on the same machines.`, { remedy: "Wait until it has ended." });
  const confirmed = await set(tx, act, row, { state: "confirmed", difference: "[]", confirmed_by: act.actor, confirmed_at: act.now });
  await audit(tx, act, row, "confirm", { hash });
  return confirmed;
}

/** What hasn't begun isn't done; a step that runs is brought to its end. */
export async function cancelOperation(tx: Tx, act: Act, id: string, check: (revision: number) => void): Promise<PlanRow> {
  const row = await lockOperation(tx, id);
  if (!row) throw notFound("operation plan", id);
  check(row.revision);
  if (row.state === "done" || row.state === "failed" || row.state === "cancelled") throw new Refusal("conflict", `The plan is ${row.state} already.`);
  if (row.cancelled_at !== null) throw new Refusal("conflict", "The plan is being cancelled already.");
  await tx.updateTable("operation_steps").set({ state: "skipped" }).where("plan_id", "=", id).where("state", "=", "planned").execute();
  const ends = row.state !== "running";
  const cancelled = await set(tx, act, row, {
    cancelled_by: act.actor,
    cancelled_at: act.now,
    ...(ends ? { state: "cancelled" as const, finished_at: act.now } : {}),
  });
  await audit(tx, act, row, "cancel", null);
  return cancelled;
}

/** Computed again, as the cluster is now. */
export async function recomputeOperation(tx: Tx, act: Act, id: string): Promise<PlanRow> {
  const row = await lockOperation(tx, id);
  if (!row) throw notFound("operation plan", id);
  if (row.state !== "draft") throw new Refusal("conflict", `The plan is ${row.state}: only a draft is computed again.`);
  const planning = await set(tx, act, row, { state: "planning" });
  await audit(tx, act, row, "recompute", null);
  return planning;
}

/** It begins: the owners of hosts that will restart are told. */
export async function startOperation(tx: Tx, act: Act, row: PlanRow): Promise<void> {
  await set(tx, act, row, { state: "running", started_at: act.now });
  await tellOwners(
    tx,
    act,
    row,
    (await stepsOf(tx, [row.id])).filter((one) => one.restarts && one.state === "planned"),
    "host.moving",
  );
  await audit(tx, act, row, "start", null);
}

/** Nothing runs any more. @param error of the plan as a whole */
export async function endOperation(tx: Tx, act: Act, row: PlanRow, error: string | null): Promise<void> {
  const steps = await stepsOf(tx, [row.id]);
  const failed = error !== null || steps.some((one) => one.state === "failed");
  const state = row.cancelled_at !== null ? "cancelled" : failed ? "failed" : "done";
  const count = steps.filter((one) => one.state === "failed").length;
  const told = error ?? (count > 0 ? `${count} of ${steps.length} steps failed` : null);
  await set(tx, act, row, { state, error: told, finished_at: act.now });
  await audit(tx, act, row, "end", { state, error: told }, state === "failed" ? "failed" : "done");
}

export async function set(tx: Tx, act: Act, row: PlanRow, change: Partial<Omit<PlanRow, "ask" | "difference">> & { difference?: string }): Promise<PlanRow> {
  const changed = await tx
    .updateTable("operation_plans")
    .set({ ...change, revision: sql<number>`revision + 1`, updated_at: act.now })
    .where("id", "=", row.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await tellProgress(tx, act, changed, null);
  return changed;
}

/** For pages that are open: those of operations only, since no department is named. */
export const tellProgress = (tx: Tx, act: Act, row: Pick<PlanRow, "id" | "kind" | "state">, step: StepRow | null): Promise<void> =>
  appendEvent(tx, {
    at: act.now,
    departmentId: null,
    requestId: null,
    type: `operation.${step === null ? row.state : `step-${step.state}`}`,
    subjectId: row.id,
    data: { kind: row.kind, ...(step === null ? {} : { step: step.id, action: step.action, name: step.name }) },
  });

const audit = (tx: Tx, act: Act, row: PlanRow, verb: string, after: unknown, result: "done" | "failed" = "done"): Promise<void> =>
  appendAudit(tx, act, {
    action: `operation-plan.${verb}`,
    subjectKind: "operation-plan",
    subjectId: row.id,
    departmentId: null,
    result,
    before: { state: row.state },
    after,
  });
