/** Allocation intervals: what everything billed is computed from. Written in the transaction that changes the resource. */
import { sql } from "kysely";
import type { Quantity } from "../domain/resources.ts";
import type { SpecKind } from "../../infra/spec.ts";
import type { Act } from "./act.ts";
import type { Tx } from "./database.ts";
import { newId } from "./ids.ts";

export interface Holder {
  id: string;
  kind: SpecKind;
  department_id: string;
  project_id: string;
  application_id: string;
}

/** From now on the resources hold these quantities: intervals whose quantity differs end now, new ones begin; equal ones go on. */
export async function hold(tx: Tx, act: Act, held: readonly { resource: Holder; quantities: readonly Quantity[] }[]): Promise<void> {
  if (held.length === 0) return;
  const open = await tx
    .selectFrom("allocations")
    .select(["id", "resource_id", "meter", "quantity"])
    .where(
      "resource_id",
      "in",
      held.map((one) => one.resource.id),
    )
    .where("to_at", "is", null)
    .execute();
  const wanted = new Map(
    held.flatMap(({ resource, quantities }) => quantities.map((one) => [`${resource.id} ${one.dimension}`, { resource, ...one }] as const)),
  );
  const ended = open.filter((one) => wanted.get(`${one.resource_id} ${one.meter}`)?.quantity !== one.quantity).map((one) => one.id);
  const going = new Set(open.filter((one) => !ended.includes(one.id)).map((one) => `${one.resource_id} ${one.meter}`));
  // greatest(): a clock that was set back must not make an interval end before it began.
  if (ended.length > 0)
    await tx
      .updateTable("allocations")
      .set({ to_at: sql<Date>`greatest(from_at, ${act.now}::timestamptz)` })
      .where("id", "in", ended)
      .execute();
  const begun = [...wanted].filter(([key, one]) => !going.has(key) && one.quantity > 0).map(([, one]) => one);
  if (begun.length === 0) return;
  const last = await sql<{
    resource_id: string;
    at: Date;
  }>`select resource_id, max(to_at) as at from allocations where resource_id = any(${sql.val(held.map((one) => one.resource.id))}::text[]) group by 1`.execute(
    tx,
  );
  const floor = new Map(last.rows.map((row) => [row.resource_id, row.at]));
  await tx
    .insertInto("allocations")
    .values(
      begun.map(({ resource, dimension, quantity }) => ({
        id: newId("alc", act.now),
        resource_id: resource.id,
        department_id: resource.department_id,
        project_id: resource.project_id,
        application_id: resource.application_id,
        meter: dimension,
        quantity,
        from_at: new Date(Math.max(act.now.getTime(), floor.get(resource.id)?.getTime() ?? 0)),
      })),
    )
    .execute();
}

/** What resources hold passes to another department and project: each open interval ends, and the next begins at that moment. */
export async function passAllocations(tx: Tx, act: Act, resourceIds: readonly string[], to: Pick<Holder, "department_id" | "project_id">): Promise<void> {
  if (resourceIds.length === 0) return;
  const ended = await tx
    .updateTable("allocations")
    .set({ to_at: sql<Date>`greatest(from_at, ${act.now}::timestamptz)` })
    .where("resource_id", "in", [...resourceIds])
    .where("to_at", "is", null)
    .returningAll()
    .execute();
  if (ended.length === 0) return;
  await tx
    .insertInto("allocations")
    .values(ended.map((one) => ({ ...one, ...to, id: newId("alc", act.now), from_at: one.to_at!, to_at: null })))
    .execute();
}
