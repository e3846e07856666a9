/**
 * Several control planes on one database: each says every few seconds that it lives; what a silent one ran is taken away from it
 * (its update's token and its fence) and goes on here. One that was only paused finds both refused when it comes back.
 */
import { settleReplica } from "../state/index.ts";
import { beat, endConnections, giveUpGone, giveUpSilent, raiseFences, sayGoodbye, type Silent } from "../store/replicas.ts";
import type { JobContext } from "./context.ts";
import { dropLostJobs } from "./queue.ts";
import { resume } from "./resume.ts";

const beatMs = 5_000;
/** Seconds of silence after which another takes over. */
export const silenceSeconds = 15;

export interface Replicas {
  /** Whether this one writes down what it observes; of several the eldest does. */
  leads(): boolean;
  close(): Promise<void>;
}

export async function startReplicas(context: JobContext, id: string): Promise<Replicas> {
  await takeOver(context, await giveUpGone(context.db, id), "a control plane of this machine is gone: its work is taken over");
  let leader = (await beat(context.db, id, true)).leader;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closed = false;
  let round: Promise<void> = Promise.resolve();

  const once = async () => {
    try {
      const now = await beat(context.db, id, false);
      if (now.leader && !leader) context.log.info("this control plane writes the observations now");
      leader = now.leader;
      if (now.revived) context.log.warn("this control plane was silent for too long; what it ran has gone to another");
      await takeOver(context, await giveUpSilent(context.db, silenceSeconds), "a control plane has been silent for too long: its work is taken over");
    } catch (error) {
      leader = false;
      context.log.warn({ error: String(error) }, "a sign of life could not be written");
    }
  };
  const next = () => {
    timer = setTimeout(() => {
      round = once().finally(() => closed || next());
    }, beatMs);
  };
  next();
  return {
    leads: () => leader,
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await round;
      clearTimeout(timer);
      await sayGoodbye(context.db, id);
    },
  };
}

/** Its transactions end, its updates end as they are, its fences are passed, its jobs are put on the queue anew. Each step may be repeated. */
async function takeOver(context: JobContext, lost: readonly Silent[], note: string): Promise<void> {
  for (const { id, host, pid } of lost) {
    context.log.warn({ host, pid }, note);
    await takeOverFrom(context, id);
  }
}

async function takeOverFrom(context: JobContext, replica: string): Promise<void> {
  await endConnections(context.db, replica);
  const settled = await settleReplica(context.db, replica);
  await raiseFences(
    context.db,
    settled.map((one) => one.stack),
  );
  for (const one of settled)
    context.log.warn({ stack: one.stack, version: one.version, interrupted: one.interrupted.length }, "settled an update of a silent control plane");
  await dropLostJobs(context.db, replica);
  await resume(context);
}
