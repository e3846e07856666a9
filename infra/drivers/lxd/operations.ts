/**
 * What a server does in the background, waited for by its stream of events. Now and then it is asked all the same, since an event may be lost
 * with the member of a cluster that would have told it.
 */
import { type ClientOptions, WebSocket } from "ws";
import type { Address } from "./address.ts";

export interface Operation {
  id: string;
  status: string;
  /** 200 success, 400 failure, 401 cancelled; below 200 it goes on. */
  status_code: number;
  err: string;
  metadata: unknown;
}
type Ended = Omit<Operation, "id">;
type Event = { type: "operation"; metadata: Operation & { description: string } } | { type: "lifecycle"; metadata: { action: string; source: string } };

/** Ends that came before anybody waited for them. */
const remembered = 1000;
const askEveryMs = 2000;
/** Where no stream is to be had. */
const withoutEventsMs = 200;
/** After so many asks without an answer the operation counts as lost: its work is found by its name when it is tried again. */
const unansweredAsks = 10;

export class Operations {
  readonly #address: Address;
  readonly #ask: (id: string, signal: AbortSignal | undefined) => Promise<Operation | undefined>;
  readonly #waiting = new Map<string, (operation: Ended) => void>();
  readonly #ended = new Map<string, Ended>();
  /** When a creation was last heard of, by operation, anybody's. */
  readonly #creations = new Map<string, number>();
  /** Who waits for the word that an instance was made, by project and name. */
  readonly #made = new Map<string, () => void>();
  #events: Promise<WebSocket> | undefined;

  /** @param ask reads an operation; undefined: the server knows it no more */
  constructor(address: Address, ask: (id: string, signal: AbortSignal | undefined) => Promise<Operation | undefined>) {
    this.#address = address;
    this.#ask = ask;
  }

  /** Before anything is begun, so that no end is missed. Where no stream is to be had, ends are asked for. */
  async listen(): Promise<void> {
    this.#events ??= this.#open();
    await this.#events.catch(() => undefined);
  }

  /** @returns how it ended; what the server has forgotten counts as failed */
  async wait(id: string, signal?: AbortSignal): Promise<Ended> {
    const ended = this.#ended.get(id);
    if (ended) return ended;
    const events = await this.#events?.catch(() => undefined);
    const told = Promise.withResolvers<Ended>();
    this.#waiting.set(id, told.resolve);
    const aborted = () => told.reject(signal!.reason as Error);
    signal?.addEventListener("abort", aborted, { once: true });
    if (signal?.aborted) aborted();
    if (events) hold(events, true);
    let unanswered = 0;
    const asking = setInterval(
      () => {
        this.#ask(id, signal).then(
          (now) => {
            unanswered = 0;
            if (now === undefined) told.resolve(lost("The server lost the operation."));
            else if (now.status_code >= 200) told.resolve(now);
          },
          (error: unknown) => {
            // A server that doesn't answer now may do so the next time, but the member that worked on it may be dead for good.
            if (++unanswered >= unansweredAsks) told.resolve(lost(`The server does not say how it ended: ${String(error)}.`));
          },
        );
      },
      events ? askEveryMs : withoutEventsMs,
    );
    try {
      return await told.promise;
    } finally {
      clearInterval(asking);
      signal?.removeEventListener("abort", aborted);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0 && events) hold(events, false);
    }
  }

  /** Creations that others began or ended since a moment (ms); undefined: without a stream of events nobody knows. */
  creationsSince(moment: number, own: ReadonlySet<string>): string[] | undefined {
    if (!this.#events) return undefined;
    return [...this.#creations].filter(([id, at]) => at >= moment && !own.has(id)).map(([id]) => id);
  }

  /** Whether there is a stream of events now. */
  get tells(): boolean {
    return this.#events !== undefined;
  }

  /** The server's word that it has made an instance and written its settings; what fills its disk goes on. It may never come. */
  creation(project: string, name: string): { done: Promise<void>; forget(): void } {
    const told = Promise.withResolvers<void>();
    const key = `${project}/${name}`;
    this.#made.set(key, told.resolve);
    return { done: told.promise, forget: () => void this.#made.delete(key) };
  }

  #open(): Promise<WebSocket> {
    const socket = openSocket(this.#address, "/1.0/events?type=operation,lifecycle&all-projects=true");
    socket.on("message", (data: Buffer) => {
      const event = JSON.parse(data.toString()) as Event;
      if (event.type === "lifecycle") {
        const { action, source } = event.metadata;
        if (action !== "instance-created") return;
        const { pathname, searchParams } = new URL(source, "lxd://server");
        this.#made.get(`${searchParams.get("project") ?? "default"}/${pathname.split("/").at(-1)}`)?.();
        return;
      }
      const { metadata } = event;
      if (metadata.description.startsWith("Creating ")) remember(this.#creations, metadata.id, Date.now());
      if (metadata.status_code < 200) return;
      const told = this.#waiting.get(metadata.id);
      if (told) return told(metadata);
      remember(this.#ended, metadata.id, metadata);
    });
    return new Promise((resolve, reject) => {
      const forget = () => {
        this.#events = undefined;
      };
      socket.once("open", () => {
        // Nobody waits: a process may end.
        if (this.#waiting.size === 0) hold(socket, false);
        resolve(socket);
      });
      socket.once("error", (error) => {
        forget();
        reject(error);
      });
      socket.once("close", forget);
    });
  }
}

const lost = (err: string): Ended => ({ status: "Lost", status_code: 400, err, metadata: null });

function remember<T>(map: Map<string, T>, id: string, value: T): void {
  map.delete(id);
  map.set(id, value);
  if (map.size > remembered) map.delete(map.keys().next().value!);
}

/** Whether this connection keeps the process alive. */
function hold(socket: WebSocket, held: boolean): void {
  const { _socket } = socket as unknown as { _socket?: { ref(): void; unref(): void } };
  if (held) _socket?.ref();
  else _socket?.unref();
}

export function openSocket({ socketPath, host, port, tls }: Address, path: string): WebSocket {
  const url = socketPath === undefined ? `wss://${host?.includes(":") ? `[${host}]` : host}:${port}${path}` : `ws+unix:${socketPath}:${path}`;
  return new WebSocket(url, [], { ...(tls as ClientOptions), perMessageDeflate: false, handshakeTimeout: 30_000 });
}
