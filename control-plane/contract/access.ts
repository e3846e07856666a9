/** Tokens, sessions and events. */
import { z } from "zod";
import { Role } from "./roles.ts";
import { Id, Time, Title } from "./common.ts";

export const Token = z
  .object({
    id: Id,
    name: Title,
    expiresAt: Time.nullable(),
    revokedAt: Time.nullable(),
    lastUsedAt: Time.nullable(),
    createdAt: Time,
  })
  .meta({ id: "Token" });
export const NewToken = z.strictObject({ name: Title, expiresAt: Time.nullable().default(null) }).meta({ id: "NewToken" });
/** Only the answer to the POST that made it holds the secret. */
export const MadeToken = Token.extend({ secret: z.string() }).meta({ id: "MadeToken" });
/** GET /sessions/current: who am I. */
export const Session = z
  .object({
    id: Id,
    name: z.string(),
    roles: z.array(
      z.object({
        role: Role,
        department: Id.nullable().meta({ description: "null: everywhere" }),
        departmentName: z.string().nullable(),
        validUntil: Time.nullable(),
      }),
    ),
    expiresAt: Time.nullable(),
  })
  .meta({ id: "Session" });
/** POST /sessions/links: a one-time sign-in link for a browser, that acts as the caller's token does. */
/** After signing out here. */
export const SignedOut = z
  .object({
    providerLogout: z.string().nullable().meta({ description: "Where the browser signs out of the identity provider too; null: there is nothing to do" }),
  })
  .meta({ id: "SignedOut" });
export type SignedOut = z.infer<typeof SignedOut>;
export const SignInLink = z.object({ path: z.string(), expiresAt: Time }).meta({ id: "SignInLink" });
/** One event of `GET /events` and `GET /requests/{id}/events` (SSE; `id` is what Last-Event-ID resumes from). */
export const Event = z
  .object({
    id: z.int(),
    at: Time,
    department: Id.nullable(),
    request: Id.nullable(),
    update: Id.nullable().meta({ description: "The run of the engine that reported it" }),
    type: z.string(),
    subject: z.string().nullable(),
    data: z.unknown(),
  })
  .meta({ id: "Event" });
export type Event = z.infer<typeof Event>;
