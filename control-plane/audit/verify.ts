/** Recomputes a stretch of the chain from its export, line by line: whatever its length, only the last entry is kept in mind. */
import { type ChainedEntry, type Checkpoint, checkpointDigest, genesis, hashAlgorithms, hashOf, isSignedBy, keyIdOf } from "./chain.ts";

/** One line of `GET /api/v1/audit/export`. */
export type ExportLine =
  | { kind: "range"; first: number; last: number; unlinked: number; keys: { id: string; algorithm: string; publicKey: string }[] }
  | ({ kind: "checkpoint" } & Checkpoint)
  | ({ kind: "entry" } & ChainedEntry)
  | { kind: "end"; entries: number; checkpoints: number };

export interface Fault {
  what: "altered" | "missing" | "reordered" | "checkpoint" | "incomplete";
  /** The first entry at fault; of a checkpoint the entry that it covers up to. */
  sequence: number;
  detail: string;
}
export interface Verified {
  first: number;
  last: number;
  entries: number;
  checkpoints: number;
  /** The last entry that a good signature covers; 0: none. What comes after it could still be written anew by who can write to the database. */
  signedUpTo: number;
  /** Keys whose signatures were met: compare them with those that were noted when the control plane was new. */
  keys: string[];
  /** Entries that waited to be linked. */
  unlinked: number;
  fault: Fault | undefined;
}

/**
 * @param trusted ids of the keys that may have signed; left out: whichever the export brings
 * @returns what was found until the first fault
 */
export async function verifyExport(lines: AsyncIterable<ExportLine>, trusted?: readonly string[]): Promise<Verified> {
  const found: Verified = { first: 0, last: 0, entries: 0, checkpoints: 0, signedUpTo: 0, keys: [], unlinked: 0, fault: undefined };
  const check = new Stretch(found, trusted);
  for await (const line of lines) {
    found.fault = check.take(line);
    if (found.fault || line.kind === "end") return found;
  }
  found.fault = { what: "incomplete", sequence: check.next, detail: "the export ended before its last line: the connection broke, ask for it again" };
  return found;
}

class Stretch {
  readonly #found: Verified;
  readonly #trusted: readonly string[] | undefined;
  readonly #keys = new Map<string, string>();
  /** The entry that must come next. */
  next = 1;
  /** Hash of the last entry; undefined before the first of a stretch that no checkpoint precedes. */
  #hash: string | undefined;
  #checkpoint: Checkpoint | undefined;

  constructor(found: Verified, trusted: readonly string[] | undefined) {
    this.#found = found;
    this.#trusted = trusted;
  }

  take(line: ExportLine): Fault | undefined {
    if (line.kind === "entry") return this.#entry(line);
    if (line.kind === "checkpoint") return this.#signature(line);
    return line.kind === "range" ? this.#begin(line) : this.#end(line);
  }

  #begin({ first, last, unlinked, keys }: Extract<ExportLine, { kind: "range" }>): undefined {
    Object.assign(this.#found, { first, last, unlinked });
    for (const { id, publicKey } of keys) this.#keys.set(id, publicKey);
    this.next = first;
    this.#hash = first === 1 ? genesis : undefined;
  }

  #entry(entry: ChainedEntry): Fault | undefined {
    const { sequence } = entry;
    const at = (what: Fault["what"], detail: string): Fault => ({ what, sequence, detail });
    if (sequence > this.next) return { what: "missing", sequence: this.next, detail: gap(this.next, sequence - 1) };
    if (sequence < this.next) return at("reordered", `entry ${sequence} comes after entry ${this.next - 1}`);
    if (!hashAlgorithms.includes(entry.algorithm)) return at("altered", `entry ${sequence} names an unknown hash algorithm`);
    const sound = hashOf(entry, entry) === entry.hash;
    if (this.#hash !== undefined && entry.previous !== this.#hash)
      return sound
        ? at("reordered", `entry ${sequence} was linked to another entry than ${sequence - 1}: one of the two was put in another's place`)
        : at("reordered", `entry ${sequence} is not the one that was linked after ${sequence - 1}`);
    if (!sound) return at("altered", `entry ${sequence} (id ${entry.id}) is not what was linked: its content doesn't have its hash`);
    this.#hash = entry.hash;
    this.next = sequence + 1;
    this.#found.entries++;
    return undefined;
  }

  #signature(checkpoint: Checkpoint): Fault | undefined {
    const { number, sequence, key } = checkpoint;
    const at = (detail: string, place = sequence): Fault => ({ what: "checkpoint", sequence: place, detail: `checkpoint ${number}: ${detail}` });
    const publicKey = this.#keys.get(key);
    if (publicKey === undefined || keyIdOf(publicKey) !== key) return at(`there is no key ${key}`);
    if (this.#trusted && !this.#trusted.includes(key)) return at(`it is signed with key ${key}, which is none of those that you trust`);
    if (!isSignedBy(checkpoint, publicKey)) return at("its signature is not good");
    const before = this.#checkpoint;
    if (before && number !== before.number + 1) return at(`it comes after checkpoint ${before.number}: those in between are missing`);
    if (before ? checkpoint.previous !== checkpointDigest(before) : number === 1 && checkpoint.previous !== genesis)
      return at("it does not follow the checkpoint before it");
    // The one before the stretch tells what its first entry is linked to.
    if (sequence === this.next - 1 && this.#hash === undefined) this.#hash = checkpoint.hash;
    if (sequence >= this.next) return { what: "missing", sequence: this.next, detail: gap(this.next, sequence) };
    if (sequence < this.next - 1) return at("it is out of order");
    if (checkpoint.hash !== this.#hash)
      return at(
        `entry ${sequence} is not the one that was signed: between ${this.#found.signedUpTo + 1} and ${sequence} entries were changed and linked anew`,
        this.#found.signedUpTo + 1,
      );
    this.#checkpoint = checkpoint;
    this.#found.checkpoints++;
    this.#found.signedUpTo = sequence;
    if (!this.#found.keys.includes(key)) this.#found.keys.push(key);
    return undefined;
  }

  #end({ entries }: Extract<ExportLine, { kind: "end" }>): Fault | undefined {
    const { last } = this.#found;
    if (this.next <= last) return { what: "missing", sequence: this.next, detail: gap(this.next, last) };
    if (entries !== this.#found.entries)
      return { what: "incomplete", sequence: this.next, detail: `${entries} entries were sent, ${this.#found.entries} came` };
    return undefined;
  }
}

const gap = (from: number, to: number) => (from === to ? `entry ${from} is missing` : `entries ${from} to ${to} are missing`);
