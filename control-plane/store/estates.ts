/** A department's estate: what is wanted, what an apply begins with, and what its outcome settles. */
import { sql, type Selectable } from "kysely";
import { digestOf } from "../domain/digest.ts";
import { Refusal } from "../domain/refusal.ts";
import { type AnySpec, estateOf, type Quantity } from "../domain/resources.ts";
import type { Approval } from "../../infra/approval.ts";
import type { Outcome } from "../../infra/operations.ts";
import type { DepartmentSpec, HostSpec, PoolEndpoint, SpecKind } from "../../infra/spec.ts";
import type { Act } from "./act.ts";
import { hold } from "./allocations.ts";
import { approvedEstate, needsRestart, notApproved } from "./approvals.ts";
import { appendAudits } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvents } from "./events.ts";
import { type PutBack, puttingBack, settleAdoptions, settlePutBack } from "./drift-decisions.ts";
import { type Take, moveCapacity } from "./proposing.ts";
import { giveBackDifference, lockAccounts, releaseResources, settleCharges, usedBy } from "./quotas.ts";
import { sendBack } from "./refused.ts";
import { requireFunds } from "./fund-charges.ts";
import { growing, move, type Seal, type StoredItem } from "./requests.ts";
import { endPlanned, restartsAgreed, tellRestarted } from "./restarts.ts";
import type { Dimension, Resources } from "./schema.ts";
import { addDays } from "../domain/terms.ts";
import { followResources } from "./terms.ts";
import { lapseRevertsOf } from "./snapshot-reverts.ts";
import { endSnapshotsOf } from "./snapshots.ts";
import { closeUptime, turnUptime, uptimeOf } from "./uptime.ts";

type Resource = Selectable<Resources>;

/** Every pool's driver and endpoint, for the worker. */
export async function poolEndpoints(db: Db): Promise<PoolEndpoint[]> {
  return (await db.selectFrom("pools").select(["id", "driver", "endpoint"]).execute()).map(({ id, driver, endpoint }) => ({ pool: id, driver, endpoint }));
}

/** Where a department has something, or ever had. */
export async function poolsOf(db: Db, departmentId: string): Promise<Set<string>> {
  const rows = await db
    .selectFrom("resources")
    .select("pool_id")
    .distinct()
    .where("department_id", "=", departmentId)
    .where("pool_id", "is not", null)
    .execute();
  return new Set(rows.map((row) => row.pool_id!));
}

const unsealed = (resource: { id: string; kind: SpecKind; wanted: unknown }, unseal: Seal): { kind: SpecKind; wanted: unknown } => {
  const wanted = resource.wanted as HostSpec;
  return {
    kind: resource.kind,
    wanted: resource.kind === "host" && wanted.userData !== undefined ? { ...wanted, userData: unseal(resource.id, wanted.userData) } : wanted,
  };
};

/** The department as it is wanted now: approved and not retired. */
export async function wantedSpec(db: Db, departmentId: string, unseal: Seal): Promise<DepartmentSpec> {
  const resources = await db
    .selectFrom("resources")
    .select(["id", "kind", "wanted"])
    .where("department_id", "=", departmentId)
    .where("phase", "in", ["wanted", "live"])
    .execute();
  return estateOf(
    departmentId,
    resources.map((one) => unsealed(one, unseal)),
  );
}

/** The department as it would be wanted with this request, for the preview. */
export async function plannedSpec(db: Db, requestId: string, unseal: Seal): Promise<{ departmentId: string; spec: DepartmentSpec }> {
  const request = await db.selectFrom("requests").select(["department_id"]).where("id", "=", requestId).executeTakeFirstOrThrow();
  const items = await db.selectFrom("request_items").selectAll().where("request_id", "=", requestId).execute();
  const changed = new Map(
    items
      .filter((item) => item.action !== "extend")
      .map((item) => [item.resource_id, { action: item.action, wanted: (item.spec as { wanted: unknown }).wanted }]),
  );
  const resources = await db
    .selectFrom("resources")
    .select(["id", "kind", "wanted", "phase", "request_id"])
    .where("department_id", "=", request.department_id)
    .where("phase", "in", ["proposed", "wanted", "live"])
    .execute();
  const estate = resources
    .filter((one) => one.phase !== "proposed" || one.request_id === requestId)
    .filter((one) => changed.get(one.id)?.action !== "retire")
    .map((one) => unsealed({ ...one, wanted: changed.get(one.id)?.wanted ?? one.wanted }, unseal));
  return { departmentId: request.department_id, spec: estateOf(request.department_id, estate) };
}

export type Begun =
  | { unchanged: false; spec: DepartmentSpec; approved: Approval[]; putBack: PutBack[]; restarts: string[]; hash: string; fence: number; requests: string[] }
  | { unchanged: true; requests: string[] };

/** Begins an apply: approved requests become applying, the fence goes up. Unchanged: the estate is what was applied last, nothing is to be run. */
export async function beginApply(tx: Tx, act: Act, departmentId: string, unseal: Seal): Promise<Begun> {
  await tx
    .insertInto("estates")
    .values({ department_id: departmentId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const estate = await tx.selectFrom("estates").selectAll().where("department_id", "=", departmentId).forUpdate().executeTakeFirstOrThrow();
  const requests = await tx
    .selectFrom("requests")
    .selectAll()
    .where("department_id", "=", departmentId)
    .where("state", "in", ["approved", "applying"])
    .orderBy("id")
    .execute();
  for (const request of requests.filter((one) => one.state === "approved")) await move(tx, act, request, "apply", {});
  if (requests.length > 0)
    await tx
      .updateTable("request_items")
      .set({ state: "applying" })
      .where(
        "request_id",
        "in",
        requests.map((one) => one.id),
      )
      .where("state", "=", "pending")
      .execute();
  await failUnfunded(
    tx,
    act,
    departmentId,
    requests.filter((one) => one.state === "approved"),
  );
  const spec = await wantedSpec(tx, departmentId, unseal);
  const hash = digestOf(spec);
  const ids = requests.map((one) => one.id);
  const putBack = await puttingBack(tx, departmentId);
  if (hash === estate.applied_hash && putBack.length === 0) {
    await settle(tx, act, departmentId, new Map(), () => true);
    return { unchanged: true, requests: ids };
  }
  const { fence } = await tx
    .updateTable("estates")
    .set({ fence: sql<number>`fence + 1` })
    .where("department_id", "=", departmentId)
    .returning("fence")
    .executeTakeFirstOrThrow();
  return {
    unchanged: false,
    spec,
    approved: await approvedEstate(tx, departmentId, putBack),
    putBack,
    restarts: await restartsAgreed(tx, act.now, ids),
    hash,
    fence,
    requests: ids,
  };
}

/** What would grow and no longer fits the project's stage or fund is not begun: it fails here, and the rest of its request goes on. */
async function failUnfunded(tx: Tx, act: Act, departmentId: string, requests: readonly { id: string; project_id: string }[]): Promise<void> {
  if (requests.length === 0) return;
  // The accounts before the projects, as everywhere.
  await lockAccounts(tx, departmentId);
  const given: Take[] = [];
  for (const request of requests) {
    // A transfer is looked at where it is done (handing-over.ts).
    const items = (
      await tx.selectFrom("request_items").selectAll().where("request_id", "=", request.id).where("action", "<>", "transfer").orderBy("position").execute()
    ).filter(growing);
    if (items.length === 0) continue;
    const refusal = await requireFunds(tx, act, request, false).catch((error: unknown) => {
      if (error instanceof Refusal) return error;
      throw error;
    });
    if (!(refusal instanceof Refusal)) continue;
    const error = { code: refusal.code, message: refusal.detail };
    const resources = await tx
      .selectFrom("resources")
      .selectAll()
      .where(
        "id",
        "in",
        items.map((item) => item.resource_id),
      )
      .execute();
    const of = items.map((item) => ({ item, resource: resources.find((one) => one.id === item.resource_id)! }));
    for (const one of of) given.push(...(await failItem(tx, act, one, error)));
    await tellFailed(tx, act, departmentId, of, () => error);
  }
  await moveCapacity(tx, given);
}

/** An item that could not be done leaves the wanted state. @returns the pool capacity to give back now; what was to be made gives its own back when it is gone */
async function failItem(
  tx: Tx,
  act: Act,
  { item, resource }: { item: StoredItem; resource: Resource },
  error: { code: string; message: string },
): Promise<Take[]> {
  await tx
    .updateTable("request_items")
    .set({ state: "failed", error: JSON.stringify(error) })
    .where("id", "=", item.id)
    .execute();
  if (item.action === "create") await tx.updateTable("resources").set({ phase: "failed", updated_at: act.now }).where("id", "=", resource.id).execute();
  else if (item.action === "retire") await tx.updateTable("resources").set({ phase: "live", updated_at: act.now }).where("id", "=", resource.id).execute();
  else {
    await tx
      .updateTable("resources")
      .set({ wanted: JSON.stringify(resource.applied), updated_at: act.now })
      .where("id", "=", resource.id)
      .execute();
    await settleCharges(tx, act, [item.id], "released");
    const charge = (item.spec as { charge: Quantity[] }).charge.filter((one) => one.quantity > 0);
    return charge.map((one) => ({ poolId: resource.pool_id, dimension: one.dimension, quantity: -one.quantity }));
  }
  return [];
}

async function tellFailed(
  tx: Tx,
  act: Act,
  departmentId: string,
  failed: readonly { item: StoredItem; resource: Resource }[],
  errorOf: (id: string) => { code: string; message: string } | null,
): Promise<void> {
  await appendAudits(
    tx,
    act,
    failed.map(({ item, resource }) => ({
      action: `${resource.kind}.${item.action}`,
      subjectKind: resource.kind,
      subjectId: resource.id,
      departmentId,
      result: "failed" as const,
      after: errorOf(resource.id),
    })),
  );
  await appendEvents(
    tx,
    failed.map(({ item, resource }) => ({
      at: act.now,
      departmentId,
      requestId: item.request_id,
      type: "item.failed",
      subjectId: resource.id,
      data: { kind: resource.kind, name: resource.name, action: item.action, error: errorOf(resource.id) },
    })),
  );
}

/** A new fencing token without an apply: for backups and restores. */
export async function currentFence(db: Db, departmentId: string): Promise<number> {
  return (await db.selectFrom("estates").select("fence").where("department_id", "=", departmentId).executeTakeFirst())?.fence ?? 0;
}

/** The engine that works on a department now, to be ended after a restart; null: none. */
export async function recordEngine(tx: Tx, departmentId: string, engine: { operationId: string; pid: number; started: string } | null): Promise<void> {
  await tx
    .updateTable("estates")
    .set({ operation_id: engine?.operationId ?? null, engine_pid: engine?.pid ?? null, engine_started: engine?.started ?? null })
    .where("department_id", "=", departmentId)
    .execute();
}

/**
 * Settles what an `up` did: per item its result, charges, capacity, allocation intervals, audit, all in this transaction. Settling twice changes nothing.
 * @returns again: something failed and leaves the wanted state; another `up` must remove what it left, then its charge is released
 */
export async function settleApply(
  tx: Tx,
  act: Act,
  departmentId: string,
  { hash, outcome, fence, putBack = [] }: { hash: string; outcome: Outcome; fence?: number; putBack?: readonly PutBack[] },
): Promise<{ again: boolean }> {
  const estate = await tx.selectFrom("estates").selectAll().where("department_id", "=", departmentId).forUpdate().executeTakeFirstOrThrow();
  if (fence !== undefined && estate.fence !== fence) return { again: false };
  const failures = new Map(outcome.failures.map((failure) => [failure.name, { code: failure.code, message: failure.message }]));
  const complete = outcome.result === "succeeded";
  // Without results of single resources nothing can be said of any: the job tries again.
  if (!complete && failures.size === 0) return { again: true };
  // Where something failed, the engine may not have come to what depended on it: only what it says is deleted is gone.
  const deleted = new Set(outcome.steps.filter((step) => step.action === "delete").map((step) => step.name));
  const again = await settle(tx, act, departmentId, failures, (id) => complete || deleted.has(id));
  await settlePutBack(
    tx,
    act,
    departmentId,
    putBack.map((one) => one.name),
    (name) => failures.get(name)?.message ?? (complete || outcome.steps.some((step) => step.name === name) ? undefined : "the engine did not come to it"),
  );
  await settleAdoptions(tx, act);
  await tx
    .updateTable("estates")
    .set(complete ? { applied_hash: hash, applied_at: act.now } : { applied_hash: null })
    .where("department_id", "=", departmentId)
    .execute();
  return { again };
}

/** The engine could not do it at all, time after time: everything that was being applied fails, and what it may have left is removed by the next `up`. */
export async function failApply(tx: Tx, act: Act, departmentId: string, error: { code: string; message: string }): Promise<void> {
  const applying = await tx
    .selectFrom("request_items as i")
    .innerJoin("requests as r", "r.id", "i.request_id")
    .select("i.resource_id")
    .where("r.department_id", "=", departmentId)
    .where("r.state", "=", "applying")
    .where("i.state", "=", "applying")
    .execute();
  await settle(tx, act, departmentId, new Map(applying.map((one) => [one.resource_id, error])), () => false);
  const putBack = await puttingBack(tx, departmentId);
  await settlePutBack(
    tx,
    act,
    departmentId,
    putBack.map((one) => one.name),
    () => error.message,
  );
  await settleAdoptions(tx, act);
  await tx.updateTable("estates").set({ applied_hash: null }).where("department_id", "=", departmentId).execute();
}

/** @param isGone whether the engine is known to have removed a resource that was to be retired */
async function settle(
  tx: Tx,
  act: Act,
  departmentId: string,
  failures: ReadonlyMap<string, { code: string; message: string }>,
  isGone: (id: string) => boolean,
): Promise<boolean> {
  const items = await tx
    .selectFrom("request_items as i")
    .innerJoin("requests as r", "r.id", "i.request_id")
    .selectAll("i")
    .where("r.department_id", "=", departmentId)
    .where("r.state", "=", "applying")
    .where("i.state", "=", "applying")
    .execute();
  const resources = new Map(
    (
      await tx
        .selectFrom("resources")
        .selectAll()
        .where("department_id", "=", departmentId)
        .where("phase", "in", ["wanted", "live", "retiring", "failed"])
        .execute()
    ).map((one) => [one.id, one]),
  );
  const touched = items.flatMap((item) => (resources.has(item.resource_id) ? [{ item, resource: resources.get(item.resource_id)! }] : []));
  const unsuccessful = touched.filter(({ resource, item }) => failures.has(resource.id) && !(item.action === "create" && resource.phase === "live"));
  const isRefused = (id: string) => [notApproved, needsRestart].includes(failures.get(id)?.code ?? "");
  const [refused, failed] = [unsuccessful.filter(({ resource }) => isRefused(resource.id)), unsuccessful.filter(({ resource }) => !isRefused(resource.id))];
  const done = touched.filter((one) => !unsuccessful.includes(one) && (one.item.action !== "retire" || isGone(one.resource.id)));
  // A host's item waits for a reading after its apply: what was settled before is neither audited nor told again.
  const news = done.filter(
    ({ item, resource }) =>
      item.action === "retire" || item.action === "extend" || resource.phase !== "live" || digestOf(resource.wanted) !== digestOf(resource.applied),
  );
  const given: Take[] = [];
  let again = false;
  // First the accounts, then the pools, each once and in one order: two settlements never wait for each other.
  await lockAccounts(tx, departmentId);

  // What was made or changed.
  const kept = done.filter(({ item }) => item.action !== "retire");
  if (kept.length > 0) {
    const ids = kept.map(({ resource }) => resource.id);
    await tx
      .updateTable("resources")
      .set({
        phase: "live",
        applied: sql<string>`wanted`,
        opened_at: sql<Date>`coalesce(opened_at, ${act.now}::timestamptz)`,
        updated_at: act.now,
        revision: sql<number>`revision + 1`,
      })
      .where("id", "in", ids)
      .execute();
    await settleCharges(
      tx,
      act,
      kept.map(({ item }) => item.id),
      "used",
    );
    for (const { item, resource } of kept) {
      const less = (item.spec as { charge: Quantity[] }).charge.filter((one) => one.quantity < 0).map((one) => ({ ...one, quantity: -one.quantity }));
      if (less.length === 0) continue;
      const back = await giveBackDifference(tx, act, { departmentId, requestId: item.request_id, itemId: item.id, resourceId: resource.id, less });
      given.push(...back.map((one) => ({ poolId: resource.pool_id, dimension: one.dimension, quantity: -one.quantity })));
    }
    const used = await usedBy(tx, ids);
    await hold(
      tx,
      act,
      [...new Map(kept.map(({ resource }) => [resource.id, resource])).values()].map((resource) => ({ resource, quantities: used.get(resource.id) ?? [] })),
    );
    // Stopped by its owner is no downtime: the reading that follows may say nothing new.
    const switched = kept
      .filter(
        ({ item, resource }) =>
          (item.action === "start" || item.action === "stop" || item.action === "adopt") && resource.kind === "host" && resource.observed_state !== "unknown",
      )
      .map(({ resource }) => resource);
    await turnUptime(
      tx,
      act,
      switched.map((one) => ({ id: one.id, department_id: departmentId, state: uptimeOf(one.observed_state, (one.wanted as HostSpec).power) })),
    );
    // What was seen of a host before it was made anew says nothing of what it is now.
    const anew = kept.filter(({ item, resource }) => item.action === "redeploy" && digestOf(resource.wanted) !== digestOf(resource.applied));
    if (anew.length > 0)
      await tx
        .updateTable("resources")
        .set({ observed_state: "unknown" })
        .where(
          "id",
          "in",
          anew.map(({ resource }) => resource.id),
        )
        .execute();
    // A host's item is active when a reading of the driver says that it runs; the rest has nothing more to wait for.
    const rests = ({ item, resource }: (typeof kept)[number]) =>
      resource.kind !== "host" ||
      item.action === "stop" ||
      item.action === "extend" ||
      (resource.wanted as HostSpec).power === "stopped" ||
      (resource.observed_state === "running" && !anew.some((one) => one.item === item));
    await finishItems(
      tx,
      kept.filter(rests).map(({ item }) => item.id),
    );
  }
  // What is gone.
  const retired = done.filter(({ item }) => item.action === "retire").map(({ resource }) => resource);
  given.push(...(await remove(tx, act, retired, "gone")));
  await finishItems(
    tx,
    done.filter(({ item }) => item.action === "retire").map(({ item }) => item.id),
  );
  // What could not be made or changed.
  for (const one of failed) {
    again = true;
    given.push(...(await failItem(tx, act, one, failures.get(one.resource.id)!)));
  }
  // What failed in an earlier `up` and has left the wanted state is removed by now: its charge is given back.
  const swept =
    failures.size === 0
      ? await tx
          .selectFrom("quota_charges as c")
          .innerJoin("resources as r", "r.id", "c.resource_id")
          .selectAll("r")
          .distinctOn("r.id")
          .where("r.department_id", "=", departmentId)
          .where("r.phase", "=", "failed")
          .where("c.state", "<>", "released")
          .execute()
      : [];
  given.push(...(await remove(tx, act, swept, "failed")));
  await moveCapacity(tx, given);
  await appendAudits(
    tx,
    act,
    news.map(({ item, resource }) => ({
      action: `${resource.kind}.${item.action}`,
      subjectKind: resource.kind,
      subjectId: resource.id,
      departmentId,
      before: resource.applied,
      after: item.action === "retire" ? null : withoutSecret(resource.wanted),
    })),
  );
  await appendEvents(
    tx,
    news.map(({ item, resource }) => ({
      at: act.now,
      departmentId,
      requestId: item.request_id,
      type: "item.applied",
      subjectId: resource.id,
      data: { kind: resource.kind, name: resource.name, action: item.action, error: null },
    })),
  );
  await tellFailed(tx, act, departmentId, failed, (id) => failures.get(id) ?? null);
  await sendBack(
    tx,
    act,
    refused.map(({ item }) => item),
    (id) => (failures.get(id)?.code === needsRestart ? failures.get(id)!.message : undefined),
  );
  const restarted = [...news, ...failed].map(({ item }) => item);
  await tellRestarted(tx, act, restarted, (item) => failures.has(item.resource_id));
  await endPlanned(
    tx,
    act.now,
    restarted.flatMap((item) => (item.restart_need && resources.get(item.restart_need.host)?.observed_state === "running" ? [item.restart_need.host] : [])),
  );
  await finishRequests(tx, act, departmentId);
  await followResources(
    tx,
    act,
    retired.map((resource) => resource.request_id),
  );
  return again;
}

/** Gives back what resources held: charges and intervals. @returns the pool capacity to give back */
async function remove(tx: Tx, act: Act, resources: readonly Resource[], phase: "gone" | "failed"): Promise<Take[]> {
  if (resources.length === 0) return [];
  const ids = resources.map((one) => one.id);
  const charged = await sql<{
    resource_id: string;
    dimension: Dimension;
    quantity: number;
  }>`select resource_id, dimension, sum(quantity)::bigint as quantity from quota_charges where resource_id = any(${sql.val(ids)}::text[]) and state <> 'released' group by 1, 2`.execute(
    tx,
  );
  const pool = new Map(resources.map((one) => [one.id, one.pool_id]));
  await releaseResources(tx, act, ids);
  await hold(
    tx,
    act,
    resources.map((resource) => ({ resource, quantities: [] })),
  );
  await closeUptime(tx, act, ids);
  const volumes = resources.filter((one) => one.kind === "volume").map((one) => one.id);
  await endSnapshotsOf(tx, act, volumes);
  await lapseRevertsOf(tx, act, volumes, "The volume is gone.");
  await tx
    .updateTable("resources")
    .set({ phase, ...(phase === "gone" ? { retired_at: act.now, observed_state: "gone" } : {}), updated_at: act.now })
    .where("id", "in", ids)
    .execute();
  return charged.rows.map((row) => ({ poolId: pool.get(row.resource_id) ?? null, dimension: row.dimension, quantity: -row.quantity }));
}

async function finishItems(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length > 0)
    await tx
      .updateTable("request_items")
      .set({ state: "active" })
      .where("id", "in", [...ids])
      .execute();
}

/** Requests of which only restarts are left wait for these; those whose items are all settled become active (on trial first, where that was asked for), or failed when none could be made. */
export async function finishRequests(tx: Tx, act: Act, departmentId: string): Promise<void> {
  const requests = await tx
    .selectFrom("requests as r")
    .selectAll("r")
    .where("r.department_id", "=", departmentId)
    .where("r.state", "=", "applying")
    .where((where) =>
      where.not(
        where.exists(
          where.selectFrom("request_items as i").select("i.id").whereRef("i.request_id", "=", "r.id").where("i.state", "in", ["pending", "applying"]),
        ),
      ),
    )
    .execute();
  for (const request of requests) {
    const items = await tx.selectFrom("request_items").select(["state", "error", "action", "kind"]).where("request_id", "=", request.id).execute();
    if (items.some((item) => item.state === "scheduled")) {
      await move(tx, act, request, "schedule", {});
      continue;
    }
    const active = items.some((item) => item.state === "active");
    const made = items.some((item) => item.state === "active" && item.action === "create" && (item.kind === "host" || item.kind === "volume"));
    if (made && request.trial_days !== null) await move(tx, act, request, "try", { trial_until: addDays(act.now, request.trial_days) });
    else await move(tx, act, request, active ? "finish" : "fail", active ? {} : { error: JSON.stringify(items.find((item) => item.error)?.error ?? null) });
  }
}

function withoutSecret(wanted: unknown): unknown {
  const { userData: _secret, ...rest } = wanted as AnySpec & { userData?: string };
  return rest;
}
