/** Drift: shown property by property; decided by operations staff. */
import { pageOf } from "../../contract/common.ts";
import { DriftAcceptance, DriftAdoption, DriftFinding, DriftQuery, DriftScan, NewDriftScan, PutBack } from "../../contract/drift.ts";
import { takenOver } from "../../domain/drift.ts";
import { notFound } from "../../domain/refusal.ts";
import { appendAudit } from "../../store/audit.ts";
import type { Db, Tx } from "../../store/database.ts";
import { requireVisible, visibleDepartment } from "../../store/departments.ts";
import { getDrift, listDrift, type ShownDrift } from "../../store/drift.ts";
import { accept, adopt, putBack } from "../../store/drift-decisions.ts";
import type { ApiContext, App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { departmentsAsked } from "../scope.ts";

const path = "/api/v1/drift";
const tags = ["drift"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "What is otherwise on the cloud than it was applied, newest first",
  request: { query: DriftQuery },
  responses: { 200: jsonAnswer(pageOf(DriftFinding)) },
});
const get = defineRoute({ method: "get", path: `${path}/{id}`, tags, summary: "One finding", request: byId, responses: { 200: jsonAnswer(DriftFinding) } });
const scan = defineRoute({
  method: "post",
  path: "/api/v1/drift-scans",
  tags,
  summary: "Look at a department now, by a real refresh that changes nothing; skipped while something is being applied to it",
  request: { body: jsonBody(NewDriftScan) },
  responses: { 202: jsonAnswer(DriftScan, "Taken") },
});
const back = defineRoute({
  method: "post",
  path: `${path}/{id}/put-back`,
  tags,
  summary: "Put the finding's thing back as it was applied, as a whole; what is gone takes a second person",
  conditional: true,
  request: { ...byId, body: jsonBody(PutBack) },
  responses: { 202: jsonAnswer(DriftFinding, "Taken") },
});
const take = defineRoute({
  method: "post",
  path: `${path}/{id}/adopt`,
  tags,
  summary: "Propose that what is there becomes what is wanted: a request, under quota, budget and approvals",
  conditional: true,
  request: { ...byId, body: jsonBody(DriftAdoption) },
  responses: { 202: jsonAnswer(DriftFinding, "Taken") },
});
const leave = defineRoute({
  method: "post",
  path: `${path}/{id}/accept`,
  tags,
  summary: "Leave it as it is, with a reason: it is told of again when it moves",
  conditional: true,
  request: { ...byId, body: jsonBody(DriftAcceptance) },
  responses: { 200: jsonAnswer(DriftFinding) },
});

const show = (row: ShownDrift): DriftFinding => ({
  id: row.id,
  department: row.department_id,
  application: row.application_id,
  resource: row.resource_id,
  kind: row.kind,
  name: row.name,
  property: row.property,
  wanted: row.wanted,
  actual: row.actual,
  state: row.state,
  adoptable: row.closed_at === null && takenOver(row) !== undefined,
  lost: row.lost,
  firstSeenAt: row.first_seen_at.toISOString(),
  lastSeenAt: row.last_seen_at.toISOString(),
  proposedBy: row.proposed_by,
  decidedBy: row.decided_by,
  decidedAt: row.decided_at?.toISOString() ?? null,
  reason: row.reason,
  request: row.request_id,
  error: row.error,
  closedAt: row.closed_at?.toISOString() ?? null,
  revision: row.revision,
});

async function visible(db: Db, c: ApiContext, id: string): Promise<ShownDrift> {
  const row = await getDrift(db, id);
  if (!row) throw notFound("finding", id);
  await requireVisible(db, c.get("principal"), row.department_id, "finding", id);
  return row;
}

export function registerDrift(app: App, deps: AppDeps): void {
  const decide = (c: ApiContext, id: string, status: number, work: (tx: Tx) => Promise<unknown>) =>
    idempotent(c, deps, async (tx) => {
      requireMatch(c, (await visible(tx, c, id)).revision);
      await work(tx);
      const after = (await getDrift(tx, id))!;
      return { status, body: show(after), headers: { etag: etag(after.revision), location: `${path}/${id}` } };
    });

  app.openapi(list, async (c) => {
    const { department, resource: resourceId, state = "open", ...ask } = c.req.valid("query");
    const departmentIds = await departmentsAsked(deps.db, c.get("principal"), department);
    const { items, next } = await listDrift(deps.db, { ...ask, departmentIds, resourceId, state });
    return c.json({ items: items.map(show), next });
  });
  app.openapi(get, async (c) => {
    const row = await visible(deps.db, c, c.req.valid("param").id);
    return c.json(show(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(scan, (c) =>
    idempotent(c, deps, async (tx) => {
      const { id } = await visibleDepartment(tx, c.get("principal"), c.req.valid("json").department);
      const act = c.get("act");
      await appendAudit(tx, act, { action: "drift.scan", subjectKind: "department", subjectId: id, departmentId: id });
      await deps.queue.look(tx, id);
      const body: DriftScan = { department: id, askedAt: act.now.toISOString() };
      return { status: 202, body };
    }),
  );
  app.openapi(back, (c) => {
    const { id } = c.req.valid("param");
    return decide(c, id, 202, async (tx) => {
      const { row, begins } = await putBack(tx, c.get("act"), c.get("principal"), id, c.req.valid("json"));
      if (begins) await deps.queue.apply(tx, row.department_id);
    });
  });
  app.openapi(take, (c) => {
    const { id } = c.req.valid("param");
    return decide(c, id, 202, async (tx) => {
      const { request } = await adopt(tx, c.get("act"), c.get("principal"), id, c.req.valid("json"), deps.seal);
      await deps.queue.plan(tx, [request]);
    });
  });
  app.openapi(leave, (c) => {
    const { id } = c.req.valid("param");
    return decide(c, id, 200, (tx) => accept(tx, c.get("act"), c.get("principal"), id, c.req.valid("json")));
  });
}
