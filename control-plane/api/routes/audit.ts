/** The audit, to read only: nobody writes it but by what they do. */
import { z } from "@hono/zod-openapi";
import { exportLines, rangeOf } from "../../audit/export.ts";
import { checkpointOf, contentOf } from "../../audit/records.ts";
import { AuditCheckpoint, AuditEntry, AuditExportQuery, AuditQuery } from "../../contract/audit.ts";
import { PageQuery, pageOf } from "../../contract/common.ts";
import { appendAudit, type AuditRow, listAudit } from "../../store/audit.ts";
import { auditKeys, listCheckpoints } from "../../store/audit-chain.ts";
import { within } from "../../domain/authority.ts";
import { Refusal } from "../../domain/refusal.ts";
import type { App, AppDeps } from "../deps.ts";
import { defineRoute, jsonAnswer } from "../route.ts";
import { departmentsAsked } from "../scope.ts";

const path = "/api/v1/audit";
const tags = ["audit"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Audit entries (审计记录), newest first",
  request: { query: AuditQuery },
  responses: { 200: jsonAnswer(pageOf(AuditEntry)) },
});
const exported = defineRoute({
  method: "get",
  path: `${path}/export`,
  tags,
  summary: "A stretch of the chain with its checkpoints, to verify elsewhere; widened to whole checkpoints. docs/audit-chain.md has the format",
  request: { query: AuditExportQuery },
  responses: { 200: { description: "One JSON object a line", content: { "application/x-ndjson": { schema: z.string() } } } },
});
const checkpoints = defineRoute({
  method: "get",
  path: `${path}/checkpoints`,
  tags,
  summary: "Signed checkpoints of the chain, newest first",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(AuditCheckpoint)) },
});

function shown(row: AuditRow): AuditEntry {
  const { id, result, ...content } = contentOf(row);
  const { sequence, algorithm, previous, hash } = row;
  return { id, sequence, ...content, result: row.result, algorithm, previous, hash };
}

export function registerAudit(app: App, deps: AppDeps): void {
  const { db } = deps;
  app.openapi(list, async (c) => {
    const { department, subject, correlation, from, to, ...ask } = c.req.valid("query");
    const principal = c.get("principal");
    const departmentIds = await departmentsAsked(db, principal, department, true);
    const filter = { ...ask, departmentIds, subjectId: subject, correlationId: correlation, ...within(principal.period, from, to) };
    const { items, next } = await listAudit(db, filter);
    return c.json({ items: items.map(shown), next });
  });
  app.openapi(checkpoints, async (c) => {
    const { items, next } = await listCheckpoints(db, c.req.valid("query"));
    const publicKeys = new Map((await auditKeys(db)).map((key) => [key.id, key.public_key]));
    const show = (row: (typeof items)[number]): AuditCheckpoint => ({ ...checkpointOf(row), publicKey: publicKeys.get(row.key_id) ?? "" });
    return c.json({ items: items.map(show), next });
  });
  app.openapi(exported, async (c) => {
    const { from, to, ...places } = c.req.valid("query");
    const { nodes, period } = c.get("principal");
    if (nodes !== null)
      throw new Refusal("forbidden", "The chain has every department's entries and can be verified only as a whole: this is for those who audit everywhere.", {
        remedy: "GET /api/v1/audit lists the entries of your departments.",
      });
    const range = await rangeOf(db, { ...places, ...within(period, from, to) });
    const subject = { action: "audit.export", subjectKind: "audit", subjectId: `${range.first}-${range.last}`, departmentId: null };
    await db.transaction().execute((tx) => appendAudit(tx, c.get("act"), subject));
    return c.body(ndjson(exportLines(db, range)), 200, { "content-type": "application/x-ndjson" });
  });
}

/** So many lines are sent at once; the next are read when the reader has taken these. */
const chunk = 100;

function ndjson(lines: AsyncGenerator<object>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      let text = "";
      for (let count = 0; count < chunk; count++) {
        const { done, value } = await lines.next();
        if (done) {
          if (text !== "") controller.enqueue(encoder.encode(text));
          return controller.close();
        }
        text += `${JSON.stringify(value)}\n`;
      }
      controller.enqueue(encoder.encode(text));
    },
    cancel: async () => void (await lines.return(undefined)),
  });
}
