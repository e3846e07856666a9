/**
 * The master key on its way out: encrypted to a public key, so that whoever carries the text can't read it.
 * X25519 with an ephemeral key, HKDF-SHA256, AES-256-GCM; bound to both public keys and to the master key's fingerprint.
 */
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync, type KeyObject } from "node:crypto";
import { decrypt, encrypt, MasterKeyError } from "./keys.ts";

const prefix = "zhengyun-escrow-v1";
const publicBytes = 32;
/** What precedes the 32 bytes of an X25519 key in SubjectPublicKeyInfo and in PKCS #8 (RFC 8410). */
const spki = Buffer.from("302a300506032b656e032100", "hex");
const pkcs8 = Buffer.from("302e020100300506032b656e04220420", "hex");

/** A pair of keys, base64 of 32 bytes each. */
export function makeEscrowPair(): { publicKey: string; privateKey: string } {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  const last = (der: Buffer) => der.subarray(-publicBytes).toString("base64");
  return { publicKey: last(publicKey.export({ format: "der", type: "spki" })), privateKey: last(privateKey.export({ format: "der", type: "pkcs8" })) };
}

/** @param to base64 of an X25519 public key @throws MasterKeyError when it is none */
export function escrow(master: Buffer, fingerprint: string, to: string): string {
  const recipient = read(to, "public");
  const ephemeral = generateKeyPairSync("x25519");
  const own = ephemeral.publicKey.export({ format: "der", type: "spki" }).subarray(-publicBytes);
  let shared: Buffer;
  try {
    shared = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: recipient });
  } catch (cause) {
    // A point of low order: what is encrypted to it, anybody could read.
    throw new MasterKeyError("This public key can't be encrypted to.", { cause });
  }
  const key = keyOf(shared, own, Buffer.from(to, "base64"));
  return `${prefix}.${fingerprint}.${Buffer.concat([own, encrypt(key, master, fingerprint)]).toString("base64url")}`;
}

/** @param privateKey base64 @returns the master key's 32 bytes as base64 @throws MasterKeyError */
export function openEscrow(text: string, privateKey: string): string {
  const [format, fingerprint, body] = text.trim().split(".");
  if (format !== prefix || !fingerprint || !body) throw new MasterKeyError("This is no master key in escrow.");
  const bytes = Buffer.from(body, "base64url");
  const mine = read(privateKey, "private");
  const own = createPublicKey(mine).export({ format: "der", type: "spki" }).subarray(-publicBytes);
  try {
    const ephemeral = bytes.subarray(0, publicBytes);
    const shared = diffieHellman({ privateKey: mine, publicKey: read(ephemeral.toString("base64"), "public") });
    return decrypt(keyOf(shared, ephemeral, own), bytes.subarray(publicBytes), fingerprint).toString("base64");
  } catch (cause) {
    throw new MasterKeyError("It does not open: it was changed, or encrypted to another key.", { cause });
  }
}

const keyOf = (shared: Buffer, ephemeral: Buffer, recipient: Buffer) =>
  Buffer.from(hkdfSync("sha256", shared, Buffer.concat([ephemeral, recipient]), prefix, 32));

function read(text: string, kind: "public" | "private"): KeyObject {
  const raw = Buffer.from(text.trim(), "base64");
  if (raw.length !== publicBytes) throw new MasterKeyError(`This is no X25519 ${kind} key: 32 bytes as base64.`);
  return kind === "public"
    ? createPublicKey({ key: Buffer.concat([spki, raw]), format: "der", type: "spki" })
    : createPrivateKey({ key: Buffer.concat([pkcs8, raw]), format: "der", type: "pkcs8" });
}
