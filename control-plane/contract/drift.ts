/** Drift (漂移): what somebody changed on the cloud behind our back, property by property. */
import { z } from "zod";
import { Id, PageQuery, Reference, Revision, Time } from "./common.ts";

export const DriftState = z.enum(["open", "proposed", "putting-back", "adopting", "accepted", "put-back", "adopted", "gone"]).meta({
  description:
    "proposed: one person wants what is gone made anew, and a second has to agree · putting-back: by the department's next apply · adopting: a request asks for it · accepted: left as it is, told of again only when it moves · put-back, adopted, gone (by itself): closed",
});
export const DriftFinding = z
  .object({
    id: Id,
    department: Id,
    application: Id,
    resource: z.string(),
    kind: z.string(),
    name: z.string(),
    property: z.string().meta({ description: "A path into the specification; existence: the thing is gone; strange: what nobody of ours set" }),
    wanted: z.unknown(),
    actual: z.unknown().meta({ description: "null: there is none, for a limit: no limit" }),
    state: DriftState,
    adoptable: z.boolean().meta({ description: "Whether what is there can become what is wanted" }),
    lost: z.string().nullable().meta({ description: "What is lost when what is gone is made anew" }),
    firstSeenAt: Time,
    lastSeenAt: Time,
    proposedBy: z.string().nullable(),
    decidedBy: z.string().nullable(),
    decidedAt: Time.nullable(),
    reason: z.string().nullable(),
    request: Id.nullable().meta({ description: "By which it is adopted" }),
    error: z.string().nullable().meta({ description: "Why the last decision could not be done" }),
    closedAt: Time.nullable(),
    revision: Revision,
  })
  .meta({ id: "DriftFinding" });
export type DriftFinding = z.infer<typeof DriftFinding>;

export const DriftQuery = PageQuery.extend({
  department: Reference.optional(),
  resource: z.string().max(64).optional(),
  state: z.enum(["open", "closed", "all"]).default("open").optional(),
});
/** POST /drift-scans: a look at a department now, beside the schedule. */
export const NewDriftScan = z.strictObject({ department: Reference }).meta({ id: "NewDriftScan" });
export const DriftScan = z.object({ department: Id, askedAt: Time }).meta({ id: "DriftScan" });
export type DriftScan = z.infer<typeof DriftScan>;
const reason = z.string().trim().min(1).max(2000);
export const PutBack = z
  .strictObject({
    reason,
    acceptLoss: z
      .boolean()
      .default(false)
      .meta({ description: "Needed for what is gone: it is made anew without what it held, and a second person has to say so too" }),
  })
  .meta({ id: "PutBack" });
export const DriftAdoption = z.strictObject({ reason }).meta({ id: "DriftAdoption" });
export const DriftAcceptance = z.strictObject({ reason }).meta({ id: "DriftAcceptance" });
