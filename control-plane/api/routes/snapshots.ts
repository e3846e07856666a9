/** Snapshots of volumes (快照): operational acts, like backups. To put a volume back to one takes two people of the department. */
import { pageOf } from "../../contract/common.ts";
import {
  CancelRevert,
  ConfirmRevert,
  NewSnapshot,
  NewSnapshotRevert,
  RevertQuery,
  Snapshot,
  SnapshotChange,
  SnapshotPolicy,
  SnapshotPolicyChange,
  SnapshotQuery,
  SnapshotRevert,
} from "../../contract/snapshots.ts";
import type { Tx } from "../../store/database.ts";
import { setSnapshotPolicy, snapshotPolicy } from "../../store/snapshot-policy.ts";
import { askRevert, cancelRevert, confirmRevert, getRevert, listReverts, type NamedRevert, type RevertRow } from "../../store/snapshot-reverts.ts";
import { changeSnapshot, deleteSnapshot, getSnapshot, listSnapshots, type NamedSnapshot, takeSnapshot } from "../../store/snapshots.ts";
import type { ApiContext, App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { departmentsAsked } from "../scope.ts";

const path = "/api/v1/snapshots";
const revertPath = "/api/v1/snapshot-reverts";
const policyPath = "/api/v1/snapshot-policy";
const tags = ["snapshots"];

const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Snapshots of volumes, newest first",
  request: { query: SnapshotQuery },
  responses: { 200: jsonAnswer(pageOf(Snapshot)) },
});
const get = defineRoute({ method: "get", path: `${path}/{id}`, tags, summary: "A snapshot", request: byId, responses: { 200: jsonAnswer(Snapshot) } });
const take = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Take a snapshot of a volume now. It is crash-consistent: what programs have not written yet is not in it",
  request: { body: jsonBody(NewSnapshot) },
  responses: { 202: jsonAnswer(Snapshot, "Taken on") },
});
const change = defineRoute({
  method: "patch",
  path: `${path}/{id}`,
  tags,
  summary: "Change its note, or how long it is kept",
  request: { ...byId, body: jsonBody(SnapshotChange) },
  responses: { 200: jsonAnswer(Snapshot) },
});
const remove = defineRoute({
  method: "delete",
  path: `${path}/{id}`,
  tags,
  summary: "Delete a snapshot; the volume stays as it is",
  conditional: true,
  request: byId,
  responses: { 202: jsonAnswer(Snapshot, "Taken on") },
});
const reverts = defineRoute({
  method: "get",
  path: revertPath,
  tags,
  summary: "Reverts of volumes to snapshots, newest first",
  request: { query: RevertQuery },
  responses: { 200: jsonAnswer(pageOf(SnapshotRevert)) },
});
const revert = defineRoute({
  method: "get",
  path: `${revertPath}/{id}`,
  tags,
  summary: "A revert",
  request: byId,
  responses: { 200: jsonAnswer(SnapshotRevert) },
});
const ask = defineRoute({
  method: "post",
  path: revertPath,
  tags,
  summary: "Ask that a volume is put back to a snapshot: what was written to it since is lost. Somebody else of the department must agree",
  request: { body: jsonBody(NewSnapshotRevert) },
  responses: { 201: jsonAnswer(SnapshotRevert, "Asked for: the department's people are told") },
});
const confirm = defineRoute({
  method: "post",
  path: `${revertPath}/{id}/confirm`,
  tags,
  summary: "Agree to that, as somebody else of the owning department who is no operator",
  conditional: true,
  request: { ...byId, body: jsonBody(ConfirmRevert) },
  responses: { 202: jsonAnswer(SnapshotRevert, "Taken on") },
});
const cancel = defineRoute({
  method: "post",
  path: `${revertPath}/{id}/cancel`,
  tags,
  summary: "Before anybody agreed: withdraw it, or refuse it as somebody of the owning department",
  conditional: true,
  request: { ...byId, body: jsonBody(CancelRevert) },
  responses: { 200: jsonAnswer(SnapshotRevert) },
});
const readPolicy = defineRoute({
  method: "get",
  path: policyPath,
  tags,
  summary: "How many snapshots a volume may have",
  responses: { 200: jsonAnswer(SnapshotPolicy) },
});
const setPolicy = defineRoute({
  method: "put",
  path: policyPath,
  tags,
  summary: "Set it, for what is taken from now on",
  conditional: true,
  request: { body: jsonBody(SnapshotPolicyChange) },
  responses: { 200: jsonAnswer(SnapshotPolicy) },
});

const time = (at: Date | null) => at?.toISOString() ?? null;
const show = (row: NamedSnapshot): Snapshot => ({
  id: row.id,
  department: row.department_id,
  volume: row.volume_id,
  volumeName: row.volume_name,
  name: row.name,
  note: row.note,
  state: row.state,
  takenAt: time(row.taken_at),
  sizeBytes: row.size_bytes,
  expiresAt: time(row.expires_at),
  requestedBy: row.requested_by,
  requestedByName: row.requested_by_name,
  createdAt: row.created_at.toISOString(),
  completedAt: time(row.completed_at),
  deletedBy: row.deleted_by,
  deletedAt: time(row.deleted_at),
  endReason: row.end_reason,
  error: row.error,
  revision: row.revision,
});
const showRevert = (row: NamedRevert): SnapshotRevert => ({
  id: row.id,
  department: row.department_id,
  snapshot: row.snapshot_id,
  snapshotName: row.snapshot_name,
  takenAt: time(row.taken_at),
  volume: row.volume_id,
  volumeName: row.volume_name,
  state: row.state,
  reason: row.reason,
  askedBy: row.asked_by,
  askedByName: row.asked_by_name,
  askedAt: row.asked_at.toISOString(),
  decidedBy: row.decided_by,
  decidedByName: row.decided_by_name,
  decidedAt: time(row.decided_at),
  decisionReason: row.decision_reason,
  startedAt: time(row.started_at),
  endedAt: time(row.ended_at),
  error: row.error,
  revision: row.revision,
});

export function registerSnapshots(app: App, deps: AppDeps): void {
  const answer = async (tx: Tx, c: ApiContext, id: string) => {
    const row = await getSnapshot(tx, c.get("principal"), id);
    return { body: show(row), headers: { etag: etag(row.revision), location: `${path}/${id}` } };
  };
  app.openapi(list, async (c) => {
    const { department, ...rest } = c.req.valid("query");
    const { items, next } = await listSnapshots(deps.db, { ...rest, departmentIds: await departmentsAsked(deps.db, c.get("principal"), department) });
    return c.json({ items: items.map(show), next });
  });
  app.openapi(get, async (c) => {
    const row = await getSnapshot(deps.db, c.get("principal"), c.req.valid("param").id);
    return c.json(show(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(take, (c) =>
    idempotent(c, deps, async (tx) => {
      const { expiresAt, ...body } = c.req.valid("json");
      const row = await takeSnapshot(tx, c.get("act"), c.get("principal"), { ...body, expiresAt: expiresAt === null ? null : new Date(expiresAt) });
      await deps.queue.snapshots(tx, row.volume_id, row.department_id);
      return { status: 202, ...(await answer(tx, c, row.id)) };
    }),
  );
  app.openapi(change, async (c) => {
    const { id } = c.req.valid("param");
    const { body, headers } = await deps.db.transaction().execute(async (tx) => {
      await changeSnapshot(tx, c.get("act"), c.get("principal"), id, c.req.valid("json"), (revision) => requireMatch(c, revision));
      return answer(tx, c, id);
    });
    return c.json(body, 200, headers);
  });
  app.openapi(remove, async (c) => {
    const { id } = c.req.valid("param");
    const { body, headers } = await deps.db.transaction().execute(async (tx) => {
      const row = await deleteSnapshot(tx, c.get("act"), c.get("principal"), id, (revision) => requireMatch(c, revision));
      await deps.queue.snapshots(tx, row.volume_id, row.department_id);
      return answer(tx, c, id);
    });
    return c.json(body, 202, headers);
  });

  const changed = (c: ApiContext, status: 200 | 201 | 202, work: (tx: Tx, check: (revision: number) => void) => Promise<RevertRow>) =>
    idempotent(c, deps, async (tx) => {
      const { id } = await work(tx, (revision) => requireMatch(c, revision));
      const row = await getRevert(tx, c.get("principal"), id);
      return { status, body: showRevert(row), headers: { etag: etag(row.revision), location: `${revertPath}/${id}` } };
    });
  app.openapi(reverts, async (c) => {
    const { department, ...rest } = c.req.valid("query");
    const { items, next } = await listReverts(deps.db, { ...rest, departmentIds: await departmentsAsked(deps.db, c.get("principal"), department) });
    return c.json({ items: items.map(showRevert), next });
  });
  app.openapi(revert, async (c) => {
    const row = await getRevert(deps.db, c.get("principal"), c.req.valid("param").id);
    return c.json(showRevert(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(ask, (c) => changed(c, 201, (tx) => askRevert(tx, c.get("act"), c.get("principal"), c.req.valid("json"))));
  app.openapi(confirm, (c) =>
    changed(c, 202, async (tx, check) => {
      const row = await confirmRevert(tx, c.get("act"), c.get("principal"), c.req.valid("param").id, c.req.valid("json"), check);
      await deps.queue.snapshots(tx, row.volume_id, row.department_id);
      return row;
    }),
  );
  app.openapi(cancel, (c) =>
    changed(c, 200, (tx, check) => cancelRevert(tx, c.get("act"), c.get("principal"), c.req.valid("param").id, c.req.valid("json").reason, check)),
  );

  app.openapi(readPolicy, async (c) => {
    const policy = await snapshotPolicy(deps.db);
    return c.json(policy, 200, { etag: etag(policy.revision) });
  });
  app.openapi(setPolicy, async (c) => {
    const policy = await deps.db
      .transaction()
      .execute((tx) => setSnapshotPolicy(tx, c.get("act"), c.req.valid("json"), (revision) => requireMatch(c, revision)));
    return c.json(policy, 200, { etag: etag(policy.revision) });
  });
}
