/**
 * Stands between engines and a state service, and stops a stack's engine after so many of its journal entries were made
 * durable: what comes afterwards is neither passed on nor answered, as when a cable is pulled.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";

export interface Gate {
  readonly url: string;
  /** Resolves when the stack's entry of this number (from 1) is durable. */
  after(stack: string, entries: number): Promise<void>;
  /** Journal entries of the stack that were passed on so far. */
  passed(stack: string): number;
  /** How often the service has answered 413. */
  tooLarge(): number;
  close(): void;
}

interface Limit {
  entries: number;
  reached: () => void;
}

export async function gate(service: string): Promise<Gate> {
  const limits = new Map<string, Limit>();
  const passed = new Map<string, number>();
  const closed = new Set<string>();
  let tooLarge = 0;

  async function pass({ method, url = "/", headers }: IncomingMessage, body: Buffer, response?: ServerResponse): Promise<void> {
    const { host: _, connection: __, "content-length": ___, "transfer-encoding": ____, ...kept } = headers as Record<string, string>;
    const answer = await fetch(service + url, { method: method!, headers: kept, ...(body.length > 0 && { body: new Uint8Array(body) }) });
    if (answer.status === 413) tooLarge++;
    else if (method === "PATCH" && answer.status >= 300) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
    response?.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "application/json" });
    // A state names the address that its secrets are opened at.
    response?.end((await answer.text()).replaceAll(service, own()));
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const stack = request.url!.split("/")[5] ?? "";
    const body = await buffer(request);
    if (closed.has(stack)) return;
    if (!request.url!.endsWith("/journalentries")) return pass(request, body, response);
    const limit = limits.get(stack);
    const { entries } = JSON.parse((request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString()) as { entries: unknown[] };
    const before = passed.get(stack) ?? 0;
    if (!limit || before + entries.length < limit.entries) {
      passed.set(stack, before + entries.length);
      return pass(request, body, response);
    }
    closed.add(stack);
    passed.set(stack, limit.entries);
    delete request.headers["content-encoding"];
    await pass(request, Buffer.from(JSON.stringify({ entries: entries.slice(0, limit.entries - before) })));
    limit.reached();
  }

  const own = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: own(),
    after: (stack, entries) => new Promise<void>((reached) => limits.set(stack, { entries, reached })),
    tooLarge: () => tooLarge,
    passed: (stack) => passed.get(stack) ?? 0,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
