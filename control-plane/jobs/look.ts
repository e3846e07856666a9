/** Looks at what is really on the clouds: for drift of a department, by the real engine's refresh that changes nothing. */
import { driftOf } from "../domain/drift.ts";
import { calmOf, recordDrift } from "../store/drift.ts";
import { settleAdoptions } from "../store/drift-decisions.ts";
import { wantedSpec } from "../store/estates.ts";
import { change, type JobContext } from "./context.ts";
import { runEngine } from "./operation.ts";

export async function look(context: JobContext, id: string): Promise<void> {
  await findDrift(context, id);
}

/** Where something is being applied, or was while this looked, nothing is found: the next time. */
async function findDrift(context: JobContext, departmentId: string): Promise<void> {
  const before = await calmOf(context.db, departmentId);
  if (!before) return;
  const spec = await wantedSpec(context.db, departmentId, context.keys.unseal);
  const { outcome } = await runEngine(context, "drift", spec, before.fence);
  if (outcome.result !== "succeeded") {
    const why = outcome.failures[0]?.message ?? outcome.message;
    context.log.warn({ departmentId, why }, "a department could not be looked at for drift");
    return;
  }
  const found = await change(context, (tx, act) => recordDrift(tx, act, departmentId, before, driftOf(outcome.steps)));
  if (found && found.length > 0) context.log.warn({ departmentId, findings: found.length }, "found drift");
}

/** At most so many departments are enqueued by one tick: the rest has its turn by the next. */
const atOnce = 4;
const dueKey = (departmentId: string) => `drift:${departmentId}`;

/** Enqueues the departments that are due, each at a moment of its own within the interval. */
export async function lookForDrift(context: JobContext): Promise<void> {
  await change(context, settleAdoptions);
  if (context.driftMs === 0) return;
  const departments = await context.db.selectFrom("resources").select("department_id as id").distinct().where("phase", "=", "live").orderBy("id").execute();
  const due = new Map((await context.db.selectFrom("due_times").selectAll().where("key", "like", "drift:%").execute()).map((row) => [row.key, row.due_at]));
  const now = context.now().getTime();
  let enqueued = 0;
  for (const [index, { id }] of departments.entries()) {
    const at = due.get(dueKey(id));
    if (at && at.getTime() > now) continue;
    const begins = at !== undefined && enqueued < atOnce && (await calmOf(context.db, id)) !== undefined;
    // Who is seen for the first time gets a place of its own; who is being applied is looked at soon after.
    const next = at === undefined ? (context.driftMs * (index + 1)) / (departments.length + 1) : begins ? context.driftMs : 0;
    if (next === 0) continue;
    if (begins) enqueued++;
    await change(context, async (tx) => {
      const dueAt = new Date(now + next);
      await tx
        .insertInto("due_times")
        .values({ key: dueKey(id), due_at: dueAt })
        .onConflict((conflict) => conflict.column("key").doUpdateSet({ due_at: dueAt }))
        .execute();
      if (begins) await context.queue.look(tx, id);
    });
  }
}
