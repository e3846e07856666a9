/** Pieces that every body shares. Only zod here: the console imports these files too. */
import { z } from "zod";

/** An immutable id: three letters, an underscore, 26 characters of lower-case base32 in the order of time. */
export const Id = z
  .string()
  .regex(/^[a-z]{3}_[0-9a-z]{26}$/)
  .meta({ description: "Immutable id", example: "dep_01k9zq3v5n8m4c7t2x6b1w0rhy" });
/** A code that people give: letters, digits, dot, dash, underscore; 1 to 64. */
export const Code = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
  .meta({ example: "110000-001" });
/** Id or code, where a path or body may name a thing by either. */
export const Reference = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
export const Title = z.string().trim().min(1).max(200);
export const Time = z.iso.datetime({ offset: true }).meta({ description: "RFC 3339, UTC in answers", example: "2026-11-23T08:00:00.000Z" });
export const Count = z.int().min(0).max(9_007_199_254_740_991);
/** Money in fen (1/100 yuan). */
export const Fen = Count.meta({ description: "Money in fen (1/100 yuan)" });

export const Tier = z.enum(["performance", "standard", "capacity"]);
export const Zone = z.enum(["extranet", "internet"]).meta({ description: "extranet = 政务外网, internet = internet-facing" });
export const SecurityLevel = z.int().min(1).max(4).meta({ description: "Classified protection level (等级保护)" });

/** What quotas, capacity and allocations are counted in. hosts: pieces; vcpu: vCPU; memory_mib: MiB; the rest: GiB. */
export const Dimension = z.enum(["hosts", "vcpu", "memory_mib", "storage_gib:performance", "storage_gib:standard", "storage_gib:capacity", "backup_gib"]);
export type Dimension = z.infer<typeof Dimension>;
export const dimensions = Dimension.options;

/** Query of every list. */
export const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(50).optional(),
  cursor: z.string().max(200).optional().meta({ description: "`next` of the page before" }),
});

/** Answer of every list. `next` is null on the last page. Lists never count. */
export const pageOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), next: z.string().nullable() });

export const Revision = z.int().min(1).meta({ description: "Goes up by one with every change; the ETag is this number in quotes" });
