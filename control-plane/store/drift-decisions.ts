/** What becomes of drift by decision: put back as it was applied, taken over by a request, or left as it is. */
import { type Selectable, sql } from "kysely";
import { existence, takenOver, together } from "../domain/drift.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import { createRequests } from "./acceptance.ts";
import type { Act } from "./act.ts";
import type { Tx } from "./database.ts";
import { type DriftRow, tell } from "./drift.ts";
import type { Principal, RequestRow, Seal } from "./requests.ts";
import type { Resources } from "./schema.ts";

interface Found {
  row: DriftRow;
  resource: Selectable<Resources>;
  /** Open findings of the same thing: they are decided on together, for a thing is changed as a whole. */
  all: DriftRow[];
}

/** @throws Refusal not-found, conflict when it is closed, or being done already */
async function decidable(tx: Tx, id: string): Promise<Found> {
  const named = await tx.selectFrom("drift_findings").select("resource_id").where("id", "=", id).executeTakeFirst();
  if (!named) throw notFound("finding", id);
  const resource = await tx.selectFrom("resources").selectAll().where("id", "=", named.resource_id).executeTakeFirstOrThrow();
  const all = await tx
    .selectFrom("drift_findings")
    .selectAll()
    .where("resource_id", "=", resource.id)
    .where("closed_at", "is", null)
    .orderBy("id")
    .forUpdate()
    .execute();
  const row = all.find((one) => one.id === id);
  if (!row) throw new Refusal("conflict", "The finding is closed.");
  const busy = all.find((one) => one.state === "putting-back" || one.state === "adopting");
  if (busy) throw new Refusal("conflict", `${resource.name} is ${busy.state === "adopting" ? "being adopted by a request" : "being put back"} already.`);
  if (resource.phase !== "live") throw new Refusal("conflict", `${resource.name} is ${resource.phase}, not live.`);
  return { row, resource, all };
}

const named = ({ id, name }: Selectable<Resources>) => new Map([[id, name]]);
const change = (tx: Tx, ids: readonly string[], set: object): Promise<DriftRow[]> =>
  tx
    .updateTable("drift_findings")
    .set({ ...set, revision: sql<number>`revision + 1` })
    .where("id", "in", [...ids])
    .returningAll()
    .execute();

/**
 * The thing becomes what it was applied to be again, as a whole, by the department's next apply. What is gone is made anew, without what it held: that takes a second person.
 * @returns whether an apply is to be enqueued
 * @throws Refusal not-found, conflict, rule-broken, second-decision
 */
export async function putBack(
  tx: Tx,
  act: Act,
  principal: Principal,
  id: string,
  ask: { reason: string; acceptLoss: boolean },
): Promise<{ row: DriftRow; begins: boolean }> {
  const { row, resource, all } = await decidable(tx, id);
  const gone = all.find((one) => one.property === existence);
  if (gone && !ask.acceptLoss)
    throw new Refusal("rule-broken", `${resource.name} is gone: it would be made anew, without what it held.`, {
      remedy: "Read what is lost, and say so by acceptLoss; a second person has to agree.",
    });
  if (gone && gone.proposed_by === null) {
    const proposed = await change(tx, [gone.id], { state: "proposed", proposed_by: principal.id, reason: ask.reason, error: null });
    await tell(tx, act, resource.department_id, proposed, named(resource), "drift.put-back-proposed");
    return { row: proposed.find((one) => one.id === id) ?? row, begins: false };
  }
  if (gone && gone.proposed_by === principal.id)
    throw new Refusal("second-decision", "You have proposed it: a second person has to agree that it is made anew.");
  const after = await change(
    tx,
    all.map((one) => one.id),
    { state: "putting-back", decided_by: principal.id, decided_at: act.now, reason: ask.reason, error: null },
  );
  await tell(tx, act, resource.department_id, after, named(resource), "drift.put-back-decided");
  return { row: after.find((one) => one.id === id)!, begins: true };
}

/**
 * What is there becomes what is wanted, by a request under the rules of every other: quota, budget, approvals. All of the thing that can be taken over goes together.
 * @throws Refusal not-found, conflict, rule-broken, and what createRequest throws
 */
export async function adopt(
  tx: Tx,
  act: Act,
  principal: Principal,
  id: string,
  { reason }: { reason: string },
  seal: Seal,
): Promise<{ row: DriftRow; request: RequestRow }> {
  const { row, resource, all } = await decidable(tx, id);
  const able = all.flatMap((one) => {
    const taken = takenOver(one);
    return taken ? [{ one, taken }] : [];
  });
  if (!able.some(({ one }) => one.id === id))
    throw new Refusal(
      "rule-broken",
      row.property === existence ? `${resource.name} is gone: there is nothing to take over.` : `${row.property} cannot be taken over.`,
      {
        remedy: row.property === existence ? "Have it retired by a request, or made anew." : "Put it back, or leave it as it is with a reason.",
      },
    );
  const item = { action: "adopt" as const, kind: resource.kind as "host" | "volume", id: resource.id, spec: together(able.map(({ taken }) => taken)) };
  const body = {
    application: resource.application_id,
    project: resource.project_id,
    title: `采纳漂移 / Adopt drift: ${resource.name}`,
    reason,
    items: [item],
    draft: false,
  };
  const [taken] = await createRequests(tx, [{ act, principal: { id: principal.id, nodes: null }, body }], seal);
  if (taken instanceof Refusal) throw taken;
  const after = await change(
    tx,
    able.map(({ one }) => one.id),
    { state: "adopting", request_id: taken!.row.id, decided_by: principal.id, decided_at: act.now, reason, error: null },
  );
  await tell(tx, act, resource.department_id, after, named(resource), "drift.adopt-proposed");
  return { row: after.find((one) => one.id === id)!, request: taken!.row };
}

/** Stays as it is, with a reason: it is not told of again until it moves. @throws Refusal not-found, conflict */
export async function accept(tx: Tx, act: Act, principal: Principal, id: string, { reason }: { reason: string }): Promise<DriftRow> {
  const { row, resource } = await decidable(tx, id);
  if (row.property === existence) throw new Refusal("rule-broken", `${resource.name} is gone: have it retired, or made anew.`);
  const after = await change(tx, [id], { state: "accepted", decided_by: principal.id, decided_at: act.now, reason, error: null });
  await tell(tx, act, resource.department_id, after, named(resource), "drift.accepted");
  return after[0]!;
}

export interface PutBack {
  name: string;
  anew: boolean;
}

/** What the next apply of a department puts back. */
export async function puttingBack(tx: Tx, departmentId: string): Promise<PutBack[]> {
  const { rows } = await sql<PutBack>`
    select f.resource_id as name, bool_or(f.property = ${existence}) as anew from drift_findings f join resources r on r.id = f.resource_id
    where f.department_id = ${departmentId} and f.state = 'putting-back' and r.phase = 'live' group by 1 order by 1`.execute(tx);
  return rows;
}

/** Closes what an `up` has put back; what it could not is open again, with the reason. @param errorOf undefined: it was done */
export async function settlePutBack(
  tx: Tx,
  act: Act,
  departmentId: string,
  names: readonly string[],
  errorOf: (name: string) => string | undefined,
): Promise<void> {
  if (names.length === 0) return;
  const rows = await tx
    .selectFrom("drift_findings")
    .selectAll()
    .where("department_id", "=", departmentId)
    .where("state", "=", "putting-back")
    .where("resource_id", "in", [...names])
    .forUpdate()
    .execute();
  const resources = await tx
    .selectFrom("resources")
    .select(["id", "name"])
    .where("id", "in", [...names])
    .execute();
  const called = new Map(resources.map((one) => [one.id, one.name]));
  for (const row of rows) {
    const error = errorOf(row.resource_id);
    const set =
      error === undefined
        ? { state: "put-back" as const, closed_at: act.now }
        : { state: "open" as const, error, proposed_by: null, decided_by: null, decided_at: null };
    await tell(tx, act, departmentId, await change(tx, [row.id], set), called, error === undefined ? "drift.put-back" : "drift.put-back-failed");
  }
}

/** Follows the requests by which drift is adopted: done, or open again. */
export async function settleAdoptions(tx: Tx, act: Act): Promise<number> {
  const rows = await tx
    .selectFrom("drift_findings as f")
    .innerJoin("requests as q", "q.id", "f.request_id")
    .innerJoin("resources as r", "r.id", "f.resource_id")
    .innerJoin("request_items as i", (join) => join.onRef("i.request_id", "=", "q.id").onRef("i.resource_id", "=", "f.resource_id"))
    .select(["f.id", "f.department_id", "r.id as resource_id", "r.name", "i.state"])
    .where("f.state", "=", "adopting")
    .where("i.state", "in", ["active", "failed", "cancelled"])
    .forUpdate("f")
    .execute();
  for (const { id, department_id, resource_id, name, state } of rows) {
    const set =
      state === "active"
        ? { state: "adopted" as const, closed_at: act.now }
        : { state: "open" as const, error: "The request was not granted, or could not be done.", decided_by: null, decided_at: null };
    await tell(
      tx,
      act,
      department_id,
      await change(tx, [id], set),
      new Map([[resource_id, name]]),
      state === "active" ? "drift.adopted" : "drift.adopt-refused",
    );
  }
  return rows.length;
}
