/** What a request would do, before anyone submits it. */
import { z } from "zod";
import { Count, Dimension, Id, SecurityLevel } from "./common.ts";
import { AccountLevel, SoftWarning } from "./quotas.ts";
import { Placement, RequestCost, Transfer } from "./requests.ts";

const Quantity = z.object({ dimension: Dimension, quantity: z.int() });
/** An account that a request would charge, before and after. */
export const WhatIfAccount = z.object({
  department: Id,
  departmentName: z.string(),
  dimension: Dimension,
  level: AccountLevel,
  limit: Count.nullable(),
  softLimit: Count.nullable(),
  reserved: Count,
  used: Count,
  asked: Count,
  leftBefore: Count.nullable().meta({ description: "What could still be charged here, borrowing included; null: no limit of its own" }),
  leftAfter: Count.nullable(),
  borrowable: Count.meta({ description: "How much it may hold above its limit at this moment" }),
  borrowedBefore: Count,
  borrowedAfter: Count,
  fits: z.boolean(),
  overSoftLimit: z.boolean(),
  raisedBy: z.string().meta({ description: "Who can raise its limit: the department above, or operations" }),
});
/** POST /requests/what-if: what a request would do, before anyone submits it. Nothing is kept of it. */
export const WhatIf = z
  .object({
    department: Id,
    application: Id,
    project: Id,
    level: SecurityLevel,
    outcome: z.enum(["fits", "waits", "refused"]).meta({ description: "waits: for capacity · refused: see problems" }),
    items: z.array(
      z.object({
        position: z.int(),
        action: z.string(),
        kind: z.string(),
        name: z.string(),
        charge: z.array(Quantity).meta({ description: "Negative: given back after the apply" }),
        placement: Placement.nullable(),
      }),
    ),
    charge: z.array(Quantity),
    accounts: z.array(WhatIfAccount).meta({ description: "The department and each above it, nearest first; those of its protection level after those of all" }),
    transfer: Transfer.nullable().meta({ description: "Of a transfer: both sides of it" }),
    shortages: z.array(z.string()).meta({ description: "What no pool has room for now" }),
    warnings: z.array(SoftWarning),
    problems: z.array(z.object({ code: z.string(), detail: z.string(), remedy: z.string().nullable() })),
    cost: RequestCost.nullable().meta({
      description: "Projected cost to the end of the fiscal year; null: it costs nothing more, or its fund does not allow it",
    }),
  })
  .meta({ id: "WhatIf" });
export type WhatIf = z.infer<typeof WhatIf>;
