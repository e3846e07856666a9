/** The system as a whole: copies of it, and what drivers have that it does not know. */
import { z } from "zod";
import { Count, Id, Time, Title } from "./common.ts";

export const SystemBackup = z
  .object({
    id: Id,
    state: z.enum(["pending", "running", "complete", "failed"]),
    sizeBytes: Count.nullable(),
    sha256: z.string().nullable().meta({ description: "Of the archive file, lowercase hex" }),
    error: z.string().nullable(),
    requestedBy: z.string(),
    createdAt: Time,
    completedAt: Time.nullable(),
  })
  .meta({ id: "SystemBackup" });
export type SystemBackup = z.infer<typeof SystemBackup>;

export const UnknownThing = z
  .object({
    kind: z.enum(["host", "volume", "attachment", "backup-policy", "backup"]),
    id: z.string().meta({ description: "The driver's id" }),
    name: z.string(),
    scope: z.string().meta({ description: "The department's id, as the driver knows it" }),
    department: z.string().nullable().meta({ description: "Its code; null: the department isn't known either" }),
    phase: z.string().nullable().meta({ description: "What the database says of its name, when that is not that it exists" }),
    driver: z.string(),
    endpoint: z.string(),
    seenAt: Time,
    kept: z.boolean().meta({ description: "Stood here when the restore was acknowledged: no apply removes it" }),
  })
  .meta({ id: "UnknownThing" });
export type UnknownThing = z.infer<typeof UnknownThing>;

export const Unknown = z
  .object({
    restoredAt: Time.nullable().meta({ description: "When this control plane was restored from a copy; null: never" }),
    archivedAt: Time.nullable().meta({ description: "The moment that the copy was of" }),
    comparedAt: Time.nullable().meta({ description: "When all drivers were asked last; null: not all of them yet" }),
    acknowledgedAt: Time.nullable(),
    items: z.array(UnknownThing),
  })
  .meta({ id: "Unknown" });
export type Unknown = z.infer<typeof Unknown>;

/** The master key asked for by one operator, to be handed out encrypted once another approves. */
export const KeyEscrow = z
  .object({
    id: Id,
    publicKey: z.string(),
    reason: Title,
    fingerprint: z.string().meta({ description: "Of the master key" }),
    requestedBy: z.string(),
    createdAt: Time,
    expiresAt: Time,
    approvedBy: z.string().nullable(),
    approvedAt: Time.nullable(),
  })
  .meta({ id: "KeyEscrow" });
export type KeyEscrow = z.infer<typeof KeyEscrow>;
export const NewKeyEscrow = z
  .strictObject({
    publicKey: z
      .string()
      .regex(/^[A-Za-z0-9+/]{43}=$/)
      .meta({ description: "X25519 public key, 32 bytes as base64; `zhengyun system keys pair` makes one" }),
    reason: Title,
  })
  .meta({ id: "NewKeyEscrow" });
export const ApprovedKeyEscrow = KeyEscrow.extend({
  sealedKey: z.string().meta({ description: "The master key, encrypted to the public key; `zhengyun system keys open` opens it" }),
}).meta({ id: "ApprovedKeyEscrow" });
