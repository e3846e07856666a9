/** Runs of the engine on a department's Pulumi stack. */
import { z } from "zod";
import { Id, PageQuery, Reference, Time } from "./common.ts";

export const StackUpdate = z
  .object({
    id: z.string(),
    department: Id,
    kind: z.enum(["preview", "update", "refresh", "destroy", "import"]),
    state: z.enum(["requested", "running", "settling", "succeeded", "failed", "cancelled"]),
    version: z.int().nullable().meta({ description: "Of the state that it made; null: none" }),
    changes: z.record(z.string(), z.int()).nullable().meta({ description: "Steps by kind, as the engine counted them" }),
    reason: z.string().nullable().meta({ description: "Why somebody else than its engine ended it, or why its state was refused" }),
    startedAt: Time.nullable(),
    finishedAt: Time.nullable(),
  })
  .meta({ id: "StackUpdate" });
export type StackUpdate = z.infer<typeof StackUpdate>;
export const StackUpdateQuery = PageQuery.extend({ department: Reference });
