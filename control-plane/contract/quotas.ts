import { z } from "zod";
import { Count, Dimension, Id, PageQuery, Reference, Revision, Time } from "./common.ts";

/** 0: all protection levels together. */
export const AccountLevel = z
  .int()
  .min(0)
  .max(4)
  .meta({ description: "Classified protection level (等级保护) of the applications that it counts; 0: all of them together" });

/** A department's account of one dimension. reserved and used count the department and everything below it. */
export const Quota = z
  .object({
    department: Id,
    dimension: Dimension,
    level: AccountLevel,
    limit: Count.nullable().meta({ description: "Hard: over it a request is refused. null: no limit of its own; its ancestors' limits govern" }),
    softLimit: Count.nullable().meta({ description: "Over it a request is accepted, and flagged on its change plan" }),
    guaranteed: Count.meta({ description: "Kept free for it within the limit of the department above, whoever else asks" }),
    borrowCap: Count.nullable().meta({ description: "How much it may hold above its limit, where the department above lends; null: what there is" }),
    lends: z.boolean().meta({ description: "true: the departments directly below may borrow from each other's unused shares" }),
    borrowed: Count.meta({ description: "Held above its own limit; what is released is returned first" }),
    reserved: Count,
    used: Count,
    revision: Revision,
  })
  .meta({ id: "Quota" });
export type Quota = z.infer<typeof Quota>;
/** PUT /quotas/{department}/{dimension}. What is left out stays. A limit below what is reserved and used is refused. */
export const QuotaChange = z
  .strictObject({
    limit: Count.nullable().optional(),
    softLimit: Count.nullable().optional(),
    guaranteed: Count.optional(),
    borrowCap: Count.nullable().optional(),
    lends: z.boolean().optional(),
  })
  .meta({ id: "QuotaChange" });
export const QuotaPath = z.object({ department: Reference, dimension: Dimension });
export const QuotaLevelQuery = z.object({
  level: z.coerce.number().int().min(0).max(4).default(0).optional().meta({ description: "Left out or 0: of all protection levels" }),
});

/** A soft limit that has been passed. */
export const SoftWarning = z
  .object({ department: Id, departmentName: z.string(), dimension: Dimension, level: AccountLevel, softLimit: Count, held: Count })
  .meta({ id: "SoftWarning" });

/** A difference between the accounts and what live resources and open requests add up to. */
export const QuotaFinding = z
  .object({
    id: Id,
    kind: z
      .enum(["account", "charge", "pool"])
      .meta({ description: "account: against its charges · charge: against the resource and its open requests · pool: against its resources' charges" }),
    field: z.enum(["reserved", "used", "taken"]),
    department: Id.nullable(),
    resource: z.string().nullable(),
    pool: Id.nullable(),
    dimension: Dimension,
    level: AccountLevel.nullable(),
    expected: z.int(),
    found: z.int(),
    firstSeenAt: Time,
    lastSeenAt: Time,
    closedAt: Time.nullable(),
    closedBy: z.string().nullable(),
    reason: z.string().nullable(),
    corrected: z.boolean().nullable(),
    revision: Revision,
  })
  .meta({ id: "QuotaFinding" });
export type QuotaFinding = z.infer<typeof QuotaFinding>;
export const QuotaFindingQuery = PageQuery.extend({ state: z.enum(["open", "closed", "all"]).default("open").optional() });
/** POST /quota-findings/{id}/close, with If-Match. */
export const FindingClosure = z
  .strictObject({
    reason: z.string().trim().min(1).max(2000),
    correct: z
      .boolean()
      .default(true)
      .meta({ description: "true: what was found is set to what adds up now · false: it is explained by the reason, and comes again if it is still there" }),
  })
  .meta({ id: "FindingClosure" });
export const Reconciliation = z
  .object({ at: Time, accounts: z.int(), resources: z.int(), pools: z.int(), findings: z.array(QuotaFinding) })
  .meta({ id: "Reconciliation" });
export type Reconciliation = z.infer<typeof Reconciliation>;
