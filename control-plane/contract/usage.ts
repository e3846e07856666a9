import { z } from "zod";
import { Count, Dimension, Id, Reference, Time } from "./common.ts";

/** What a department held and used in [from, to). Quantities × time come from allocation intervals, never from samples. */
export const DepartmentUsage = z
  .object({
    department: Id,
    code: z.string(),
    nameZh: z.string(),
    nameEn: z.string(),
    level: z.string(),
    parent: Id.nullable(),
    children: z.int(),
    /** Held at `to` (or now), by dimension; own = this department alone, tree = with everything below it. */
    own: z.partialRecord(Dimension, Count),
    tree: z.partialRecord(Dimension, Count),
    /** quantity × seconds within [from, to), by dimension. */
    ownSeconds: z.partialRecord(Dimension, Count),
    treeSeconds: z.partialRecord(Dimension, Count),
    quota: z.array(z.object({ dimension: Dimension, limit: Count.nullable(), softLimit: Count.nullable(), borrowed: Count, reserved: Count, used: Count })),
    hostsByState: z.record(z.string(), z.int()).meta({ description: "Hosts by observed state, with everything below" }),
    /** Recovery points, with everything below. */
    backups: z.object({ count: z.int(), bytes: z.int(), lastSuccessAt: Time.nullable() }),
    uptimeSeconds: z.number(),
    maintenanceSeconds: z.number().meta({ description: "Own and subtree: down or unknown within maintenance windows; no part of the ratio" }),
    uptimeRatio: z.number().min(0).max(1).nullable().meta({ description: "Own and subtree: up / (up + down + unknown)" }),
  })
  .meta({ id: "DepartmentUsage" });
export type DepartmentUsage = z.infer<typeof DepartmentUsage>;
export const UsageQuery = z.object({
  department: Reference.optional().meta({ description: "Root of the answer; left out, everything that you may see" }),
  depth: z.coerce.number().int().min(0).max(20).optional().meta({ description: "Levels below the root; left out, all" }),
  from: Time.optional().meta({ description: "Left out: start of the calendar month, Asia/Shanghai" }),
  to: Time.optional().meta({ description: "Left out: now" }),
});
export const Usage = z.object({ from: Time, to: Time, items: z.array(DepartmentUsage), next: z.string().nullable() }).meta({ id: "Usage" });
