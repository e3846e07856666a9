/** What people add to a request while it is decided on: comments and evidence. */
import { z } from "@hono/zod-openapi";
import { Comment, Evidence, NewComment, NewEvidence } from "../../contract/approvals.ts";
import { Id, PageQuery, pageOf } from "../../contract/common.ts";
import { appendComment, type CommentRow, listComments } from "../../store/comments.ts";
import { attachEvidence, type EvidenceRow, listEvidence, readEvidence } from "../../store/evidence.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { visibleRequest } from "./requests.ts";

const request = "/api/v1/requests/{id}";
const tags = ["requests"];
const comments = defineRoute({
  method: "get",
  path: `${request}/comments`,
  tags,
  summary: "Comments, questions and answers, oldest first",
  request: { params: byId.params, query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(Comment)) },
});
const comment = defineRoute({
  method: "post",
  path: `${request}/comments`,
  tags,
  summary: "Comment on a request",
  request: { params: byId.params, body: jsonBody(NewComment) },
  responses: { 201: jsonAnswer(Comment, "Made") },
});
const files = defineRoute({
  method: "get",
  path: `${request}/evidence`,
  tags,
  summary: "Files that were attached, oldest first",
  request: { params: byId.params, query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(Evidence)) },
});
const attach = defineRoute({
  method: "post",
  path: `${request}/evidence`,
  tags,
  summary: "Attach a file; it stays as it is",
  request: { params: byId.params, body: jsonBody(NewEvidence) },
  responses: { 201: jsonAnswer(Evidence, "Kept") },
});
const download = defineRoute({
  method: "get",
  path: `${request}/evidence/{evidence}`,
  tags,
  summary: "A file's content, to be saved",
  request: { params: z.object({ id: Id, evidence: Id }) },
  responses: { 200: { description: "The file", content: { "application/octet-stream": { schema: z.string().meta({ format: "binary" }) } } } },
});

const shownComment = (row: CommentRow): Comment => ({
  id: row.id,
  request: row.request_id,
  kind: row.kind,
  text: row.text,
  author: row.created_by,
  authorName: row.author_name,
  createdAt: row.created_at.toISOString(),
});
const shownFile = (row: EvidenceRow): Evidence => ({
  id: row.id,
  request: row.request_id,
  name: row.name,
  type: row.type,
  sizeBytes: row.size_bytes,
  sha256: row.sha256,
  author: row.created_by,
  authorName: row.author_name,
  createdAt: row.created_at.toISOString(),
});
/** RFC 5987: letters and digits as they are, everything else as bytes of UTF-8. */
const encoded = (name: string) => encodeURIComponent(name).replaceAll(/['()*!]/g, (one) => `%${one.codePointAt(0)!.toString(16).toUpperCase()}`);

export function registerRequestRecords(app: App, deps: AppDeps): void {
  app.openapi(comments, async (c) => {
    const { id } = await visibleRequest(deps.db, c, c.req.valid("param").id);
    const { items, next } = await listComments(deps.db, id, c.req.valid("query"));
    return c.json({ items: items.map(shownComment), next });
  });
  app.openapi(comment, (c) =>
    idempotent(c, deps, async (tx) => {
      const row = await visibleRequest(tx, c, c.req.valid("param").id);
      const { text } = c.req.valid("json");
      const [act, { name }] = [c.get("act"), c.get("holder")];
      const id = await appendComment(tx, act, row, { kind: "comment", text, stepId: null });
      const body: Comment = { id, request: row.id, kind: "comment", text, author: act.actor, authorName: name, createdAt: act.now.toISOString() };
      return { status: 201, body };
    }),
  );
  app.openapi(files, async (c) => {
    const { id } = await visibleRequest(deps.db, c, c.req.valid("param").id);
    const { items, next } = await listEvidence(deps.db, id, c.req.valid("query"));
    return c.json({ items: items.map(shownFile), next });
  });
  app.openapi(attach, (c) =>
    idempotent(c, deps, async (tx) => {
      const row = await visibleRequest(tx, c, c.req.valid("param").id);
      const { name, type, content } = c.req.valid("json");
      const kept = await attachEvidence(tx, c.get("act"), row, { name, type, content: Buffer.from(content, "base64") });
      return { status: 201, body: shownFile({ ...kept, author_name: c.get("holder").name }) };
    }),
  );
  app.openapi(download, async (c) => {
    const { id, evidence } = c.req.valid("param");
    const row = await visibleRequest(deps.db, c, id);
    const file = await readEvidence(deps.db, row.id, evidence);
    return c.body(new Uint8Array(file.content), 200, {
      // Whatever it is, the browser saves it and neither shows it nor guesses at it.
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename*=UTF-8''${encoded(file.name)}`,
      "content-length": String(file.size_bytes),
      "content-security-policy": "default-src 'none'; sandbox",
      "cross-origin-resource-policy": "same-origin",
      "cache-control": "private, no-store",
      "repr-digest": `sha-256=:${Buffer.from(file.sha256, "hex").toString("base64")}:`,
    });
  });
}
