/**
 * Transfers that all have approved (移交). Each step may be repeated: the drivers are told whose the things are, then everything else passes in one transaction,
 * the two Pulumi stacks' states included. A kill before that leaves all of it the giver's, a kill after it the receiver's.
 */
import { setTimeout as pause } from "node:timers/promises";
import { Refusal } from "../domain/refusal.ts";
import { fault } from "../../infra/drivers/fault.ts";
import { departmentStack, ensureStack, openPassage, passResources, StackLocked } from "../state/index.ts";
import { currentFence } from "../store/applying.ts";
import { beginHandOver, failHandOver, type Handing, handingsOf, handOver, lockEstates, NotYet } from "../store/handing-over.ts";
import { change, type JobContext } from "./context.ts";

/** The named points between the steps, for the tests that kill there. */
export const handOverSteps = ["transfer.begun", "transfer.passed", "transfer.done"] as const;
/** How long an apply of the other department, or a backup, is waited for; after that the job is tried again later. Milliseconds. */
const patienceMs = 60_000;

/** Every one of a department that waits to be done; its apply job does them, so that nothing else is applied there meanwhile. */
export async function handOvers(context: JobContext, departmentId: string): Promise<void> {
  for (const handing of await handingsOf(context.db, departmentId)) await handOne(context, handing);
}

async function handOne(context: JobContext, handing: Handing): Promise<void> {
  if (!(await change(context, (tx, act) => beginHandOver(tx, act, handing.id)))) return;
  fault("transfer.begun");
  await tellDrivers(context, handing, handing.giver, handing.receiver);
  fault("transfer.passed");
  const [from, to] = [departmentStack(handing.giver), departmentStack(handing.receiver)];
  for (const stack of [from, to]) await ensureStack(context.db, stack);
  const passage = await openPassage(context.db, context.keys, from, to);
  for (const began = Date.now(); ;) {
    try {
      await change(context, async (tx, act) => {
        await lockEstates(tx, [handing.giver, handing.receiver]);
        if (!(await handOver(tx, act, handing.id))) return;
        await passResources(tx, passage, handing.resources, { fence: 0, message: `transfer ${handing.id}` });
        for (const department of [handing.giver, handing.receiver]) await context.queue.apply(tx, department);
      });
      fault("transfer.done");
      return;
    } catch (error) {
      if (error instanceof Refusal) {
        await tellDrivers(context, handing, handing.receiver, handing.giver);
        await change(context, (tx, act) => failHandOver(tx, act, handing.id, error));
        return;
      }
      if (!(error instanceof StackLocked || error instanceof NotYet) || Date.now() - began > patienceMs) throw error;
      await pause(250);
    }
  }
}

async function tellDrivers(context: JobContext, { application, names, endpoints }: Handing, from: string, to: string): Promise<void> {
  const callOf = async (scope: string) => ({ scope, fence: await currentFence(context.db, scope) });
  for (const { driver, endpoint } of endpoints) await context.driver(driver, endpoint).pass(application, names, await callOf(from), await callOf(to));
}
