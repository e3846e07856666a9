/** Members that don't answer: what is on each, and what may be had again elsewhere. */
import { z } from "zod";
import { OperationState } from "./operation-plans.ts";
import { MemberLossAction } from "./pools.ts";
import { Id, PageQuery, Revision, Time } from "./common.ts";

export const LossState = z.enum(["lost", "asked", "confirmed", "removed", "returned"]).meta({
  description:
    "lost: it does not answer · asked: somebody asked that it is given up · confirmed: somebody else agreed, it is being removed · removed: it is no member any more, its hosts are asked for anew · returned: it answers again",
});
export type LossState = z.infer<typeof LossState>;
export const LostHost = z.object({
  id: Id,
  name: z.string(),
  department: Id,
  departmentName: z.string(),
  observedState: z.string(),
  remedy: z.enum(["redeploy", "redeploy-and-restore", "none"]).meta({
    description: "redeploy: made anew from its image · redeploy-and-restore: and its volumes from their newest backups · none: a volume has no backup",
  }),
  volumes: z.array(z.object({ id: Id, name: z.string(), backup: z.object({ id: Id, at: Time }).nullable() })),
  policy: z
    .object({
      action: MemberLossAction,
      at: Time.nullable().meta({ description: "When it acts; null: it doesn't" }),
      why: z.string().nullable().meta({ description: "Why it doesn't, or why the last attempt came to nothing" }),
      plan: Id.nullable().meta({ description: "The operation plan by which it was tried last" }),
    })
    .meta({ description: "What its pool's policy does about it" }),
});
export type LostHost = z.infer<typeof LostHost>;
export const MemberLoss = z
  .object({
    id: Id,
    member: z.string(),
    pools: z.array(z.string()).meta({ description: "Codes of the pools behind which it is" }),
    since: Time,
    state: LossState,
    hosts: z.array(LostHost).meta({ description: "That were seen on it last and run nowhere else" }),
    askedBy: z.string().nullable(),
    askedByName: z.string().nullable(),
    askedAt: Time.nullable(),
    reason: z.string().nullable(),
    confirmedBy: z.string().nullable(),
    confirmedByName: z.string().nullable(),
    confirmedAt: Time.nullable(),
    endedAt: Time.nullable().meta({ description: "When it was removed, or answered again" }),
    requests: z.array(z.object({ id: Id, number: z.string(), state: z.string() })).meta({ description: "By which its hosts are asked for anew" }),
    filedAt: Time.nullable().meta({ description: "When a pool's policy filed that it is given up: then two people agree, one after the other" }),
    heldAt: Time.nullable().meta({ description: "When it was set aside after its return, since hosts of it had been started elsewhere" }),
    plans: z
      .array(z.object({ id: Id, state: OperationState, setByName: z.string().nullable() }))
      .meta({ description: "By which hosts were started elsewhere under a policy, and who settled that" }),
    error: z.string().nullable(),
    revision: Revision,
  })
  .meta({ id: "MemberLoss" });
export type MemberLoss = z.infer<typeof MemberLoss>;

export const LossQuery = PageQuery.extend({
  state: z
    .enum([...LossState.options, "open"])
    .optional()
    .meta({ description: "open: lost, asked or confirmed" }),
});
/** It is destructive: what is on the member's own storage is given up. */
export const GiveUp = z
  .strictObject({
    reason: z.string().trim().min(1).max(500),
    poweredOff: z.literal(true).meta({ description: "You have made sure that the machine is off, so that nothing on it runs beside what is made anew" }),
  })
  .meta({ id: "GiveUp" });
export const ConfirmGiveUp = z
  .strictObject({ member: z.string().meta({ description: "Its name, typed once more" }), poweredOff: z.literal(true) })
  .meta({ id: "ConfirmGiveUp" });
