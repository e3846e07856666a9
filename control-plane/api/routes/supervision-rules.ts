/** The rules of electronic supervision: supervision officers make and change them for what they supervise. */
import { z } from "@hono/zod-openapi";
import { PageQuery, pageOf } from "../../contract/common.ts";
import { NewSupervisionRule, RuleTerms, SupervisionRule, SupervisionRuleChange, SupervisionRuleVersion } from "../../contract/supervision.ts";
import { Refusal } from "../../domain/refusal.ts";
import { mayView, visibleDepartment } from "../../store/departments.ts";
import { notifyEvents } from "../../store/events.ts";
import { changeRule, createRule, getRule, listRules, ruleVersions } from "../../store/supervision-rules.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { shownRule } from "../supervision.ts";

const path = "/api/v1/supervision-rules";
const tags = ["supervision"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "The rules of supervision that hold for what the caller sees",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(SupervisionRule)) },
});
const get = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "A rule of supervision",
  request: { ...byId },
  responses: { 200: jsonAnswer(SupervisionRule) },
});
const versions = defineRoute({
  method: "get",
  path: `${path}/{id}/versions`,
  tags,
  summary: "Every version of a rule, newest first",
  request: { ...byId },
  responses: { 200: jsonAnswer(z.object({ items: z.array(SupervisionRuleVersion), next: z.null() })) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "A new rule, for what happens from now on and for what goes on",
  request: { body: jsonBody(NewSupervisionRule) },
  responses: { 201: jsonAnswer(SupervisionRule, "Made") },
});
const change = defineRoute({
  method: "put",
  path: `${path}/{id}`,
  tags,
  summary: "A new version of a rule; disabled, it issues nothing more",
  request: { ...byId, body: jsonBody(SupervisionRuleChange) },
  responses: { 200: jsonAnswer(SupervisionRule) },
});

export function registerSupervisionRules(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { items, next } = await listRules(deps.db, c.get("principal"), c.req.valid("query"));
    return c.json({ items: items.map(shownRule), next });
  });
  app.openapi(get, async (c) => {
    const row = await getRule(deps.db, c.get("principal"), c.req.valid("param").id);
    return c.json(shownRule(row), 200, { etag: etag(row.version) });
  });
  app.openapi(versions, async (c) => {
    const { id } = await getRule(deps.db, c.get("principal"), c.req.valid("param").id);
    const items = (await ruleVersions(deps.db, id)).map((row): SupervisionRuleVersion => ({
      version: row.version,
      name: row.name,
      terms: RuleTerms.parse(row.terms),
      answerDays: row.answer_days,
      enabled: row.enabled,
      note: row.note,
      at: row.changed_at.toISOString(),
      by: row.changed_by,
    }));
    return c.json({ items, next: null });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const { department, ...ask } = c.req.valid("json");
      const principal = c.get("principal");
      const node = department === null ? null : await visibleDepartment(tx, principal, department);
      requireOwn(principal.nodes === null || node !== null);
      const row = await createRule(tx, c.get("act"), node?.id ?? null, ask);
      return { status: 201, body: shownRule(row), headers: { etag: etag(row.version) } };
    }),
  );
  app.openapi(change, async (c) => {
    const row = await deps.db.transaction().execute(async (tx) => {
      const principal = c.get("principal");
      const before = await getRule(tx, principal, c.req.valid("param").id);
      requireOwn(await mayView(tx, principal, before.department_id));
      return changeRule(tx, c.get("act"), before.id, c.req.valid("json"), (version) => requireMatch(c, version));
    });
    notifyEvents();
    return c.json(shownRule(row), 200, { etag: etag(row.version) });
  });
}

/** A rule from above is seen by those below, and changed by those above. */
function requireOwn(own: boolean): void {
  if (!own)
    throw new Refusal("forbidden", "This rule holds for more than you supervise.", { remedy: "Make a rule of your own for your department: both hold." });
}
