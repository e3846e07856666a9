/** One POST to a receiver outside: no redirect is followed, no answer is waited for or read for long. */
import { type ClientRequest, request as overHttp } from "node:http";
import { request as overHttps } from "node:https";
import type { LookupFunction } from "node:net";

export interface PostOptions {
  headers: Record<string, string>;
  body: string;
  lookup: LookupFunction;
  timeoutMs: number;
  /** Ends it early. */
  signal: AbortSignal;
}

/** Of the answer no more is read: only its status counts. */
const mostBytes = 64 * 1024;

/** @returns the status @throws for a connection that fails, an address that is refused, or no answer in time */
export function post(url: URL, { headers, body, lookup, timeoutMs, signal }: PostOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const begin = url.protocol === "https:" ? overHttps : overHttp;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
    const fail = (error: Error) => {
      clearTimeout(timer);
      reject(late.signal.aborted ? (late.signal.reason as Error) : error);
    };
    const request: ClientRequest = begin(
      url,
      {
        method: "POST",
        // A connection of its own: none that was opened to another address before is used again.
        agent: false,
        lookup,
        signal: AbortSignal.any([late.signal, signal]),
        headers: { ...headers, "content-length": String(Buffer.byteLength(body)), connection: "close" },
      },
      (response) => {
        let read = 0;
        const done = () => {
          clearTimeout(timer);
          resolve(response.statusCode ?? 0);
        };
        response.on("data", (chunk: Buffer) => {
          read += chunk.length;
          if (read <= mostBytes) return;
          response.destroy();
          done();
        });
        response.on("end", done);
        response.on("error", fail);
      },
    );
    request.on("error", fail);
    request.end(body);
  });
}
