/** Maintenance windows (维护窗口): announced, moved and cancelled by operations; seen by those whose hosts they concern. */
import { pageOf } from "../../contract/common.ts";
import {
  MaintenanceCancel,
  MaintenanceChange,
  MaintenancePolicy,
  MaintenancePolicyChange,
  MaintenanceQuery,
  MaintenanceWindow,
  NewMaintenanceWindow,
} from "../../contract/maintenance.ts";
import type { Tx } from "../../store/database.ts";
import { visibleDepartments } from "../../store/departments.ts";
import { announceWindow, cancelWindow, changeWindow, getWindow, listWindows, type ShownWindow, stateOf } from "../../store/maintenance.ts";
import { maintenancePolicy, setMaintenancePolicy } from "../../store/maintenance-policy.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { type Answer, idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { departmentsAsked } from "../scope.ts";
import { notifyEvents } from "../../store/events.ts";

const path = "/api/v1/maintenance-windows";
const policyPath = "/api/v1/maintenance-policy";
const tags = ["maintenance"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Maintenance windows that concern hosts the caller may see, newest first",
  request: { query: MaintenanceQuery },
  responses: { 200: jsonAnswer(pageOf(MaintenanceWindow)) },
});
const get = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "One of them",
  request: byId,
  responses: { 200: jsonAnswer(MaintenanceWindow) },
});
const announce = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Announce one. It begins and ends by itself; those concerned are told now, a day before, when it begins and when it ends",
  request: { body: jsonBody(NewMaintenanceWindow) },
  responses: { 201: jsonAnswer(MaintenanceWindow, "Announced") },
});
const change = defineRoute({
  method: "patch",
  path: `${path}/{id}`,
  tags,
  summary: "Move it before it begins, make it longer or shorter until it ends; never over time that has passed",
  request: { ...byId, body: jsonBody(MaintenanceChange) },
  responses: { 200: jsonAnswer(MaintenanceWindow) },
});
const cancel = defineRoute({
  method: "post",
  path: `${path}/{id}/cancel`,
  tags,
  summary: "Cancel it; one that holds ends now",
  conditional: true,
  request: { ...byId, body: jsonBody(MaintenanceCancel) },
  responses: { 200: jsonAnswer(MaintenanceWindow) },
});
const readPolicy = defineRoute({
  method: "get",
  path: policyPath,
  tags,
  summary: "How early maintenance is announced, and how long it may be",
  responses: { 200: jsonAnswer(MaintenancePolicy) },
});
const setPolicy = defineRoute({
  method: "put",
  path: policyPath,
  tags,
  summary: "Set it, for what is announced from now on",
  request: { body: jsonBody(MaintenancePolicyChange) },
  responses: { 200: jsonAnswer(MaintenancePolicy) },
});

const time = (value: Date | null) => value?.toISOString() ?? null;
const show = (row: ShownWindow, now: Date): MaintenanceWindow => ({
  id: row.id,
  scope: { kind: row.scope.kind, pool: row.pool_code, member: row.scope.kind === "member" ? row.scope.member : null, application: row.application_name },
  from: row.from_at.toISOString(),
  to: row.to_at.toISOString(),
  state: stateOf(row, now),
  reason: row.reason,
  emergencyReason: row.emergency_reason,
  announcedBy: row.announced_by,
  announcedByName: row.announced_by_name,
  announcedAt: row.announced_at.toISOString(),
  cancelledAt: time(row.cancelled_at),
  cancelReason: row.cancel_reason,
  hosts: row.hosts.map((host) => ({
    id: host.id,
    name: host.name,
    department: host.department_id,
    departmentName: host.department_name,
    since: host.since.toISOString(),
    until: time(host.until),
  })),
  revision: row.revision,
});

export function registerMaintenanceWindows(app: App, deps: AppDeps): void {
  const answer = async (tx: Tx, id: string, status: number): Promise<Answer> => {
    const row = await getWindow(tx, id);
    return { status, body: show(row, deps.now()), headers: { etag: etag(row.revision), ...(status === 201 ? { location: `${path}/${id}` } : {}) } };
  };
  app.openapi(list, async (c) => {
    const { department, ...ask } = c.req.valid("query");
    const departmentIds = await departmentsAsked(deps.db, c.get("principal"), department, true);
    const { items, next } = await listWindows(deps.db, { ...ask, departmentIds }, deps.now());
    return c.json({ items: items.map((row) => show(row, deps.now())), next });
  });
  app.openapi(get, async (c) => {
    const row = await getWindow(deps.db, c.req.valid("param").id, await visibleDepartments(deps.db, c.get("principal")));
    return c.json(show(row, deps.now()), 200, { etag: etag(row.revision) });
  });
  app.openapi(announce, (c) => idempotent(c, deps, async (tx) => answer(tx, await announceWindow(tx, c.get("act"), c.req.valid("json")), 201)));
  app.openapi(change, async (c) => {
    const { id } = c.req.valid("param");
    const { body, headers } = await deps.db.transaction().execute(async (tx) => {
      await changeWindow(tx, c.get("act"), id, c.req.valid("json"), (revision) => requireMatch(c, revision));
      return answer(tx, id, 200);
    });
    notifyEvents();
    return c.json(body as MaintenanceWindow, 200, headers);
  });
  app.openapi(cancel, (c) =>
    idempotent(c, deps, async (tx) => {
      const { id } = c.req.valid("param");
      await cancelWindow(tx, c.get("act"), id, c.req.valid("json").reason, (revision) => requireMatch(c, revision));
      return answer(tx, id, 200);
    }),
  );
  app.openapi(readPolicy, async (c) => {
    const policy = await maintenancePolicy(deps.db);
    return c.json(policy, 200, { etag: etag(policy.revision) });
  });
  app.openapi(setPolicy, async (c) => {
    const check = (revision: number) => requireMatch(c, revision);
    const policy = await deps.db.transaction().execute((tx) => setMaintenancePolicy(tx, c.get("act"), c.req.valid("json"), check));
    return c.json(policy, 200, { etag: etag(policy.revision) });
  });
}
