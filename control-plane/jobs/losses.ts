/**
 * Members that don't answer. What is on one counts as down after the policy's time; one that two people have given up is taken out of its cluster, and
 * what was on it is asked for anew, by requests like any other. A kill between any two steps is caught up by the next tick.
 */
import { DriverError } from "../../infra/drivers/driver.ts";
import { fault } from "../../infra/drivers/fault.ts";
import { duePolicies, fileGiveUp, noteHeld, planRestarts, toHold } from "../store/loss-policies.ts";
import { lossesTo, lostHosts, noteProposed, settleRemoval, settleUnreachable, toPropose } from "../store/losses.ts";
import { lockReadings } from "../store/readings.ts";
import { intendAnew } from "../store/lost-proposals.ts";
import { makeIntended } from "../store/reclaiming.ts";
import { change, type JobContext } from "./context.ts";

export async function keepLosses(context: JobContext): Promise<void> {
  await change(context, async (tx, act) => {
    await lockReadings(tx);
    await settleUnreachable(tx, act);
  });
  await followPolicies(context);
  await holdReturned(context);
  for (const { id, driver, endpoint, member } of await lossesTo(context.db, "remove")) {
    const outcome = await remove(context, driver, endpoint, member);
    fault("loss.removed");
    await change(context, (tx, act) => settleRemoval(tx, act, id, outcome));
    if (typeof outcome === "object") context.log.warn({ member, error: outcome.error }, "a member could not be given up; it is tried again");
  }
  for (const loss of await lossesTo(context.db, "propose")) {
    const refused: string[] = [];
    for (const intention of intendAnew(await lostHosts(context.db, loss), loss, context.now()))
      await change(context, async (tx, act) => {
        if (!(await toPropose(tx, loss.id, intention))) return;
        const row = await makeIntended(tx, act, intention, context.keys.seal, loss.id);
        if (row) await context.queue.plan(tx, [row]);
        else refused.push(intention.title);
      });
    await change(context, (tx, act) =>
      noteProposed(tx, act, loss.id, refused.length === 0 ? null : `Could not be asked for, since something of it is being changed: ${refused.join("; ")}`),
    );
  }
}

/** What pools' policies say, where the cluster itself says now that the member is offline: that we don't reach it says nothing of it. */
async function followPolicies(context: JobContext): Promise<void> {
  for (const due of await duePolicies(context.db, context.now())) {
    const { driver, endpoint, member } = due.loss;
    if ((await stateOf(context, driver, endpoint, member)) !== "offline") continue;
    await change(context, async (tx, act) => {
      if (due.action === "propose") return fileGiveUp(tx, act, due);
      const plan = await planRestarts(tx, act, due);
      if (plan !== undefined) await context.queue.operation(tx, plan);
    });
    fault("loss.policy");
  }
}

/** A member whose hosts were started elsewhere and that answers again: nothing new comes to it before somebody of operations brings it back. */
async function holdReturned(context: JobContext): Promise<void> {
  for (const { id, driver, endpoint, member } of await toHold(context.db)) {
    try {
      await context.driver(driver, endpoint).setMember(member, "evacuated");
    } catch (error) {
      context.log.warn({ member, error: String(error) }, "a member that answers again could not be set aside; it is tried again");
      continue;
    }
    await change(context, (tx, act) => noteHeld(tx, act, id));
  }
}

/** undefined: it is no member any more, or its endpoint can't be read. */
async function stateOf(context: JobContext, driver: string, endpoint: string, member: string) {
  try {
    return (await context.driver(driver, endpoint).members()).find((one) => one.name === member)?.state;
  } catch (error) {
    context.log.warn({ member, error: String(error) }, "a cluster could not be asked for its members");
    return undefined;
  }
}

/** Only while it doesn't answer: a member that answers has its hosts running. */
async function remove(context: JobContext, name: string, endpoint: string, member: string): Promise<"removed" | "returned" | { error: string }> {
  const driver = context.driver(name, endpoint);
  try {
    const there = (await driver.members()).find((one) => one.name === member);
    if (!there) return "removed";
    if (there.state !== "offline") return "returned";
    await driver.removeMember(member);
    return "removed";
  } catch (error) {
    if (error instanceof DriverError && error.code === "in-use") return "returned";
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
