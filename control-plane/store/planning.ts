/** A request's change plan: recorded, and handed to those who decide on it; a plan that moved goes back to the first of them. */
import type { ChangePlan } from "../contract/requests.ts";
import { digestOf } from "../domain/digest.ts";
import { isDeciding } from "../domain/lifecycle.ts";
import { shownPlacement } from "../domain/proposals.ts";
import { planDifferences } from "../domain/plan-difference.ts";
import { Refusal } from "../domain/refusal.ts";
import { sumByDimension } from "../domain/resources.ts";
import type { Act } from "./act.ts";
import { beginRound, invalidateSteps, type Kind } from "./approval-steps.ts";
import { specificationsOf } from "./approvals.ts";
import type { Db, Tx } from "./database.ts";
import { requireFunds } from "./fund-charges.ts";
import { finalise } from "./granting.ts";
import { softWarnings } from "./quotas.ts";
import { keptOf, movedSince, payerOf } from "./transferring.ts";
import { noteNeeds, type PlannedNeed } from "./restarts.ts";
import { snapshotsGoing } from "./snapshots.ts";
import { withdrawExtended } from "./terms.ts";
import { giveBack, type Kept, lockRequest, move, type RequestRow } from "./requests.ts";

export const askEvent = { "department-approval": "ask-department", "authority-approval": "ask-authority" } as const satisfies Record<Kind, string>;

/**
 * The change plan's steps, or why it could not be made. Approval is bound to its hash.
 * Of a request that is being decided on: a plan that is the same changes nothing; one that moved makes what was decided count no more.
 */
export async function recordPlan(
  tx: Tx,
  act: Act,
  id: string,
  plan: { steps: ChangePlan["steps"]; restarts?: readonly PlannedNeed[] } | { error: { code: string; message: string } },
): Promise<RequestRow> {
  const row = await lockRequest(tx, id);
  const again = isDeciding(row.state);
  if (row.state !== "submitted" && !again) return row;
  // What was extended meanwhile is neither stopped nor retired.
  const withdrawn = await withdrawExtended(tx, act, row);
  if (withdrawn) return withdrawn;
  const moved = row.to_department_id === null ? undefined : await transferMoved(tx, act, row);
  if (moved) {
    await giveBack(tx, act, id);
    if (!again) return move(tx, act, row, "fail", { error: JSON.stringify(moved) });
    return move(tx, act, row, "withdraw", { error: JSON.stringify(moved) });
  }
  if ("error" in plan) {
    if (again) return sendBackToPlanning(tx, act, row, plan.error);
    await giveBack(tx, act, id);
    return move(tx, act, row, "fail", { error: JSON.stringify(plan.error) });
  }
  await noteNeeds(tx, id, plan.restarts ?? []);
  const content = { ...(await contentOf(tx, id, plan.steps)), cost: await costOf(tx, act, row) };
  // The pool is approved; which member of it, and what else was considered, is shown.
  const hash = digestOf({
    ...content,
    placement: content.placement.map(({ resource, pool, reason }) => ({ resource, pool, reason })),
    // Which host is restarted is approved; how much memory it holds moves all the time. A plan without any is as those were before there were any.
    ...(content.restarts.length === 0 ? { restarts: undefined } : { restarts: content.restarts.map(({ resource, host }) => ({ resource, host })) }),
  });
  if (again && hash === row.plan_hash) return row;
  const submitted = again
    ? await sendBackToPlanning(tx, act, row, { code: "plan-moved", message: "What the request would do has changed since it was planned." })
    : row;
  const before = submitted.previous_plan as ChangePlan | null;
  const differences = before === null ? [] : planDifferences(before, content);
  const planned = await move(tx, act, submitted, "plan", {
    plan: JSON.stringify({
      ...content,
      differences,
      snapshots: await snapshotsGoing(tx, id),
      waits: waitsOf(submitted),
      warnings: await warningsOf(tx, row, content.charge),
      hash,
      computedAt: act.now.toISOString(),
    }),
    plan_hash: hash,
  });
  // Its owner was told of it by the policy's days, nothing is lost by it, and an approved extension or start undoes it.
  if (planned.origin === "term-stop")
    return finalise(tx, act, planned, { by: act.actor, reason: "期限已过，按期限策略停机 / The term is over: stopped by the policy of terms" });
  const kind = await beginRound(tx, act, planned);
  if (kind === undefined) throw new Error(`the approval policy of ${row.department_id} asks nobody`);
  return move(tx, act, planned, askEvent[kind], {});
}

/** A transfer is of exactly what was asked for: nothing of the application changes while it is under way, so that what has moved all the same ends it. */
async function transferMoved(tx: Tx, act: Act, row: RequestRow): Promise<{ code: string; message: string } | undefined> {
  const item = await tx.selectFrom("request_items").selectAll().where("request_id", "=", row.id).executeTakeFirstOrThrow();
  const moved = await movedSince(tx, act.now, row, item).catch((error: unknown) => {
    if (error instanceof Refusal) return error;
    throw error;
  });
  if (moved instanceof Refusal) return { code: moved.code, message: moved.detail };
  const [refusal] = moved.passing.refusals;
  if (refusal) return { code: refusal.code, message: refusal.detail };
  return moved.paths.length === 0 ? undefined : { code: "plan-changed", message: `What would pass is not what was asked for: ${moved.paths.join("; ")}` };
}

/** What it will wait for, as far as it is known. */
function waitsOf(row: Pick<RequestRow, "waits" | "error">): string[] {
  if (!row.waits) return [];
  const error = row.error as { code: string; message: string } | null;
  return [error?.code === "capacity" ? error.message : "There was no room when it was placed."];
}

/** Back to planning, and from there to the first approver: what was decided counts no more, and the next plan is shown with its difference. */
export async function sendBackToPlanning(tx: Tx, act: Act, row: RequestRow, error: { code: string; message: string }): Promise<RequestRow> {
  await invalidateSteps(tx, act, row, error.message);
  return move(tx, act, row, "replan", {
    plan: null,
    plan_hash: null,
    ...(row.plan === null ? {} : { previous_plan: JSON.stringify(row.plan) }),
    error: JSON.stringify(error),
  });
}

/** What it costs by now: another year, or another purpose of its project, is another fund. What doesn't fit there is said to who approves. */
async function costOf(tx: Tx, act: Act, row: RequestRow): Promise<ChangePlan["cost"]> {
  const shown = row.cost as ChangePlan["cost"];
  if (shown === null) return null;
  return requireFunds(tx, act, { id: row.id, project_id: payerOf(row) }, true).then(
    (moved) => moved ?? shown,
    (error: unknown) => {
      if (error instanceof Refusal) return shown;
      throw error;
    },
  );
}

/** Requests that are being decided on and whose plans depend on what the department has: after an apply they are planned anew. */
export async function plansThatMayMove(db: Db, departmentId: string): Promise<Pick<RequestRow, "id" | "department_id">[]> {
  return db
    .selectFrom("requests as r")
    .select(["r.id", "r.department_id"])
    .where("r.department_id", "=", departmentId)
    .where("r.state", "in", ["department-approval", "authority-approval"])
    .where((where) =>
      where.exists(
        where
          .selectFrom("request_items as i")
          .select("i.id")
          .whereRef("i.request_id", "=", "r.id")
          // A new host or volume depends on nothing that is there, an extension changes the register only, and of what is transferred nothing changes meanwhile.
          .where((one) => one.or([one("i.action", "not in", ["create", "extend", "transfer"]), one("i.kind", "in", ["attachment", "backup-policy"])])),
      ),
    )
    .orderBy("r.id")
    .execute();
}

/** Soft limits that are passed with it. Shown beside what is approved, not part of it: what others hold meanwhile must not undo an approval. */
async function warningsOf(tx: Tx, row: RequestRow, charge: ChangePlan["charge"]): Promise<ChangePlan["warnings"]> {
  const growing = charge.filter((one) => one.quantity > 0).map((one) => one.dimension);
  const { protection_level } = await tx.selectFrom("applications").select("protection_level").where("id", "=", row.application_id).executeTakeFirstOrThrow();
  return softWarnings(tx, row.to_department_id ?? row.department_id, protection_level, growing);
}

/** What an approval is bound to. */
async function contentOf(tx: Tx, id: string, steps: ChangePlan["steps"]) {
  const items = await tx.selectFrom("request_items").selectAll().where("request_id", "=", id).orderBy("position").execute();
  const pools = new Map((await tx.selectFrom("pools").select(["id", "code"]).execute()).map((pool) => [pool.id, pool.code]));
  const placed = await tx.selectFrom("resources").select(["id", "pool_id"]).where("request_id", "=", id).execute();
  const passing = items.find((item) => item.action === "transfer");
  const needs = items.flatMap((item) => (item.restart_need === null || item.state !== "pending" ? [] : [{ resource: item.resource_id, ...item.restart_need }]));
  const hosts = await namesOfHosts(
    tx,
    needs.map((need) => need.host),
  );
  return {
    steps,
    ...(passing ? { transfer: keptOf(passing).transfer } : {}),
    specifications: specificationsOf(items),
    charge: sumByDimension(items.flatMap((item) => (item.spec as Kept).charge as ChangePlan["charge"])),
    placement: placed.flatMap((one) => {
      const pool = one.pool_id === null ? undefined : pools.get(one.pool_id);
      const item = items.find((item) => item.resource_id === one.id);
      if (!pool || !item) return [];
      return [{ resource: one.id, ...shownPlacement(item.spec as Kept, pool) }];
    }),
    restarts: needs.map(({ resource, host, why }) => ({ resource, host, hostName: hosts.get(host) ?? host, why })),
  };
}

async function namesOfHosts(tx: Tx, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await tx
    .selectFrom("resources")
    .select(["id", "name"])
    .where("id", "in", [...ids])
    .execute();
  return new Map(rows.map((row) => [row.id, row.name]));
}
