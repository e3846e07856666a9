import { PageQuery, pageOf } from "../../contract/common.ts";
import { NewPool, Pool, PoolChange, PoolMember } from "../../contract/pools.ts";
import { memberCounts, pageOfMembers } from "../../store/members.ts";
import { changePool, createPool, getPool, listPools, type PoolWithAccounts } from "../../store/pools.ts";
import type { Db } from "../../store/database.ts";
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

const members = defineRoute({
  method: "get",
  path: `${path}/{id}/members`,
  tags,
  summary: "The machines behind a pool, as they were read last, and what is on each",
  request: { ...byReference, query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(PoolMember)) },
});

const asked: Pool["circuit"] = { state: "closed", since: null, error: null };

export function registerPools(app: App, deps: AppDeps): void {
  const shown = (row: PoolWithAccounts, counts: Pool["members"]): Pool => {
    const read = deps.read?.(row.driver, row.endpoint);
    return {
      id: row.id,
      code: row.code,
      name: row.name,
      kind: row.kind,
      site: row.site,
      tier: row.tier,
      securityLevel: row.security_level,
      zone: row.zone,
      dedicatedTo: row.dedicated,
      strategy: row.strategy,
      overcommitPercent: row.overcommit_percent,
      driver: row.driver,
      endpoint: row.endpoint,
      server: row.server,
      group: row.group,
      vm: row.vm,
      sharedStorage: row.shared_storage,
      onMemberLoss: {
        action: row.loss_action,
        afterSeconds: row.loss_after_seconds,
        fenced: row.loss_fenced,
        setBy: row.loss_set_by,
        setByName: row.loss_set_by_name,
        setAt: row.loss_set_at?.toISOString() ?? null,
      },
      state: row.state,
      circuit: deps.circuitOf?.(row.driver, row.endpoint) ?? asked,
      capacity: row.owned,
      offered: row.offered,
      taken: row.taken,
      queued: row.queued,
      used: read ? { disk: read.disk ?? null, memory: read.memory ?? null } : null,
      members: counts,
      revision: row.revision,
      createdAt: row.created_at.toISOString(),
      updatedAt: row.updated_at.toISOString(),
    };
  };
  const show = async (db: Db, rows: readonly PoolWithAccounts[]): Promise<Pool[]> => {
    const counts = await memberCounts(db, rows);
    return rows.map((row) => shown(row, counts.get(row.id)!));
  };
  const one = async (db: Db, row: PoolWithAccounts): Promise<Pool> => (await show(db, [row]))[0]!;
  app.openapi(list, async (c) => {
    const { items, next } = await listPools(deps.db, c.req.valid("query"));
    return c.json({ items: await show(deps.db, items), next });
  });
  app.openapi(read, async (c) => {
    const row = await getPool(deps.db, c.req.valid("param").id);
    return c.json(await one(deps.db, row), 200, { etag: etag(row.revision) });
  });
  app.openapi(members, async (c) => {
    const pool = await getPool(deps.db, c.req.valid("param").id);
    return c.json(await pageOfMembers(deps.db, pool, c.req.valid("query")));
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
      return { status: 201, body: await one(tx, row), headers: { location: `${path}/${id}`, etag: etag(row.revision) } };
    }),
  );
  app.openapi(change, async (c) => {
    const { overcommitPercent, ...patch } = c.req.valid("json");
    const row = await deps.db.transaction().execute(async (tx) => {
      const { id } = await getPool(tx, c.req.valid("param").id);
      return changePool(tx, c.get("act"), id, { ...patch, ...(overcommitPercent === undefined ? {} : { overcommit_percent: overcommitPercent }) }, (revision) =>
        requireMatch(c, revision),
      );
    });
    return c.json(await one(deps.db, row), 200, { etag: etag(row.revision) });
  });
}
