/** What of a department is approved: the provider refuses every other create, update and delete. */
import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import { z } from "zod";
import { AttachmentSpec, BackupPolicySpec, HostSpec, ResourceName, type SpecKind, VolumeSpec } from "./spec.ts";

export const Approval = z.object({
  name: ResourceName,
  /** Of the specification that may be made, see `specDigest`; null: none. */
  digest: z.string().nullable(),
  /** Whether what is there may be deleted. */
  remove: z.boolean(),
});
export type Approval = z.infer<typeof Approval>;

const shapes = { host: HostSpec, volume: VolumeSpec, attachment: AttachmentSpec, "backup-policy": BackupPolicySpec };

/**
 * SHA-256 over the canonical JSON (RFC 8785) of a specification. What the provider adds (ids of what an attachment ties together) doesn't count,
 * nor does user data: it is sealed for its host from the moment that it is asked for. Nor does the member: the pool is approved, and where in it a host is
 * made first is for placement, and for the server when that member is gone by then.
 * @throws ZodError for what is no specification of this kind
 */
export function specDigest(kind: SpecKind, spec: unknown): string {
  const { userData: _secret, member: _first, ...shown } = shapes[kind].parse(spec) as { userData?: string; member?: string };
  return createHash("sha256")
    .update(canonicalize(shown) ?? "")
    .digest("hex");
}
