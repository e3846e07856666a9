/**
 * The format of the audit's hash chain (审计链): what an entry's hash and a checkpoint's signature are over. Pure; docs/audit-chain.md says
 * the same in words, so that somebody else can write a verifier.
 */
import { createHash, createPublicKey, getHashes, type KeyObject, sign, verify } from "node:crypto";
import canonicalize from "canonicalize";

/** As OpenSSL names them. */
export const hashAlgorithms = ["sha256", "sm3"] as const;
export type HashAlgorithm = (typeof hashAlgorithms)[number];

/** What the first entry names as the one before it, and the first checkpoint likewise. */
export const genesis = "0".repeat(64);

/** What an entry says, as the API shows it. */
export interface EntryContent {
  id: number;
  /** RFC 3339, UTC, milliseconds. */
  at: string;
  actor: string;
  role: string;
  source: string;
  action: string;
  subjectKind: string;
  subject: string;
  department: string | null;
  result: string;
  before: unknown;
  after: unknown;
  correlationId: string;
}
/** Its place in the chain. */
export interface Link {
  /** 1, 2, 3 … in the order of linking, without gaps. */
  sequence: number;
  algorithm: HashAlgorithm;
  /** Hash of the entry before it. */
  previous: string;
}
export type ChainedEntry = EntryContent & Link & { hash: string };

/** What a checkpoint's signature is over. */
export interface CheckpointContent {
  /** 1, 2, 3 … */
  number: number;
  /** The last entry that it covers, and that entry's hash. */
  sequence: number;
  hash: string;
  at: string;
  /** Of `previous` of the next checkpoint. */
  algorithm: HashAlgorithm;
  /** Digest of the checkpoint before. */
  previous: string;
  /** Id of the key. */
  key: string;
}
export type Checkpoint = CheckpointContent & {
  /** Ed25519, base64. */
  signature: string;
};

const digest = (algorithm: HashAlgorithm, text: string) => createHash(algorithm).update(text).digest("hex");

/** RFC 8785. */
const canonical = (value: object): string => canonicalize(value)!;

/** Named one by one, so that what else an object carries doesn't count. */
export function hashOf(entry: EntryContent, link: Link): string {
  const { id, at, actor, role, source, action, subjectKind, subject, department, result, before, after, correlationId } = entry;
  const { sequence, algorithm, previous } = link;
  const content = { id, at, actor, role, source, action, subjectKind, subject, department, result, before, after, correlationId };
  return digest(algorithm, canonical({ format: "zhengyun-audit-1", sequence, algorithm, previous, ...content }));
}

function checkpointText({ number, sequence, hash, at, algorithm, previous, key }: CheckpointContent): string {
  return canonical({ format: "zhengyun-audit-checkpoint-1", number, sequence, hash, at, algorithm, previous, key });
}

/** What the next checkpoint names as the one before it. */
export const checkpointDigest = (checkpoint: CheckpointContent): string => digest(checkpoint.algorithm, checkpointText(checkpoint));

export function signCheckpoint(checkpoint: CheckpointContent, privateKey: KeyObject): Checkpoint {
  return { ...checkpoint, signature: sign(null, Buffer.from(checkpointText(checkpoint)), privateKey).toString("base64") };
}

/** @param publicKey SPKI, base64 */
export function isSignedBy(checkpoint: Checkpoint, publicKey: string): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, "base64"), format: "der", type: "spki" });
    return verify(null, Buffer.from(checkpointText(checkpoint)), key, Buffer.from(checkpoint.signature, "base64"));
  } catch {
    return false;
  }
}

/** A key's id: the beginning of the SHA-256 of its SPKI, so that nobody can put another key under it. */
export const keyIdOf = (publicKey: string): string => createHash("sha256").update(Buffer.from(publicKey, "base64")).digest("hex").slice(0, 32);

/** SM3 is there only where OpenSSL was built with it. */
export const isSupported = (algorithm: HashAlgorithm): boolean => getHashes().some((one) => one.toLowerCase() === algorithm);
