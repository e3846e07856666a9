/**
 * Ranges of user ids, one for each host. LXD 5.0 computes them wrongly for instances that are created at the same moment: it takes one whose range isn't
 * written yet to begin at 0, and may give two the same (seen with 12 at once). So that creations take turns within this process, and what others
 * created meanwhile is looked at before a host starts.
 */
import type { LxdClient } from "./client.ts";
import type { Instance } from "./instances.ts";

const usualSize = 65_536;
/** No range begins below the first subordinate id of login.defs(5) and the server's own first range. */
const lowest = 100_000 + usualSize;

interface Range {
  base: number;
  size: number;
}

export class IdMaps {
  readonly #client: LxdClient;
  #turn: Promise<unknown> = Promise.resolve();
  #reading: Promise<Instance[]> | undefined;
  #next: Promise<Instance[]> | undefined;

  constructor(client: LxdClient) {
    this.#client = client;
  }

  /** One creation after the other. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Whether an instance that was created before the call shares its ids with no other one of its member. */
  async isAlone(project: string, name: string): Promise<boolean> {
    const all = await this.#listing();
    const own = all.find((one) => one.project === project && one.name === name);
    return own === undefined || isAlone(own, all);
  }

  /** Of a moment after the call: those who ask meanwhile share the next one. */
  #listing(): Promise<Instance[]> {
    if (!this.#reading) return (this.#reading = this.#read());
    this.#next ??= this.#reading.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }
  #begin(): Promise<Instance[]> {
    this.#next = undefined;
    return (this.#reading = this.#read());
  }
  async #read(): Promise<Instance[]> {
    try {
      const { metadata } = await this.#client.get<Instance[]>("/1.0/instances", { query: { recursion: "1", "all-projects": "true" } });
      return metadata.filter((one) => one.config !== null);
    } finally {
      this.#reading = undefined;
    }
  }
}

function rangeOf({ config }: Instance): Range | undefined {
  const base = config["volatile.idmap.base"];
  return base === undefined || config["security.idmap.isolated"] !== "true"
    ? undefined
    : { base: Number(base), size: Number(config["security.idmap.size"] ?? usualSize) };
}

/** Pure: whether an instance has ids of its own. */
export function isAlone(own: Instance, all: readonly Instance[]): boolean {
  const range = rangeOf(own);
  if (!range) return true;
  return (
    range.base >= lowest &&
    !all.some((other) => {
      if (other.location !== own.location || (other.project === own.project && other.name === own.name)) return false;
      const its = rangeOf(other);
      return its !== undefined && its.base < range.base + range.size && range.base < its.base + its.size;
    })
  );
}
