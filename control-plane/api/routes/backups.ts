import { z } from "@hono/zod-openapi";
import { Backup, BackupQuery, NewBackup, NewRestore, Restore } from "../../contract/backups.ts";
import { Id, pageOf } from "../../contract/common.ts";
import { notFound } from "../../domain/refusal.ts";
import { type BackupRow, getBackup, getRestore, listBackups, listRestores, requestBackup, requestRestore, type RestoreRow } from "../../store/backups.ts";
import type { Db } from "../../store/database.ts";
import { requireVisible } from "../../store/departments.ts";
import { getResource } from "../../store/resources.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { departmentsAsked } from "../scope.ts";

const params = z.object({ id: Id });

const list = defineRoute({
  method: "get",
  path: "/api/v1/backups",
  tags: ["backups"],
  summary: "Recovery points, newest first",
  request: { query: BackupQuery },
  responses: { 200: jsonAnswer(pageOf(Backup)) },
});
const get = defineRoute({
  method: "get",
  path: "/api/v1/backups/{id}",
  tags: ["backups"],
  summary: "A recovery point",
  request: { params },
  responses: { 200: jsonAnswer(Backup) },
});
const create = defineRoute({
  method: "post",
  path: "/api/v1/backups",
  tags: ["backups"],
  summary: "Back up a volume now",
  request: { body: jsonBody(NewBackup) },
  responses: { 202: jsonAnswer(Backup, "Taken") },
});
const listBack = defineRoute({
  method: "get",
  path: "/api/v1/restores",
  tags: ["restores"],
  summary: "Restores, newest first",
  request: { query: BackupQuery },
  responses: { 200: jsonAnswer(pageOf(Restore)) },
});
const getBack = defineRoute({
  method: "get",
  path: "/api/v1/restores/{id}",
  tags: ["restores"],
  summary: "A restore",
  request: { params },
  responses: { 200: jsonAnswer(Restore) },
});
const createBack = defineRoute({
  method: "post",
  path: "/api/v1/restores",
  tags: ["restores"],
  summary: "Put a backup's content into a volume: what is there now is lost",
  request: { body: jsonBody(NewRestore) },
  responses: { 202: jsonAnswer(Restore, "Taken") },
});

const time = (at: Date | null) => at?.toISOString() ?? null;
async function showBackups(db: Db, rows: readonly BackupRow[]): Promise<Backup[]> {
  const pools = new Map((await db.selectFrom("pools").select(["id", "code", "site"]).execute()).map((pool) => [pool.id, pool]));
  return rows.map((row) => ({
    id: row.id,
    department: row.department_id,
    volume: row.volume_id,
    policy: row.policy_id,
    pool: pools.get(row.pool_id)?.code ?? "",
    site: pools.get(row.pool_id)?.site ?? "",
    state: row.state,
    sizeBytes: row.size_bytes,
    sha256: row.sha256,
    protectionLevel: row.protection_level,
    volumeGib: row.volume_gib,
    error: row.error,
    requestedBy: row.requested_by,
    startedAt: time(row.started_at),
    completedAt: time(row.completed_at),
    createdAt: row.created_at.toISOString(),
  }));
}
const showRestore = (row: RestoreRow): Restore => ({
  id: row.id,
  department: row.department_id,
  backup: row.backup_id,
  volume: row.volume_id,
  state: row.state,
  bytes: row.bytes,
  error: row.error,
  requestedBy: row.requested_by,
  startedAt: time(row.started_at),
  completedAt: time(row.completed_at),
  createdAt: row.created_at.toISOString(),
});

export function registerBackups(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { department, ...rest } = c.req.valid("query");
    const { items, next } = await listBackups(deps.db, { ...rest, departmentIds: await departmentsAsked(deps.db, c.get("principal"), department) });
    return c.json({ items: await showBackups(deps.db, items), next });
  });
  app.openapi(get, async (c) => {
    const { id } = c.req.valid("param");
    const row = await getBackup(deps.db, id);
    if (!row) throw notFound("backup", id);
    await requireVisible(deps.db, c.get("principal"), row.department_id, "backup", id);
    return c.json((await showBackups(deps.db, [row]))[0]);
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const { volume } = c.req.valid("json");
      const found = await getResource(tx, "volume", volume);
      if (!found) throw notFound("volume", volume);
      await requireVisible(tx, c.get("principal"), found.department_id, "volume", volume);
      const row = await requestBackup(tx, c.get("act"), volume);
      await deps.queue.backup(tx, row.id, row.department_id);
      return { status: 202, body: (await showBackups(tx, [row]))[0], headers: { location: `/api/v1/backups/${row.id}` } };
    }),
  );
  app.openapi(listBack, async (c) => {
    const { department, ...rest } = c.req.valid("query");
    const { items, next } = await listRestores(deps.db, { ...rest, departmentIds: await departmentsAsked(deps.db, c.get("principal"), department) });
    return c.json({ items: items.map(showRestore), next });
  });
  app.openapi(getBack, async (c) => {
    const { id } = c.req.valid("param");
    const row = await getRestore(deps.db, id);
    if (!row) throw notFound("restore", id);
    await requireVisible(deps.db, c.get("principal"), row.department_id, "restore", id);
    return c.json(showRestore(row));
  });
  app.openapi(createBack, (c) =>
    idempotent(c, deps, async (tx) => {
      const body = c.req.valid("json");
      const backup = await getBackup(tx, body.backup);
      if (!backup) throw notFound("backup", body.backup);
      await requireVisible(tx, c.get("principal"), backup.department_id, "backup", body.backup);
      const row = await requestRestore(tx, c.get("act"), backup, body.volume);
      await deps.queue.restore(tx, row.id, row.department_id);
      return { status: 202, body: showRestore(row), headers: { location: `/api/v1/restores/${row.id}` } };
    }),
  );
}
