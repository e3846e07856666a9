/** The REST API of one LXD or Incus server, over its socket or TLS. */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import { DriverError, InUse, NoSpace, NotFound, Unreachable } from "../driver.ts";
import type { Address } from "./address.ts";
import { type Operation, Operations } from "./operations.ts";

export interface Answer<T> {
  metadata: T;
  /** Of what was read, for a change that must not overwrite another one. */
  etag: string;
}
export interface Ask {
  body?: unknown;
  /** Sent as it is instead of `body`. */
  raw?: Readable | Buffer;
  headers?: Record<string, string>;
  /** @see Answer */
  etag?: string;
  project?: string;
  query?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** An answer that says no. */
export class Refused extends DriverError {
  readonly status: number;
  constructor(status: number, message: string) {
    super("refused", message);
    this.status = status;
  }
}

/** What was read has been changed since. */
export const hasMoved = (error: unknown): boolean => error instanceof Refused && (error.status === 412 || error.message.startsWith("ETag doesn't match"));

/** Connections at once to one server. */
const sockets = 32;
/** How long a server may be silent before a call is given up, ms. Long work is an operation, which is waited for apart. */
const silentMs = 60_000;
const attempts = 4;
/** How long an instance that is busy with something else is waited for, ms. */
const busyMs = 60_000;

export class LxdClient {
  readonly #address: Address;
  readonly #agent: HttpAgent;
  readonly operations: Operations;

  constructor(address: Address) {
    this.#address = address;
    const options = { keepAlive: true, maxSockets: sockets };
    this.#agent = address.tls ? new HttpsAgent({ ...options, ...address.tls }) : new HttpAgent(options);
    this.operations = new Operations(address, async (id, signal) => (await this.find<Operation>(`/1.0/operations/${id}`, { signal }))?.metadata);
  }

  async get<T>(path: string, ask: Ask = {}): Promise<Answer<T>> {
    const { text, etag } = await this.#call("GET", path, ask);
    return { metadata: (JSON.parse(text) as { metadata: T }).metadata, etag };
  }

  /** undefined: there is none. */
  async find<T>(path: string, ask: Ask = {}): Promise<Answer<T> | undefined> {
    try {
      return await this.get<T>(path, ask);
    } catch (error) {
      if (error instanceof NotFound) return undefined;
      throw error;
    }
  }

  /** Changes something; what the server does in the background is waited for. @returns the operation's or the answer's metadata */
  async change<T = unknown>(method: "POST" | "PUT" | "PATCH" | "DELETE", path: string, ask: Ask = {}): Promise<T> {
    await this.operations.listen();
    return whenFree(async () => {
      const { text } = await this.#call(method, path, ask);
      const answer = JSON.parse(text) as { type: string; metadata: T & { id: string } };
      return answer.type === "async" ? this.finish<T>(answer.metadata.id, ask.signal) : answer.metadata;
    }, ask.signal);
  }

  /** Begins an operation that goes on while the caller does something else. */
  async begin<T>(path: string, ask: Ask): Promise<{ id: string; metadata: T }> {
    await this.operations.listen();
    const { text } = await this.#call("POST", path, ask);
    return (JSON.parse(text) as { metadata: { id: string; metadata: T } }).metadata;
  }

  /** @returns the operation's metadata @throws DriverError when it failed */
  async finish<T = unknown>(id: string, signal?: AbortSignal): Promise<T> {
    const done = await this.operations.wait(id, signal);
    if (done.status_code !== 200) throw errorOf(400, done.err || done.status);
    return done.metadata as T;
  }

  /** A file or an export, as it comes. */
  async stream(path: string, ask: Ask = {}): Promise<IncomingMessage> {
    const response = await this.#send("GET", path, ask);
    if (response.statusCode === 200) return response;
    throw errorOf(response.statusCode!, messageOf(await textOf(response)));
  }

  /** The last bytes of a text that isn't JSON. */
  async endOf(path: string, bytes: number, ask: Ask = {}): Promise<string> {
    let end = Buffer.alloc(0);
    for await (const chunk of await this.stream(path, ask)) end = Buffer.concat([end, chunk as Buffer]).subarray(-bytes);
    return end.toString();
  }

  async #call(method: string, path: string, ask: Ask): Promise<{ text: string; etag: string }> {
    for (let attempt = 1; ; attempt++) {
      let response: IncomingMessage;
      try {
        response = await this.#send(method, path, ask);
      } catch (error) {
        // What was never taken, and what only reads, is asked again; a change that may have been taken is found by its name instead.
        const again = method === "GET" || wasNeverTaken(error);
        if (!again || attempt === attempts || ask.signal?.aborted || ask.raw) throw unreachable(this.#address, error);
        await pause(100 * 2 ** attempt * (0.5 + Math.random() / 2), undefined, ask.signal ? { signal: ask.signal } : {});
        continue;
      }
      const text = await textOf(response);
      if (response.statusCode! < 300) return { text, etag: response.headers.etag ?? "" };
      throw errorOf(response.statusCode!, messageOf(text));
    }
  }

  async #send(method: string, path: string, { body, raw, headers = {}, etag, project, query = {}, signal }: Ask): Promise<IncomingMessage> {
    const { socketPath, host, port, tls } = this.#address;
    const search = new URLSearchParams({ ...query, ...(project === undefined ? {} : { project }) }).toString();
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const asked = (tls ? httpsRequest : httpRequest)(
        {
          ...(socketPath === undefined ? { host, port } : { socketPath }),
          agent: this.#agent,
          method,
          path: search === "" ? path : `${path}?${search}`,
          headers: {
            host: "lxd",
            ...(content ? { "content-type": "application/json", "content-length": content.length } : {}),
            ...(etag === undefined ? {} : { "if-match": etag }),
            ...headers,
          },
          ...(signal ? { signal } : {}),
        },
        resolve,
      );
      asked.setTimeout(silentMs, () => asked.destroy(new Error(`no answer within ${silentMs / 1000} s`)));
      asked.on("error", reject);
      if (raw === undefined || Buffer.isBuffer(raw)) asked.end(raw ?? content);
      else pipeline(raw, asked).catch(reject);
    });
  }
}

/** Of an instance that has just stopped or crashed the server is busy for a moment. */
async function whenFree<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const until = Date.now() + busyMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Refused && /is busy running/.test(error.message)) || Date.now() > until) throw error;
      await pause(100, undefined, signal ? { signal } : {});
    }
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { error?: string }).error ?? text;
  } catch {
    return text.slice(0, 500);
  }
}

/** LXD tells most refusals by their text. */
export function errorOf(status: number, message: string): DriverError {
  if (status === 404) return new NotFound(message);
  // "Wrote only" is how tar says that the device became full in the middle of a block.
  if (/no space left|quota exceeded|not enough (free )?space|wrote only \d+ of \d+ bytes/i.test(message)) return new NoSpace(message);
  if (/in use|still used|is currently mounted/i.test(message)) return new InUse(message);
  return new Refused(status, message);
}

const wasNeverTaken = (error: unknown) => ["ECONNREFUSED", "ENOENT", "EHOSTUNREACH", "ENETUNREACH"].includes((error as NodeJS.ErrnoException).code ?? "");

function unreachable({ socketPath, host, port }: Address, error: unknown): DriverError {
  const why = error instanceof Error ? error.message : String(error);
  return new Unreachable(`LXD at ${socketPath ?? `${host}:${port}`} does not answer: ${why}.`, { cause: error });
}
