import { TermPolicy, TermPolicyChange } from "../../contract/terms.ts";
import { setTermPolicy, termPolicy } from "../../store/term-policy.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/term-policy";
const tags = ["terms"];
const read = defineRoute({
  method: "get",
  path,
  tags,
  summary: "When owners are told of the end of a term, and when what is over is stopped and proposed to be reclaimed",
  responses: { 200: jsonAnswer(TermPolicy) },
});
const set = defineRoute({
  method: "put",
  path,
  tags,
  summary: "Set it, for what runs already too",
  conditional: true,
  request: { body: jsonBody(TermPolicyChange) },
  responses: { 200: jsonAnswer(TermPolicy) },
});

export function registerTermPolicy(app: App, deps: AppDeps): void {
  app.openapi(read, async (c) => {
    const policy = await termPolicy(deps.db);
    return c.json(policy, 200, { etag: etag(policy.revision) });
  });
  app.openapi(set, async (c) => {
    const policy = await deps.db.transaction().execute((tx) => setTermPolicy(tx, c.get("act"), c.req.valid("json"), (revision) => requireMatch(c, revision)));
    return c.json(policy, 200, { etag: etag(policy.revision) });
  });
}
