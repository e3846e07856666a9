/** Time-based one-time passwords (RFC 6238, SHA-1, six digits, half a minute): what every authenticator app speaks. */
import { createHmac, timingSafeEqual } from "node:crypto";

const stepSeconds = 30;
const digits = 6;
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export const stepAt = (now: Date): number => Math.floor(now.getTime() / 1000 / stepSeconds);

/** The code of a step. @param secret raw bytes */
export function codeAt(secret: Buffer, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", secret).update(counter).digest();
  const value = mac.readUInt32BE(mac[mac.length - 1]! & 15) & 0x7fffffff;
  return String(value % 10 ** digits).padStart(digits, "0");
}

/** The step that a code belongs to: this one, or one beside it for clocks that differ; undefined: none. */
export function stepOf(secret: Buffer, code: string, now: Date): number | undefined {
  if (!/^\d{6}$/.test(code)) return undefined;
  const present = stepAt(now);
  return [present, present - 1, present + 1].find((step) => timingSafeEqual(Buffer.from(codeAt(secret, step)), Buffer.from(code)));
}

export function base32(bytes: Buffer): string {
  let bits = "";
  for (const byte of bytes) bits += byte.toString(2).padStart(8, "0");
  return (bits.match(/.{1,5}/g) ?? []).map((five) => alphabet[parseInt(five.padEnd(5, "0"), 2)]).join("");
}

export function fromBase32(text: string): Buffer {
  let bits = "";
  for (const letter of text) bits += alphabet.indexOf(letter).toString(2).padStart(5, "0");
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((eight) => parseInt(eight, 2)));
}

/** What an app reads to know the secret. */
export function otpauthUri(account: string, secret: string): string {
  return `otpauth://totp/${encodeURIComponent(`Zhengyun:${account}`)}?secret=${secret}&issuer=Zhengyun&algorithm=SHA1&digits=${digits}&period=${stepSeconds}`;
}
