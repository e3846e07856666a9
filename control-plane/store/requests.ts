/** Requests (申请): how one is locked, moved and shown. acceptance.ts takes them in, planning.ts plans, approving.ts decides, applying.ts and settling.ts carry out. */
import type { Selectable } from "kysely";
import type { Item } from "../contract/requests.ts";
import { nextState, type RequestEvent, undecidedStates, whyNot } from "../domain/lifecycle.ts";
import { grows, type Proposal } from "../domain/proposals.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { closeSteps } from "./approval-steps.ts";
import { appendEvent } from "./events.ts";
import { noticeOfEvent } from "../domain/notifying.ts";
import { moveCapacity } from "./proposing.ts";
import { settleCharges } from "./quotas.ts";
import { notifyOfRequest } from "./request-notices.ts";
import type { RequestItems, Requests, Resources } from "./schema.ts";

export type RequestRow = Selectable<Requests>;
export type StoredItem = Selectable<RequestItems>;
/** With the name of its resource, and the end of its term where it has one and is there. */
export type ItemRow = StoredItem & { name: string; expires_at: Date | null };
/** Who asks or decides, and for which nodes; null: all. */
export interface Principal {
  id: string;
  nodes: readonly string[] | null;
}
export type Seal = (context: string, text: string) => string;

/** A reservation that nobody applied is given back after this long. */
export const reservationDays = 30;

/** What an item row keeps: the item as asked for (its secret sealed) and its placement. */
export interface Kept {
  item: Item;
  placement: string | null;
  memberReason?: string | undefined;
  considered?: Proposal["considered"];
  expiresAt: string | null;
  wanted: unknown;
  charge: { dimension: string; quantity: number }[];
  /** Digest of what its resource was wanted to be when it began to wait for a restart. */
  base?: string;
}

/** Whether an open item makes something new or takes more: what a project's stage, year and budget may block. */
export const growing = (item: Pick<StoredItem, "spec" | "state">): boolean =>
  (item.state === "pending" || item.state === "scheduled" || item.state === "applying") &&
  grows({ action: (item.spec as Kept).item.action, charge: (item.spec as Kept).charge as Proposal["charge"] });

export async function withdraw(tx: Tx, act: Act, id: string, ifMatch?: number): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  requireApplicants(row);
  requireFits(row, "withdraw");
  await giveBack(tx, act, id);
  // What of it was made stays; only what waited for a restart is not done.
  const made =
    row.state === "scheduled" &&
    (await tx.selectFrom("request_items").select("id").where("request_id", "=", id).where("state", "=", "active").executeTakeFirst());
  return move(tx, act, row, made ? "finish" : "withdraw", {});
}

/** @throws Refusal conflict when nobody's but the terms ask for it: who keeps what it is about extends that */
export function requireApplicants(row: Pick<RequestRow, "origin">): void {
  if (row.origin === "term-stop" || row.origin === "term-reclaim")
    throw new Refusal("conflict", "The term of what it is about is over: it is nobody's to change or withdraw.", {
      remedy: "Ask for an extension; with its approval this one is withdrawn. Or have it rejected.",
    });
}

/** Reservations that nobody applied in time are given back, and the request says so. */
export async function expireReservations(tx: Tx, act: Act): Promise<string[]> {
  const expired = await tx
    .selectFrom("quota_charges as c")
    .innerJoin("requests as r", "r.id", "c.request_id")
    .select("r.id")
    .distinct()
    .where("c.state", "=", "reserved")
    .where("c.expires_at", "<=", act.now)
    .where("r.state", "in", [...undecidedStates])
    .execute();
  for (const { id } of expired) {
    const row = await lockRequest(tx, id);
    await giveBack(tx, act, id);
    await notifyOfRequest(tx, act, "request.expired", row);
    await move(tx, act, row, "withdraw", {
      error: JSON.stringify({ code: "expired", message: `Nobody decided within ${reservationDays} days; the reservation was given back.` }),
    });
  }
  return expired.map((one) => one.id);
}

/** Charges, capacity, proposed resources and open steps of a request that will not be applied. */
export async function giveBack(tx: Tx, act: Act, id: string): Promise<void> {
  await closeSteps(tx, id);
  // What an earlier apply of it made stays made.
  const items = await tx.selectFrom("request_items").selectAll().where("request_id", "=", id).where("state", "in", ["pending", "scheduled"]).execute();
  if (items.length === 0) return;
  await settleCharges(
    tx,
    act,
    items.map((item) => item.id),
    "released",
  );
  const pools = new Map(
    (
      await tx
        .selectFrom("resources")
        .select(["id", "pool_id"])
        .where(
          "id",
          "in",
          items.map((item) => item.resource_id),
        )
        .execute()
    ).map((row) => [row.id, row.pool_id]),
  );
  const { waits } = await tx.selectFrom("requests").select("waits").where("id", "=", id).executeTakeFirstOrThrow();
  // What waits has taken none.
  const submitted = waits ? [] : items.filter((item) => (item.spec as Kept).wanted !== null);
  await moveCapacity(
    tx,
    submitted.flatMap((item) =>
      (item.spec as Kept).charge
        .filter((one) => one.quantity > 0)
        .map((one) => ({ poolId: pools.get(item.resource_id) ?? null, dimension: one.dimension as never, quantity: -one.quantity })),
    ),
  );
  await tx.updateTable("resources").set({ phase: "failed", updated_at: act.now }).where("request_id", "=", id).where("phase", "=", "proposed").execute();
  await tx.updateTable("request_items").set({ state: "cancelled" }).where("request_id", "=", id).where("state", "in", ["pending", "scheduled"]).execute();
}

/** @throws Refusal not-found, precondition-failed */
export async function lockRequest(tx: Tx, id: string, ifMatch?: number): Promise<RequestRow> {
  const row = await tx.selectFrom("requests").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row) throw new Refusal("not-found", `There is no request ${id}.`);
  if (ifMatch !== undefined && row.revision !== ifMatch)
    throw new Refusal("precondition-failed", `The request has revision ${row.revision}, not ${ifMatch}.`, { remedy: "Read it again." });
  return row;
}

/** @throws Refusal conflict when the event is not one of its state */
export function requireFits(row: RequestRow, event: RequestEvent): void {
  const why = whyNot(row.state, event);
  if (why) throw new Refusal("conflict", why);
}

/** The one way in which a request changes its state: checked, audited, told. */
export async function move(
  tx: Tx,
  act: Act,
  row: RequestRow,
  event: RequestEvent,
  change: Partial<Record<"decided_by" | "decision_reason" | "plan" | "plan_hash" | "previous_plan" | "error", string | null>> & {
    decided_at?: Date;
    trial_until?: Date;
    waits?: boolean;
  },
): Promise<RequestRow> {
  requireFits(row, event);
  const state = nextState(row.state, event)!;
  const after = await tx
    .updateTable("requests")
    .set({ ...(change as object), state, updated_at: act.now, revision: row.revision + 1 })
    .where("id", "=", row.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: `request.${event}`,
    subjectKind: "request",
    subjectId: row.id,
    departmentId: row.department_id,
    before: { state: row.state },
    after: { state, ...(change.plan_hash ? { planHash: change.plan_hash } : {}), ...(change.error ? { error: change.error } : {}) },
  });
  await appendEvent(tx, {
    at: act.now,
    departmentId: row.department_id,
    requestId: row.id,
    type: `request.${state}`,
    subjectId: row.id,
    data: { number: row.number, state, error: change.error ?? null },
  });
  const kind = noticeOfEvent[event];
  const told = {
    ...(after.decision_reason === null ? {} : { reason: after.decision_reason }),
    ...(change.trial_until ? { until: change.trial_until.toISOString() } : {}),
  };
  if (kind) await notifyOfRequest(tx, act, kind, after, told);
  return after;
}

/** Request rows with their items, for answers. Secrets are left out. */
export async function itemsOf(db: Db, requestIds: readonly string[]): Promise<Map<string, ItemRow[]>> {
  const found = new Map<string, ItemRow[]>(requestIds.map((id) => [id, []]));
  if (requestIds.length === 0) return found;
  const rows = await db
    .selectFrom("request_items as i")
    .leftJoin("resources as r", "r.id", "i.resource_id")
    // Of a transfer the application itself.
    .leftJoin("applications as a", "a.id", "i.resource_id")
    .selectAll("i")
    .select((of) => [of.fn.coalesce("r.name", "a.name").as("name"), "r.expires_at", "r.phase"])
    .where("i.request_id", "in", [...requestIds])
    .orderBy("i.request_id")
    .orderBy("i.position")
    .execute();
  for (const row of rows) {
    const { name, expires_at, phase, ...item } = row;
    found.get(row.request_id)?.push(shownItem(item, name ?? undefined, phase === "gone" || phase === "failed" ? null : expires_at));
  }
  return found;
}

/** An item as it may be shown. @param name of its resource, where there is one already */
export function shownItem(row: StoredItem, name?: string, expiresAt: Date | null = null): ItemRow {
  const { userData: _secret, ...spec } = (row.spec as Kept).item.spec as { userData?: string; name?: string };
  return { ...row, spec, name: name ?? spec.name ?? "", expires_at: expiresAt };
}
export type ResourceRow = Selectable<Resources>;
