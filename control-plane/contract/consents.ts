/** Consents (授权): an owner lets operations into hosts, for a purpose and a while. */
import { z } from "zod";
import { Id, PageQuery, Reference, Time } from "./common.ts";

/** The longest that a consent lasts, minutes. */
export const maxConsentMinutes = 1440;
/** An ask that nobody answered lapses, days. */
export const askDays = 7;

export const ConsentState = z.enum(["asked", "lapsed", "granted", "over", "refused", "withdrawn", "revoked"]).meta({
  description: "lapsed: nobody answered in time; over: it was granted, and its time has passed",
});
export type ConsentState = z.infer<typeof ConsentState>;

export const Consent = z
  .object({
    id: Id,
    department: Id,
    application: Id,
    applicationName: z.string(),
    host: Id.nullable().meta({ description: "null: every host of the application" }),
    hostName: z.string().nullable(),
    grantee: Id.nullable().meta({ description: "null: operations staff at large" }),
    granteeName: z.string().nullable(),
    purpose: z.string(),
    minutes: z.int(),
    state: ConsentState,
    askedBy: z.string(),
    askedByName: z.string().nullable(),
    askedAt: Time,
    decidedBy: z.string().nullable(),
    decidedByName: z.string().nullable(),
    decidedAt: Time.nullable(),
    reason: z.string().nullable(),
    validFrom: Time.nullable(),
    validUntil: Time.nullable(),
    endedBy: z.string().nullable(),
    endedAt: Time.nullable(),
  })
  .meta({ id: "Consent" });
export type Consent = z.infer<typeof Consent>;

const Purpose = z.string().trim().min(1).max(1000);
/** Asked by an operator for a host, or for all hosts of an application. */
export const NewConsent = z
  .strictObject({
    host: Id.nullable().default(null),
    application: Id.nullable().default(null),
    to: z.enum(["me", "operations"]).default("me").meta({ description: "me: whoever asks; operations: everybody who holds that role" }),
    purpose: Purpose,
    minutes: z.int().min(5).max(maxConsentMinutes).default(60).meta({ description: "How long it holds from when it is granted" }),
  })
  .refine(({ host, application }) => (host === null) !== (application === null), "either host or application")
  .meta({ id: "NewConsent" });
export type NewConsent = z.infer<typeof NewConsent>;
export const ConsentAnswer = z.strictObject({ reason: z.string().trim().max(1000).default("") }).meta({ id: "ConsentAnswer" });
export const ConsentRefusal = z.strictObject({ reason: Purpose }).meta({ id: "ConsentRefusal" });
export const ConsentQuery = PageQuery.extend({ department: Reference.optional(), host: Id.optional(), state: ConsentState.optional() });
