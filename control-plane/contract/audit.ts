/** The audit and its hash chain (审计链). */
import { z } from "zod";
import { Id, PageQuery, Reference, Time } from "./common.ts";

const Hash = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .meta({ description: "Hexadecimal" });
/** sha256 is SHA-256, sm3 is SM3 (国密). */
export const HashAlgorithm = z.enum(["sha256", "sm3"]);
const Sequence = z.int().min(1).meta({ description: "Place in the chain: 1, 2, 3 … in the order of linking, without gaps" });
const Content = z.object({
  id: z.int(),
  at: Time,
  /** Id of the token, or "system". */
  actor: z.string(),
  role: z.string(),
  source: z.string().meta({ description: "Address of the client, beyond trusted proxies; or system" }),
  action: z.string(),
  subjectKind: z.string(),
  subject: z.string(),
  department: Id.nullable(),
  result: z.enum(["done", "denied", "failed"]),
  before: z.unknown(),
  after: z.unknown(),
  correlationId: z.string(),
});
/** An entry; its chain fields are null for the fraction of a second until it is linked. */
export const AuditEntry = Content.extend({
  sequence: Sequence.nullable(),
  algorithm: HashAlgorithm.nullable(),
  previous: Hash.nullable().meta({ description: "Hash of the entry before it" }),
  hash: Hash.nullable(),
}).meta({ id: "AuditEntry" });
export type AuditEntry = z.infer<typeof AuditEntry>;

const Filters = {
  department: Reference.optional().meta({ description: "A department and everything below it" }),
  subject: z.string().max(200).optional(),
  actor: z.string().max(200).optional(),
  action: z.string().max(200).optional(),
  result: z.enum(["done", "denied", "failed"]).optional(),
  correlation: z.string().max(64).optional().meta({ description: "Correlation id" }),
  from: Time.optional(),
  to: Time.optional(),
};
export const AuditQuery = PageQuery.extend(Filters);

/** A signature (Ed25519) over the chain up to an entry, and thereby over every entry before it. */
export const AuditCheckpoint = z
  .object({
    number: z.int().min(1),
    sequence: Sequence,
    hash: Hash,
    at: Time,
    algorithm: HashAlgorithm,
    previous: Hash.meta({ description: "Digest of the checkpoint before" }),
    key: z.string(),
    signature: z.string().meta({ description: "Base64" }),
    publicKey: z.string().meta({ description: "SPKI, base64" }),
  })
  .meta({ id: "AuditCheckpoint" });
export type AuditCheckpoint = z.infer<typeof AuditCheckpoint>;

const Place = z.coerce.number().int().min(1).max(9_007_199_254_740_991).optional();
/** Places in the chain, or a period; left out: everything. */
export const AuditExportQuery = z.object({ first: Place, last: Place, from: Time.optional(), to: Time.optional() });
