/** SHA-256 over canonical JSON (RFC 8785): equal things have equal digests. */
import { createHash } from "node:crypto";
import canonicalize from "canonicalize";

export const digestOf = (value: unknown): string =>
  createHash("sha256")
    .update(canonicalize(value) ?? "null")
    .digest("hex");
