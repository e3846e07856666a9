/** Signs where the chain ends, so that nobody who can write to the database can write the chain anew without being found out. */
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { auditKeyContext, type AuditKeyRow, keepAuditKey, keepCheckpoint, lastCheckpoint, signingKey } from "../store/audit-chain.ts";
import type { Tx } from "../store/database.ts";
import { checkpointDigest, genesis, type HashAlgorithm, keyIdOf, signCheckpoint } from "./chain.ts";
import type { ChainEnd } from "./link.ts";
import { checkpointOf } from "./records.ts";

/** Seals and opens what is bound to a context, under the master key. */
export interface Sealer {
  seal(context: string, text: string): string;
  unseal(context: string, sealed: string): string;
}

/** Makes the next checkpoint, and the first time the key. Runs in the transaction that holds the chain. */
export async function signEnd(
  tx: Tx,
  end: ChainEnd,
  { algorithm, now, sealer }: { algorithm: HashAlgorithm; now: Date; sealer: Sealer },
): Promise<{ number: number; sequence: number; hash: string; key: string }> {
  const key = (await signingKey(tx)) ?? (await makeKey(tx, now, sealer));
  const last = await lastCheckpoint(tx);
  const { sequence, hash } = end;
  const number = (last?.number ?? 0) + 1;
  const previous = last ? checkpointDigest(checkpointOf(last)) : genesis;
  const content = { number, sequence, hash, at: now.toISOString(), algorithm, previous, key: key.id };
  const privateKey = createPrivateKey({ key: Buffer.from(sealer.unseal(auditKeyContext(key.id), key.wrapped), "base64"), format: "der", type: "pkcs8" });
  const { signature } = signCheckpoint(content, privateKey);
  await keepCheckpoint(tx, { number, sequence, hash, at: now, algorithm, previous, key_id: key.id, signature });
  return { number, sequence, hash, key: key.id };
}

async function makeKey(tx: Tx, now: Date, sealer: Sealer): Promise<AuditKeyRow> {
  const pair = generateKeyPairSync("ed25519");
  const publicKey = pair.publicKey.export({ format: "der", type: "spki" }).toString("base64");
  const id = keyIdOf(publicKey);
  const wrapped = sealer.seal(auditKeyContext(id), pair.privateKey.export({ format: "der", type: "pkcs8" }).toString("base64"));
  const key: AuditKeyRow = { id, algorithm: "Ed25519", public_key: publicKey, wrapped, created_at: now };
  await keepAuditKey(tx, key);
  return key;
}
