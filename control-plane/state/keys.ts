/**
 * The master key, and what is sealed under it: data keys of stacks, secrets in the control plane's own rows.
 * AES-256-GCM; every sealed text is bound to a context, so that it can't be moved to another row or stack.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** No usable master key, or one that doesn't belong to what it should open. */
export class MasterKeyError extends Error {
  override readonly name = "MasterKeyError";
}

export interface Keys {
  /** Seals a text, e.g. `seal("resources/hst_…/userData", text)`. The result is printable: `v1.…`. */
  seal(context: string, text: string): string;
  /** @throws MasterKeyError when it was changed, sealed in another context or under another master key */
  unseal(context: string, sealed: string): string;
  /** Tells master keys apart without giving anything of them away. */
  readonly fingerprint: string;
  /** The master key itself, for the few that hand it on encrypted: rotation and escrow. */
  export<T>(use: (master: Buffer) => T): T;
}

/**
 * The master key from `ZHENGYUN_MASTER_KEY` (32 bytes as base64 or hex) or `ZHENGYUN_MASTER_KEY_FILE`, else from
 * `<directory>/keys/master.key`, which is made at the first start, readable by its owner only.
 * Whoever loses it loses every secret in the database.
 * @throws MasterKeyError
 */
export function loadKeys(options: KeyPlace & { fingerprint?: string | undefined }): Keys {
  const { ZHENGYUN_MASTER_KEY: given, ZHENGYUN_MASTER_KEY_FILE: file } = options.environment ?? process.env;
  // A kill within a rotation leaves several key files: the database says which of them is its own.
  const known = options.fingerprint === undefined ? undefined : findKeys(options, options.fingerprint);
  if (known) return known;
  if (given) return keysFrom(parse(given, "ZHENGYUN_MASTER_KEY"));
  if (file) return keysFrom(parse(read(file), file));
  const path = masterKeyPath(options.directory);
  return keysFrom(parse(readOrMake(path), path));
}

/** Where a master key is looked for. */
export interface KeyPlace {
  /** The data directory. */
  directory: string;
  environment?: Record<string, string | undefined>;
}

export const masterKeyPath = (directory: string): string => join(directory, "keys", "master.key");

/** The master key of a fingerprint, from the environment or any of the data directory's key files; makes none. */
export function findKeys({ directory, environment = process.env }: KeyPlace, fingerprint: string): Keys | undefined {
  const { ZHENGYUN_MASTER_KEY: given, ZHENGYUN_MASTER_KEY_FILE: file } = environment;
  const keyDirectory = dirname(masterKeyPath(directory));
  const files = existsSync(keyDirectory) ? readdirSync(keyDirectory).filter((name) => /^master\.key(\.[0-9a-f]{16}|\.next)?$/.test(name)) : [];
  const texts = [given, ...[...(file ? [file] : []), ...files.map((name) => join(keyDirectory, name))].map((path) => readIfThere(path))];
  for (const text of texts) {
    const key = text === undefined ? undefined : decode(text);
    const keys = key && keysFrom(key);
    if (keys?.fingerprint === fingerprint) return keys;
  }
  return undefined;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** @param master 32 bytes */
export function keysFrom(master: Buffer): Keys {
  const derive = (purpose: string) => Buffer.from(hkdfSync("sha256", master, "zhengyun", purpose, keyBytes));
  const sealing = derive("seal");
  return {
    seal: (context, text) => `v1.${encrypt(sealing, Buffer.from(text), context).toString("base64url")}`,
    unseal: (context, sealed) => {
      if (!sealed.startsWith("v1.")) throw new MasterKeyError(`What is kept as ${context} isn't sealed.`);
      try {
        return decrypt(sealing, Buffer.from(sealed.slice(3), "base64url"), context).toString();
      } catch (cause) {
        throw new MasterKeyError(`What is kept as ${context} doesn't open: it was changed, or sealed under another master key.`, { cause });
      }
    },
    fingerprint: derive("fingerprint").subarray(0, 8).toString("hex"),
    export: (use) => use(Buffer.from(master)),
  };
}

/** nonce, ciphertext, tag. Random nonces: a key must not encrypt more than 2^32 texts. */
export function encrypt(key: Buffer, plaintext: Buffer, context: string): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** @throws Error when the key, the context or a bit of it is wrong */
export function decrypt(key: Buffer, sealed: Buffer, context: string): Buffer {
  if (sealed.length < nonceBytes + tagBytes) throw new Error("too short to be a ciphertext");
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(-tagBytes));
  return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
}

function decode(text: string): Buffer | undefined {
  const trimmed = text.trim();
  const key = /^[0-9a-fA-F]{64}$/.test(trimmed) ? Buffer.from(trimmed, "hex") : Buffer.from(trimmed, "base64");
  return key.length === keyBytes ? key : undefined;
}

function parse(text: string, source: string): Buffer {
  const key = decode(text);
  if (key) return key;
  throw new MasterKeyError(`${source} doesn't hold a master key: 32 bytes as base64 or hex (openssl rand -base64 32).`);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new MasterKeyError(`The master key can't be read from ${path}: ${(cause as Error).message}`, { cause });
  }
}

function readOrMake(path: string): string {
  for (;;) {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT")
        throw new MasterKeyError(`The master key can't be read: ${(error as Error).message}`, { cause: error });
    }
    makeMasterKey(path);
  }
}

/** A new random master key at a path, unless one is there: written aside and linked into place, so that of two first starts one wins, and a kill leaves no half key. */
export function makeMasterKey(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const aside = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const handle = openSync(aside, "wx", 0o600);
  writeSync(handle, `${randomBytes(keyBytes).toString("base64")}\n`);
  fsyncSync(handle);
  closeSync(handle);
  try {
    linkSync(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(aside);
  }
}
