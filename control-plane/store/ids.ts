/** Immutable ids: a prefix and a ULID, so that they sort by the time they were made; within a process also those of one millisecond. */
import { randomBytes } from "node:crypto";

export type IdPrefix =
  | "dep"
  | "prj"
  | "app"
  | "pol"
  | "req"
  | "itm"
  | "hst"
  | "vol"
  | "att"
  | "bkp"
  | "bak"
  | "rst"
  | "snp"
  | "rvt"
  | "tok"
  | "ses"
  | "chg"
  | "alc"
  | "upt"
  | "stk"
  | "upd"
  | "rbd"
  | "arc"
  | "esc"
  | "fnd"
  | "fch"
  | "pst"
  | "pbk"
  | "apl"
  | "stp"
  | "cmt"
  | "evd"
  | "dlg"
  | "qfd"
  | "acc"
  | "ntc"
  | "whk"
  | "dlv"
  | "hap"
  | "srl"
  | "scd"
  | "sen"
  | "cor"
  | "mwd"
  | "mls"
  | "idp"
  | "opl"
  | "ops"
  | "cns"
  | "hsn"
  | "dft"
  | "fin";

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const randomBits = 80n;
let lastTime = -1;
let lastRandom = 0n;

/** @returns prefix, underscore, 26 characters of lower-case Crockford base32. `bkp` is a backup policy, `bak` a backup. */
export function newId(prefix: IdPrefix, now: Date = new Date()): string {
  const time = Math.max(now.getTime(), 0);
  if (time === lastTime) lastRandom++;
  else {
    // The top bit stays free, so that counting up within a millisecond never overflows.
    lastRandom = BigInt(`0x${randomBytes(10).toString("hex")}`) & ((1n << (randomBits - 1n)) - 1n);
    lastTime = time;
  }
  return `${prefix}_${base32((BigInt(time) << randomBits) | lastRandom)}`;
}

function base32(value: bigint): string {
  let text = "";
  for (let digit = 0; digit < 26; digit++, value >>= 5n) text = alphabet[Number(value & 31n)] + text;
  return text;
}

/** When an id was made, ms since the epoch; undefined for a text that is no id of ours. */
export function timeOf(id: string): number | undefined {
  const digits = /^[a-z]{3}_([0-9a-hjkmnp-tv-z]{10})[0-9a-hjkmnp-tv-z]{16}$/.exec(id)?.[1];
  return digits === undefined ? undefined : Array.from(digits).reduce((value, digit) => value * 32 + alphabet.indexOf(digit), 0);
}
