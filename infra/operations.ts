/**
 * What the control plane and the engine worker say to each other: plain data over the child's IPC channel.
 * The worker is the only process that runs Pulumi programs and serves the provider.
 */
import { z } from "zod";
import { Approval } from "./approval.ts";
import { Allowance, DepartmentSpec, PoolEndpoint, ResourceName } from "./spec.ts";

/** drift: a refresh that only tells what it would find; neither the state nor anything else is changed by it */
export const OperationKind = z.enum(["preview", "up", "refresh", "destroy", "drift"]);
export type OperationKind = z.infer<typeof OperationKind>;

/** One engine run for one department. `state` is where Pulumi's HTTP backend is and the token for this operation. */
export const Operation = z.object({
  id: z.string(),
  kind: OperationKind,
  spec: DepartmentSpec,
  pools: z.array(PoolEndpoint),
  /** What may be created, changed and deleted; left out (previews, refreshes): no limit beside the state service's own. */
  approved: z.array(Approval).optional(),
  /** What the department's quota account holds for it: the drivers' second fence. */
  allowance: Allowance.optional(),
  /** What an `up` brings back to what is wanted though its state knows no difference; `anew`: it is gone, and is made anew. */
  putBack: z.array(z.object({ name: ResourceName, anew: z.boolean() })).optional(),
  /** Hosts and volumes whose update may restart a host: its owner agreed to that. Left out: none. */
  restarts: z.array(ResourceName).optional(),
  /** Fencing token of the department's lease; drivers refuse lower ones. */
  fence: z.int().min(0),
  state: z.object({ url: z.string(), token: z.string(), organization: z.string(), project: z.string(), stack: z.string() }),
});
export type Operation = z.infer<typeof Operation>;

/** One resource's step in a preview or an update, named by our spec's name (never by a Pulumi URN). */
export const Step = z.object({
  action: z.enum(["create", "update", "replace", "delete", "same", "read", "refresh"]),
  kind: z.enum(["host", "volume", "attachment", "backup-policy"]),
  name: z.string(),
  /** Which inputs differ, and from what to what; secrets are "[secret]". */
  changes: z.array(z.object({ path: z.string(), before: z.unknown().optional(), after: z.unknown().optional() })).default([]),
});
export type Step = z.infer<typeof Step>;

/** Reported while an operation runs. */
export const Progress = z.discriminatedUnion("type", [
  z.object({ type: z.literal("started"), operation: z.string(), at: z.number(), enginePid: z.int().optional() }),
  z.object({ type: z.literal("step-started"), operation: z.string(), at: z.number(), step: Step }),
  z.object({ type: z.literal("step-done"), operation: z.string(), at: z.number(), step: Step }),
  z.object({ type: z.literal("step-failed"), operation: z.string(), at: z.number(), step: Step, code: z.string(), message: z.string() }),
  z.object({ type: z.literal("note"), operation: z.string(), at: z.number(), severity: z.enum(["info", "warning", "error"]), message: z.string() }),
]);
export type Progress = z.infer<typeof Progress>;

/** How an operation ended. `failed` still has its per-resource results: neighbours of a failed resource succeed. */
export const Outcome = z.object({
  operation: z.string(),
  result: z.enum(["succeeded", "failed", "cancelled"]),
  steps: z.array(Step),
  failures: z.array(z.object({ kind: z.string(), name: z.string(), code: z.string(), message: z.string() })),
  /** What went wrong outside any one resource; secrets removed. */
  message: z.string().optional(),
  durationMs: z.number(),
});
export type Outcome = z.infer<typeof Outcome>;

/** The engine as jobs see it. `worker-client.ts` implements it over a supervised child process. */
export interface Engine {
  run(operation: Operation, onProgress?: (progress: Progress) => void): Promise<Outcome>;
  cancel(operation: string): Promise<void>;
  /** PIDs of the worker and of its engines now, for fault tests and operations staff. */
  processes(): { worker?: number; engines: { operation: string; pid: number }[] };
  close(): Promise<void>;
}
