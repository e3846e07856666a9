import { z } from "@hono/zod-openapi";
import { DecidingRole, Delegation, NewDelegation } from "../../contract/approvals.ts";
import { PageQuery, pageOf } from "../../contract/common.ts";
import { delegate, type DelegationRow, endDelegation, listDelegations } from "../../store/delegations.ts";
import type { Db } from "../../store/database.ts";
import { namesOf } from "../../store/names.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/delegations";
const tags = ["approvals"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Delegations that the caller gave or got, newest first; supervision and auditors see all",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(Delegation)) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Go on leave: somebody else decides in the caller's name for a period",
  request: { body: jsonBody(NewDelegation) },
  responses: { 201: jsonAnswer(Delegation, "Made") },
});
const end = defineRoute({
  method: "delete",
  path: `${path}/{id}`,
  tags,
  summary: "End one that the caller gave",
  request: { params: z.object(byId.params.shape) },
  responses: { 204: { description: "Ended" } },
});

async function show(db: Db, rows: readonly DelegationRow[]): Promise<Delegation[]> {
  const ids = [...new Set(rows.flatMap((row) => [row.from_id, row.to_id]))];
  const names = await namesOf(db, ids);
  return rows.map((row) => ({
    id: row.id,
    from: row.from_id,
    fromName: names.get(row.from_id) ?? null,
    to: row.to_id,
    toName: names.get(row.to_id) ?? null,
    begins: row.begins_at.toISOString(),
    ends: row.ends_at.toISOString(),
    reason: row.reason,
    endedAt: row.ended_at?.toISOString() ?? null,
    createdAt: row.created_at.toISOString(),
  }));
}

export function registerDelegations(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { role, id } = c.get("principal");
    const decides = role.split(",").some((one) => DecidingRole.safeParse(one).success);
    const { items, next } = await listDelegations(deps.db, decides ? id : undefined, c.req.valid("query"));
    return c.json({ items: await show(deps.db, items), next });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const { to, begins, ends, reason } = c.req.valid("json");
      const row = await delegate(tx, c.get("act"), { to, begins: new Date(begins), ends: new Date(ends), reason });
      return { status: 201, body: (await show(tx, [row]))[0] };
    }),
  );
  app.openapi(end, async (c) => {
    await deps.db.transaction().execute((tx) => endDelegation(tx, c.get("act"), c.get("principal").id, c.req.valid("param").id));
    return c.body(null, 204);
  });
}
