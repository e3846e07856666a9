/** Requests (申请) from draft to decision; estates.ts applies them. */
import { sql, type Selectable } from "kysely";
import type { ChangePlan, Item, NewRequest } from "../contract/requests.ts";
import { digestOf } from "../domain/digest.ts";
import { nextState, type RequestEvent, whyNot } from "../domain/lifecycle.ts";
import { Refusal } from "../domain/refusal.ts";
import { sumByDimension } from "../domain/resources.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvent } from "./events.ts";
import { newId } from "./ids.ts";
import { proposeFor, requireApproved, sealed, takeCapacity } from "./proposing.ts";
import { reserve, settleCharges } from "./quotas.ts";
import type { Applications, Projects, RequestItems, Requests, Resources } from "./schema.ts";

export type RequestRow = Selectable<Requests>;
export type ItemRow = Selectable<RequestItems> & { name: string };
export interface Principal {
  tokenId: string;
  role: string;
  departmentId: string | null;
}
export type Seal = (context: string, text: string) => string;

/** A reservation that nobody applied is given back after this long. */
const reservationDays = 30;

/** What an item row keeps: the item as asked for (its secret sealed) and its placement. */
interface Kept {
  item: Item;
  placement: string | null;
  expiresAt: string | null;
  wanted: unknown;
  charge: { dimension: string; quantity: number }[];
}

/** Application and project that a request names. @throws Refusal not-found for what is not there or not visible */
async function resolve(db: Db, principal: Principal, body: Pick<NewRequest, "application" | "project" | "department">) {
  const seen = principal.departmentId;
  let query = db
    .selectFrom("applications as a")
    .innerJoin("departments as d", "d.id", "a.department_id")
    .selectAll("a")
    .where((where) => where.or([where("a.id", "=", body.application), where("a.code", "=", body.application)]));
  if (body.department !== undefined) query = query.where((where) => where.or([where("d.id", "=", body.department!), where("d.code", "=", body.department!)]));
  if (seen !== null)
    query = query.where("a.department_id", "in", (from) => from.selectFrom("department_ancestors").select("department_id").where("ancestor_id", "=", seen));
  // The application's lock: names, attachments and changes under way are looked at by one submission at a time.
  const applications = await query.limit(2).forNoKeyUpdate("a").execute();
  const application = applications[0];
  if (!application)
    throw new Refusal("not-found", `There is no application ${body.application} that you may see.`, {
      errors: [{ pointer: "/application", detail: "no such application" }],
    });
  if (applications.length > 1)
    throw new Refusal("invalid-body", `Several departments have an application ${body.application}: name the department.`, {
      errors: [{ pointer: "/department", detail: "needed here" }],
    });
  const project = await db
    .selectFrom("projects")
    .selectAll()
    .where("department_id", "=", application.department_id)
    .where((where) => where.or([where("id", "=", body.project), where("code", "=", body.project)]))
    .executeTakeFirst();
  if (!project)
    throw new Refusal("not-found", `The application's department has no project ${body.project}.`, {
      errors: [{ pointer: "/project", detail: "no such project" }],
    });
  return { application, project };
}

/**
 * Makes a request: a draft, or submitted at once.
 * @throws Refusal not-found, invalid-body, project-not-approved, quota-exceeded
 */
export async function createRequest(tx: Tx, act: Act, principal: Principal, body: NewRequest, seal: Seal): Promise<RequestRow> {
  const { application, project } = await resolve(tx, principal, body);
  const { rows } = await sql<{ n: number }>`select nextval('request_numbers') as n`.execute(tx);
  const id = newId("req", act.now);
  const row = {
    id,
    number: `${act.now.getUTCFullYear()}-${String(rows[0]?.n ?? 0).padStart(6, "0")}`,
    department_id: application.department_id,
    project_id: project.id,
    application_id: application.id,
    state: "draft" as const,
    title: body.title,
    reason: body.reason,
    requested_by: act.actor,
    created_at: act.now,
    updated_at: act.now,
  };
  const made = await tx.insertInto("requests").values(row).returningAll().executeTakeFirstOrThrow();
  const items = await tx
    .insertInto("request_items")
    .values(
      body.items.map((item, position) => ({
        id: newId("itm", act.now),
        request_id: id,
        position,
        action: item.action,
        kind: item.kind,
        resource_id: "id" in item ? item.id : "",
        state: "pending" as const,
        spec: JSON.stringify({ item: sealItem(item, `${id}/${position}`, seal), placement: null, expiresAt: null, wanted: null, charge: [] } satisfies Kept),
      })),
    )
    .returning(["id", "position", "spec"])
    .execute();
  await appendAudit(tx, act, {
    action: "request.create",
    subjectKind: "request",
    subjectId: id,
    departmentId: row.department_id,
    after: { number: row.number, title: row.title, items: body.items.length },
  });
  return body.draft ? made : submit(tx, act, made, { application, project, rows: items, items: body.items }, seal);
}

/** @throws Refusal conflict when it is no draft, and what createRequest throws */
export async function submitRequest(tx: Tx, act: Act, id: string, seal: Seal, unseal: Seal, ifMatch?: number): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  return submit(tx, act, row, await readAsked(tx, row, unseal), seal);
}

/** What is looked at to submit a request. */
interface Asked {
  application: Selectable<Applications>;
  project: Selectable<Projects>;
  rows: readonly { id: string; position: number; spec: unknown }[];
  /** As asked for, secrets open. */
  items: readonly Item[];
}

/** Locks the application, as `resolve` does. */
async function readAsked(tx: Tx, row: RequestRow, unseal: Seal): Promise<Asked> {
  const application = await tx.selectFrom("applications").selectAll().where("id", "=", row.application_id).forNoKeyUpdate().executeTakeFirstOrThrow();
  const project = await tx.selectFrom("projects").selectAll().where("id", "=", row.project_id).executeTakeFirstOrThrow();
  const rows = await tx.selectFrom("request_items").select(["id", "position", "spec"]).where("request_id", "=", row.id).orderBy("position").execute();
  return { application, project, rows, items: rows.map((item) => unsealItem((item.spec as Kept).item, `${row.id}/${item.position}`, unseal)) };
}

/** Charges first, then the place: where the place is gone by then, another is looked for, and the request waits when there is none. */
async function submit(tx: Tx, act: Act, row: RequestRow, { application, project, rows, items }: Asked, seal: Seal): Promise<RequestRow> {
  requireApproved(project);
  const wait = (shortages: readonly string[]) =>
    move(tx, act, row, "shortage", { requested_by: act.actor, error: JSON.stringify({ code: "capacity", message: shortages.join("; ") }) });
  let proposals = await proposeFor(tx, act, application, items);
  if (proposals.shortages.length > 0) return wait(proposals.shortages);
  const itemAt = new Map(rows.map((item) => [item.position, item]));
  const asked = (one: (typeof proposals.items)[number]) => one.charge.filter((charge) => charge.quantity > 0);
  const reserveFor = async () =>
    reserve(tx, act, {
      departmentId: row.department_id,
      requestId: row.id,
      expiresAt: new Date(act.now.getTime() + reservationDays * 86_400_000),
      charges: proposals.items.flatMap((one) => asked(one).map((charge) => ({ ...charge, resourceId: one.resourceId, itemId: itemAt.get(one.position)!.id }))),
    });
  await reserveFor();
  while (
    !(await takeCapacity(
      tx,
      proposals.items.flatMap((one) => asked(one).map((charge) => ({ ...charge, poolId: one.poolId }))),
    ))
  ) {
    await settleCharges(
      tx,
      act,
      rows.map((item) => item.id),
      "released",
    );
    proposals = await proposeFor(tx, act, application, items);
    if (proposals.shortages.length > 0) return wait(proposals.shortages);
    await reserveFor();
  }
  const creates = proposals.items.filter((one) => one.action === "create");
  if (creates.length > 0) {
    await tx
      .insertInto("resources")
      .values(
        creates.map((one) => ({
          id: one.resourceId,
          kind: one.kind,
          department_id: row.department_id,
          project_id: row.project_id,
          application_id: row.application_id,
          pool_id: one.poolId,
          name: one.name,
          phase: "proposed" as const,
          wanted: JSON.stringify(sealed(one.wanted, one.kind, seal)),
          request_id: row.id,
          created_at: act.now,
          updated_at: act.now,
          expires_at: one.expiresAt ? new Date(one.expiresAt) : null,
        })),
      )
      .execute();
  }
  const kept = proposals.items.map((one) => {
    const before = itemAt.get(one.position)!;
    const spec: Kept = {
      ...(before.spec as Kept),
      placement: one.placement,
      expiresAt: one.expiresAt,
      wanted: sealed(one.wanted, one.kind, seal),
      charge: one.charge,
    };
    return { id: before.id, resource: one.resourceId, spec: JSON.stringify(spec) };
  });
  await sql`update request_items i set resource_id = w.resource, spec = w.spec::jsonb from unnest(${sql.val(kept.map((one) => one.id))}::text[], ${sql.val(kept.map((one) => one.resource))}::text[], ${sql.val(kept.map((one) => one.spec))}::text[]) as w(id, resource, spec) where i.id = w.id`.execute(
    tx,
  );
  return move(tx, act, row, row.state === "waiting" ? "capacity" : "submit", {
    requested_by: row.state === "waiting" ? row.requested_by : act.actor,
    error: null,
  });
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

/** @throws Refusal self-approval, plan-changed, precondition-failed, conflict, project-not-approved */
export async function approve(
  tx: Tx,
  act: Act,
  principal: Principal,
  id: string,
  body: { planHash: string; reason: string },
  ifMatch?: number,
): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  if (row.requested_by === principal.tokenId) throw new Refusal("self-approval", "You submitted this request yourself: somebody else decides on it.");
  requireFits(row, "approve");
  if (row.plan_hash !== body.planHash)
    throw new Refusal("plan-changed", `The change plan is now ${row.plan_hash}.`, { remedy: "Read the request again and look at its plan." });
  requireApproved(await tx.selectFrom("projects").selectAll().where("id", "=", row.project_id).executeTakeFirstOrThrow());
  await tx.updateTable("resources").set({ phase: "wanted", updated_at: act.now }).where("request_id", "=", id).where("phase", "=", "proposed").execute();
  const items = await tx.selectFrom("request_items").selectAll().where("request_id", "=", id).where("action", "<>", "create").execute();
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
  return move(tx, act, row, "approve", { decided_by: principal.tokenId, decided_at: act.now, decision_reason: body.reason });
}

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
  if (row.requested_by === principal.tokenId) throw new Refusal("self-approval", "You submitted this request yourself: somebody else decides on it.");
  requireFits(row, "reject");
  await giveBack(tx, act, id);
  return move(tx, act, row, "reject", { decided_by: principal.tokenId, decided_at: act.now, decision_reason: reason });
}

export async function withdraw(tx: Tx, act: Act, id: string, ifMatch?: number): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  requireFits(row, "withdraw");
  await giveBack(tx, act, id);
  return move(tx, act, row, "withdraw", {});
}

/** Requests that wait for capacity and fit now are submitted again. Returns those that were. */
export async function retryWaiting(tx: Tx, act: Act, seal: Seal, unseal: Seal): Promise<string[]> {
  const waiting = await tx.selectFrom("requests").select("id").where("state", "=", "waiting").orderBy("id").limit(50).execute();
  const moved: string[] = [];
  for (const { id } of waiting) {
    const row = await lockRequest(tx, id);
    if (row.state !== "waiting") continue;
    const asked = await readAsked(tx, row, unseal);
    await sql`savepoint waiting`.execute(tx);
    try {
      const after = await submit(tx, act, row, asked, seal);
      if (after.state === "submitted") moved.push(id);
      else await sql`rollback to savepoint waiting`.execute(tx);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      // Its quota or its project no longer allow it: it goes on waiting, says why, and keeps no other from its place.
      await sql`rollback to savepoint waiting`.execute(tx);
      await tx
        .updateTable("requests")
        .set({ error: JSON.stringify({ code: error.code, message: error.detail }) })
        .where("id", "=", id)
        .execute();
    }
  }
  return moved;
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
  const items = await tx.selectFrom("request_items").selectAll().where("request_id", "=", id).execute();
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
  await takeCapacity(
    tx,
    submitted.flatMap((item) =>
      (item.spec as Kept).charge
        .filter((one) => one.quantity > 0)
        .map((one) => ({ poolId: pools.get(item.resource_id) ?? null, dimension: one.dimension as never, quantity: -one.quantity })),
    ),
  );
  await tx.updateTable("resources").set({ phase: "failed", updated_at: act.now }).where("request_id", "=", id).where("phase", "=", "proposed").execute();
  await tx.updateTable("request_items").set({ state: "cancelled" }).where("request_id", "=", id).execute();
}

/** @throws Refusal not-found, precondition-failed */
async function lockRequest(tx: Tx, id: string, ifMatch?: number): Promise<RequestRow> {
  const row = await tx.selectFrom("requests").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row) throw new Refusal("not-found", `There is no request ${id}.`);
  if (ifMatch !== undefined && row.revision !== ifMatch)
    throw new Refusal("precondition-failed", `The request has revision ${row.revision}, not ${ifMatch}.`, { remedy: "Read it again." });
  return row;
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
  change: Partial<Record<"requested_by" | "decided_by" | "decision_reason" | "plan" | "plan_hash" | "error", string | null>> & { decided_at?: Date },
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

function sealItem(item: Item, context: string, seal: Seal): Item {
  if (item.action !== "create" || item.kind !== "host" || item.spec.userData === undefined) return item;
  return { ...item, spec: { ...item.spec, userData: seal(context, item.spec.userData) } };
}
const unsealItem = (item: Item, context: string, unseal: Seal): Item => sealItem(item, context, unseal);

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
    const { userData: _secret, ...spec } = (row.spec as Kept).item.spec as { userData?: string; name?: string };
    found.get(row.request_id)?.push({ ...row, spec, name: row.name ?? spec.name ?? "" });
  }
  return found;
}
export type ResourceRow = Selectable<Resources>;
