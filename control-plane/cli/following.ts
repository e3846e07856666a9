/** Following a request by the events that it tells, as the console does: nobody who waits asks over and over. */
import { setTimeout as pause } from "node:timers/promises";
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { Request } from "../contract/requests.ts";
import type { Client } from "./client.ts";

/** A stream that was cut, or a replica that told late: then it is asked anyway, ms. */
const atLatestMs = 2000;
/** Of many events at once one reading is made, ms. */
const gatherMs = 20;

export interface Following {
  /** Seconds of patience, in ms. */
  timeoutMs?: number;
  /** Also for each of its steps, not only when its state changes: for who shows progress. */
  steps?: boolean;
}

/**
 * The request as soon as `done` says so of a reading of it.
 * @throws Error after `timeoutMs`, with the last reading in its message; ApiProblem when it may not be read
 */
export async function followRequest(client: Client, id: string, done: (one: Request) => boolean, options: Following = {}): Promise<Request> {
  const { timeoutMs = 600_000, steps = false } = options;
  const path = `/api/v1/requests/${id}`;
  const over = new AbortController();
  const end = Date.now() + timeoutMs;
  let told = Promise.withResolvers<void>();
  void listen(client, `${path}/events`, over.signal, (type) => {
    if (steps || type.startsWith("request.")) told.resolve();
  });
  try {
    for (;;) {
      told = Promise.withResolvers<void>();
      const one = await client.get<Request>(path);
      if (done(one)) return one;
      if (Date.now() > end) throw new Error(`Still not done after ${Math.round(timeoutMs / 1000)} s; last seen: ${JSON.stringify(one).slice(0, 300)}`);
      await Promise.race([told.promise, pause(atLatestMs, undefined, { signal: over.signal })]);
      await pause(gatherMs);
    }
  } finally {
    over.abort();
  }
}

/** Each event's type, until it is over. The stream ends by itself now and then, and is read on after its last event. */
async function listen(client: Client, path: string, signal: AbortSignal, tell: (type: string) => void): Promise<void> {
  let last: string | undefined;
  while (!signal.aborted) {
    try {
      const { body } = await client.send("GET", path, { signal, ...(last === undefined ? {} : { lastEventId: last }) });
      for await (const { id, event } of body!.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())) {
        last = id ?? last;
        if (event !== undefined) tell(event);
      }
    } catch {
      // Who waits asks anyway.
    }
    await pause(atLatestMs, undefined, { signal }).catch(() => undefined);
  }
}
