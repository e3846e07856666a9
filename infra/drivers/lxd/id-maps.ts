/**
 * Ranges of user ids, one for each host. LXD 5.0 computes them wrongly for instances that are created at the same moment: it takes one whose range isn't
 * written yet to begin at 0, and may give two the same (of 40 that were created at once, 27 had ids of others). So within this process a creation begins when
 * the range of the one before is written, and where the events tell of somebody else's creation meanwhile, all ranges are compared before the host starts.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { LxdClient } from "./client.ts";
import type { Instance } from "./instances.ts";
import { SharedReading } from "./shared-reading.ts";

const usualSize = 65_536;
/** No range begins below the first subordinate id of login.defs(5) and the server's own first range. */
const lowest = 100_000 + usualSize;

/** Operations that this process began. */
const own = new Set<string>();
const remembered = 1000;
/** A creation that ended shortly before may have written its range only afterwards. */
const marginMs = 2000;
/** How often the server is asked whether it has written a range, should it not tell, ms: where it tells of nothing, and where its word may be lost. */
const askEveryMs = { silent: 20, telling: 500 };

interface Range {
  base: number;
  size: number;
}

export class IdMaps {
  readonly #client: LxdClient;
  readonly #listing: SharedReading<Instance[]>;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(client: LxdClient) {
    this.#client = client;
    this.#listing = new SharedReading(async () => {
      const { metadata } = await client.get<Instance[]>("/1.0/instances", { query: { recursion: "1", "all-projects": "true" } });
      return metadata.filter((one) => one.config !== null);
    });
  }

  /** Creates an instance. @returns whether it has ids of its own */
  async create(project: string, body: { name: string }, target?: string, signal?: AbortSignal): Promise<boolean> {
    const { ended, began } = await this.#inTurn(async () => {
      const before = Date.now();
      const told = this.#client.operations.creation(project, body.name);
      const over = new AbortController();
      try {
        const { id } = await this.#client.begin("/1.0/instances", { project, body, signal, ...(target === undefined ? {} : { query: { target } }) });
        if (own.size > remembered) own.delete(own.values().next().value!);
        own.add(id);
        const end = this.#client.finish(id, signal);
        await Promise.race([told.done, this.#written(project, body.name, over.signal), end.catch(() => undefined)]);
        return { ended: end, began: before };
      } finally {
        told.forget();
        over.abort();
      }
    });
    await ended;
    const others = this.#client.operations.creationsSince(began - marginMs, own);
    return others?.length === 0 || this.isAlone(project, body.name);
  }

  /** In its turn: removing changes the ranges too. */
  async remove(project: string, name: string): Promise<void> {
    await this.#inTurn(() => this.#client.change("DELETE", `/1.0/instances/${name}`, { project }));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Until it is seen that the server has written the range of an instance that it is creating. */
  async #written(project: string, name: string, over: AbortSignal): Promise<void> {
    const everyMs = this.#client.operations.tells ? askEveryMs.telling : askEveryMs.silent;
    for (;;) {
      await pause(everyMs, undefined, { ref: false });
      if (over.aborted) return;
      const there = await this.#client.find<Instance>(`/1.0/instances/${name}`, { project }).catch(() => undefined);
      if (there?.metadata.config["volatile.idmap.base"] !== undefined) return;
    }
  }

  /** Whether an instance that was created before the call shares its ids with no other one of its member. */
  async isAlone(project: string, name: string): Promise<boolean> {
    const all = await this.#listing.take();
    const own = all.find((one) => one.project === project && one.name === name);
    return own === undefined || isAlone(own, all);
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
