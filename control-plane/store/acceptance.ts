/**
 * Taking requests in (受理): new ones, and drafts; one or many in a transaction.
 * What they need is read once under its locks, each is decided in memory after those before it, and all is written at the end.
 */
import { sql } from "kysely";
import type { SpecKind } from "../../infra/spec.ts";
import type { Amendment, Item, NewRequest } from "../contract/requests.ts";
import { differingPaths } from "../domain/difference.ts";
import type { PoolView } from "../domain/placement.ts";
import { type Proposals, propose } from "../domain/proposals.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { invalidateSteps } from "./approval-steps.ts";
import { appendAudit, appendAuditsOf } from "./audit.ts";
import { readAllPassing, readBooks } from "./books.ts";
import { type Ask, type Candidate, candidateOf, findSubjects, prefixes, standing, storedItems } from "./candidates.ts";
import type { Tx } from "./database.ts";
import { appendEvents } from "./events.ts";
import { writeFundReservations } from "./fund-charges.ts";
import { newId } from "./ids.ts";
import { readMembers } from "./members.ts";
import { moveCapacity, readBackups, readCatalogue, readHeld } from "./proposing.ts";
import { writeReservations } from "./quotas.ts";
import {
  giveBack,
  type ItemRow,
  lockRequest,
  type Principal,
  type RequestRow,
  requireApplicants,
  reservationDays,
  type Seal,
  shownItem,
  type StoredItem,
} from "./requests.ts";
import { requireAgreeing } from "./restarts.ts";
import { insertRows } from "./rows.ts";
import { transferOf } from "./transferring.ts";
import { asDraft, decide, decidePassing, type Decision } from "./verdicts.ts";

/** A request as it was taken in, with its items for the answer. */
export interface Taken {
  row: RequestRow;
  items: ItemRow[];
}

/** One request. @throws Refusal not-found, invalid-body, conflict, project-not-approved, no-price-book, budget-exceeded, quota-exceeded */
export async function createRequest(tx: Tx, act: Act, principal: Principal, body: NewRequest, seal: Seal): Promise<RequestRow> {
  const [taken] = await createRequests(tx, [{ act, principal, body }], seal);
  if (taken instanceof Refusal) throw taken;
  return taken!.row;
}

/** Many requests, each taken in or refused by itself, those before it counted. Answers in the order of the asks. */
export async function createRequests(tx: Tx, asks: readonly Ask[], seal: Seal): Promise<(Taken | Refusal)[]> {
  const subjects = await findSubjects(tx, asks);
  for (const [index, { act, body }] of asks.entries()) {
    const subject = subjects[index]!;
    if (!(subject instanceof Refusal)) subjects[index] = (await disagreement(tx, act, subject.application.department_id, body.items)) ?? subject;
  }
  const { rows: numbers } = await sql<{ n: number }>`select nextval('request_numbers') as n from generate_series(1, ${asks.length})`.execute(tx);
  return take(
    tx,
    asks.map((ask, index) => {
      const subject = subjects[index]!;
      return subject instanceof Refusal ? subject : candidateOf(ask, subject, numbers[index]!.n, seal);
    }),
    seal,
  );
}

/** Why who asks may not say when a host is restarted; undefined: they may, or don't. */
async function disagreement(tx: Tx, act: Act, departmentId: string, items: readonly Item[]): Promise<Refusal | undefined> {
  const times = items.flatMap((item, position) =>
    item.action === "resize" && item.spec.restart ? [{ pointer: `/items/${position}/spec/restart`, time: item.spec.restart }] : [],
  );
  return requireAgreeing(tx, act, departmentId, times).then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof Refusal) return error;
      throw error;
    },
  );
}

/** @throws Refusal conflict when it is no draft, and what createRequest throws */
export async function submitRequest(tx: Tx, act: Act, id: string, seal: Seal, unseal: Seal): Promise<RequestRow> {
  const row = await lockRequest(tx, id);
  if (row.state === "needs-information") throw new Refusal("conflict", "Its approver asked something.", { remedy: "Answer, or amend the request." });
  const [taken] = await take(tx, [await standing(tx, act, row, unseal)], seal);
  if (taken instanceof Refusal) throw taken;
  return taken!.row;
}

/**
 * Changes what an approver asked about, and submits it anew: what it had reserved is given back, and it is decided on from the first approver.
 * @throws Refusal conflict when nobody asked, or a part of it has been made already; and what createRequest throws
 */
export async function amendRequest(
  tx: Tx,
  act: Act,
  id: string,
  body: Amendment,
  seal: Seal,
  unseal: Seal,
): Promise<{ row: RequestRow; differences: string[] }> {
  const row = await lockRequest(tx, id);
  requireApplicants(row);
  if (row.state !== "needs-information") throw new Refusal("conflict", `The request is ${row.state}: it is amended when an approver has asked something.`);
  const before = await tx.selectFrom("request_items").selectAll().where("request_id", "=", id).orderBy("position").execute();
  if (before.some((item) => item.state !== "pending"))
    throw new Refusal("conflict", "A part of the request has been made already.", { remedy: "Answer instead, or withdraw it and ask for the rest anew." });
  await invalidateSteps(tx, act, row, "The applicant changed the request.");
  await giveBack(tx, act, id);
  await tx.deleteFrom("request_items").where("request_id", "=", id).execute();
  const disagreed = await disagreement(tx, act, row.department_id, body.items);
  if (disagreed) throw disagreed;
  const stored = storedItems(id, body.items, act, seal);
  await insertRows(tx, "request_items", stored);
  const shown = (items: readonly StoredItem[]) => items.map((item) => ({ action: item.action, kind: item.kind, spec: shownItem(item).spec }));
  const differences = differingPaths(Object.assign({}, shown(before)), Object.assign({}, shown(stored)), "items");
  const changed = await tx
    .updateTable("requests")
    .set({
      title: body.title ?? row.title,
      reason: body.reason ?? row.reason,
      plan: null,
      plan_hash: null,
      ...(row.plan === null ? {} : { previous_plan: JSON.stringify(row.plan) }),
    })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "request.amend",
    subjectKind: "request",
    subjectId: id,
    departmentId: row.department_id,
    before: { title: row.title, items: shown(before) },
    after: { title: changed.title, items: shown(stored) },
  });
  const [taken] = await take(tx, [await standing(tx, act, changed, unseal)], seal);
  if (taken instanceof Refusal) throw taken;
  return { row: taken!.row, differences };
}

/** Requests that waited before plans were made first: submitted now. Those that can't be go on waiting and say why. */
export async function submitUnplanned(tx: Tx, act: Act, seal: Seal, unseal: Seal): Promise<RequestRow[]> {
  const waiting = await tx
    .selectFrom("requests")
    .selectAll()
    .where("state", "=", "waiting")
    .where("decided_at", "is", null)
    .orderBy("id")
    .limit(50)
    .forUpdate()
    .execute();
  const candidates: Candidate[] = [];
  for (const row of waiting) candidates.push(await standing(tx, act, row, unseal));
  const moved: RequestRow[] = [];
  for (const [index, outcome] of (await take(tx, candidates, seal)).entries()) {
    if (!(outcome instanceof Refusal)) moved.push(outcome.row);
    else {
      const error = JSON.stringify({ code: outcome.code, message: outcome.detail });
      await tx.updateTable("requests").set({ error }).where("id", "=", waiting[index]!.id).execute();
    }
  }
  return moved;
}

/**
 * Where a request that waits would go now: its items proposed once more, with their resources' ids, among these pools.
 * @throws Refusal when it can't be had any more as it was asked for
 */
export async function placedAnew(tx: Tx, act: Act, row: RequestRow, pools: readonly PoolView[], unseal: Seal): Promise<Proposals> {
  const { application, items, stored } = await standing(tx, act, row, unseal);
  const backups = (await readBackups(tx, items))(row.department_id);
  const own = new Set(stored.map((item) => item.resource_id));
  const held = (await readHeld(tx, [application.id], items))
    .get(application.id)!
    .filter((one) => !(one.phase === "proposed" && own.has(one.id)))
    .map((one) => (one.changedBy === row.number ? { ...one, changedBy: null } : one));
  const made = stored.filter((item) => item.action === "create").map((item) => item.resource_id);
  return propose(items, {
    ...(await readCatalogue(tx)),
    pools,
    members: await readMembers(tx, pools, [application]),
    application,
    held,
    backups,
    newId: (kind: SpecKind) => made.shift() ?? newId(prefixes[kind], act.now),
  });
}

async function take(tx: Tx, candidates: readonly (Candidate | Refusal)[], seal: Seal): Promise<(Taken | Refusal)[]> {
  const submitted = candidates.filter((one) => !(one instanceof Refusal) && one.submit).map((one) => one as Candidate);
  const passing = await readAllPassing(tx, submitted);
  const books = await readBooks(tx, submitted, passing);
  const decisions = candidates.map((candidate) => {
    if (candidate instanceof Refusal) return candidate;
    try {
      if (!candidate.submit) return asDraft(candidate);
      return transferOf(candidate.items) ? decidePassing(candidate, books) : decide(candidate, books, seal);
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
  });
  await write(
    tx,
    decisions.filter((one): one is Decision => !(one instanceof Refusal)),
  );
  return decisions.map((one) => (one instanceof Refusal ? one : { row: one.row, items: one.stored.map((item, index) => shownItem(item, one.names[index])) }));
}

async function write(tx: Tx, decisions: readonly Decision[]): Promise<void> {
  const first = decisions[0];
  if (!first) return;
  await insertRows(
    tx,
    "requests",
    decisions.map((one) => one.row),
    ["state", "error", "waits", "submitted_by", "authors", "cost", "to_department_id", "to_project_id", "revision", "updated_at"],
  );
  await insertRows(
    tx,
    "request_items",
    decisions.flatMap((one) => one.stored),
    ["resource_id", "spec"],
  );
  await insertRows(
    tx,
    "resources",
    decisions.flatMap((one) => one.resources),
  );
  await writeReservations(
    tx,
    first.act,
    decisions.flatMap((one) => one.charges),
    new Date(first.act.now.getTime() + reservationDays * 86_400_000),
  );
  await writeFundReservations(
    tx,
    decisions.flatMap((one) => one.costs),
  );
  await moveCapacity(
    tx,
    decisions.flatMap((one) => one.takes),
  );
  await appendAuditsOf(
    tx,
    decisions.flatMap(({ act, audits }) => audits.map((subject) => ({ act, subject }))),
  );
  await appendEvents(
    tx,
    decisions
      .filter(({ row }) => row.state !== "draft")
      .map(({ act, row }) => ({
        at: act.now,
        departmentId: row.department_id,
        requestId: row.id,
        type: `request.${row.state}`,
        subjectId: row.id,
        data: { number: row.number, state: row.state, error: row.error === null ? null : JSON.stringify(row.error) },
      })),
  );
  await appendEvents(
    tx,
    decisions.flatMap(({ act, row, warnings }) =>
      warnings.map((warning) => ({
        at: act.now,
        departmentId: row.department_id,
        requestId: row.id,
        type: "quota.over-soft-limit",
        subjectId: warning.department,
        data: { number: row.number, ...warning },
      })),
    ),
  );
}
