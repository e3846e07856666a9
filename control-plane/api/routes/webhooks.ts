/** Webhooks, and what was sent by them and by mail. */
import { PageQuery, pageOf } from "../../contract/common.ts";
import type { NoticeKind } from "../../contract/notices.ts";
import { Delivery, DeliveryQuery, MadeWebhook, NewWebhook, Webhook, WebhookChange, WebhookDeliveryQuery } from "../../contract/webhooks.ts";
import { type DeliveryRow, listDeliveries, redeliver } from "../../store/deliveries.ts";
import { resolveDepartment } from "../../store/departments.ts";
import { changeWebhook, createWebhook, getWebhook, listWebhooks, removeWebhook, rotateSecret, testWebhook, type WebhookRow } from "../../store/webhooks.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/webhooks";
const tags = ["webhooks"];
const list = defineRoute({ method: "get", path, tags, summary: "Webhooks", request: { query: PageQuery }, responses: { 200: jsonAnswer(pageOf(Webhook)) } });
const read = defineRoute({ method: "get", path: `${path}/{id}`, tags, summary: "A webhook", request: byId, responses: { 200: jsonAnswer(Webhook) } });
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Tell an address outside of what happens; the secret that deliveries are signed with is shown once",
  request: { body: jsonBody(NewWebhook) },
  responses: { 201: jsonAnswer(MadeWebhook, "Made") },
});
const change = defineRoute({
  method: "patch",
  path: `${path}/{id}`,
  tags,
  summary: "Change a webhook, pause it or go on with it",
  request: { ...byId, body: jsonBody(WebhookChange) },
  responses: { 200: jsonAnswer(Webhook) },
});
const remove = defineRoute({
  method: "delete",
  path: `${path}/{id}`,
  tags,
  summary: "Remove a webhook with its deliveries",
  request: byId,
  responses: { 204: { description: "Removed" } },
});
const rotate = defineRoute({
  method: "post",
  path: `${path}/{id}/rotate-secret`,
  tags,
  summary: "A new secret, shown once; for a day deliveries are signed with the old one too",
  request: byId,
  responses: { 200: jsonAnswer(MadeWebhook) },
});
const test = defineRoute({
  method: "post",
  path: `${path}/{id}/test`,
  tags,
  summary: "Send a test; what became of it is in its deliveries",
  request: byId,
  responses: { 202: jsonAnswer(Delivery, "Waits to be sent") },
});
const ofWebhook = defineRoute({
  method: "get",
  path: `${path}/{id}/deliveries`,
  tags,
  summary: "What was sent to a webhook, newest first",
  request: { ...byId, query: WebhookDeliveryQuery },
  responses: { 200: jsonAnswer(pageOf(Delivery)) },
});
const deliveries = defineRoute({
  method: "get",
  path: "/api/v1/deliveries",
  tags,
  summary: "What was sent by webhooks and mail, newest first; state=dead: the dead letters",
  request: { query: DeliveryQuery },
  responses: { 200: jsonAnswer(pageOf(Delivery)) },
});
const again = defineRoute({
  method: "post",
  path: "/api/v1/deliveries/{id}/redeliver",
  tags,
  summary: "Send one once more, under the same id",
  request: byId,
  responses: { 202: jsonAnswer(Delivery, "Waits to be sent") },
});

const time = (at: Date | null) => at?.toISOString() ?? null;
const show = (row: WebhookRow): Webhook => ({
  id: row.id,
  name: row.name,
  url: row.url,
  kinds: row.kinds as NoticeKind[],
  department: row.department_id,
  state: row.state,
  pausedReason: row.paused_reason,
  lastSuccessAt: time(row.last_success_at),
  oldSecretUntil: time(row.old_secret_until),
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
  revision: row.revision,
});
const showDelivery = (row: DeliveryRow): Delivery => ({
  id: row.id,
  channel: row.channel,
  webhook: row.webhook_id,
  kind: row.kind as NoticeKind,
  state: row.state,
  attempts: row.attempts,
  dueAt: row.due_at.toISOString(),
  lastStatus: row.last_status,
  lastError: row.last_error,
  createdAt: row.created_at.toISOString(),
  settledAt: time(row.settled_at),
});

export function registerWebhooks(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { items, next } = await listWebhooks(deps.db, c.req.valid("query"));
    return c.json({ items: items.map(show), next });
  });
  app.openapi(read, async (c) => {
    const row = await getWebhook(deps.db, c.req.valid("param").id);
    return c.json(show(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const { department, ...ask } = c.req.valid("json");
      const node = department === null ? null : await resolveDepartment(tx, department);
      const { webhook, secret } = await createWebhook(tx, c.get("act"), { ...ask, departmentId: node?.id ?? null }, deps.seal);
      const headers = { location: `${path}/${webhook.id}`, etag: etag(webhook.revision) };
      return { status: 201, body: { ...show(webhook), secret }, secret: true, headers };
    }),
  );
  app.openapi(change, async (c) => {
    const { id } = c.req.valid("param");
    const body = c.req.valid("json");
    const row = await deps.db.transaction().execute((tx) => changeWebhook(tx, c.get("act"), id, body, (revision) => requireMatch(c, revision)));
    return c.json(show(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(remove, async (c) => {
    await deps.db.transaction().execute((tx) => removeWebhook(tx, c.get("act"), c.req.valid("param").id));
    return c.body(null, 204);
  });
  app.openapi(rotate, (c) =>
    idempotent(c, deps, async (tx) => {
      const { webhook, secret } = await rotateSecret(tx, c.get("act"), c.req.valid("param").id, deps.seal);
      return { status: 200, body: { ...show(webhook), secret }, secret: true, headers: { etag: etag(webhook.revision) } };
    }),
  );
  app.openapi(test, (c) =>
    idempotent(c, deps, async (tx) => ({ status: 202, body: showDelivery(await testWebhook(tx, c.get("act"), c.req.valid("param").id)) })),
  );
  app.openapi(ofWebhook, async (c) => {
    const { id } = await getWebhook(deps.db, c.req.valid("param").id);
    const { items, next } = await listDeliveries(deps.db, { ...c.req.valid("query"), webhook: id });
    return c.json({ items: items.map(showDelivery), next });
  });
  app.openapi(deliveries, async (c) => {
    const { items, next } = await listDeliveries(deps.db, c.req.valid("query"));
    return c.json({ items: items.map(showDelivery), next });
  });
  app.openapi(again, (c) =>
    idempotent(c, deps, async (tx) => ({ status: 202, body: showDelivery(await redeliver(tx, c.get("act"), c.req.valid("param").id)) })),
  );
}
