/** How items and requests end: made, failed, and who is told. */
import type { Quantity } from "../domain/resources.ts";
import { addDays } from "../domain/terms.ts";
import type { Act } from "./act.ts";
import { appendAudits } from "./audit.ts";
import type { Tx } from "./database.ts";
import type { Resource } from "./estates.ts";
import { appendEvents } from "./events.ts";
import type { Take } from "./proposing.ts";
import { settleCharges } from "./quotas.ts";
import { move, type StoredItem } from "./requests.ts";

/** An item that could not be done leaves the wanted state. @returns the pool capacity to give back now; what was to be made gives its own back when it is gone */
export async function failItem(
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

export async function tellFailed(
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

export async function finishItems(tx: Tx, ids: readonly string[]): Promise<void> {
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
