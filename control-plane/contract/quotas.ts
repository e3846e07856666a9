import { z } from "zod";
import { Count, Dimension, Id, Reference, Revision } from "./common.ts";

/** A department's account of one dimension. reserved and used count the department and everything below it. */
export const Quota = z
  .object({
    department: Id,
    dimension: Dimension,
    limit: Count.nullable().meta({ description: "null: no limit of its own; its ancestors' limits govern" }),
    reserved: Count,
    used: Count,
    revision: Revision,
  })
  .meta({ id: "Quota" });
export type Quota = z.infer<typeof Quota>;
/** PUT /quotas/{department}/{dimension}. A limit below what is reserved and used is refused. */
export const QuotaChange = z.strictObject({ limit: Count.nullable() }).meta({ id: "QuotaChange" });
export const QuotaPath = z.object({ department: Reference, dimension: Dimension });
