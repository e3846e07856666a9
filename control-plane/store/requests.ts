/** Requests (申请) from their change plan to the decision; acceptance.ts takes them in, estates.ts applies them. */
import { sql, type Selectable } from "kysely";
import type { ChangePlan, Item } from "../contract/requests.ts";
import { digestOf } from "../domain/digest.ts";
import { nextState, type RequestEvent, whyNot } from "../domain/lifecycle.ts";
import { grows, type Proposal } from "../domain/proposals.ts";
import { Refusal } from "../domain/refusal.ts";
import { sumByDimension } from "../domain/resources.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { bindApproval, specificationsOf } from "./approvals.ts";
import { appendEvent } from "./events.ts";
import { requireFunds } from "./fund-charges.ts";
import { moveCapacity } from "./proposing.ts";
import { settleCharges } from "./quotas.ts";
import type { RequestItems, Requests, Resources } from "./schema.ts";

export type RequestRow = Selectable<Requests>;
export type StoredItem = Selectable<RequestItems>;
export type ItemRow = StoredItem & { name: string };
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
  expiresAt: string | null;
  wanted: unknown;
  charge: { dimension: string; quantity: number }[];
}

/** The change plan's steps, or why it could not be made. Approval is bound to its hash. */
export async function recordPlan(
  tx: Tx,
  act: Act,
  id: string,
  plan: { steps: ChangePlan["steps"] } | { error: { code: string; message: string } },
): Promise<RequestRow> {
  const row = await lockRequest(tx, id);
  if (row.state !== "submitted") return row;
  if ("error" in plan) {
    await giveBack(tx, act, id);
    return move(tx, act, row, "fail", { error: JSON.stringify(plan.error) });
  }
  const items = await tx.selectFrom("request_items").selectAll().where("request_id", "=", id).orderBy("position").execute();
  const pools = new Map((await tx.selectFrom("pools").select(["id", "code"]).execute()).map((pool) => [pool.id, pool.code]));
  const placed = await tx.selectFrom("resources").select(["id", "pool_id"]).where("request_id", "=", id).execute();
  const content = {
    steps: plan.steps,
    specifications: specificationsOf(items),
    cost: row.cost as ChangePlan["cost"],
    charge: sumByDimension(items.flatMap((item) => (item.spec as Kept).charge as ChangePlan["charge"])),
    placement: placed.flatMap((one) => {
      const pool = one.pool_id === null ? undefined : pools.get(one.pool_id);
      const reason = (items.find((item) => item.resource_id === one.id)?.spec as Kept | undefined)?.placement ?? "";
      return pool ? [{ resource: one.id, pool, reason }] : [];
    }),
  };
  const hash = digestOf(content);
  return move(tx, act, row, "plan", { plan: JSON.stringify({ ...content, hash, computedAt: act.now.toISOString() }), plan_hash: hash });
}

/** @throws Refusal self-approval, plan-changed, precondition-failed, conflict, project-not-approved, budget-exceeded */
export async function approve(
  tx: Tx,
  act: Act,
  principal: Principal,
  id: string,
  body: { planHash: string; reason: string },
  ifMatch?: number,
): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  requireOther(row, principal);
  requireFits(row, "approve");
  if (row.plan_hash !== body.planHash)
    throw new Refusal("plan-changed", `The change plan is now ${row.plan_hash}.`, { remedy: "Read the request again and look at its plan." });
  const all = await tx.selectFrom("request_items").selectAll().where("request_id", "=", id).orderBy("position").execute();
  const specifications = specificationsOf(all);
  if (digestOf(specifications) !== digestOf((row.plan as ChangePlan).specifications ?? []))
    throw new Refusal("plan-changed", "What the request asks for is not what was planned.", { remedy: "Reject it, and look into the audit." });
  await tx.updateTable("resources").set({ phase: "wanted", updated_at: act.now }).where("request_id", "=", id).where("phase", "=", "proposed").execute();
  const items = await tx
    .selectFrom("request_items")
    .selectAll()
    .where("request_id", "=", id)
    .where("action", "<>", "create")
    .where("state", "=", "pending")
    .execute();
  await requireUnused(
    tx,
    row.application_id,
    items.filter((item) => item.action === "retire").map((item) => item.resource_id),
  );
  for (const item of items) {
    const { wanted, expiresAt } = item.spec as Kept;
    const change =
      item.action === "retire"
        ? { phase: "retiring" as const }
        : item.action === "extend"
          ? { expires_at: new Date(expiresAt!) }
          : { wanted: JSON.stringify(wanted) };
    await tx
      .updateTable("resources")
      .set({ ...change, updated_at: act.now, revision: sql<number>`revision + 1` })
      .where("id", "=", item.resource_id)
      .execute();
  }
  if (all.some(growing)) await requireFunds(tx, act, id, row.project_id);
  await bindApproval(tx, id, specifications);
  return move(tx, act, row, "approve", { decided_by: principal.id, decided_at: act.now, decision_reason: body.reason });
}

/** Whether an open item makes something new or takes more: what a project's stage, year and budget may block. */
export const growing = (item: Pick<StoredItem, "spec" | "state">): boolean =>
  (item.state === "pending" || item.state === "applying") &&
  grows({ action: (item.spec as Kept).item.action, charge: (item.spec as Kept).charge as Proposal["charge"] });

/** @throws Refusal conflict when something was attached to, or is to be backed up from, what is to be retired since that was asked for */
async function requireUnused(tx: Tx, applicationId: string, retiring: readonly string[]): Promise<void> {
  if (retiring.length === 0) return;
  await tx.selectFrom("applications").select("id").where("id", "=", applicationId).forNoKeyUpdate().execute();
  const users = await tx
    .selectFrom("resources")
    .select(["id", "kind", "name"])
    .where("kind", "in", ["attachment", "backup-policy"])
    .where("phase", "in", ["proposed", "wanted", "live"])
    .where("id", "not in", [...retiring])
    .where((where) => where.or([where(sql<string>`wanted->>'volume'`, "in", [...retiring]), where(sql<string>`wanted->>'host'`, "in", [...retiring])]))
    .execute();
  if (users.length > 0)
    throw new Refusal("conflict", `Meanwhile used by ${users.map((one) => `${one.kind} ${one.name} (${one.id})`).join(", ")}.`, {
      remedy: "Reject this request; ask to retire these too.",
    });
}

export async function reject(tx: Tx, act: Act, principal: Principal, id: string, reason: string, ifMatch?: number): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  requireOther(row, principal);
  requireFits(row, "reject");
  await giveBack(tx, act, id);
  return move(tx, act, row, "reject", { decided_by: principal.id, decided_at: act.now, decision_reason: reason });
}

export async function withdraw(tx: Tx, act: Act, id: string, ifMatch?: number): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  requireFits(row, "withdraw");
  await giveBack(tx, act, id);
  return move(tx, act, row, "withdraw", {});
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
    .where("r.state", "in", ["submitted", "planned"])
    .execute();
  for (const { id } of expired) {
    const row = await lockRequest(tx, id);
    await giveBack(tx, act, id);
    await move(tx, act, row, "withdraw", {
      error: JSON.stringify({ code: "expired", message: `Nobody decided within ${reservationDays} days; the reservation was given back.` }),
    });
  }
  return expired.map((one) => one.id);
}

/** Charges, capacity and proposed resources of a request that will not be applied. */
async function giveBack(tx: Tx, act: Act, id: string): Promise<void> {
  // What an earlier apply of it made stays made.
  const items = await tx.selectFrom("request_items").selectAll().where("request_id", "=", id).where("state", "=", "pending").execute();
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
  const submitted = items.filter((item) => (item.spec as Kept).wanted !== null);
  await moveCapacity(
    tx,
    submitted.flatMap((item) =>
      (item.spec as Kept).charge
        .filter((one) => one.quantity > 0)
        .map((one) => ({ poolId: pools.get(item.resource_id) ?? null, dimension: one.dimension as never, quantity: -one.quantity })),
    ),
  );
  await tx.updateTable("resources").set({ phase: "failed", updated_at: act.now }).where("request_id", "=", id).where("phase", "=", "proposed").execute();
  await tx.updateTable("request_items").set({ state: "cancelled" }).where("request_id", "=", id).where("state", "=", "pending").execute();
}

/** @throws Refusal not-found, precondition-failed */
export async function lockRequest(tx: Tx, id: string, ifMatch?: number): Promise<RequestRow> {
  const row = await tx.selectFrom("requests").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row) throw new Refusal("not-found", `There is no request ${id}.`);
  if (ifMatch !== undefined && row.revision !== ifMatch)
    throw new Refusal("precondition-failed", `The request has revision ${row.revision}, not ${ifMatch}.`, { remedy: "Read it again." });
  return row;
}

/** @throws Refusal self-approval: neither who wrote a request nor who submitted it decides on it */
function requireOther(row: RequestRow, principal: Principal): void {
  if (principal.id === row.requested_by || principal.id === row.submitted_by)
    throw new Refusal("self-approval", "This request is your own: somebody else decides on it.");
}

function requireFits(row: RequestRow, event: RequestEvent): void {
  const why = whyNot(row.state, event);
  if (why) throw new Refusal("conflict", why);
}

/** The one way in which a request changes its state: checked, audited, told. */
export async function move(
  tx: Tx,
  act: Act,
  row: RequestRow,
  event: RequestEvent,
  change: Partial<Record<"decided_by" | "decision_reason" | "plan" | "plan_hash" | "error", string | null>> & { decided_at?: Date },
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
  return after;
}

/** Request rows with their items, for answers. Secrets are left out. */
export async function itemsOf(db: Db, requestIds: readonly string[]): Promise<Map<string, ItemRow[]>> {
  const found = new Map<string, ItemRow[]>(requestIds.map((id) => [id, []]));
  if (requestIds.length === 0) return found;
  const rows = await db
    .selectFrom("request_items as i")
    .leftJoin("resources as r", "r.id", "i.resource_id")
    .selectAll("i")
    .select("r.name")
    .where("i.request_id", "in", [...requestIds])
    .orderBy("i.request_id")
    .orderBy("i.position")
    .execute();
  for (const row of rows) {
    found.get(row.request_id)?.push(shownItem(row, row.name ?? undefined));
  }
  return found;
}

/** An item as it may be shown. @param name of its resource, where there is one already */
export function shownItem(row: StoredItem, name?: string): ItemRow {
  const { userData: _secret, ...spec } = (row.spec as Kept).item.spec as { userData?: string; name?: string };
  return { ...row, spec, name: name ?? spec.name ?? "" };
}
export type ResourceRow = Selectable<Resources>;
