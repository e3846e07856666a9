/**
 * Transfers of applications between departments (业务系统移交): what is asked for, what stands in the way, and what is reserved for it. handing-over.ts does it.
 * What it reserves at the receiver and above it is taken off again at the nearest department above both: nothing changes there, now or later.
 */
import { type Selectable, sql } from "kysely";
import type { Item, Transfer } from "../contract/requests.ts";
import { differingPaths } from "../domain/difference.ts";
import { undecidedStates, nextState, whyNot } from "../domain/lifecycle.ts";
import { type CostLine, costFen } from "../domain/prices.ts";
import { fundKindOf } from "../domain/project-stages.ts";
import { Refusal } from "../domain/refusal.ts";
import { type Quantity, sumByDimension } from "../domain/resources.ts";
import { fiscalYearOf, yearEnd } from "../domain/time.ts";
import { whyNotIn } from "../domain/levels.ts";
import { commonOf, ownOf, type SidedStage, transferStages } from "../domain/transfers.ts";
import type { RequestCost } from "../contract/requests.ts";
import type { SpecKind } from "../../infra/spec.ts";
import type { Act } from "./act.ts";
import { policyOf } from "./approval-policies.ts";
import type { Db } from "./database.ts";
import { ancestorsOf, findDepartment } from "./departments.ts";
import type { FundCharge } from "./fund-charges.ts";
import { newId } from "./ids.ts";
import { protectionOf, readOwner } from "./pools.ts";
import { type Charge, usedBy } from "./quotas.ts";
import type { Kept, RequestRow, StoredItem } from "./requests.ts";
import type { Projects } from "./schema.ts";
import type { FundLedger } from "../domain/funds.ts";

export type TransferItem = Extract<Item, { action: "transfer" }>;
export const transferOf = (items: readonly Item[]): TransferItem | undefined => items.find((item): item is TransferItem => item.action === "transfer");
/** Who pays for what a request adds. */
export const payerOf = (row: Pick<RequestRow, "project_id" | "to_project_id">): string => row.to_project_id ?? row.project_id;

/** States in which a request stands in the way of a transfer, or a transfer in that of others. */
export const openStates = [...undecidedStates, "waiting", "approved", "applying", "scheduled"] as const;

/** What an item of a transfer keeps as wanted: what was planned and approved, to the last resource and quantity. */
export interface TransferKept {
  transfer: Transfer;
  held: { id: string; charge: Quantity[] }[];
}
/** What passes, as it is now. */
export interface Passing extends TransferKept {
  /** What there is to pay for, by resource. */
  lines: { resourceId: string; priceBookId: string; lines: CostLine[] }[];
  receiver: Pick<Selectable<Projects>, "id" | "code" | "name" | "stage">;
  /** Why it may not be now. */
  refusals: Refusal[];
}
interface Ask {
  item: TransferItem;
  items: readonly Item[];
  trialDays: number | null;
  application: { id: string; department_id: string };
  project: Pick<Selectable<Projects>, "id" | "code" | "stage">;
  /** The request itself, that doesn't stand in its own way. */
  requestId: string | null;
}

/**
 * Read under the application's lock, by which nothing of it changes meanwhile.
 * @throws Refusal invalid-body: it names nobody who could receive it
 */
export async function readPassing(db: Db, now: Date, ask: Ask): Promise<Passing> {
  const { item, application } = ask;
  const wrong = (pointer: string, detail: string) => new Refusal("invalid-body", detail, { errors: [{ pointer, detail }] });
  if (ask.items.length > 1) throw wrong("/items", "A transfer is the only item of its request.");
  if (ask.trialDays !== null) throw wrong("/trialDays", "A transfer has no trial: what runs goes on running.");
  if (item.id !== application.id) throw wrong("/items/0/id", "It is not the application of this request.");
  const receiver = await findDepartment(db, item.spec.department);
  if (!receiver) throw wrong("/items/0/spec/department", "There is no such department.");
  if (receiver.id === application.department_id) throw wrong("/items/0/spec/department", "The application is this department's already.");
  const project = await db
    .selectFrom("projects")
    .select(["id", "code", "name", "stage"])
    .where("department_id", "=", receiver.id)
    .where((where) => where.or([where("id", "=", item.spec.project), where("code", "=", item.spec.project)]))
    .orderBy(sql`id = ${item.spec.project}`, "desc")
    .executeTakeFirst();
  // Whether it isn't there or can't pay is for the receiver to know.
  if (!project || (project.stage !== "approved" && project.stage !== "operating"))
    throw wrong("/items/0/spec/project", "The receiving department has no approved or operating project of this code.");
  const [giving, receiving] = [await ancestorsOf(db, application.department_id), await ancestorsOf(db, receiver.id)];
  const common = commonOf(giving, receiving);
  if (common === undefined) throw wrong("/items/0/spec/department", "No department is above both: there is nobody who could decide on it.");

  const rows = await db
    .selectFrom("resources")
    .select(["id", "kind", "name", "phase"])
    .where("application_id", "=", application.id)
    .where("phase", "in", ["proposed", "wanted", "live", "retiring"])
    .orderBy("id")
    .execute();
  const ids = rows.map((row) => row.id);
  const used = await usedBy(db, ids);
  const held = rows.map(({ id }) => ({ id, charge: quantities(used.get(id) ?? []) }));
  const charge = sumByDimension(held.flatMap((one) => one.charge));
  const departments = await db
    .selectFrom("departments")
    .select(["id", "name_zh"])
    .where("id", "in", [...new Set([...giving, ...receiving])])
    .execute();
  const nameOf = (id: string) => departments.find((one) => one.id === id)!.name_zh;
  const accounts = (side: "giving" | "receiving", line: readonly string[], sign: 1 | -1): Transfer["accounts"] =>
    ownOf(line, common).map((department) => ({
      department,
      departmentName: nameOf(department),
      side,
      charge: charge.map(({ dimension, quantity }) => ({ dimension, quantity: sign * quantity })),
    }));
  const committed =
    ids.length === 0
      ? []
      : await db.selectFrom("fund_charges").selectAll().where("resource_id", "in", ids).where("state", "=", "committed").orderBy("id").execute();
  const side = (department: string, of: { id: string; code: string }) => ({
    department,
    departmentName: nameOf(department),
    project: of.id,
    projectCode: of.code,
  });
  return {
    transfer: {
      from: side(application.department_id, ask.project),
      to: side(receiver.id, project),
      common,
      resources: rows.map(({ id, kind, name }) => ({ id, kind, name })),
      accounts: [...accounts("giving", giving, -1), ...accounts("receiving", receiving, 1)],
      fund: committed.length === 0 ? null : { kind: fundKindOf(ask.project.stage), fiscalYear: fiscalYearOf(now) },
    },
    held,
    lines: committed.map((one) => ({ resourceId: one.resource_id, priceBookId: one.price_book_id, lines: one.lines as CostLine[] })),
    receiver: project,
    refusals: await standingInTheWay(
      db,
      ask,
      receiver.id,
      rows.filter((row) => row.phase !== "live").map((row) => `${row.name} (${row.phase})`),
    ),
  };
}

/** In one order, so that equal ones are equal. */
const quantities = (of: readonly Quantity[]): Quantity[] =>
  of
    .filter((one) => one.quantity !== 0)
    .map(({ dimension, quantity }) => ({ dimension, quantity }))
    .toSorted((a, b) => (a.dimension < b.dimension ? -1 : 1));

async function standingInTheWay(db: Db, { application, requestId }: Ask, receiver: string, notLive: readonly string[]): Promise<Refusal[]> {
  const refusals: Refusal[] = [];
  const conflict = (detail: string, remedy: string) => void refusals.push(new Refusal("conflict", detail, { remedy }));
  const others = await db
    .selectFrom("requests")
    .select("number")
    .where("application_id", "=", application.id)
    .where("state", "in", [...openStates])
    .where("id", "<>", requestId ?? "")
    .orderBy("id")
    .execute();
  if (others.length > 0)
    conflict(`Requests on this application are under way: ${others.map((one) => one.number).join(", ")}.`, "Wait until they are done, or withdraw them.");
  else if (notLive.length > 0) conflict(`Not everything of this application is live: ${notLive.join(", ")}.`, "Wait until it is.");
  const { rows: trials } = await sql<{ number: string }>`
    select distinct q.number from requests q join resources r on r.request_id = q.id
    where r.application_id = ${application.id} and q.state = 'on-trial' order by 1`.execute(db);
  if (trials.length > 0) conflict(`A trial is under way: ${trials.map((one) => one.number).join(", ")}.`, "Accept it, or refuse it, first.");
  const { rows: left } = await sql<{ name: string }>`
    select distinct r.name from resources r join quota_charges c on c.resource_id = r.id and c.state <> 'released'
    where r.application_id = ${application.id} and r.phase = 'failed' order by 1`.execute(db);
  if (left.length > 0) conflict(`What could not be made is still being removed: ${left.map((one) => one.name).join(", ")}.`, "Wait a moment.");
  const pools = await db
    .selectFrom("pools as p")
    .innerJoin("resources as r", "r.pool_id", "p.id")
    .select(["p.code", "p.kind", "p.security_level", "p.zone", "p.dedicated_department", "p.dedicated_application"])
    .select(sql<boolean>`bool_and(r.kind <> 'host' or r.wanted->>'type' = 'vm')`.as("vm"))
    .where("r.application_id", "=", application.id)
    .where("r.phase", "in", ["wanted", "live", "retiring"])
    .groupBy("p.id")
    .orderBy("p.code")
    .execute();
  const owner = await readOwner(db, application.id);
  const receiving = { ...owner, departments: await ancestorsOf(db, receiver) };
  for (const { code, vm, ...pool } of pools) {
    const why = whyNotIn(receiving, protectionOf(pool), { vm });
    // Where it may not lie already, the transfer changes nothing.
    if (why && whyNotIn(owner, protectionOf(pool), { vm }) === undefined)
      conflict(`Its pool ${code} ${why}.`, "Have operations move it to a pool that the receiver may use first.");
  }
  const { rows: taken } = await sql<{ code: string }>`
    select mine.code from applications mine join applications theirs on theirs.code = mine.code and theirs.department_id = ${receiver} where mine.id = ${application.id}`.execute(
    db,
  );
  if (taken.length > 0)
    conflict(`The receiving department has an application with the code ${taken[0]!.code} already.`, "Have one of the two renamed by operations.");
  return refusals;
}

/** What it costs the receiver's fund to the year's end: exactly what it costs the giver now. */
export function costOf(act: Act, passing: Passing, requestId: string, itemId: string, priceBook: number, funds: FundLedger) {
  if (passing.lines.length === 0) return undefined;
  const to = yearEnd(act.now);
  const items = passing.lines.map((one) => ({ ...one, amountFen: costFen(one.lines, act.now, to, "up") }));
  const amountFen = items.reduce((sum, one) => sum + one.amountFen, 0);
  const fund = funds.require(passing.receiver.id, fiscalYearOf(act.now), amountFen);
  const costs = items.map((one): FundCharge => ({
    id: newId("fch", act.now),
    project_id: passing.receiver.id,
    fund_id: fund.id,
    resource_id: one.resourceId,
    request_id: requestId,
    item_id: itemId,
    price_book_id: one.priceBookId,
    lines: one.lines,
    from_at: act.now,
    to_at: to,
    amount_fen: one.amountFen,
    state: "reserved",
    created_at: act.now,
    settled_at: null,
  }));
  const shown: RequestCost = {
    amountFen,
    from: act.now.toISOString(),
    to: to.toISOString(),
    fund: { kind: fund.kind, fiscalYear: fund.fiscal_year },
    priceBook,
    items: items.map((one) => ({ resource: one.resourceId, amountFen: one.amountFen })),
  };
  return { fund, amountFen, costs, shown };
}

/** The giver's people needn't know how much the receiver's fund has. */
export const withoutFigures = (error: unknown): unknown =>
  error instanceof Refusal && error.code === "budget-exceeded"
    ? new Refusal("budget-exceeded", "The receiving project's fund has too little left for what this costs to the year's end.", {
        remedy: "The receiving department asks finance to raise its fund.",
      })
    : error;

/** At the receiver and above it; and off again from the nearest department above both. */
export const chargesOf = ({ transfer, held }: TransferKept, level: number, requestId: string, itemId: string): Charge[] =>
  held.flatMap(({ id, charge }) =>
    charge.flatMap(({ dimension, quantity }) =>
      [
        { departmentId: transfer.to.department, quantity },
        { departmentId: transfer.common, quantity: -quantity },
      ].map((one) => ({ ...one, dimension, level, requestId, resourceId: id, itemId })),
    ),
  );

/** The request and its item as they are once it was taken in. @throws Refusal conflict */
export function asTaken(act: Act, row: RequestRow, item: StoredItem, passing: Passing, cost: RequestCost | null): { row: RequestRow; stored: StoredItem[] } {
  const why = whyNot(row.state, "submit");
  if (why) throw new Refusal("conflict", why);
  const kept: Kept = {
    ...(item.spec as Kept),
    wanted: { transfer: passing.transfer, held: passing.held } satisfies TransferKept,
    charge: sumByDimension(passing.held.flatMap((one) => one.charge)),
  };
  return {
    row: {
      ...row,
      state: nextState(row.state, "submit")!,
      error: null,
      waits: false,
      cost,
      to_department_id: passing.transfer.to.department,
      to_project_id: passing.transfer.to.project,
      submitted_by: act.actor,
      authors: [...new Set([...row.authors, act.actor])],
      updated_at: act.now,
    },
    stored: [{ ...item, resource_id: row.application_id, spec: kept }],
  };
}

export const keptOf = (item: Pick<StoredItem, "spec">): TransferKept => (item.spec as Kept).wanted as TransferKept;

/** What passes now as against what was planned: by paths; empty: the same. */
export async function movedSince(db: Db, now: Date, row: RequestRow, item: StoredItem): Promise<{ passing: Passing; paths: string[] }> {
  const project = await db.selectFrom("projects").select(["id", "code", "stage"]).where("id", "=", row.project_id).executeTakeFirstOrThrow();
  const asked = (item.spec as Kept).item as TransferItem;
  const passing = await readPassing(db, now, {
    // By id: codes may have changed since.
    item: { ...asked, spec: { department: row.to_department_id!, project: row.to_project_id! } },
    items: [asked],
    trialDays: null,
    application: { id: row.application_id, department_id: row.department_id },
    project,
    requestId: row.id,
  });
  const kept = keptOf(item);
  const paths = differingPaths(shownOf(kept), shownOf(passing), "transfer");
  return { passing, paths };
}
/** What an approval is of: names of departments may change, and a fund with the year. */
const shownOf = ({ transfer, held }: TransferKept) => ({
  from: transfer.from.department,
  to: { department: transfer.to.department, project: transfer.to.project },
  common: transfer.common,
  held: Object.fromEntries(held.map(({ id, charge }) => [id, Object.fromEntries(charge.map((one) => [one.dimension, one.quantity]))])),
});

/** The steps of a transfer's change plan: what passes, each with its old and its new department and project. */
export async function transferSteps(db: Db, requestId: string) {
  const item = await db.selectFrom("request_items").select(["spec"]).where("request_id", "=", requestId).where("action", "=", "transfer").executeTakeFirst();
  if (!item) return undefined;
  const { transfer } = keptOf(item);
  return transfer.resources.map(({ id, kind, name }) => ({
    action: "transfer" as const,
    kind: kind as SpecKind,
    resource: id,
    name,
    changes: [
      { path: "department", before: transfer.from.departmentName, after: transfer.to.departmentName },
      { path: "project", before: transfer.from.projectCode, after: transfer.to.projectCode },
    ],
  }));
}

/** Whom it asks: both sides by their policies, then the authority above both by its own. */
export async function stagesOfTransfer(db: Db, row: Pick<RequestRow, "department_id" | "to_department_id">): Promise<readonly SidedStage[]> {
  const [giving, receiving] = [await ancestorsOf(db, row.department_id), await ancestorsOf(db, row.to_department_id!)];
  const common = commonOf(giving, receiving)!;
  const side = async (department: string) => ({
    department,
    departmentName: (await db.selectFrom("departments").select("name_zh").where("id", "=", department).executeTakeFirstOrThrow()).name_zh,
    stages: (await policyOf(db, department)).stages,
  });
  return transferStages(await side(row.department_id), await side(row.to_department_id!), await side(common));
}

/** Applications that are being transferred, each with the number of the request. */
export async function transfersUnderWay(db: Db, applicationIds: readonly string[]): Promise<Map<string, { id: string; number: string }>> {
  if (applicationIds.length === 0) return new Map();
  const rows = await db
    .selectFrom("requests")
    .select(["id", "number", "application_id"])
    .where("application_id", "in", [...applicationIds])
    .where("to_department_id", "is not", null)
    .where("state", "in", [...openStates])
    .execute();
  return new Map(rows.map((row) => [row.application_id, row]));
}
/** @throws Refusal conflict */
export function requireStaying(transfer: { id: string; number: string } | undefined, requestId: string): void {
  if (transfer && transfer.id !== requestId)
    throw new Refusal("conflict", `The application is being transferred to another department by request ${transfer.number}.`, {
      remedy: "Wait until that is done, or withdraw it.",
    });
}
