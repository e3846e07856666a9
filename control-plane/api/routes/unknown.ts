/** What drivers have and the database doesn't know, after a restore of an older copy. */
import { Unknown } from "../../contract/system.ts";
import type { Db } from "../../store/database.ts";
import { acknowledgeRestore, restoreMark } from "../../store/restored.ts";
import { listUnknown } from "../../store/unknown.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer } from "../route.ts";

const path = "/api/v1/system/unknown";
const tags = ["system"];
const get = defineRoute({
  method: "get",
  path,
  tags,
  summary: "What exists at drivers and isn't known",
  responses: { 200: jsonAnswer(Unknown) },
});
const acknowledge = defineRoute({
  method: "post",
  path: `${path}/acknowledge`,
  tags,
  summary: "The list was seen: only what stands in it is kept from applies from now on",
  responses: { 200: jsonAnswer(Unknown) },
});

async function show(db: Db): Promise<Unknown> {
  const mark = await restoreMark(db);
  const things = await listUnknown(db);
  return {
    restoredAt: mark?.at ?? null,
    archivedAt: mark?.archivedAt ?? null,
    comparedAt: mark?.comparedAt ?? null,
    acknowledgedAt: mark?.acknowledgedAt ?? null,
    items: things.map((one) => ({
      kind: one.kind,
      id: one.id,
      name: one.name,
      scope: one.scope,
      department: one.department_code,
      phase: one.phase,
      driver: one.driver,
      endpoint: one.endpoint,
      seenAt: one.seen_at.toISOString(),
      kept: one.kept,
    })),
  };
}

export function registerUnknown(app: App, deps: AppDeps): void {
  app.openapi(get, async (c) => c.json(await show(deps.db)));
  app.openapi(acknowledge, (c) =>
    idempotent(c, deps, async (tx) => {
      await acknowledgeRestore(tx, c.get("act"));
      return { status: 200, body: await show(tx) };
    }),
  );
}
