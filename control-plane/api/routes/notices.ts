/** One's own notices (通知). */
import { z } from "@hono/zod-openapi";
import { PageQuery, pageOf } from "../../contract/common.ts";
import { Notice, type NoticeData, type NoticeKind, ReadNotices, Unread } from "../../contract/notices.ts";
import { countUnread, listNotices, markRead, type NoticeRow } from "../../store/notices.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/notices";
const tags = ["notices"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "One's own notices, newest first",
  request: { query: PageQuery.extend({ unread: z.enum(["true", "false"]).optional() }) },
  responses: { 200: jsonAnswer(pageOf(Notice)) },
});
const unread = defineRoute({ method: "get", path: `${path}/unread`, tags, summary: "How many are unread, to 100", responses: { 200: jsonAnswer(Unread) } });
const read = defineRoute({
  method: "post",
  path: `${path}/read`,
  tags,
  summary: "Mark some of one's own as read, or all up to one; those that are read stay as they are",
  request: { body: jsonBody(ReadNotices) },
  responses: { 200: jsonAnswer(Unread) },
});

const show = (row: NoticeRow): Notice => ({
  id: row.id,
  kind: row.kind as NoticeKind,
  department: row.department_id,
  request: row.request_id,
  subject: row.subject_id,
  data: row.data as NoticeData,
  at: row.created_at.toISOString(),
  readAt: row.read_at?.toISOString() ?? null,
});

export function registerNotices(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { unread: only, ...ask } = c.req.valid("query");
    const { items, next } = await listNotices(deps.db, c.get("principal").id, { ...ask, unread: only === "true" });
    return c.json({ items: items.map(show), next });
  });
  app.openapi(unread, async (c) => c.json({ unread: await countUnread(deps.db, c.get("principal").id) }));
  app.openapi(read, (c) =>
    idempotent(c, deps, async (tx) => {
      const { ids, upTo } = c.req.valid("json");
      const { id } = c.get("principal");
      await markRead(tx, c.get("act"), id, ids === null ? { upTo: upTo! } : { ids });
      return { status: 200, body: { unread: await countUnread(tx, id) } };
    }),
  );
}
