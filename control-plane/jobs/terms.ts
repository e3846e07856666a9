/** Terms and trials, each time the clock is looked at. Every step is a transaction of its own and may be repeated: a kill between any two is caught up by the next tick. */
import { makeIntended, reclaimsDue, stopsDue, withdrawOutdated } from "../store/reclaiming.ts";
import { keepTerm, termsDue } from "../store/terms.ts";
import { change, type JobContext } from "./context.ts";

export async function keepTerms(context: JobContext): Promise<void> {
  for (const id of await termsDue(context.db, context.now())) await change(context, (tx, act) => keepTerm(tx, act, id));
  await change(context, withdrawOutdated);
  for (const due of [stopsDue, reclaimsDue]) {
    for (const intention of await due(context.db, context.now()))
      await change(context, async (tx, act) => {
        const row = await makeIntended(tx, act, intention, context.keys.seal);
        if (row) await context.queue.plan(tx, [row]);
      });
  }
}
