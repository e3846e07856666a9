import { z } from "zod";
import { Id, PageQuery, Reference, SecurityLevel, Time } from "./common.ts";

/** A recovery point of a volume (备份). */
export const Backup = z
  .object({
    id: Id,
    department: Id,
    volume: Id,
    policy: Id.nullable(),
    pool: z.string(),
    site: z.string(),
    state: z.enum(["pending", "running", "complete", "failed", "expired"]),
    sizeBytes: z.int().nullable(),
    sha256: z.string().nullable(),
    protectionLevel: SecurityLevel.nullable().meta({ description: "Of what it was made of: it is restored to nothing lower" }),
    volumeGib: z.int().nullable().meta({ description: "Size of its volume then, GiB: a new volume with its content has as much at least" }),
    error: z.string().nullable(),
    requestedBy: z.string(),
    startedAt: Time.nullable(),
    completedAt: Time.nullable(),
    createdAt: Time,
  })
  .meta({ id: "Backup" });
export type Backup = z.infer<typeof Backup>;
export const NewBackup = z.strictObject({ volume: Id }).meta({ id: "NewBackup" });
/** Puts a backup's content into its own volume, or into another of the same department. The present content is lost. */
export const NewRestore = z.strictObject({ backup: Id, volume: Id.optional() }).meta({ id: "NewRestore" });
export const Restore = z
  .object({
    id: Id,
    department: Id,
    backup: Id,
    volume: Id,
    state: z.enum(["pending", "running", "complete", "failed"]),
    bytes: z.int().nullable(),
    error: z.string().nullable(),
    requestedBy: z.string(),
    startedAt: Time.nullable(),
    completedAt: Time.nullable(),
    createdAt: Time,
  })
  .meta({ id: "Restore" });
export type Restore = z.infer<typeof Restore>;
export const BackupQuery = PageQuery.extend({ department: Reference.optional(), volume: Id.optional() });
