import { PageQuery, pageOf } from "../../contract/common.ts";
import { NewPool, Pool, PoolChange } from "../../contract/pools.ts";
import { changePool, createPool, getPool, listPools, type PoolWithAccounts } from "../../store/pools.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byReference, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const tags = ["pools"];
const path = "/api/v1/pools";
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Pools of capacity",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(Pool)) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Add a pool",
  request: { body: jsonBody(NewPool) },
  responses: { 201: jsonAnswer(Pool, "Added") },
});
const read = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "A pool, by id or code",
  request: byReference,
  responses: { 200: jsonAnswer(Pool) },
});
const change = defineRoute({
  method: "patch",
  path: `${path}/{id}`,
  tags,
  summary: "Change a pool",
  request: { ...byReference, body: jsonBody(PoolChange) },
  responses: { 200: jsonAnswer(Pool) },
});

const asked: Pool["circuit"] = { state: "closed", since: null, error: null };

export function registerPools(app: App, deps: AppDeps): void {
  const shown = (row: PoolWithAccounts): Pool => ({
    id: row.id,
    code: row.code,
    name: row.name,
    kind: row.kind,
    site: row.site,
    tier: row.tier,
    securityLevel: row.security_level,
    zone: row.zone,
    overcommitPercent: row.overcommit_percent,
    driver: row.driver,
    endpoint: row.endpoint,
    state: row.state,
    circuit: deps.circuitOf?.(row.driver, row.endpoint) ?? asked,
    capacity: row.capacity,
    taken: row.taken,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  });
  app.openapi(list, async (c) => {
    const { items, next } = await listPools(deps.db, c.req.valid("query"));
    return c.json({ items: items.map(shown), next });
  });
  app.openapi(read, async (c) => {
    const row = await getPool(deps.db, c.req.valid("param").id);
    return c.json(shown(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const { securityLevel, overcommitPercent, endpoint, ...ask } = c.req.valid("json");
      const { id } = await createPool(tx, c.get("act"), {
        ...ask,
        security_level: securityLevel,
        overcommit_percent: overcommitPercent,
        endpoint: endpoint || deps.defaultEndpoint,
      });
      const row = await getPool(tx, id);
      return { status: 201, body: shown(row), headers: { location: `${path}/${id}`, etag: etag(row.revision) } };
    }),
  );
  app.openapi(change, async (c) => {
    const { name, state, capacity, overcommitPercent } = c.req.valid("json");
    const row = await deps.db.transaction().execute(async (tx) => {
      const { id } = await getPool(tx, c.req.valid("param").id);
      return changePool(tx, c.get("act"), id, { name, state, overcommit_percent: overcommitPercent, capacity }, (revision) => requireMatch(c, revision));
    });
    return c.json(shown(row), 200, { etag: etag(row.revision) });
  });
}
