import { z } from "@hono/zod-openapi";
import { Id, pageOf } from "../../contract/common.ts";
import { Consent, ConsentAnswer, ConsentQuery, ConsentRefusal, NewConsent } from "../../contract/consents.ts";
import { stateOf } from "../../domain/host-access.ts";
import { answerConsent, askConsent, getConsent, listConsents, type NamedConsent, revokeConsent } from "../../store/consents.ts";
import type { Db } from "../../store/database.ts";
import type { ApiContext, App, AppDeps, Principal } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { departmentsAsked } from "../scope.ts";

const path = "/api/v1/consents";
const tags = ["hosts"];
const params = z.object({ id: Id });

const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Consents of owners to operations, asked for, given and over, newest first",
  request: { query: ConsentQuery },
  responses: { 200: jsonAnswer(pageOf(Consent)) },
});
const get = defineRoute({ method: "get", path: `${path}/{id}`, tags, summary: "One consent", request: { params }, responses: { 200: jsonAnswer(Consent) } });
const ask = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Ask an owner to let operations into a host, or into all hosts of an application, for a purpose and a while",
  request: { body: jsonBody(NewConsent) },
  responses: { 201: jsonAnswer(Consent, "Asked for: the owner's people are told") },
});
const grant = defineRoute({
  method: "post",
  path: `${path}/{id}/grant`,
  tags,
  summary: "Consent, for somebody of the owning department who is no operator",
  request: { params, body: jsonBody(ConsentAnswer) },
  responses: { 200: jsonAnswer(Consent) },
});
const refuse = defineRoute({
  method: "post",
  path: `${path}/{id}/refuse`,
  tags,
  summary: "Say no",
  request: { params, body: jsonBody(ConsentRefusal) },
  responses: { 200: jsonAnswer(Consent) },
});
const revoke = defineRoute({
  method: "post",
  path: `${path}/{id}/revoke`,
  tags,
  summary: "Take a consent back: whoever is inside by it is out within a second",
  request: { params, body: jsonBody(ConsentAnswer) },
  responses: { 200: jsonAnswer(Consent) },
});

const time = (at: Date | null) => at?.toISOString() ?? null;
const shown = (row: NamedConsent, now: Date): Consent => ({
  id: row.id,
  department: row.department_id,
  application: row.application_id,
  applicationName: row.application_name,
  host: row.host_id,
  hostName: row.host_name,
  grantee: row.grantee_id,
  granteeName: row.grantee_name,
  purpose: row.purpose,
  minutes: row.minutes,
  state: stateOf({ state: row.state, askedAt: row.asked_at, validUntil: row.valid_until }, now),
  askedBy: row.asked_by,
  askedByName: row.asked_by_name,
  askedAt: row.asked_at.toISOString(),
  decidedBy: row.decided_by,
  decidedByName: row.decided_by_name,
  decidedAt: time(row.decided_at),
  reason: row.reason,
  validFrom: time(row.valid_from),
  validUntil: time(row.valid_until),
  endedBy: row.ended_by,
  endedAt: time(row.ended_at),
});

export function registerConsents(app: App, deps: AppDeps): void {
  const answer = async (db: Db, principal: Principal, id: string, status: number) => ({
    status,
    body: shown(await getConsent(db, principal, id), deps.now()),
  });
  const decide = (c: ApiContext, id: string, given: { grant: boolean; reason: string }) =>
    idempotent(c, deps, async (tx) => {
      await answerConsent(tx, c.get("act"), c.get("principal"), id, given);
      return answer(tx, c.get("principal"), id, 200);
    });

  app.openapi(list, async (c) => {
    const { department, host, state, ...page } = c.req.valid("query");
    const departmentIds = await departmentsAsked(deps.db, c.get("principal"), department, true);
    const { items, next } = await listConsents(deps.db, { departmentIds, hostId: host, state, now: deps.now(), ...page });
    return c.json({ items: items.map((row) => shown(row, deps.now())), next });
  });
  app.openapi(get, async (c) => c.json(shown(await getConsent(deps.db, c.get("principal"), c.req.valid("param").id), deps.now()), 200));
  app.openapi(ask, (c) =>
    idempotent(c, deps, async (tx) => {
      const { host, application, to, purpose, minutes } = c.req.valid("json");
      const act = c.get("act");
      const asked = { hostId: host, applicationId: application, granteeId: to === "me" ? act.actor : null, purpose, minutes };
      const { id } = await askConsent(tx, act, c.get("principal"), asked);
      return answer(tx, c.get("principal"), id, 201);
    }),
  );
  app.openapi(grant, (c) => decide(c, c.req.valid("param").id, { grant: true, reason: c.req.valid("json").reason }));
  app.openapi(refuse, (c) => decide(c, c.req.valid("param").id, { grant: false, reason: c.req.valid("json").reason }));
  app.openapi(revoke, async (c) => {
    const response = await idempotent(c, deps, async (tx) => {
      await revokeConsent(tx, c.get("act"), c.get("principal"), c.req.valid("param").id, c.req.valid("json").reason);
      return answer(tx, c.get("principal"), c.req.valid("param").id, 200);
    });
    deps.shells?.look();
    return response;
  });
}
