/** The moves of running operation plans, done by the department's apply job: neither is ever in the other's way. */
import { DriverError, NotFound } from "../../infra/drivers/driver.ts";
import { fault } from "../../infra/drivers/fault.ts";
import { currentFence } from "../store/applying.ts";
import { beginMove, finishMove, type Move, movesOf, type StepError } from "../store/operation-steps.ts";
import { change, type JobContext } from "./context.ts";

/** The named points between the steps, for the tests that kill there. */
export const moveSteps = ["move.begun", "move.moved", "move.settled"] as const;

/** Each may be begun again: a driver that has moved something moves it no further. */
export async function runMoves(context: JobContext, departmentId: string): Promise<void> {
  for (const { id, plan_id } of await movesOf(context.db, departmentId)) {
    const move = await change(context, (tx, act) => beginMove(tx, act, id));
    fault("move.begun");
    if (move) {
      const result = await carry(context, move);
      fault("move.moved");
      await change(context, (tx, act) => finishMove(tx, act, id, result));
      fault("move.settled");
    }
    await change(context, (tx) => context.queue.operation(tx, plan_id));
  }
}

async function carry(context: JobContext, { step, kind, driver: name, endpoint, departmentId, to, lost }: Move): Promise<{ restarted: boolean } | StepError> {
  if (to === null) return { restarted: false };
  const driver = context.driver(name, endpoint);
  const call = { scope: departmentId, fence: await currentFence(context.db, departmentId) };
  try {
    if (lost) {
      if (lost.id === null) throw new NotFound(`${step.name} was never seen on ${lost.member}.`);
      await driver.restartHost(lost.id, lost.member, to, call);
      return { restarted: true };
    }
    const found = await driver.find(kind, step.subject);
    if (!found) throw new NotFound(`${step.name} is no longer there.`);
    if (kind === "host") return await driver.moveHost(found.id, to, call);
    await driver.moveVolume(found.id, to, call);
    return { restarted: false };
  } catch (error) {
    if (!(error instanceof DriverError)) context.log.error({ step: step.id, error }, "a move failed in a way that no driver names");
    return { code: error instanceof DriverError ? error.code : "internal", message: error instanceof Error ? error.message : String(error) };
  }
}
