import { ApprovalPolicy, ApprovalPolicyVersion, NewApprovalPolicy, PolicyPath, PolicyQuery, Stage } from "../../contract/approvals.ts";
import { pageOf } from "../../contract/common.ts";
import { listPolicies, policyOf, setPolicy } from "../../store/approval-policies.ts";
import type { Db } from "../../store/database.ts";
import { resolveDepartment, visibleDepartment } from "../../store/departments.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, ifMatch, matches } from "../middleware/etag.ts";
import { Refusal } from "../../domain/refusal.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { departmentsAsked } from "../scope.ts";
import type { z } from "zod";

const path = "/api/v1/approval-policies";
const tags = ["approvals"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Every version of approval policies, newest first",
  request: { query: PolicyQuery },
  responses: { 200: jsonAnswer(pageOf(ApprovalPolicyVersion)) },
});
const get = defineRoute({
  method: "get",
  path: `${path}/{department}`,
  tags,
  summary: "The approval policy in force for a department, its own or inherited",
  request: { params: PolicyPath },
  responses: { 200: jsonAnswer(ApprovalPolicy) },
});
const put = defineRoute({
  method: "put",
  path: `${path}/{department}`,
  tags,
  summary: "A new version of a department's policy, for requests that are planned from now on",
  request: { params: PolicyPath, body: jsonBody(NewApprovalPolicy) },
  responses: { 200: jsonAnswer(ApprovalPolicy) },
});

async function inForce(db: Db, department: string): Promise<ApprovalPolicy> {
  const { stages, row, ownVersion } = await policyOf(db, department);
  return {
    department,
    inheritedFrom: row && row.department_id !== department ? row.department_id : null,
    version: ownVersion,
    stages: [...stages],
    note: row?.note ?? "",
    changedBy: row?.created_by ?? null,
    changedAt: row?.created_at.toISOString() ?? null,
  };
}

export function registerApprovalPolicies(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { department, ...ask } = c.req.valid("query");
    const { items, next } = await listPolicies(deps.db, await departmentsAsked(deps.db, c.get("principal"), department), ask);
    const shown = items.map((row): z.infer<typeof ApprovalPolicyVersion> => ({
      department: row.department_id,
      version: row.version,
      stages: row.stages === null ? null : Stage.array().parse(row.stages),
      note: row.note,
      changedBy: row.created_by,
      changedAt: row.created_at.toISOString(),
    }));
    return c.json({ items: shown, next });
  });
  app.openapi(get, async (c) => {
    const { id } = await visibleDepartment(deps.db, c.get("principal"), c.req.valid("param").department);
    const policy = await inForce(deps.db, id);
    return c.json(policy, 200, { etag: etag(policy.version) });
  });
  app.openapi(put, async (c) => {
    const policy = await deps.db.transaction().execute(async (tx) => {
      const { id } = await resolveDepartment(tx, c.req.valid("param").department);
      await setPolicy(tx, c.get("act"), id, c.req.valid("json"), (version) => {
        if (!matches(ifMatch(c), version)) throw new Refusal("precondition-failed", `The policy is at version ${version} now.`, { remedy: "Read it again." });
      });
      return inForce(tx, id);
    });
    return c.json(policy, 200, { etag: etag(policy.version) });
  });
}
