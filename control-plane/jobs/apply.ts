/**
 * Makes a department what it is wanted to be: all approved requests in one `up`. Each step may be repeated; a kill between any two
 * is followed by another run from the start, which finds by name what is there.
 */
import { fault } from "../../infra/drivers/fault.ts";
import type { Outcome } from "../../infra/operations.ts";
import { departmentStack, ensureStack, history, type UpdateRecord } from "../state/index.ts";
import { beginApply, type Begun, currentFence } from "../store/applying.ts";
import { poolEndpoints, poolsOf } from "../store/estates.ts";
import { failApply, settleApply } from "../store/settling.ts";
import { plansThatMayMove } from "../store/planning.ts";
import { sparedBySweeps } from "../store/restored.ts";
import { change, type JobContext } from "./context.ts";
import { runMoves } from "./moves.ts";
import { handOvers } from "./hand-over.ts";
import { runEngine } from "./operation.ts";
import { runRefreshes } from "./stack-operation.ts";
import { knownOf, Timeline } from "./timeline.ts";

/** The named points between the steps, for the tests that kill there. */
export const applySteps = ["apply.begin", "apply.begun", "apply.ran", "apply.settled", "apply.swept", "apply.observed"] as const;
const attempts = 3;

export async function applyDepartment(context: JobContext, departmentId: string): Promise<void> {
  await runRefreshes(context, departmentId);
  await handOvers(context, departmentId);
  await runMoves(context, departmentId);
  for (let attempt = 1; ; attempt++) {
    fault("apply.begin");
    const begun = await change(context, (tx, act) => beginApply(tx, act, departmentId, context.keys.unseal));
    fault("apply.begun");
    if (begun.unchanged) {
      await observeDepartment(context, departmentId);
      return;
    }
    const uncertain = (await lastUpdate(context, departmentId))?.status !== "succeeded";
    const { outcome, settled } = await up(context, departmentId, begun);
    fault("apply.ran");
    if (outcome.result !== "succeeded" && (await lastUpdate(context, departmentId))?.status === "cancelled") return unwind(context, departmentId);
    const { again } = await change(context, async (tx, act) => {
      const settlement = await settleApply(tx, act, departmentId, { hash: begun.hash, fence: begun.fence, outcome, putBack: begun.putBack });
      // What is being decided on may not do any more what its approvers have seen.
      await context.queue.plan(tx, await plansThatMayMove(tx, departmentId));
      return settlement;
    });
    fault("apply.settled");
    if (uncertain || outcome.result !== "succeeded" || (settled?.interrupted.length ?? 0) > 0) await sweep(context, departmentId);
    fault("apply.swept");
    await observeDepartment(context, departmentId);
    fault("apply.observed");
    if (!again) return;
    const whole = outcome.failures.length === 0;
    context.log.warn({ departmentId, attempt, message: outcome.message, failures: outcome.failures.length }, "an apply left something to do");
    if (whole && attempt >= attempts) {
      await change(context, (tx, act) => failApply(tx, act, departmentId, explain(outcome)));
      return;
    }
  }
}

/** The engine's run, told step by step. */
async function up(context: JobContext, departmentId: string, { spec, fence, approved, putBack, restarts }: Extract<Begun, { unchanged: false }>) {
  const timeline = new Timeline(context, departmentId, await knownOf(context, departmentId));
  try {
    return await runEngine(context, "up", spec, fence, { approved, putBack, restarts, onProgress: (progress) => timeline.accept(progress) });
  } finally {
    await timeline.flush();
  }
}

/** Everything that was being applied fails; another apply takes away what had been made of it. */
async function unwind(context: JobContext, departmentId: string): Promise<void> {
  const error = { code: "cancelled", message: "Operations staff cancelled the update; what it had made is taken away again." };
  await change(context, async (tx, act) => {
    await failApply(tx, act, departmentId, error);
    await context.queue.apply(tx, departmentId);
  });
}

/** Where it didn't succeed, something may be there that neither Pulumi's state nor anybody wants; where somebody cancelled it, it isn't begun again by itself. */
async function lastUpdate(context: JobContext, departmentId: string): Promise<UpdateRecord | undefined> {
  const stack = departmentStack(departmentId);
  await ensureStack(context.db, stack);
  return (await history(context.db, stack, { limit: 1 }))[0];
}

const explain = (outcome: Outcome) => ({ code: "engine-failed", message: outcome.message ?? "the engine did not succeed" });

/** What an interrupted or failed operation made and nobody wants any more is removed: things are known by their names. */
export async function sweep(context: JobContext, departmentId: string): Promise<string[]> {
  // Of whatever department: what is just passing from one to another is nobody's orphan.
  const isWanted = async (names: readonly string[]): Promise<Set<string>> => {
    const rows =
      names.length === 0
        ? []
        : await context.db
            .selectFrom("resources")
            .select("id")
            .where("id", "in", [...names])
            .where("phase", "in", ["wanted", "live", "retiring"])
            .execute();
    return new Set(rows.map((row) => row.id));
  };
  const fence = await currentFence(context.db, departmentId);
  // After a restore of an older copy: what it doesn't know was not left by an interrupted operation, but asked for since.
  const spared = await sparedBySweeps(context.db);
  // Where the department never had anything, nothing can be left: an endpoint that is down there is none of its business.
  const pools = await poolsOf(context.db, departmentId);
  const endpoints = new Map((await poolEndpoints(context.db)).filter((one) => pools.has(one.pool)).map((one) => [`${one.driver} ${one.endpoint}`, one]));
  const removed: string[] = [];
  for (const { driver: name, endpoint } of endpoints.values()) {
    const driver = context.driver(name, endpoint);
    const listed = (await driver.list(departmentId)).filter((one) => one.kind !== "backup");
    const wanted = await isWanted(listed.map((one) => one.name));
    const orphans = listed.filter((one) => !wanted.has(one.name) && !spared(one));
    const call = { scope: departmentId, fence };
    for (const kind of ["backup-policy", "attachment", "host", "volume"] as const) {
      for (const { id } of orphans.filter((one) => one.kind === kind)) {
        if (kind === "host") await driver.deleteHost(id, call);
        else if (kind === "volume") await driver.deleteVolume(id, call);
        else if (kind === "attachment") await driver.detach(id, call);
        else await driver.deleteBackupPolicy(id, call);
        removed.push(id);
      }
    }
  }
  if (removed.length > 0) context.log.warn({ departmentId, removed }, "removed what an interrupted operation had left");
  return removed;
}

/** A host is active when a reading says that it runs: don't wait for the observer's next round. */
async function observeDepartment(context: JobContext, departmentId: string): Promise<void> {
  const pools = await context.db
    .selectFrom("resources")
    .select("pool_id")
    .distinct()
    .where("department_id", "=", departmentId)
    .where("phase", "=", "live")
    .where("pool_id", "is not", null)
    .execute();
  await context.observe(pools.map((row) => row.pool_id!));
}
