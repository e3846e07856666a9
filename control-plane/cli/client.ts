/** The API as the CLI and the demo call it: typed by the contract, one place for address, token and errors. */
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import type { Problem } from "../contract/problems.ts";

/** An answer that is a problem document (RFC 9457). */
export class ApiProblem extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super([problem.title, problem.detail, problem.remedy].filter(Boolean).join(". "));
    this.name = "ApiProblem";
    this.problem = problem;
  }
}

export interface ClientOptions {
  /** Such as http://127.0.0.1:8080, no slash at the end. */
  url: string;
  /** Empty: none, for signing in. */
  token: string;
}

export interface CallOptions {
  /** JSON; or a file, as it is. */
  body?: unknown;
  query?: Record<string, string | number | boolean | undefined>;
  /** The revision that was seen, for changes. */
  ifMatch?: number;
  idempotencyKey?: string;
  /** Of a stream of events: the last one that was read. */
  lastEventId?: string;
  signal?: AbortSignal;
}

export type Client = ReturnType<typeof createClient>;

/**
 * A client of one control plane. Every call throws ApiProblem for a refusal, and an Error that names the address when nothing answers.
 * POSTs carry an Idempotency-Key, so that a repeated call after a broken connection does its work once.
 */
export function createClient({ url, token }: ClientOptions) {
  async function send(method: string, path: string, { body, query, ifMatch, idempotencyKey, lastEventId, signal }: CallOptions = {}): Promise<Response> {
    const address = new URL(path, url);
    for (const [key, value] of Object.entries(query ?? {})) if (value !== undefined) address.searchParams.set(key, String(value));
    const headers: Record<string, string> = { accept: "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const file = body instanceof Blob;
    if (body !== undefined) headers["content-type"] = file ? "application/octet-stream" : "application/json";
    if (method === "POST") headers["idempotency-key"] = idempotencyKey ?? randomUUID();
    if (ifMatch !== undefined) headers["if-match"] = `"${ifMatch}"`;
    if (lastEventId !== undefined) headers["last-event-id"] = lastEventId;
    let response: Response;
    try {
      response = await fetch(address, {
        method,
        headers,
        ...(body === undefined ? {} : { body: file ? body : JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Error(`No control plane answers at ${url}. Start one with \`npm start\`, or set ZHENGYUN_URL.`, { cause: error });
    }
    if (!response.ok) throw new ApiProblem(await problemOf(response));
    return response;
  }

  async function call<T>(method: string, path: string, options?: CallOptions): Promise<T> {
    const response = await send(method, path, options);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  return {
    url,
    send,
    /** A WebSocket; who is asked is said as everywhere else. */
    socket: (path: string, protocols: string[]) =>
      new WebSocket(new URL(path, url.replace(/^http/, "ws")), protocols, {
        headers: token ? { authorization: `Bearer ${token}` } : {},
        perMessageDeflate: false,
        handshakeTimeout: 20_000,
      }),
    get: <T>(path: string, query?: CallOptions["query"]) => call<T>("GET", path, query ? { query } : {}),
    post: <T>(path: string, body: unknown, options?: CallOptions) => call<T>("POST", path, { ...options, body }),
    put: <T>(path: string, body: unknown, ifMatch: number) => call<T>("PUT", path, { body, ifMatch }),
    patch: <T>(path: string, body: unknown, ifMatch: number) => call<T>("PATCH", path, { body, ifMatch }),
    delete: (path: string, ifMatch?: number) => call<void>("DELETE", path, ifMatch === undefined ? {} : { ifMatch }),
    /** Every item of a list, page after page. */
    async *all<T>(path: string, query: CallOptions["query"] = {}): AsyncGenerator<T> {
      let cursor: string | undefined;
      do {
        const page = await call<{ items: T[]; next: string | null }>("GET", path, { query: { limit: 500, ...query, ...(cursor ? { cursor } : {}) } });
        yield* page.items;
        cursor = page.next ?? undefined;
      } while (cursor);
    },
  };
}

async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text();
  try {
    return JSON.parse(text) as Problem;
  } catch {
    return { type: "about:blank", title: `${response.status} ${response.statusText}`, status: response.status, code: "unknown", detail: text.slice(0, 500) };
  }
}

/** ZHENGYUN_URL, else what HOST and PORT say. */
export const addressFromEnvironment = (env: NodeJS.ProcessEnv = process.env): string =>
  (env["ZHENGYUN_URL"] ?? `http://${env["HOST"] ?? "127.0.0.1"}:${env["PORT"] ?? "8080"}`).replace(/\/$/, "");

/** Where `login` keeps a session with a control plane: one file for each address. */
export function sessionFile(url: string, env: NodeJS.ProcessEnv = process.env): string {
  const directory = env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config");
  return join(directory, "zhengyun", `${new URL(url).host.replaceAll(/[^\w.-]/g, "_")}.session`);
}

/**
 * Address and token from the environment: ZHENGYUN_URL, ZHENGYUN_TOKEN or ZHENGYUN_TOKEN_FILE, else the session that `login` began, else the
 * operator's token that the control plane left in its data directory.
 * @throws Error that says where a token was looked for
 */
export function clientFromEnvironment(env: NodeJS.ProcessEnv = process.env): Client {
  const url = addressFromEnvironment(env);
  if (env["ZHENGYUN_TOKEN"]) return createClient({ url, token: env["ZHENGYUN_TOKEN"] });
  const session = sessionFile(url, env);
  const file = env["ZHENGYUN_TOKEN_FILE"] ?? (existsSync(session) ? session : join(env["ZHENGYUN_DATA"] ?? "data", "operator.token"));
  try {
    return createClient({ url, token: readFileSync(file, "utf8").trim() });
  } catch {
    throw new Error(
      `No token: \`zhengyun login NAME\`, or set ZHENGYUN_TOKEN or ZHENGYUN_TOKEN_FILE (looked for ${file}, which the control plane writes at its first start).`,
    );
  }
}
