/** The API as pages call it: a session cookie, problem documents as errors, one key for each POST. */
import type { Problem } from "../../control-plane/contract/problems.ts";
import { api } from "../paths.ts";

export class ApiProblem extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
  }
}

async function call<T>(method: string, path: string, body?: unknown, ifMatch?: number, token?: string): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
  const file = body instanceof Blob;
  if (body !== undefined) headers["content-type"] = file ? "application/octet-stream" : "application/json";
  if (method === "POST") headers["idempotency-key"] = crypto.randomUUID();
  if (ifMatch !== undefined) headers["if-match"] = `"${ifMatch}"`;
  const response = await fetch(path, {
    method,
    headers,
    credentials: "same-origin",
    ...(body === undefined ? {} : { body: file ? body : JSON.stringify(body) }),
  });
  if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T;
  const text = await response.text();
  let problem: Problem;
  try {
    problem = JSON.parse(text) as Problem;
  } catch {
    problem = { type: "about:blank", code: "unknown", title: response.statusText, status: response.status };
  }
  throw new ApiProblem(problem);
}

export const get = <T>(path: string): Promise<T> => call<T>("GET", path);
/** A text that is no JSON. */
export async function text(path: string): Promise<string> {
  const response = await fetch(path, { credentials: "same-origin" });
  if (response.ok) return response.text();
  throw new ApiProblem((await response.json()) as Problem);
}
export const post = <T>(path: string, body: unknown, ifMatch?: number): Promise<T> => call<T>("POST", path, body, ifMatch);
export const put = <T>(path: string, body: unknown, ifMatch: number): Promise<T> => call<T>("PUT", path, body, ifMatch);
/** A one-time link that signs this browser in as the token's owner. */
export const signInLink = (token: string): Promise<{ path: string }> => call("POST", api.links, {}, undefined, token);
export const patch = <T>(path: string, body: unknown, ifMatch: number): Promise<T> => call<T>("PATCH", path, body, ifMatch);
/** A file, as it is. */
export const upload = (path: string, file: Blob): Promise<unknown> => call("PUT", path, file);
export const remove = <T = void>(path: string, ifMatch?: number): Promise<T> => call<T>("DELETE", path, undefined, ifMatch);
/** The items of a list's first page. */
export const list = async <T>(path: string): Promise<T[]> => (await get<{ items: T[] }>(path)).items;
/** Everything of a list, page by page. @param address of the page after a cursor */
export async function everything<T>(address: (cursor?: string) => string): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | undefined;
  do {
    const { items, next } = await get<{ items: T[]; next: string | null }>(address(cursor));
    found.push(...items);
    cursor = next ?? undefined;
  } while (cursor !== undefined);
  return found;
}
/** A list of which people see one page after the other; read anew, it stays as long as it was. */
export class Paged<T> {
  items: T[] = [];
  /** Whether there is more. */
  more = false;
  #next: string | null = null;
  #pages = 1;
  readonly #address: (cursor?: string) => string;
  constructor(address: (cursor?: string) => string) {
    this.#address = address;
  }
  async load(): Promise<void> {
    const items: T[] = [];
    let next: string | null = null;
    for (let page = 0; page < this.#pages && (page === 0 || next !== null); page++) {
      const answer: { items: T[]; next: string | null } = await get(this.#address(next ?? undefined));
      items.push(...answer.items);
      ({ next } = answer);
    }
    this.items = items;
    this.#keep(next);
  }
  async loadMore(): Promise<void> {
    const answer = await get<{ items: T[]; next: string | null }>(this.#address(this.#next ?? undefined));
    this.items = [...this.items, ...answer.items];
    this.#pages++;
    this.#keep(answer.next);
  }
  #keep(next: string | null): void {
    this.#next = next;
    this.more = next !== null;
  }
}
