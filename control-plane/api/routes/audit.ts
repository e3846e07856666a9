import { AuditEntry, AuditQuery } from "../../contract/access.ts";
import { pageOf } from "../../contract/common.ts";
import { type AuditRow, listAudit } from "../../store/audit.ts";
import { within } from "../../domain/authority.ts";
import type { App, AppDeps } from "../deps.ts";
import { departmentsAsked } from "../scope.ts";
import type { z } from "zod";
import { defineRoute, jsonAnswer } from "../route.ts";

const list = defineRoute({
  method: "get",
  path: "/api/v1/audit",
  tags: ["audit"],
  summary: "Audit entries (审计记录), newest first",
  request: { query: AuditQuery },
  responses: { 200: jsonAnswer(pageOf(AuditEntry)) },
});

function shown(row: AuditRow): z.infer<typeof AuditEntry> {
  return {
    id: row.id,
    at: row.at.toISOString(),
    actor: row.actor,
    role: row.role,
    source: row.source,
    action: row.action,
    subjectKind: row.subject_kind,
    subject: row.subject_id,
    department: row.department_id,
    result: row.result,
    before: row.before,
    after: row.after,
    correlationId: row.correlation_id,
  };
}

export function registerAudit(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { department, subject, from, to, ...ask } = c.req.valid("query");
    const principal = c.get("principal");
    const period = within(principal.period, from, to);
    const { items, next } = await listAudit(deps.db, {
      ...ask,
      departmentIds: await departmentsAsked(deps.db, principal, department, true),
      subjectId: subject,
      ...period,
    });
    return c.json({ items: items.map(shown), next });
  });
}
