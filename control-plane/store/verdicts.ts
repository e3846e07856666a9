/** What is to be written for a request, by the books; each decision counts in them at once for the next. */
import type { Selectable } from "kysely";
import type { SpecKind } from "../../infra/spec.ts";
import type { Item, RequestCost } from "../contract/requests.ts";
import type { SoftWarning } from "../domain/ledger.ts";
import { nextState, whyNot } from "../domain/lifecycle.ts";
import { costFen, linesOf } from "../domain/prices.ts";
import { grows, type Held, type Proposal, propose, takeMembers } from "../domain/proposals.ts";
import { Refusal } from "../domain/refusal.ts";
import { fiscalYearOf, yearEnd } from "../domain/time.ts";
import type { Act } from "./act.ts";
import type { AuditSubject } from "./audit.ts";
import type { Books } from "./books.ts";
import { type Candidate, prefixes, type Subject } from "./candidates.ts";
import { type FundCharge, reservationOf } from "./fund-charges.ts";
import { newId } from "./ids.ts";
import { requireApproved, sealed, type Take } from "./proposing.ts";
import type { Charge } from "./quotas.ts";
import type { Kept, RequestRow, Seal, StoredItem } from "./requests.ts";
import type { Resources } from "./schema.ts";
import { asTaken, chargesOf, costOf, requireStaying, withoutFigures } from "./transferring.ts";

/** What is to be written for one request. */
export interface Decision {
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

export function asDraft(candidate: Candidate): Decision {
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
export function decide(candidate: Candidate, books: Books, seal: Seal): Decision {
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
export function decidePassing(candidate: Candidate, books: Books): Decision {
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
export function pricedBy(
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
export function requireFuture(items: readonly Item[], now: Date): void {
  const errors = items.flatMap((item, position) =>
    "expiresAt" in item.spec && item.spec.expiresAt !== undefined && new Date(item.spec.expiresAt) <= now
      ? [{ pointer: `/items/${position}/spec/expiresAt`, detail: "is over already" }]
      : [],
  );
  if (errors.length > 0) throw new Refusal("invalid-body", "A term ends in the future.", { errors });
}

/** What a resource costs is paid by its own project alone. @throws Refusal invalid-body */
export function requireOwnProject(proposals: readonly Proposal[], held: readonly Held[], project: Subject["project"]): void {
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
