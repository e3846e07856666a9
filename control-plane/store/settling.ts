/** What an apply ends with: resources, items, requests and charges as the engine left them. */
import { sql } from "kysely";
import type { Outcome } from "../../infra/operations.ts";
import type { HostSpec } from "../../infra/spec.ts";
import { digestOf } from "../domain/digest.ts";
import type { AnySpec, Quantity } from "../domain/resources.ts";
import type { Act } from "./act.ts";
import { hold } from "./allocations.ts";
import { needsRestart, notApproved } from "./approvals.ts";
import { appendAudits } from "./audit.ts";
import type { Tx } from "./database.ts";
import { type PutBack, puttingBack, settleAdoptions, settlePutBack } from "./drift-decisions.ts";
import type { Resource } from "./estates.ts";
import { appendEvents } from "./events.ts";
import { failItem, finishItems, finishRequests, tellFailed } from "./finishing.ts";
import { moveCapacity, type Take } from "./proposing.ts";
import { giveBackDifference, lockAccounts, releaseResources, settleCharges, usedBy } from "./quotas.ts";
import { sendBack } from "./refused.ts";
import { endPlanned, tellRestarted } from "./restarts.ts";
import type { Dimension } from "./schema.ts";
import { lapseRevertsOf } from "./snapshot-reverts.ts";
import { endSnapshotsOf } from "./snapshots.ts";
import { followResources } from "./terms.ts";
import { closeUptime, turnUptime, uptimeOf } from "./uptime.ts";

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
export async function settle(
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

function withoutSecret(wanted: unknown): unknown {
  const { userData: _secret, ...rest } = wanted as AnySpec & { userData?: string };
  return rest;
}
