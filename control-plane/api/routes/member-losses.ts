/** Members that don't answer: seen by those who run and watch the platform; given up by two people of operations. */
import { pageOf } from "../../contract/common.ts";
import { ConfirmGiveUp, GiveUp, LossQuery, MemberLoss } from "../../contract/losses.ts";
import type { Tx } from "../../store/database.ts";
import { askGiveUp, confirmGiveUp, getLoss, listLosses, type ShownLoss, withdrawGiveUp } from "../../store/losses.ts";
import type { ApiContext, App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/member-losses";
const tags = ["members"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Members that did not answer, newest first, with what was on each and how it may be had again",
  request: { query: LossQuery },
  responses: { 200: jsonAnswer(pageOf(MemberLoss)) },
});
const get = defineRoute({ method: "get", path: `${path}/{id}`, tags, summary: "One of them", request: byId, responses: { 200: jsonAnswer(MemberLoss) } });
const ask = defineRoute({
  method: "post",
  path: `${path}/{id}/give-up`,
  tags,
  summary: "Ask that it is given up: taken out of its cluster, with what lies on its own storage; its hosts are then asked for anew. The machine must be off",
  conditional: true,
  request: { ...byId, body: jsonBody(GiveUp) },
  responses: { 200: jsonAnswer(MemberLoss) },
});
const confirm = defineRoute({
  method: "post",
  path: `${path}/{id}/confirm`,
  tags,
  summary: "Agree to that, as somebody else",
  conditional: true,
  request: { ...byId, body: jsonBody(ConfirmGiveUp) },
  responses: { 200: jsonAnswer(MemberLoss) },
});
const withdraw = defineRoute({
  method: "post",
  path: `${path}/{id}/keep`,
  tags,
  summary: "Withdraw that, before anybody agreed: it is waited for",
  conditional: true,
  request: byId,
  responses: { 200: jsonAnswer(MemberLoss) },
});

const time = (value: Date | null) => value?.toISOString() ?? null;
const show = (row: ShownLoss): MemberLoss => ({
  id: row.id,
  member: row.member,
  pools: row.pools,
  since: row.since.toISOString(),
  state: row.state,
  hosts: row.hosts.map(({ id, name, department, departmentName, observedState, remedy, volumes, policy }) => ({
    id,
    name,
    department,
    departmentName,
    observedState,
    remedy,
    volumes,
    policy,
  })),
  askedBy: row.asked_by,
  askedByName: row.asked_by_name,
  askedAt: time(row.asked_at),
  reason: row.reason,
  confirmedBy: row.confirmed_by,
  confirmedByName: row.confirmed_by_name,
  confirmedAt: time(row.confirmed_at),
  endedAt: time(row.ended_at),
  requests: row.requests,
  filedAt: time(row.filed_at),
  heldAt: time(row.held_at),
  plans: row.plans,
  error: row.error,
  revision: row.revision,
});

export function registerMemberLosses(app: App, deps: AppDeps): void {
  const changed = (c: ApiContext, id: string, work: (tx: Tx, check: (revision: number) => void) => Promise<void>) =>
    idempotent(c, deps, async (tx) => {
      await work(tx, (revision) => requireMatch(c, revision));
      const row = await getLoss(tx, id);
      return { status: 200, body: show(row), headers: { etag: etag(row.revision) } };
    });
  app.openapi(list, async (c) => {
    const { items, next } = await listLosses(deps.db, c.req.valid("query"));
    return c.json({ items: items.map(show), next });
  });
  app.openapi(get, async (c) => {
    const row = await getLoss(deps.db, c.req.valid("param").id);
    return c.json(show(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(ask, (c) => {
    const { id } = c.req.valid("param");
    return changed(c, id, (tx, check) => askGiveUp(tx, c.get("act"), id, c.req.valid("json").reason, check));
  });
  app.openapi(confirm, (c) => {
    const { id } = c.req.valid("param");
    return changed(c, id, (tx, check) => confirmGiveUp(tx, c.get("act"), id, c.req.valid("json").member, check));
  });
  app.openapi(withdraw, (c) => {
    const { id } = c.req.valid("param");
    return changed(c, id, (tx, check) => withdrawGiveUp(tx, c.get("act"), id, check));
  });
}
