/** Operation plans (运维方案): moves on a cluster that are shown, confirmed by somebody else, and then done step by step. */
import { z } from "zod";
import { Code, Id, PageQuery, Reference, Revision, Time } from "./common.ts";

/** Name of a machine of a cluster. */
export const MemberName = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/)
  .meta({ example: "n1" });
export const operationKinds = ["drain-member", "restore-member", "replace-member", "rebalance", "move-host", "move-volume", "restart-lost"] as const;
export const OperationKind = z.enum(operationKinds);
export type OperationKind = z.infer<typeof OperationKind>;
export const OperationState = z.enum(["planning", "draft", "confirmed", "running", "done", "failed", "cancelled"]);
export type OperationState = z.infer<typeof OperationState>;
export const OperationAction = z.enum(["close-member", "open-member", "move-host", "move-volume", "restart-host"]);
export type OperationAction = z.infer<typeof OperationAction>;
export const OperationStepState = z.enum(["planned", "running", "done", "failed", "skipped"]);
export type OperationStepState = z.infer<typeof OperationStepState>;

const reason = z.string().trim().min(1).max(2000).meta({ description: "Why: owners of hosts that restart are told" });
const member = MemberName.meta({ description: "The member that it is about" });
const pool = Reference.meta({ description: "Id or code of a pool: of several at one endpoint any" });
const moves = {
  toMember: MemberName.nullable().default(null).meta({ description: "Left out: the best one" }),
  toPool: Reference.nullable().default(null).meta({ description: "Id or code of a pool of the same kind, tier and endpoint; left out: it stays in its own" }),
};
export const NewOperationPlan = z
  .discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("drain-member"), pool, member, reason }),
    z.strictObject({
      kind: z.literal("restore-member"),
      pool,
      member,
      bringBack: z.boolean().default(false).meta({ description: "Moves back what the last drain took away and still is where that put it" }),
      reason,
    }),
    z.strictObject({
      kind: z.literal("replace-member"),
      pool,
      member,
      successor: MemberName.meta({ description: "The member that takes over; it must be in the cluster" }),
      reason,
    }),
    z.strictObject({ kind: z.literal("rebalance"), pool, maxMoves: z.int().min(1).max(200).default(20), reason }),
    z.strictObject({ kind: z.literal("move-host"), host: Id, ...moves, reason }),
    z.strictObject({ kind: z.literal("move-volume"), volume: Id, ...moves, reason }),
  ])
  .meta({ id: "NewOperationPlan" });
export type NewOperationPlan = z.infer<typeof NewOperationPlan>;

export const OperationStep = z
  .object({
    id: Id,
    position: z.int(),
    action: OperationAction,
    subject: z.string().meta({ description: "Name of the member, or id of the host or volume" }),
    name: z.string(),
    department: Id.nullable(),
    departmentName: z.object({ zh: z.string(), en: z.string() }).nullable(),
    application: Id.nullable(),
    applicationName: z.string().nullable(),
    from: z.string().nullable().meta({ description: "Member" }),
    to: z.string().nullable().meta({ description: "Member" }),
    fromPool: Code.nullable(),
    toPool: Code.nullable(),
    restarts: z.boolean().meta({ description: "It is stopped for the move and started again" }),
    bytes: z.int().nullable().meta({ description: "At most so many are copied" }),
    reason: z.string(),
    blocked: z.string().nullable().meta({ description: "Why it cannot be done" }),
    state: OperationStepState,
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    restarted: z.boolean().nullable(),
    startedAt: Time.nullable(),
    finishedAt: Time.nullable(),
  })
  .meta({ id: "OperationStep" });
export type OperationStep = z.infer<typeof OperationStep>;

const summary = {
  id: Id,
  kind: OperationKind,
  state: OperationState,
  /** What it is about: a member, a pool, a host or a volume. */
  subject: z.string(),
  pools: z.array(Code).meta({ description: "The pools at its endpoint" }),
  reason: z.string(),
  error: z.string().nullable(),
  hash: z.string().nullable().meta({ description: "Of the steps as they are shown: what a confirmation names" }),
  difference: z.array(z.string()).meta({ description: "What was otherwise when it was to begin, so that it is to be confirmed anew" }),
  counts: z.object({ steps: z.int(), done: z.int(), failed: z.int(), blocked: z.int(), restarts: z.int() }),
  createdBy: z.string(),
  createdByName: z.string().nullable(),
  confirmedBy: z.string().nullable(),
  confirmedByName: z.string().nullable(),
  confirmedAt: Time.nullable(),
  cancelledAt: Time.nullable(),
  startedAt: Time.nullable(),
  finishedAt: Time.nullable(),
  revision: Revision,
  createdAt: Time,
  updatedAt: Time,
};
export const OperationPlanSummary = z.object(summary).meta({ id: "OperationPlanSummary" });
export type OperationPlanSummary = z.infer<typeof OperationPlanSummary>;
export const OperationPlan = z.object({ ...summary, steps: z.array(OperationStep) }).meta({ id: "OperationPlan" });
export type OperationPlan = z.infer<typeof OperationPlan>;
export const OperationPlanQuery = PageQuery.extend({ state: OperationState.optional() });
export const ConfirmOperationPlan = z
  .strictObject({
    hash: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .meta({ description: "The plan's, as it was shown" }),
  })
  .meta({ id: "ConfirmOperationPlan" });
