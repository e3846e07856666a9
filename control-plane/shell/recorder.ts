/**
 * Writes down what happens in a terminal before it happens: what is typed goes to the host, and what the host says to whoever types, only when it
 * is in the database. What comes while a piece is being written makes up the next one, so that a slow database makes larger pieces, not a gap.
 */
import { createHash, type Hash } from "node:crypto";
import { StringDecoder } from "node:string_decoder";

/** i typed, o shown, r the window's size, m a remark. */
export type EventKind = "i" | "o" | "r" | "m";

/** A recording ends here, bytes: nothing goes on unrecorded. */
export const recordingLimit = 16 * 1024 * 1024;

export interface RecorderOptions {
  header: { width: number; height: number; timestamp: number; title: string };
  /** Keeps a piece for good. */
  keep: (seq: number, text: string) => Promise<void>;
  /** ms */
  clock: () => number;
  limit?: number;
}

export class RecordingFull extends Error {}

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #hash: Hash = createHash("sha256");
  readonly #began: number;
  /** A character may come in two pieces. */
  readonly #decoders = { i: new StringDecoder("utf8"), o: new StringDecoder("utf8") };
  #pending: string[] = [];
  #writing: Promise<void> = Promise.resolve();
  #waiting: Promise<void> | undefined;
  #seq = 0;
  #bytes = 0;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#began = options.clock();
    this.#pending.push(`${JSON.stringify({ version: 2, ...options.header })}\n`);
  }

  /** Resolves when it is kept. @throws RecordingFull: it is not, and nothing more will be */
  record(kind: EventKind, data: Buffer | string): Promise<void> {
    const text = typeof data === "string" ? data : kind === "i" || kind === "o" ? this.#decoders[kind].write(data) : data.toString();
    if (text !== "") this.#pending.push(`${JSON.stringify([Math.max(0, this.#options.clock() - this.#began) / 1000, kind, text])}\n`);
    this.#waiting ??= this.#next();
    return this.#waiting;
  }

  get digest(): { sha256: string | null; bytes: number } {
    return { sha256: this.#seq === 0 ? null : this.#hash.copy().digest("hex"), bytes: this.#bytes };
  }

  #next(): Promise<void> {
    const before = this.#writing;
    const turn = (async () => {
      await before;
      this.#waiting = undefined;
      const text = this.#pending.splice(0).join("");
      if (text === "") return;
      const size = Buffer.byteLength(text);
      if (this.#bytes + size > (this.#options.limit ?? recordingLimit)) throw new RecordingFull("The recording is full.");
      await this.#options.keep(this.#seq, text);
      this.#seq++;
      this.#bytes += size;
      this.#hash.update(text);
    })();
    this.#writing = turn.catch(() => undefined);
    return turn;
  }
}
