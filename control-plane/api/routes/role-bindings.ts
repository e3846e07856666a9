import { z } from "@hono/zod-openapi";
import { Id, pageOf } from "../../contract/common.ts";
import { Elevation, ElevationReview, NewRoleBinding, Revocation, RoleBinding, RoleBindingQuery } from "../../contract/roles.ts";
import type { Db } from "../../store/database.ts";
import { elevate, grantRole, listBindings, namedBinding, type NamedBinding, reviewElevation, revokeRole } from "../../store/role-bindings.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/role-bindings";
const tags = ["roles"];
const params = z.object({ id: Id });

const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Who holds which role where, newest first; ended ones too",
  request: { query: RoleBindingQuery },
  responses: { 200: jsonAnswer(pageOf(RoleBinding)) },
});
const grant = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Grant a role",
  request: { body: jsonBody(NewRoleBinding) },
  responses: { 201: jsonAnswer(RoleBinding, "Granted") },
});
const revoke = defineRoute({
  method: "post",
  path: `${path}/{id}/revoke`,
  tags,
  summary: "Take a role away at once",
  request: { params, body: jsonBody(Revocation) },
  responses: { 200: jsonAnswer(RoleBinding) },
});
const raise = defineRoute({
  method: "post",
  path: `${path}/{id}/elevate`,
  tags,
  summary: "Break-glass: take a role that one is eligible for, for a while and with a reason",
  request: { params, body: jsonBody(Elevation) },
  responses: { 201: jsonAnswer(RoleBinding, "Elevated") },
});
const review = defineRoute({
  method: "post",
  path: `${path}/{id}/review`,
  tags,
  summary: "Say whether an elevation was justified",
  request: { params, body: jsonBody(ElevationReview) },
  responses: { 200: jsonAnswer(RoleBinding) },
});

const time = (at: Date | null) => at?.toISOString() ?? null;
const shown = (row: NamedBinding): RoleBinding => ({
  id: row.id,
  subject: row.subject_id,
  subjectName: row.subject_name,
  role: row.role,
  department: row.department_id,
  kind: row.kind,
  validFrom: row.valid_from.toISOString(),
  validUntil: time(row.valid_until),
  periodFrom: time(row.period_from),
  periodTo: time(row.period_to),
  reason: row.reason,
  grantedBy: row.granted_by,
  revokedAt: time(row.revoked_at),
  revokedBy: row.revoked_by,
  review:
    row.reviewed_by && row.reviewed_at && row.verdict
      ? { by: row.reviewed_by, at: row.reviewed_at.toISOString(), verdict: row.verdict, comment: row.review_comment ?? "" }
      : null,
});
const answer = async (db: Db, id: string, status: number) => ({ status, body: shown(await namedBinding(db, id)) });

export function registerRoleBindings(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { unreviewed, ...filter } = c.req.valid("query");
    const { items, next } = await listBindings(deps.db, { ...filter, unreviewed: unreviewed === "true" });
    return c.json({ items: items.map(shown), next });
  });
  app.openapi(grant, (c) =>
    idempotent(c, deps, async (tx) => {
      const bySecurity = c.get("principal").role.split(",").includes("security-admin");
      const { id } = await grantRole(tx, c.get("act"), c.req.valid("json"), bySecurity);
      return answer(tx, id, 201);
    }),
  );
  app.openapi(revoke, (c) =>
    idempotent(c, deps, async (tx) => {
      const { id } = c.req.valid("param");
      await revokeRole(tx, c.get("act"), id, c.req.valid("json").reason);
      return answer(tx, id, 200);
    }),
  );
  app.openapi(raise, (c) =>
    idempotent(c, deps, async (tx) => {
      const { reason, minutes } = c.req.valid("json");
      const { id } = await elevate(tx, c.get("act"), c.req.valid("param").id, reason, minutes);
      return answer(tx, id, 201);
    }),
  );
  app.openapi(review, (c) =>
    idempotent(c, deps, async (tx) => {
      const { id } = c.req.valid("param");
      const { verdict, comment } = c.req.valid("json");
      await reviewElevation(tx, c.get("act"), id, verdict, comment);
      return answer(tx, id, 200);
    }),
  );
}
