/** Adoption: what is on an endpoint and belongs to nobody of ours, and proposals to take it over. */
import { z } from "@hono/zod-openapi";
import { AdoptionScan, FoundInstance, FoundInstanceQuery, NewAdoption, NewAdoptionScan } from "../../contract/adoptions.ts";
import { pageOf, Reference } from "../../contract/common.ts";
import { notFound } from "../../domain/refusal.ts";
import { getScan, listFound, noteScan, proposeAdoption, type Scan, type ShownFound } from "../../store/adoptions.ts";
import { appendAudit } from "../../store/audit.ts";
import type { Db } from "../../store/database.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const tags = ["adoptions"];
const scan = defineRoute({
  method: "post",
  path: "/api/v1/adoption-scans",
  tags,
  summary: "Look at a pool's endpoint for instances that belong to nobody of ours",
  request: { body: jsonBody(NewAdoptionScan) },
  responses: { 202: jsonAnswer(AdoptionScan, "Taken") },
});
const scanned = defineRoute({
  method: "get",
  path: "/api/v1/adoption-scans/{pool}",
  tags,
  summary: "How the last look at a pool's endpoint ended",
  request: { params: z.object({ pool: Reference }) },
  responses: { 200: jsonAnswer(AdoptionScan) },
});
const list = defineRoute({
  method: "get",
  path: "/api/v1/adoptions",
  tags,
  summary: "Instances at a pool's endpoint that can be taken over, and those that are being or were",
  request: { query: FoundInstanceQuery },
  responses: { 200: jsonAnswer(pageOf(FoundInstance)) },
});
const propose = defineRoute({
  method: "post",
  path: "/api/v1/adoptions",
  tags,
  summary: "Propose that one becomes a host as it is: a request, under quota, budget and approvals",
  request: { body: jsonBody(NewAdoption) },
  responses: { 202: jsonAnswer(z.object({ request: z.string(), number: z.string(), host: z.string() }).meta({ id: "Adoption" }), "Taken") },
});

async function poolOf(db: Db, reference: string) {
  const pool = await db
    .selectFrom("pools")
    .select(["id", "code", "driver", "endpoint"])
    .where((where) => where.or([where("id", "=", reference), where("code", "=", reference)]))
    .executeTakeFirst();
  if (!pool) throw notFound("pool", reference);
  return pool;
}
const showScan = (pool: string, one: Scan): AdoptionScan => ({ pool, ...one });

function show(row: ShownFound, pool: string): FoundInstance {
  const facts = row.facts as Omit<FoundInstance, "member"> & { member?: string };
  const { vcpu, memoryMib, diskGib, memoryUsedBytes, image, state, ephemeral, addresses, volumes, weaknesses, type } = facts;
  return {
    id: row.id,
    pool,
    project: row.project,
    instance: row.instance,
    member: facts.member ?? null,
    type,
    vcpu,
    memoryMib,
    diskGib,
    memoryUsedBytes,
    image,
    state,
    ephemeral,
    addresses,
    volumes,
    weaknesses,
    seenAt: row.seen_at.toISOString(),
    host: row.resource_id,
    request: row.request_id,
    revision: row.revision,
  };
}

export function registerAdoptions(app: App, deps: AppDeps): void {
  app.openapi(scan, (c) =>
    idempotent(c, deps, async (tx) => {
      const { id, code } = await poolOf(tx, c.req.valid("json").pool);
      const act = c.get("act");
      const asked: Scan = { askedAt: act.now.toISOString(), endedAt: null, found: null, error: null };
      await noteScan(tx, id, asked);
      await appendAudit(tx, act, { action: "adoption.scan", subjectKind: "pool", subjectId: id, departmentId: null });
      await deps.queue.look(tx, id);
      return { status: 202, body: showScan(code, asked) };
    }),
  );
  app.openapi(scanned, async (c) => {
    const { id, code } = await poolOf(deps.db, c.req.valid("param").pool);
    const found = await getScan(deps.db, id);
    if (!found) throw notFound("scan of pool", code);
    return c.json(showScan(code, found));
  });
  app.openapi(list, async (c) => {
    const { pool: reference, ...ask } = c.req.valid("query");
    const pool = await poolOf(deps.db, reference);
    const { items, next } = await listFound(deps.db, pool, ask);
    return c.json({ items: items.map((row) => show(row, pool.code)), next });
  });
  app.openapi(propose, (c) =>
    idempotent(c, deps, async (tx) => {
      const { row, request } = await proposeAdoption(tx, c.get("act"), c.get("principal"), c.req.valid("json"), deps.seal);
      await deps.queue.plan(tx, [request]);
      return {
        status: 202,
        body: { request: request.id, number: request.number, host: row.resource_id! },
        headers: { location: `/api/v1/requests/${request.id}` },
      };
    }),
  );
}
