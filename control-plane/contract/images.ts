import { z } from "zod";
import { Code, Id, Time, Title } from "./common.ts";

/** Name by which an image is asked for. */
export const ImageCode = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, "lower-case letters, digits, dots and hyphens, at most 63");
/** An image that came as a file. Its name stands for this content for ever. */
export const StoredImage = z
  .object({
    code: ImageCode,
    name: Title,
    /** Lowercase hex, of the file. */
    sha256: z.string(),
    sizeBytes: z.int(),
    createdBy: Id,
    createdByName: z.string().nullable(),
    createdAt: Time,
    /** From then on it cannot be asked for. */
    withdrawnAt: Time.nullable(),
    pools: z
      .array(z.object({ pool: Code, state: z.enum(["pending", "imported", "failed", "unsupported"]), error: z.string().nullable() }))
      .meta({ description: "Whether it has been brought to the machines of each compute pool" }),
  })
  .meta({ id: "StoredImage" });
export type StoredImage = z.infer<typeof StoredImage>;
