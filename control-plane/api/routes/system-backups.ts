/** Copies of the whole system (database, Pulumi's state; secrets sealed). */
import { createReadStream, statSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { z } from "@hono/zod-openapi";
import { PageQuery, pageOf } from "../../contract/common.ts";
import { SystemBackup } from "../../contract/system.ts";
import { notFound, Refusal } from "../../domain/refusal.ts";
import { appendAudit } from "../../store/audit.ts";
import { getSystemBackup, listSystemBackups, requestSystemBackup, type SystemBackupRow } from "../../store/system-backups.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer } from "../route.ts";

const path = "/api/v1/system/backups";
const tags = ["system"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Copies of the whole system, newest first",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(SystemBackup)) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Copy the whole system as it is now, while it runs",
  responses: { 202: jsonAnswer(SystemBackup, "Taken") },
});
const get = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "One of them",
  request: byId,
  responses: { 200: jsonAnswer(SystemBackup) },
});
const download = defineRoute({
  method: "get",
  path: `${path}/{id}/archive`,
  tags,
  summary: "Its file",
  request: byId,
  problems: [409],
  responses: { 200: { description: "A tar file", content: { "application/x-tar": { schema: z.string().meta({ format: "binary" }) } } } },
});

const show = (row: SystemBackupRow): SystemBackup => ({
  id: row.id,
  state: row.state,
  sizeBytes: row.size_bytes,
  sha256: row.sha256,
  error: row.error,
  requestedBy: row.requested_by,
  createdAt: row.created_at.toISOString(),
  completedAt: row.completed_at?.toISOString() ?? null,
});

export function registerSystemBackups(app: App, deps: AppDeps): void {
  const find = async (id: string) => {
    const row = await getSystemBackup(deps.db, id);
    if (!row) throw notFound("system backup", id);
    return row;
  };
  app.openapi(list, async (c) => {
    const { items, next } = await listSystemBackups(deps.db, c.req.valid("query"));
    return c.json({ items: items.map(show), next });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const row = await requestSystemBackup(tx, c.get("act"));
      await deps.queue.systemBackup(tx, row.id);
      return { status: 202, body: show(row), headers: { location: `${path}/${row.id}` } };
    }),
  );
  app.openapi(get, async (c) => c.json(show(await find(c.req.valid("param").id))));
  app.openapi(download, async (c) => {
    const row = await find(c.req.valid("param").id);
    if (row.state !== "complete") throw new Refusal("conflict", `The copy is ${row.state}: it has no file.`);
    const file = join(deps.archives, `${row.id}.tar`);
    const size = statSync(file, { throwIfNoEntry: false })?.size;
    if (size === undefined) throw new Refusal("conflict", "The file is no longer here, or lies on another control plane's machine.");
    await deps.db
      .transaction()
      .execute((tx) => appendAudit(tx, c.get("act"), { action: "system.download", subjectKind: "system-backup", subjectId: row.id, departmentId: null }));
    return c.body(Readable.toWeb(createReadStream(file)) as ReadableStream, 200, { "content-type": "application/x-tar", "content-length": String(size) });
  });
}
