import { z } from "@hono/zod-openapi";
import { MadeToken, NewToken, Token } from "../../contract/access.ts";
import { Id, PageQuery, pageOf } from "../../contract/common.ts";
import { listTokens, makeToken, revokeToken, type TokenRow } from "../../store/tokens.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const list = defineRoute({
  method: "get",
  path: "/api/v1/tokens",
  tags: ["tokens"],
  summary: "API tokens",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(Token)) },
});
const create = defineRoute({
  method: "post",
  path: "/api/v1/tokens",
  tags: ["tokens"],
  summary: "Make a token; its secret is shown once. It may nothing until roles are granted to it",
  request: { body: jsonBody(NewToken) },
  responses: { 201: jsonAnswer(MadeToken, "Made") },
});
const revoke = defineRoute({
  method: "delete",
  path: "/api/v1/tokens/{id}",
  tags: ["tokens"],
  summary: "Revoke a token and its sessions at once",
  request: { params: z.object({ id: Id }) },
  responses: { 204: { description: "Revoked" } },
});

const time = (at: Date | null) => at?.toISOString() ?? null;

function shown(row: TokenRow): Token {
  return {
    id: row.id,
    name: row.name,
    expiresAt: time(row.expires_at),
    revokedAt: time(row.revoked_at),
    lastUsedAt: time(row.last_used_at),
    createdAt: row.created_at.toISOString(),
  };
}
type Token = z.infer<typeof Token>;

export function registerTokens(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { items, next } = await listTokens(deps.db, c.req.valid("query"));
    return c.json({ items: items.map(shown), next });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const { name, expiresAt } = c.req.valid("json");
      const made = await makeToken(tx, c.get("act"), { name, expiresAt: expiresAt === null ? null : new Date(expiresAt) });
      return { status: 201, body: { ...shown(made.token), secret: made.secret }, secret: true };
    }),
  );
  app.openapi(revoke, async (c) => {
    await deps.db.transaction().execute((tx) => revokeToken(tx, c.get("act"), c.req.valid("param").id));
    return c.body(null, 204);
  });
}
