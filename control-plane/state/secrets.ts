/** Secrets in stacks' states: a data key per stack, wrapped by the master key. Lose the stack's row and its secrets are gone for good. */
import { randomBytes } from "node:crypto";
import type { Db } from "../store/database.ts";
import { decrypt, encrypt, type Keys, MasterKeyError } from "./keys.ts";

/** What a ciphertext begins with: format, then the data key's version in two bytes. */
const format = 1;
const headerBytes = 3;

/** A ciphertext that this stack's keys don't open. */
export class SecretError extends Error {
  override readonly name = "SecretError";
}

export interface StackSecrets {
  encrypt(plaintexts: Buffer[]): Promise<Buffer[]>;
  /** @throws SecretError */
  decrypt(ciphertexts: Buffer[]): Promise<Buffer[]>;
}

type DataKeys = Map<number, Buffer>;

/** Opens data keys and keeps them in memory, never elsewhere. */
export function secretsOf(db: Db, keys: Keys): (stackId: string) => StackSecrets {
  const opened = new Map<string, Promise<DataKeys>>();
  const dataKeys = (stackId: string): Promise<DataKeys> => {
    let found = opened.get(stackId);
    if (!found) {
      found = loadDataKeys(db, keys, stackId);
      opened.set(stackId, found);
      found.catch(() => opened.delete(stackId));
    }
    return found;
  };
  return (stackId) => ({
    encrypt: async (plaintexts) => {
      const all = await dataKeys(stackId);
      const version = Math.max(...all.keys());
      const header = Buffer.from([format, version >> 8, version & 0xff]);
      return plaintexts.map((plaintext) => Buffer.concat([header, encrypt(all.get(version)!, plaintext, stackId)]));
    },
    decrypt: async (ciphertexts) => {
      const all = await dataKeys(stackId);
      return ciphertexts.map((ciphertext) => {
        const key = ciphertext.length >= headerBytes && ciphertext[0] === format ? all.get(ciphertext.readUInt16BE(1)) : undefined;
        if (!key) throw new SecretError("the ciphertext wasn't made for this stack");
        try {
          return decrypt(key, ciphertext.subarray(headerBytes), stackId);
        } catch (cause) {
          throw new SecretError("the ciphertext was changed or wasn't made for this stack", { cause });
        }
      });
    },
  });
}

/** What a wrapped data key is bound to. */
export const dataKeyContext = (stackId: string, version: number): string => `stack ${stackId} data key ${version}`;

/** Whether what was sealed in a context belongs to this master key. */
export function opens(keys: Keys, context: string, sealed: string): boolean {
  try {
    keys.unseal(context, sealed);
    return true;
  } catch {
    return false;
  }
}

export const opensDataKey = (keys: Keys, key: { stack_id: string; version: number; wrapped: string }): boolean =>
  opens(keys, dataKeyContext(key.stack_id, key.version), key.wrapped);

async function loadDataKeys(db: Db, keys: Keys, stackId: string): Promise<DataKeys> {
  const context = (version: number) => dataKeyContext(stackId, version);
  const wrapped = keys.seal(context(1), randomBytes(32).toString("base64"));
  // Of two that make the first key one wins, and both read the winner's.
  await db
    .insertInto("state_data_keys")
    .values({ stack_id: stackId, version: 1, wrapped, created_at: new Date() })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const rows = await db.selectFrom("state_data_keys").select(["version", "wrapped"]).where("stack_id", "=", stackId).execute();
  return new Map(rows.map((row) => [row.version, Buffer.from(keys.unseal(context(row.version), row.wrapped), "base64")]));
}

/** Which master key a database belongs to; undefined before the first start. */
export async function masterKeyFingerprint(db: Db): Promise<string | undefined> {
  return (await db.selectFrom("state_master_key").select("fingerprint").executeTakeFirst())?.fingerprint;
}

/**
 * Binds a database to its master key at the first start, and refuses any other key later: else new secrets
 * would be sealed under a key that can't open the old ones.
 * @throws MasterKeyError
 */
export async function adoptMasterKey(db: Db, keys: Keys): Promise<void> {
  await db
    .insertInto("state_master_key")
    .values({ id: 1, fingerprint: keys.fingerprint })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const { fingerprint } = await db.selectFrom("state_master_key").select("fingerprint").executeTakeFirstOrThrow();
  if (fingerprint === keys.fingerprint) return;
  throw new MasterKeyError(
    `This database was made with master key ${fingerprint}, but the one given is ${keys.fingerprint}. ` +
      `Put the right key back: keys/master.key in the data directory, or ZHENGYUN_MASTER_KEY(_FILE).`,
  );
}
