/** Operation plans as they are shown: with names, and their steps. */
import type { OperationPlan, OperationStep } from "../contract/operation-plans.ts";
import { serverOf } from "../../infra/spec.ts";
import type { Ask } from "../domain/operation-plans.ts";
import type { Db } from "./database.ts";
import { namesOf } from "./names.ts";
import { type PlanRow, type StepRow, stepsOf } from "./operation-plans.ts";

const time = (at: Date | null) => at?.toISOString() ?? null;

export async function showPlans(db: Db, rows: readonly PlanRow[]): Promise<OperationPlan[]> {
  if (rows.length === 0) return [];
  const steps = await stepsOf(
    db,
    rows.map((row) => row.id),
  );
  const pools = await db.selectFrom("pools").select(["id", "code", "driver", "endpoint"]).orderBy("code").execute();
  const codes = new Map(pools.map((one) => [one.id, one.code]));
  const people = await namesOf(db, [...new Set(rows.flatMap((row) => [row.created_by, ...(row.confirmed_by === null ? [] : [row.confirmed_by])]))]);
  const showStep = await stepShower(db, steps, codes);
  const asked = await namesOfAsked(db, rows);
  return rows.map((row) => {
    const own = steps.filter((step) => step.plan_id === row.id);
    const count = (of: (step: StepRow) => boolean) => own.filter(of).length;
    return {
      id: row.id,
      kind: row.kind,
      state: row.state,
      subject: subjectOf(row.ask as Ask, codes, asked),
      pools: pools.filter((one) => serverOf(one) === row.server).map((one) => one.code),
      reason: row.reason,
      error: row.error,
      hash: row.hash,
      difference: row.difference,
      counts: {
        steps: own.length,
        done: count((step) => step.state === "done"),
        failed: count((step) => step.state === "failed"),
        blocked: count((step) => step.blocked !== null),
        restarts: count((step) => step.restarts),
      },
      createdBy: row.created_by,
      createdByName: people.get(row.created_by) ?? null,
      confirmedBy: row.confirmed_by,
      confirmedByName: row.confirmed_by === null ? null : (people.get(row.confirmed_by) ?? null),
      confirmedAt: time(row.confirmed_at),
      cancelledAt: time(row.cancelled_at),
      startedAt: time(row.started_at),
      finishedAt: time(row.finished_at),
      revision: row.revision,
      createdAt: row.created_at.toISOString(),
      updatedAt: row.updated_at.toISOString(),
      steps: own.map(showStep),
    };
  });
}

const subjectOf = (ask: Ask, codes: ReadonlyMap<string, string>, things: ReadonlyMap<string, string>): string => {
  if (ask.kind === "rebalance") return codes.get(ask.pool) ?? ask.pool;
  if ("resource" in ask) return things.get(ask.resource) ?? ask.resource;
  return ask.kind === "replace-member" ? `${ask.member} → ${ask.successor}` : ask.member;
};

async function namesOfAsked(db: Db, rows: readonly PlanRow[]): Promise<Map<string, string>> {
  const ids = rows.flatMap(({ ask }) => ("resource" in (ask as Ask) ? [(ask as Extract<Ask, { resource: string }>).resource] : []));
  if (ids.length === 0) return new Map();
  return new Map((await db.selectFrom("resources").select(["id", "name"]).where("id", "in", ids).execute()).map((one) => [one.id, one.name]));
}

async function stepShower(db: Db, steps: readonly StepRow[], codes: ReadonlyMap<string, string>): Promise<(step: StepRow) => OperationStep> {
  const departmentIds = [...new Set(steps.flatMap((one) => one.department_id ?? []))];
  const applicationIds = [...new Set(steps.flatMap((one) => one.application_id ?? []))];
  const departments =
    departmentIds.length === 0 ? [] : await db.selectFrom("departments").select(["id", "name_zh", "name_en"]).where("id", "in", departmentIds).execute();
  const applications =
    applicationIds.length === 0 ? [] : await db.selectFrom("applications").select(["id", "name"]).where("id", "in", applicationIds).execute();
  const nameOf = new Map(departments.map((one) => [one.id, { zh: one.name_zh, en: one.name_en }]));
  const applicationOf = new Map(applications.map((one) => [one.id, one.name]));
  return (step) => ({
    id: step.id,
    position: step.position,
    action: step.action,
    subject: step.subject,
    name: step.name,
    department: step.department_id,
    departmentName: nameOf.get(step.department_id ?? "") ?? null,
    application: step.application_id,
    applicationName: applicationOf.get(step.application_id ?? "") ?? null,
    from: step.from_member,
    to: step.to_member,
    fromPool: codes.get(step.from_pool_id ?? "") ?? null,
    toPool: codes.get(step.to_pool_id ?? "") ?? null,
    restarts: step.restarts,
    bytes: step.bytes,
    reason: step.reason,
    blocked: step.blocked,
    state: step.state,
    error: step.error,
    restarted: step.restarted,
    startedAt: time(step.started_at),
    finishedAt: time(step.finished_at),
  });
}
