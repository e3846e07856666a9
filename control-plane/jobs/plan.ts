/** A request's change plan, by a real Pulumi preview. */
import { sql } from "kysely";
import type { ChangePlan } from "../contract/requests.ts";
import { currentFence } from "../store/applying.ts";
import { plannedSpec } from "../store/estates.ts";
import { isDeciding } from "../domain/lifecycle.ts";
import { recordPlan } from "../store/planning.ts";
import { transferSteps } from "../store/transferring.ts";
import { change, type JobContext } from "./context.ts";
import { runEngine } from "./operation.ts";
import { needsOf } from "./restarts.ts";

export async function planRequest(context: JobContext, requestId: string): Promise<void> {
  const request = await context.db.selectFrom("requests").select(["state"]).where("id", "=", requestId).executeTakeFirst();
  if (!request || (request.state !== "submitted" && !isDeciding(request.state))) return;
  const passed = await transferSteps(context.db, requestId);
  if (passed) return change(context, async (tx, act) => void (await recordPlan(tx, act, requestId, { steps: passed })));
  const { departmentId, spec } = await plannedSpec(context.db, requestId, context.keys.unseal);
  const { outcome } = await runEngine(context, "preview", spec, await currentFence(context.db, departmentId));
  const own = await context.db
    .selectFrom("request_items as i")
    .innerJoin("resources as r", "r.id", "i.resource_id")
    .select(["r.id", "r.name", sql<boolean>`coalesce(r.wanted ? 'adopted', false)`.as("adopted")])
    .where("i.request_id", "=", requestId)
    .execute();
  // What hangs on them may have to be made anew: that too is shown.
  const ids = own.map((one) => one.id);
  const dependents = await context.db
    .selectFrom("resources")
    .select(["id", "name"])
    .where("department_id", "=", departmentId)
    .where("phase", "=", "live")
    .where((where) => where.or([where(sql<string>`wanted->>'volume'`, "in", ids), where(sql<string>`wanted->>'host'`, "in", ids)]))
    .execute();
  const names = new Map([...own, ...dependents].map((one) => [one.id, one.name]));
  const failure = outcome.failures.find((one) => names.has(one.name)) ?? outcome.failures[0];
  if (outcome.result !== "succeeded") {
    const error = failure
      ? { code: failure.code, message: failure.message }
      : { code: "preview-failed", message: outcome.message ?? "the preview did not succeed" };
    await change(context, (tx, act) => recordPlan(tx, act, requestId, { error }));
    return;
  }
  const steps = outcome.steps.flatMap((step): ChangePlan["steps"] => {
    const name = names.get(step.name);
    if (name === undefined || step.action === "same" || step.action === "read" || step.action === "refresh") return [];
    // What is there already is taken over, not made.
    const action = step.action === "create" && own.some((one) => one.id === step.name && one.adopted) ? "adopt" : step.action;
    return [{ action, kind: step.kind, resource: step.name, name, changes: step.changes }];
  });
  // One order, whatever order the engine took: the plan's hash is over it.
  steps.sort((a, b) => (a.resource < b.resource ? -1 : 1));
  const restarts = await needsOf(context, requestId, outcome.steps);
  await change(context, async (tx, act) => {
    const row = await recordPlan(tx, act, requestId, { steps, restarts });
    if (row.state === "approved") await context.queue.apply(tx, row.department_id);
  });
}
