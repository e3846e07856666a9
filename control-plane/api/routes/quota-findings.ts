/** Differences between the quota accounts and what is there: looked for, shown, closed by an operator. */
import { pageOf } from "../../contract/common.ts";
import { FindingClosure, QuotaFinding, QuotaFindingQuery, Reconciliation } from "../../contract/quotas.ts";
import { Nothing } from "../../contract/requests.ts";
import { notFound } from "../../domain/refusal.ts";
import { appendAudit } from "../../store/audit.ts";
import { notifyEvents } from "../../store/events.ts";
import { closeFinding, type FindingRow, listFindings, reconcile } from "../../store/reconciliation.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/quota-findings";
const tags = ["quotas"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "What reconciliations found, newest first",
  request: { query: QuotaFindingQuery },
  responses: { 200: jsonAnswer(pageOf(QuotaFinding)) },
});
const run = defineRoute({
  method: "post",
  path: "/api/v1/quota-reconciliations",
  tags,
  summary: "Compare the accounts with live resources and open requests now; mends nothing",
  request: { body: jsonBody(Nothing) },
  responses: { 200: jsonAnswer(Reconciliation, "Every open finding") },
});
const close = defineRoute({
  method: "post",
  path: `${path}/{id}/close`,
  tags,
  summary: "Correct or explain a finding, with a reason",
  conditional: true,
  request: { ...byId, body: jsonBody(FindingClosure) },
  responses: { 200: jsonAnswer(QuotaFinding) },
});

const show = (row: FindingRow): QuotaFinding => ({
  id: row.id,
  kind: row.kind,
  field: row.field,
  department: row.department_id,
  resource: row.resource_id,
  pool: row.pool_id,
  dimension: row.dimension,
  level: row.level,
  expected: row.expected,
  found: row.found,
  firstSeenAt: row.first_seen_at.toISOString(),
  lastSeenAt: row.last_seen_at.toISOString(),
  closedAt: row.closed_at?.toISOString() ?? null,
  closedBy: row.closed_by,
  reason: row.reason,
  corrected: row.corrected,
  revision: row.revision,
});

export function registerQuotaFindings(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { state = "open", ...ask } = c.req.valid("query");
    const { items, next } = await listFindings(deps.db, { ...ask, state });
    return c.json({ items: items.map(show), next });
  });
  app.openapi(run, async (c) => {
    // Compared outside the transaction of the answer: that one must not hold a snapshot and locks at once. To compare twice does no harm.
    const done = await reconcile(deps.db, c.get("act"));
    notifyEvents();
    const body = { at: done.at.toISOString(), accounts: done.accounts, resources: done.resources, pools: done.pools, findings: done.findings.map(show) };
    return idempotent(c, deps, async (tx) => {
      const after = { accounts: done.accounts, resources: done.resources, pools: done.pools, findings: done.findings.length };
      await appendAudit(tx, c.get("act"), { action: "quota.reconcile", subjectKind: "quota", subjectId: "all", departmentId: null, after });
      return { status: 200, body };
    });
  });
  app.openapi(close, (c) =>
    idempotent(c, deps, async (tx) => {
      const { id } = c.req.valid("param");
      const before = await tx.selectFrom("quota_findings").select("revision").where("id", "=", id).executeTakeFirst();
      if (!before) throw notFound("finding", id);
      requireMatch(c, before.revision);
      const row = await closeFinding(tx, c.get("act"), id, c.req.valid("json"));
      return { status: 200, body: show(row), headers: { etag: etag(row.revision) } };
    }),
  );
}
