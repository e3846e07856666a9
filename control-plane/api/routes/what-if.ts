/** What a request would do, before anyone submits it: asked in a transaction that can write nothing. */
import type { z } from "zod";
import { NewRequest } from "../../contract/requests.ts";
import { WhatIf, type WhatIfAccount } from "../../contract/what-if.ts";
import { shownPlacement } from "../../domain/proposals.ts";
import { borrowedOf, heldOf, type Step } from "../../domain/ledger.ts";
import { sumByDimension } from "../../domain/resources.ts";
import { type Prospect, whatIf } from "../../store/what-if.ts";
import { visibleDepartments } from "../../store/departments.ts";
import type { App, AppDeps } from "../deps.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const ask = defineRoute({
  method: "post",
  path: "/api/v1/requests/what-if",
  tags: ["requests"],
  summary: "What a request would charge, where, and what would be left; changes nothing",
  request: { body: jsonBody(NewRequest) },
  responses: { 200: jsonAnswer(WhatIf, "What it would do") },
});

export function registerWhatIf(app: App, deps: AppDeps): void {
  app.openapi(ask, async (c) => {
    const prospect = await deps.db
      .transaction()
      .setIsolationLevel("repeatable read")
      .setAccessMode("read only")
      .execute((tx) => whatIf(tx, c.get("act"), c.get("principal"), c.req.valid("json")));
    // Of a transfer: the accounts of the receiver are shown to those alone who may see them.
    const shown = await visibleDepartments(deps.db, c.get("principal"));
    const seen = prospect.transfer === null || shown === undefined ? prospect.steps : prospect.steps.filter((one) => shown.includes(one.account.department_id));
    return c.json(show({ ...prospect, steps: seen }));
  });
}

function show({ application, project, proposals, transfer, pools, steps, refusals, cost }: Prospect): WhatIf {
  const codes = new Map(pools.map((pool) => [pool.id, pool.code]));
  const short = proposals.shortages.length > 0;
  return {
    department: application.department_id,
    application: application.id,
    project: project.id,
    level: application.protectionLevel,
    outcome: refusals.length > 0 ? "refused" : short ? "waits" : "fits",
    items: proposals.items.map((one) => ({
      position: one.position,
      action: one.action,
      kind: one.kind,
      name: one.name,
      charge: one.charge,
      placement: one.placement !== null && one.poolId !== null ? shownPlacement(one, codes.get(one.poolId) ?? "") : null,
    })),
    charge: sumByDimension(proposals.items.flatMap((one) => one.charge)),
    accounts: steps.map(showStep),
    transfer,
    shortages: proposals.shortages,
    warnings: steps
      .filter((step) => step.fits && step.overSoft)
      .map(({ account, asked }) => ({
        department: account.department_id,
        departmentName: account.name_zh,
        dimension: account.dimension,
        level: account.level,
        softLimit: account.soft_limit!,
        held: heldOf(account) + asked,
      })),
    problems: refusals.map((one) => ({ code: one.code, detail: one.detail, remedy: one.remedy ?? null })),
    cost,
  };
}

const showStep = ({ account, asked, leftBefore, leftAfter, borrowable, fits, overSoft, raisedBy }: Step): z.infer<typeof WhatIfAccount> => ({
  department: account.department_id,
  departmentName: account.name_zh,
  dimension: account.dimension,
  level: account.level,
  limit: account.limit_value,
  softLimit: account.soft_limit,
  reserved: account.reserved,
  used: account.used,
  asked,
  leftBefore,
  leftAfter: fits ? leftAfter : leftBefore,
  // Bounded by what siblings have: never infinite.
  borrowable,
  borrowedBefore: borrowedOf(account),
  borrowedAfter: borrowedOf({ ...account, reserved: account.reserved + (fits ? asked : 0) }),
  fits,
  overSoftLimit: overSoft,
  raisedBy,
});
