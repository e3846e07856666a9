/** What the control plane and its engine worker say over the child's IPC channel. */
import { z } from "zod";
import { Operation, Outcome, Progress } from "./operations.ts";

/** How the worker is to work; not secret, so given as an argument. */
export const WorkerOptions = z.object({
  /** The engine is `engineRoot/bin/pulumi`. */
  engineRoot: z.string(),
  /** Absolute; one directory per slot is made in it. */
  directory: z.string(),
  /** Engines at once, 1 to 64. */
  slots: z.int().min(1).max(64),
  /** How often the worker says that it is alive. */
  heartbeatMs: z.int().min(10),
  /** An engine that makes no progress for as long is ended. */
  silentMs: z.number().min(100),
  /** How long a driver may take for one call. */
  callMs: z.number().min(10),
  /** The module whose `loadDriver` finds drivers: `drivers/load.ts`, unless tests bring machines of their own. */
  drivers: z.string(),
});
export type WorkerOptions = z.infer<typeof WorkerOptions>;

export const ToWorker = z.discriminatedUnion("type", [
  z.object({ type: z.literal("run"), operation: Operation }),
  z.object({ type: z.literal("cancel"), operation: z.string() }),
]);
export type ToWorker = z.infer<typeof ToWorker>;

export const FromWorker = z.discriminatedUnion("type", [
  z.object({ type: z.literal("ready"), providerPort: z.int() }),
  z.object({ type: z.literal("heartbeat"), at: z.number(), running: z.array(z.string()), waiting: z.int() }),
  z.object({ type: z.literal("progress"), progress: Progress }),
  z.object({ type: z.literal("outcome"), outcome: Outcome }),
  /** The operation could not be run at all. */
  z.object({ type: z.literal("error"), operation: z.string(), message: z.string() }),
]);
export type FromWorker = z.infer<typeof FromWorker>;
