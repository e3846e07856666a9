/** accept: POST of a request against a bare Hono route with one INSERT, 16 in flight, on both stores. */
import { randomUUID } from "node:crypto";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { sql } from "kysely";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Engine } from "../setup/databases.ts";
import { type Figure, sideBySide, timed } from "./bench.ts";
import { smallCity, host } from "../setup/small-city.ts";
import { openBench } from "./store.ts";

const inFlight = 16;
const requests = 160;

async function flood(send: (index: number) => Promise<Response>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (next < requests) {
        const response = await send(next++);
        if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
        await response.arrayBuffer();
      }
    }),
  );
}

/** Serves on a free port of this machine. */
export async function listen(fetch: (request: Request) => Response | Promise<Response>): Promise<{ url: string; close(): void }> {
  const server = createAdaptorServer({ fetch }) as Server;
  // Room for a thousand connections that come at once.
  await new Promise<void>((done) => server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, done));
  // Client and server share this process: while it is busy the server would end connections that the client still takes for alive.
  server.keepAliveTimeout = 600_000;
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

export async function acceptFigure(engine: Engine): Promise<Figure> {
  const bench = await openBench(engine);
  const bare = new Hono();
  await sql`create table bare (id text primary key, body jsonb not null)`.execute(bench.db);
  bare.post("/requests", async (c) => {
    const id = randomUUID();
    await sql`insert into bare values (${id}, ${JSON.stringify(await c.req.json())})`.execute(bench.db);
    return c.json({ id }, 202);
  });
  const [ours, baseline] = [await listen(bench.app.fetch), await listen(bare.fetch)];
  try {
    const city = smallCity({ hosts: 100_000 });
    for (const pool of city.pools) pool.capacity = Object.fromEntries(Object.keys(pool.capacity).map((dimension) => [dimension, 1_000_000_000]));
    for (const quota of city.quotas) quota.limits = { hosts: 100_000, vcpu: 1_000_000, memory_mib: 1_000_000_000, "storage_gib:standard": 1_000_000_000 };
    const headers = { authorization: `Bearer ${bench.token}`, "content-type": "application/json" };
    const post = (path: string, body: unknown) =>
      fetch(ours.url + path, { method: "POST", headers: { ...headers, "idempotency-key": randomUUID() }, body: JSON.stringify(body) });
    const imported = await post("/api/v1/city-imports", city);
    if (!imported.ok) throw new Error(await imported.text());
    const body = (name: string) => ({ application: "office-app", project: "p", title: "Bench", items: [host(name)] });
    const result = await sideBySide(
      5,
      (run) => timed(() => flood((index) => post("/api/v1/requests", body(`h${run}-${index}`)))),
      () => timed(() => flood((index) => fetch(`${baseline.url}/requests`, { method: "POST", headers, body: JSON.stringify(body(`h${index}`)) }))),
    );
    return {
      name: `accept-${engine}`,
      ratio: result.ratio,
      goal: 4,
      unit: "× a route with one INSERT",
      detail: `${(result.ours / requests).toFixed(2)} ms a request against ${(result.baseline / requests).toFixed(2)} ms, ${inFlight} in flight, median of 5 × ${requests}`,
    };
  } finally {
    ours.close();
    baseline.close();
    await bench.close();
  }
}
