/**
 * Taking requests in (受理): new ones, and drafts; one or many in a transaction.
 * What they need is read once under its locks, each is decided in memory after those before it, and all is written at the end.
 */
import { sql } from "kysely";
import type { Amendment, Item, NewRequest, RequestCost, Transfer } from "../contract/requests.ts";
import { differingPaths } from "../domain/difference.ts";
import { nextState, whyNot } from "../domain/lifecycle.ts";
import { type Context, type Held, type Proposal, type Proposals, propose, takeMembers } from "../domain/proposals.ts";
import { exceeded, limitsOf, passingRefusal, type SoftWarning, type Step } from "../domain/ledger.ts";
import type { PoolView } from "../domain/placement.ts";
import { grows } from "../domain/proposals.ts";
import { costFen, linesOf } from "../domain/prices.ts";
import { Refusal } from "../domain/refusal.ts";
import { fiscalYearOf, yearEnd } from "../domain/time.ts";
import type { SpecKind } from "../../infra/spec.ts";
import type { Act } from "./act.ts";
import { invalidateSteps } from "./approval-steps.ts";
import { appendAudit, appendAuditsOf, type AuditSubject } from "./audit.ts";
import type { Tx } from "./database.ts";
import { ancestorsOf } from "./departments.ts";
import { appendEvents } from "./events.ts";
import { type FundCharge, lockPayers, reservationOf, writeFundReservations } from "./fund-charges.ts";
import { readFundLedger, readPayers } from "./funds.ts";
import { newId } from "./ids.ts";
import { readMembers } from "./members.ts";
import { pricesAt } from "./prices.ts";
import { afterQueue, lockPools, moveCapacity, queuedNeeds, readBackups, readCatalogue, readHeld, requireApproved, sealed, type Take } from "./proposing.ts";
import { type Charge, lockLedger, writeReservations } from "./quotas.ts";
import { agreedBy, requireAgreeing } from "./restarts.ts";
import { insertRows } from "./rows.ts";
import {
  giveBack,
  type ItemRow,
  type Kept,
  lockRequest,
  requireApplicants,
  type Principal,
  reservationDays,
  type RequestRow,
  type Seal,
  shownItem,
  type StoredItem,
} from "./requests.ts";
import type { Projects, RequestOrigin, Resources } from "./schema.ts";
import { asTaken, chargesOf, costOf, type Passing, readPassing, requireStaying, transferOf, transfersUnderWay, withoutFigures } from "./transferring.ts";
import type { Selectable } from "kysely";

const prefixes = { host: "hst", volume: "vol", attachment: "att", "backup-policy": "bkp" } as const;

/** A new request and who makes it. */
export interface Ask {
  act: Act;
  principal: Principal;
  body: Omit<NewRequest, "items"> & { items: Item[] };
  /** Of what the terms or a refused trial of another request asks for. */
  purpose?: { origin: RequestOrigin; about: string };
}
/** A request as it was taken in, with its items for the answer. */
export interface Taken {
  row: RequestRow;
  items: ItemRow[];
}

/** Application and project that a request is about. */
interface Subject {
  application: Context["application"] & { department_id: string };
  project: Pick<Selectable<Projects>, "id" | "code" | "name" | "stage">;
}
/** A request before it is decided on. */
interface Candidate extends Subject {
  act: Act;
  row: RequestRow;
  stored: StoredItem[];
  /** As asked for, secrets open. */
  items: readonly Item[];
  fresh: boolean;
  /** false: it stays a draft. */
  submit: boolean;
}
/** What is to be written for one request. */
interface Decision {
  act: Act;
  row: RequestRow;
  stored: StoredItem[];
  names: readonly string[];
  resources: Selectable<Resources>[];
  charges: Charge[];
  costs: FundCharge[];
  takes: Take[];
  audits: AuditSubject[];
  /** Soft limits that it passes. */
  warnings: readonly SoftWarning[];
}
/** What of a proposal is shown before anybody submits it. */
type Prospective = Pick<Proposal, "position" | "action" | "name" | "charge" | "placement" | "poolId" | "memberReason" | "considered"> & {
  kind: Proposal["kind"] | "application";
  wanted: unknown;
};
/** What a request would do. */
export interface Prospect extends Subject {
  proposals: Pick<Proposals, "shortages"> & { items: Prospective[] };
  /** Of a transfer. */
  transfer: Transfer | null;
  pools: readonly PoolView[];
  steps: Step[];
  /** Why it would be refused. */
  refusals: readonly Refusal[];
  cost: RequestCost | null;
}
type Books = Awaited<ReturnType<typeof readBooks>>;

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

/** The application's lock: names, attachments and changes under way are looked at by one transaction at a time. */
async function findSubjects(tx: Tx, asks: readonly Pick<Ask, "body" | "principal">[], lock = true): Promise<(Subject | Refusal)[]> {
  const asked = asks.map(({ body, principal }) => ({
    application: body.application,
    project: body.project,
    department: body.department ?? null,
    seen: principal.nodes,
  }));
  const { rows } = await sql<{
    i: number;
    id: string;
    department_id: string;
    protection_level: number;
    zone: Subject["application"]["zone"];
    anti_affinity: Subject["application"]["antiAffinity"];
    departments: string[];
    project: Subject["project"] | null;
  }>`
    select w.i::int, a.id, a.department_id, a.protection_level, a.zone, a.anti_affinity,
      (select json_agg(x.ancestor_id) from department_ancestors x where x.department_id = a.department_id) as departments,
      case when p.id is not null then json_build_object('id', p.id, 'code', p.code, 'name', p.name, 'stage', p.stage) end as project
    from rows from (jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as (application text, project text, department text, seen jsonb)) with ordinality as w(application, project, department, seen, i)
    join applications a on a.id = w.application or a.code = w.application
    join departments d on d.id = a.department_id
    left join projects p on p.department_id = a.department_id and (p.id = w.project or p.code = w.project)
    where (w.department is null or d.id = w.department or d.code = w.department)
      and (w.seen is null or exists (select from department_ancestors x where x.department_id = a.department_id and w.seen ? x.ancestor_id))
    order by a.id ${lock ? sql`for no key update of a` : sql``}`.execute(tx);
  const found = Map.groupBy(rows, (row) => row.i);
  return asks.map(({ body }, index) => {
    const [row, ...others] = found.get(index + 1) ?? [];
    if (!row) {
      return new Refusal("not-found", `There is no application ${body.application} that you may see.`, {
        errors: [{ pointer: "/application", detail: "no such application" }],
      });
    }
    if (others.length > 0) {
      return new Refusal("invalid-body", `Several departments have an application ${body.application}: name the department.`, {
        errors: [{ pointer: "/department", detail: "needed here" }],
      });
    }
    if (!row.project)
      return new Refusal("not-found", `The application's department has no project ${body.project}.`, {
        errors: [{ pointer: "/project", detail: "no such project" }],
      });
    const { id, department_id, protection_level, zone, anti_affinity, departments } = row;
    return { application: { id, department_id, protectionLevel: protection_level, zone, antiAffinity: anti_affinity, departments }, project: row.project };
  });
}

function candidateOf({ act, body, purpose }: Ask, subject: Subject, number: number, seal: Seal): Candidate {
  const id = newId("req", act.now);
  const row: RequestRow = {
    id,
    number: `${act.now.getUTCFullYear()}-${String(number).padStart(6, "0")}`,
    department_id: subject.application.department_id,
    project_id: subject.project.id,
    application_id: subject.application.id,
    state: "draft",
    title: body.title,
    reason: body.reason,
    requested_by: act.actor,
    submitted_by: null,
    authors: [act.actor],
    decided_by: null,
    decided_at: null,
    decision_reason: null,
    plan: null,
    plan_hash: null,
    cost: null,
    previous_plan: null,
    origin: purpose?.origin ?? null,
    about_id: purpose?.about ?? null,
    trial_days: body.trialDays ?? null,
    trial_until: null,
    term_told: null,
    to_department_id: null,
    to_project_id: null,
    waits: false,
    loss_id: null,
    error: null,
    revision: 1,
    created_at: act.now,
    updated_at: act.now,
  };
  return { ...subject, act, row, stored: storedItems(id, body.items, act, seal), items: body.items, fresh: true, submit: !body.draft };
}

const storedItems = (requestId: string, items: readonly Item[], act: Act, seal: Seal): StoredItem[] =>
  items.map((item, position) => ({
    id: newId("itm", act.now),
    request_id: requestId,
    position,
    action: item.action,
    kind: item.kind,
    resource_id: "id" in item ? item.id : "",
    state: "pending",
    spec: { item: sealItem(item, `${requestId}/${position}`, seal), placement: null, expiresAt: null, wanted: null, charge: [] } satisfies Kept,
    error: null,
    approved_digest: null,
    restart_need: null,
    restart: item.action === "resize" && item.spec.restart ? agreedBy(act, item.spec.restart) : null,
    restart_begun_at: null,
    restart_told: null,
  }));

/**
 * What a request would do, read without a lock and kept nowhere.
 * @throws Refusal not-found, invalid-body, conflict: what could be submitted under no quota
 */
export async function whatIf(tx: Tx, act: Act, principal: Principal, body: NewRequest): Promise<Prospect> {
  const [subject] = await findSubjects(tx, [{ body, principal }], false);
  if (subject instanceof Refusal) throw subject;
  requireFuture(body.items, act.now);
  const { application, project } = subject!;
  if (transferOf(body.items)) return whatIfPassed(tx, act, body, subject!);
  requireStaying((await transfersUnderWay(tx, [application.id])).get(application.id), "");
  const ledger = await lockLedger(tx, [application.department_id], false);
  const pools = afterQueue(await lockPools(tx, false), await queuedNeeds(tx));
  const held = (await readHeld(tx, [application.id], body.items)).get(application.id)!;
  const catalogue = await readCatalogue(tx);
  const backups = (await readBackups(tx, body.items))(application.department_id);
  const members = await readMembers(tx, pools, [application]);
  const proposals = propose(body.items, {
    ...catalogue,
    pools,
    members,
    application,
    held,
    backups,
    newId: (kind: SpecKind) => newId(prefixes[kind], act.now),
  });
  const funds = await readFundLedger(tx, await readPayers(tx, [project.id]));
  const books = { funds, prices: await pricesAt(tx, act.now) };
  const refusals: Refusal[] = [];
  const orRefused = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refusals.push(error);
      return undefined;
    }
  };
  orRefused(() => {
    if (proposals.items.some(grows)) requireApproved(funds.payer(project.id));
    requireOwnProject(proposals.items, held, project);
  });
  const asked = proposals.items.flatMap((one) => one.charge.filter((charge) => charge.quantity > 0));
  const steps = ledger.look(application.department_id, application.protectionLevel, asked);
  const limits = limitsOf(steps);
  if (limits.length > 0) refusals.push(exceeded(limits));
  // It has no id yet: what would be charged to a fund needs none to be shown.
  const cost = orRefused(() => pricedBy({ act, row: { id: "", project_id: project.id } }, proposals.items, books, String))?.shown ?? null;
  return { application, project, proposals, transfer: null, pools, steps, refusals, cost };
}

/** The same of a transfer. @throws Refusal invalid-body */
async function whatIfPassed(tx: Tx, act: Act, body: NewRequest, { application, project }: Subject): Promise<Prospect> {
  const item = transferOf(body.items)!;
  const passing = await readPassing(tx, act.now, { item, items: body.items, trialDays: body.trialDays ?? null, application, project, requestId: null });
  const { from, to } = passing.transfer;
  const charge = passing.held.flatMap((one) => one.charge);
  const ledger = await lockLedger(tx, [from.department, to.department], false);
  const steps = ledger.lookPassing(from.department, to.department, application.protectionLevel, charge);
  const funds = await readFundLedger(tx, await readPayers(tx, [to.project]));
  const short = passingRefusal(steps);
  const refusals = [...passing.refusals, ...(short ? [short] : [])];
  let cost: RequestCost | null = null;
  try {
    cost = costOf(act, passing, "", "", (await pricesAt(tx, act.now))?.version ?? 0, funds)?.shown ?? null;
  } catch (error) {
    const refusal = withoutFigures(error);
    if (!(refusal instanceof Refusal)) throw error;
    refusals.push(refusal);
  }
  const { name } = await tx.selectFrom("applications").select("name").where("id", "=", application.id).executeTakeFirstOrThrow();
  const shown: Prospective = { position: 0, action: "transfer", kind: "application", name, charge, placement: null, poolId: null, wanted: null };
  return { application, project, proposals: { items: [shown], shortages: [] }, transfer: passing.transfer, pools: [], steps, refusals, cost };
}

/** A request that is there already; its row is locked. */
async function standing(tx: Tx, act: Act, row: RequestRow, unseal: Seal): Promise<Candidate> {
  const application = await tx.selectFrom("applications").selectAll().where("id", "=", row.application_id).forNoKeyUpdate().executeTakeFirstOrThrow();
  if (application.department_id !== row.department_id)
    throw new Refusal("conflict", "The application has passed to another department since this was written.", { remedy: "Its department asks anew." });
  const project = await tx.selectFrom("projects").selectAll().where("id", "=", row.project_id).executeTakeFirstOrThrow();
  const stored = await tx.selectFrom("request_items").selectAll().where("request_id", "=", row.id).orderBy("position").execute();
  const items = stored.map((item) => unsealItem((item.spec as Kept).item, `${row.id}/${item.position}`, unseal));
  const { protection_level, anti_affinity } = application;
  const departments = await ancestorsOf(tx, application.department_id);
  const applicant = { ...application, protectionLevel: protection_level, antiAffinity: anti_affinity, departments };
  return { application: applicant, project, act, row, stored, items, fresh: false, submit: true };
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

/** What the transfers among them would pass on, by request. */
async function readAllPassing(tx: Tx, candidates: readonly Candidate[]): Promise<Map<string, Passing | Refusal>> {
  const found = new Map<string, Passing | Refusal>();
  for (const { act, row, items, application, project } of candidates) {
    const item = transferOf(items);
    if (!item) continue;
    const ask = { item, items, trialDays: row.trial_days, application, project, requestId: row.id };
    const passing = await readPassing(tx, act.now, ask).catch((error: unknown) => {
      if (error instanceof Refusal) return error;
      throw error;
    });
    found.set(row.id, passing);
  }
  return found;
}

/** Everything that decisions depend on, locked in one order: applications (already), quota accounts, projects with their funds, pool accounts. */
async function readBooks(tx: Tx, candidates: readonly Candidate[], passing: ReadonlyMap<string, Passing | Refusal>) {
  const receivers = [...passing.values()].flatMap((one) => (one instanceof Refusal ? [] : [one.transfer.to]));
  const departments = [...new Set([...candidates.map((one) => one.row.department_id), ...receivers.map((one) => one.department)])];
  const applications = [...new Set(candidates.map((one) => one.application.id))];
  if (candidates.length === 0)
    return {
      ledger: undefined!,
      funds: undefined!,
      prices: undefined,
      pools: [],
      members: undefined!,
      flavours: new Map(),
      images: new Set<string>(),
      held: new Map(),
      backups: undefined!,
      passing,
      transfers: new Map<string, { id: string; number: string }>(),
      changed: new Set<string>(),
    };
  const { act } = candidates[0]!;
  const ledger = await lockLedger(tx, departments);
  // Only what may grow is priced: nothing else waits for a project.
  const growing = candidates.filter((one) => one.items.some((item) => item.action === "create" || item.action === "resize" || item.action === "adopt"));
  const payers = await lockPayers(tx, act, [...growing.map((one) => one.row.project_id), ...receivers.map((one) => one.project)]);
  const funds = await readFundLedger(tx, payers);
  const prices = growing.length > 0 || receivers.length > 0 ? await pricesAt(tx, act.now) : undefined;
  const pools = afterQueue(await lockPools(tx), await queuedNeeds(tx));
  return {
    passing,
    transfers: await transfersUnderWay(tx, applications),
    /** Applications of which this transaction has taken in a request. */
    changed: new Set<string>(),
    ledger,
    funds,
    prices,
    pools,
    // Behind the pools' locks: nobody else places at the same time.
    members: await readMembers(
      tx,
      pools,
      candidates.map((one) => one.application),
    ),
    ...(await readCatalogue(tx)),
    backups: await readBackups(
      tx,
      candidates.flatMap((one) => one.items),
    ),
    held: await readHeld(
      tx,
      applications,
      candidates.flatMap((one) => one.items),
    ),
  };
}

const created: (candidate: Candidate) => AuditSubject[] = ({ row, stored, fresh }) =>
  fresh
    ? [
        {
          action: "request.create",
          subjectKind: "request",
          subjectId: row.id,
          departmentId: row.department_id,
          after: { number: row.number, title: row.title, items: stored.length, ...(row.origin ? { origin: row.origin, about: row.about_id } : {}) },
        },
      ]
    : [];

function asDraft(candidate: Candidate): Decision {
  return {
    act: candidate.act,
    row: candidate.row,
    stored: candidate.stored,
    names: [],
    resources: [],
    charges: [],
    costs: [],
    takes: [],
    audits: created(candidate),
    warnings: [],
  };
}

/**
 * Pure but for the books, in which what is decided counts at once for the next.
 * @throws Refusal
 */
function decide(candidate: Candidate, books: Books, seal: Seal): Decision {
  const { act, row, application, items, stored } = candidate;
  requireFuture(items, act.now);
  requireStaying(books.transfers.get(application.id), row.id);
  const held = books.held.get(application.id)!;
  const proposals = propose(items, {
    ...books,
    backups: books.backups(row.department_id),
    application,
    held,
    newId: (kind: SpecKind) => newId(prefixes[kind], act.now),
  });
  if (proposals.items.some(grows)) requireApproved(books.funds.payer(row.project_id));
  requireOwnProject(proposals.items, held, candidate.project);
  const short = proposals.shortages.length > 0;
  // One that waited before there was a plan, from before plans were made first.
  const event = row.state === "waiting" ? "replan" : "submit";
  const why = whyNot(row.state, event);
  if (why) throw new Refusal("conflict", why);
  const error = short ? { code: "capacity", message: proposals.shortages.join("; ") } : null;
  const state = nextState(row.state, event)!;
  const after: RequestRow = {
    ...row,
    state,
    error,
    waits: short,
    to_department_id: null,
    to_project_id: null,
    submitted_by: row.state === "waiting" ? row.submitted_by : act.actor,
    authors: row.state === "waiting" ? row.authors : [...new Set([...row.authors, act.actor])],
    revision: candidate.fresh ? row.revision : row.revision + 1,
    updated_at: act.now,
  };
  const audit: AuditSubject = {
    action: `request.${event}`,
    subjectKind: "request",
    subjectId: row.id,
    departmentId: row.department_id,
    before: { state: row.state },
    after: { state, ...(error ? { error } : {}) },
  };
  const audits = [...created(candidate), audit];

  const asked = (one: Proposal) => one.charge.filter((charge) => charge.quantity > 0);
  const itemAt = new Map(stored.map((item) => [item.position, item]));
  const charges = proposals.items.flatMap((one) =>
    asked(one).map((charge): Charge => ({
      ...charge,
      departmentId: row.department_id,
      level: application.protectionLevel,
      requestId: row.id,
      resourceId: one.resourceId,
      itemId: itemAt.get(one.position)!.id,
    })),
  );
  const priced = pricedBy(candidate, proposals.items, books, (position) => itemAt.get(position)!.id);
  const warnings = books.ledger.reserve(row.department_id, application.protectionLevel, charges);
  if (priced) books.funds.take(priced.fund, priced.amountFen);
  // All of it or nothing: what waits holds no part of what others could use.
  const takes = (short ? [] : proposals.items).flatMap((one) => asked(one).map((charge): Take => ({ ...charge, poolId: one.poolId })));
  for (const { poolId, dimension, quantity } of takes) {
    const pool = books.pools.find((one) => one.id === poolId);
    if (pool) pool.free[dimension] = (pool.free[dimension] ?? 0) - quantity;
  }
  if (!short) takeMembers(proposals.items, application, books.pools, books.members);
  for (const one of proposals.items) {
    const before = held.find((other: Held) => other.id === one.resourceId);
    if (one.action === "create")
      held.push({ id: one.resourceId, kind: one.kind, name: one.name, phase: "proposed", poolId: one.poolId, wanted: one.wanted, changedBy: null });
    else if (before && one.action !== "extend") before.changedBy = row.number;
  }
  books.changed.add(application.id);
  return {
    act,
    row: { ...after, cost: priced ? priced.shown : null },
    stored: proposals.items.map((one) => {
      const before = itemAt.get(one.position)!;
      const kept: Kept = {
        ...(before.spec as Kept),
        placement: one.placement,
        memberReason: one.memberReason,
        considered: one.considered,
        expiresAt: one.expiresAt,
        wanted: sealed(one.wanted, one.kind, seal),
        charge: one.charge,
      };
      return { ...before, resource_id: one.resourceId, spec: kept };
    }),
    names: proposals.items.map((one) => one.name),
    resources: proposals.items.filter((one) => one.action === "create").map((one) => resourceOf(one, after, seal)),
    charges,
    costs: priced?.costs ?? [],
    takes,
    audits,
    warnings,
  };
}

/** The same of a transfer. @throws Refusal */
function decidePassing(candidate: Candidate, books: Books): Decision {
  const { act, application, stored } = candidate;
  const passing = books.passing.get(candidate.row.id)!;
  if (passing instanceof Refusal) throw passing;
  requireStaying(books.transfers.get(application.id), candidate.row.id);
  const [refusal] = passing.refusals;
  if (refusal) throw refusal;
  if (books.changed.has(application.id))
    throw new Refusal("conflict", "Another request on this application came at the same moment.", { remedy: "Try again when it is done." });
  const { from, to } = passing.transfer;
  const level = application.protectionLevel;
  const [item] = stored;
  const charges = chargesOf(passing, level, candidate.row.id, item!.id);
  let priced: ReturnType<typeof costOf>;
  try {
    priced = costOf(act, passing, candidate.row.id, item!.id, books.prices?.version ?? 0, books.funds);
  } catch (error) {
    throw withoutFigures(error);
  }
  const taken = asTaken(act, candidate.row, item!, passing, priced?.shown ?? null);
  const warnings = books.ledger.pass(
    from.department,
    to.department,
    level,
    passing.held.flatMap((one) => one.charge),
  );
  if (priced) books.funds.take(priced.fund, priced.amountFen);
  const row = { ...taken.row, revision: candidate.fresh ? taken.row.revision : taken.row.revision + 1 };
  books.transfers.set(application.id, row);
  const subject = { action: "request.submit", subjectKind: "request", subjectId: row.id };
  return {
    act,
    row,
    stored: taken.stored,
    names: [],
    resources: [],
    charges,
    costs: priced?.costs ?? [],
    takes: [],
    audits: [
      ...created(candidate),
      { ...subject, departmentId: from.department, before: { state: candidate.row.state }, after: { state: row.state, transfer: { from, to } } },
      { ...subject, departmentId: to.department, after: { state: row.state, transfer: { from, to } } },
    ],
    warnings,
  };
}

/**
 * What a request costs its project's fund to the year's end; undefined when it costs nothing more.
 * @throws Refusal no-price-book, budget-exceeded
 */
function pricedBy(
  { act, row }: { act: Act; row: Pick<RequestRow, "id" | "project_id"> },
  proposals: readonly Proposal[],
  { funds, prices }: Pick<Books, "funds" | "prices">,
  itemOf: (position: number) => string,
) {
  const growing = proposals.map((one) => ({ one, more: one.charge.filter((charge) => charge.quantity > 0) })).filter(({ more }) => more.length > 0);
  if (growing.length === 0) return undefined;
  if (!prices) throw new Refusal("no-price-book", "Nothing can be priced before a price book is in force.", { remedy: "Ask finance to publish one." });
  const to = yearEnd(act.now);
  const lines = growing.map(({ more }) => linesOf(more, prices.prices));
  const amountFen = lines.reduce((sum, of) => sum + costFen(of, act.now, to, "up"), 0);
  const fund = funds.require(row.project_id, fiscalYearOf(act.now), amountFen);
  const costs = growing.map(({ one }, index) =>
    reservationOf(act, prices, {
      project_id: row.project_id,
      fund_id: fund.id,
      resource_id: one.resourceId,
      request_id: row.id,
      item_id: itemOf(one.position),
      lines: lines[index]!,
    }),
  );
  const shown: RequestCost = {
    amountFen,
    from: act.now.toISOString(),
    to: to.toISOString(),
    fund: { kind: fund.kind, fiscalYear: fund.fiscal_year },
    priceBook: prices.version,
    items: costs.map((cost) => ({ resource: cost.resource_id, amountFen: cost.amount_fen })),
  };
  return { fund, amountFen, costs, shown };
}

/** Nothing is asked for until a day that is over. @throws Refusal invalid-body */
function requireFuture(items: readonly Item[], now: Date): void {
  const errors = items.flatMap((item, position) =>
    "expiresAt" in item.spec && item.spec.expiresAt !== undefined && new Date(item.spec.expiresAt) <= now
      ? [{ pointer: `/items/${position}/spec/expiresAt`, detail: "is over already" }]
      : [],
  );
  if (errors.length > 0) throw new Refusal("invalid-body", "A term ends in the future.", { errors });
}

/** What a resource costs is paid by its own project alone. @throws Refusal invalid-body */
function requireOwnProject(proposals: readonly Proposal[], held: readonly Held[], project: Subject["project"]): void {
  const other = proposals.find((one) => {
    const before = held.find((resource) => resource.id === one.resourceId);
    return before?.projectId !== undefined && before.projectId !== project.id && one.action !== "create" && grows(one);
  });
  if (other)
    throw new Refusal("invalid-body", `${other.name} belongs to another project than ${project.code}: ask for its growth under that one.`, {
      errors: [{ pointer: "/project", detail: `is not the project of ${other.name}` }],
    });
}

function resourceOf(one: Proposal, request: RequestRow, seal: Seal): Selectable<Resources> {
  return {
    id: one.resourceId,
    kind: one.kind,
    department_id: request.department_id,
    project_id: request.project_id,
    application_id: request.application_id,
    pool_id: one.poolId,
    name: one.name,
    phase: "proposed",
    wanted: sealed(one.wanted, one.kind, seal),
    applied: null,
    observed_state: "unknown",
    observed_at: null,
    member: null,
    unreachable_since: null,
    physical_id: null,
    request_id: request.id,
    opened_at: null,
    expires_at: one.expiresAt ? new Date(one.expiresAt) : null,
    retired_at: null,
    revision: 1,
    created_at: request.updated_at,
    updated_at: request.updated_at,
  };
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

function sealItem(item: Item, context: string, seal: Seal): Item {
  if (item.action !== "create" || item.kind !== "host" || "adopted" in item.spec || item.spec.userData === undefined) return item;
  return { ...item, spec: { ...item.spec, userData: seal(context, item.spec.userData) } };
}
const unsealItem = (item: Item, context: string, unseal: Seal): Item => sealItem(item, context, unseal);
