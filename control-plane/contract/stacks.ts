import { z } from "zod";
import { Id, Reference, Time } from "./common.ts";

/** A look at a department's Pulumi stack by the real engine. */
export const StackOperation = z
  .object({
    id: Id,
    department: Id,
    kind: z.enum(["preview", "refresh"]),
    state: z.enum(["pending", "running", "complete", "failed"]),
    steps: z.array(
      z.object({
        action: z.enum(["create", "update", "replace", "delete", "same", "read", "refresh"]),
        kind: z.string(),
        name: z.string(),
        changes: z.array(z.object({ path: z.string(), before: z.unknown().optional(), after: z.unknown().optional() })),
      }),
    ),
    error: z.string().nullable(),
    requestedBy: z.string(),
    createdAt: Time,
    completedAt: Time.nullable(),
  })
  .meta({ id: "StackOperation" });
export type StackOperation = z.infer<typeof StackOperation>;
export const NewStackOperation = z
  .strictObject({
    department: Reference,
    kind: z.enum(["preview", "refresh"]).meta({ description: "preview: changes nothing · refresh: writes what is really there into Pulumi's state" }),
  })
  .meta({ id: "NewStackOperation" });
