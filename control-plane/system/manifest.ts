/** What an archive says of itself. It lies first in the archive, in the clear. */
import { z } from "zod";
import { digestOf } from "../domain/digest.ts";
import { ArchiveInvalid } from "./tar.ts";

export const archiveFormat = 1;
export const manifestName = "manifest.json";

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const Manifest = z.strictObject({
  kind: z.literal("zhengyun-archive"),
  format: z.int(),
  createdAt: z.iso.datetime(),
  /** Version of the control plane that made it. */
  version: z.string(),
  /** Every schema migration of the database, in order. */
  migrations: z.array(z.string()),
  /** Fingerprint of the master key that opens the sealed secrets in it; null: nothing was ever sealed. The key itself is not in the archive. */
  masterKey: z.string().nullable(),
  tables: z.array(
    z.strictObject({
      name: z.string(),
      file: z.string(),
      columns: z.array(z.string()),
      rows: z.int().min(0),
      /** Of the compressed file, as it lies in the archive. */
      bytes: z.int().min(0),
      sha256: Sha256,
    }),
  ),
  /** Counters: the last value (a decimal number) and whether it was given out. */
  sequences: z.array(z.strictObject({ name: z.string(), value: z.string().regex(/^\d+$/), given: z.boolean() })),
  /** SHA-256 of the rest of the manifest as canonical JSON. */
  digest: Sha256,
});
export type Manifest = z.infer<typeof Manifest>;

/** Adds the digest. */
export const sealManifest = (manifest: Omit<Manifest, "digest">): Manifest => ({ ...manifest, digest: digestOf(manifest) });

/** @throws ArchiveInvalid */
export function parseManifest(text: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ArchiveInvalid(`${manifestName} is damaged: it is no JSON.`);
  }
  const format = (value as { format?: unknown } | null)?.format;
  if (typeof format === "number" && format > archiveFormat)
    throw new ArchiveInvalid(`The archive has format ${format}; this control plane reads formats up to ${archiveFormat}. Use a newer one.`);
  const parsed = Manifest.safeParse(value);
  if (!parsed.success) throw new ArchiveInvalid(`${manifestName} is damaged: ${z.prettifyError(parsed.error)}`);
  const { digest, ...rest } = parsed.data;
  // The bytes too: a space that was changed is no change of meaning, but a sign of a damaged disk.
  if (digestOf(rest) !== digest || manifestText(parsed.data) !== text) throw new ArchiveInvalid(`${manifestName} is damaged: it does not fit its own digest.`);
  return parsed.data;
}

export const manifestText = (manifest: Manifest): string => `${JSON.stringify(manifest, null, 2)}\n`;
