import { z } from "@hono/zod-openapi";
import { Id, pageOf } from "../../contract/common.ts";
import { BackupPolicy, Host, ResourceQuery, Volume } from "../../contract/resources.ts";
import { notFound } from "../../domain/refusal.ts";
import { requireVisible } from "../../store/departments.ts";
import { getResource, listResources, type ResourceView, showHosts, showPolicies, showVolumes } from "../../store/resources.ts";
import type { ApiContext, App, AppDeps } from "../deps.ts";
import { etag } from "../middleware/etag.ts";
import { defineRoute, jsonAnswer } from "../route.ts";
import { departmentsAsked } from "../scope.ts";

const params = z.object({ id: Id });

/** Hosts, volumes and backup policies: read here, changed by requests. */
export function registerResources(app: App, deps: AppDeps): void {
  const kinds = [
    { kind: "host" as const, noun: "hosts", body: Host, show: (rows: readonly ResourceView[]) => showHosts(deps.db, rows, deps.now()) },
    {
      kind: "volume" as const,
      noun: "volumes",
      body: Volume,
      show: (rows: readonly ResourceView[]) => showVolumes(deps.db, rows, deps.usedBytes?.() ?? new Map<string, number>()),
    },
    { kind: "backup-policy" as const, noun: "backup-policies", body: BackupPolicy, show: (rows: readonly ResourceView[]) => showPolicies(deps.db, rows) },
  ];
  for (const { kind, noun, body, show } of kinds) {
    const list = defineRoute({
      method: "get",
      path: `/api/v1/${noun}`,
      tags: [noun],
      summary: `The ${noun} that you may see; those that are gone only when asked for by phase`,
      request: { query: ResourceQuery },
      responses: { 200: jsonAnswer(pageOf(body)) },
    });
    const get = defineRoute({
      method: "get",
      path: `/api/v1/${noun}/{id}`,
      tags: [noun],
      summary: `One of the ${noun}`,
      request: { params },
      responses: { 200: jsonAnswer(body) },
    });
    app.openapi(list, async (c) => {
      const { department, application, phase, subtree, limit, cursor } = c.req.valid("query");
      const departmentIds = await departmentsAsked(deps.db, c.get("principal"), department, subtree === "true");
      const applicationId = application === undefined ? undefined : await applicationOf(c, deps, application);
      const { items, next } = await listResources(deps.db, { kind, departmentIds, applicationId, phase, limit, cursor });
      return c.json({ items: await show(items), next });
    });
    app.openapi(get, async (c) => {
      const { id } = c.req.valid("param");
      const row = await getResource(deps.db, kind, id);
      if (!row) throw notFound(kind, id);
      await requireVisible(deps.db, c.get("principal"), row.department_id, kind, id);
      return c.json((await show([row]))[0], 200, { etag: etag(row.revision) });
    });
  }
}

async function applicationOf(c: ApiContext, deps: AppDeps, reference: string): Promise<string> {
  const rows = await deps.db
    .selectFrom("applications")
    .select(["id", "department_id"])
    .where((where) => where.or([where("id", "=", reference), where("code", "=", reference)]))
    .limit(1)
    .execute();
  if (!rows[0]) throw notFound("application", reference);
  await requireVisible(deps.db, c.get("principal"), rows[0].department_id, "application", reference);
  return rows[0].id;
}
