/** Adoption (纳管): instances that were on an endpoint before us become hosts of a department, as they are. */
import { z } from "zod";
import { Id, PageQuery, Reference, Revision, Time, Title } from "./common.ts";

const size = z.number().nullable();
export const FoundInstance = z
  .object({
    id: Id,
    pool: z.string().meta({ description: "Code of the pool at whose endpoint it was looked for" }),
    project: z.string().meta({ description: "The server's own project" }),
    instance: z.string(),
    member: z.string().nullable(),
    type: z.enum(["container", "vm"]),
    vcpu: size.meta({ description: "null: no limit is set; then one must be given" }),
    memoryMib: size,
    diskGib: size,
    memoryUsedBytes: z.number(),
    image: z.string(),
    state: z.enum(["running", "stopped"]),
    ephemeral: z.boolean(),
    addresses: z.array(z.string()),
    volumes: z.array(z.string()),
    weaknesses: z
      .array(z.string())
      .meta({ description: "What of its isolation is weaker than our own hosts'; an application of level 3 or 4 takes none of these" }),
    seenAt: Time,
    host: z.string().nullable().meta({ description: "The host that it is, or is proposed to become" }),
    request: Id.nullable(),
    revision: Revision,
  })
  .meta({ id: "FoundInstance" });
export type FoundInstance = z.infer<typeof FoundInstance>;

export const FoundInstanceQuery = PageQuery.extend({ pool: Reference });
/** POST /adoption-scans */
export const NewAdoptionScan = z.strictObject({ pool: Reference }).meta({ id: "NewAdoptionScan" });
export const AdoptionScan = z
  .object({ pool: z.string(), askedAt: Time, endedAt: Time.nullable(), found: z.int().nullable(), error: z.string().nullable() })
  .meta({ id: "AdoptionScan" });
export type AdoptionScan = z.infer<typeof AdoptionScan>;
/** POST /adoptions */
export const NewAdoption = z
  .strictObject({
    instance: Id.meta({ description: "Of a found instance" }),
    application: Reference,
    project: Reference,
    department: Reference.optional(),
    pool: Reference.optional().meta({ description: "Another pool at the same endpoint; left out: the one that was looked at" }),
    name: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
      .optional()
      .meta({ description: "What the host is called here; left out: as the instance. Inside nothing is renamed" }),
    vcpu: z.int().min(1).max(256).optional().meta({ description: "Left out: as it is limited" }),
    memoryMib: z.int().min(64).max(4_194_304).optional(),
    diskGib: z.int().min(1).max(65_536).optional(),
    title: Title.optional(),
    reason: z.string().trim().min(1).max(2000),
    expiresAt: Time.optional(),
  })
  .meta({ id: "NewAdoption" });
export type NewAdoption = z.infer<typeof NewAdoption>;
