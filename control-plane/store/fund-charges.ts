/**
 * What resources cost the funds of their projects, with the life of quota charges: reserved at the submission, committed when applied, given back exactly once.
 * A live resource has one committed charge, to the year's end; what changes cuts it short (spent) and opens the next. A fund's sums are those of its charges.
 */
import { type Selectable, sql } from "kysely";
import type { RequestCost } from "../contract/requests.ts";
import type { Payer } from "../domain/funds.ts";
import { type CostLine, costFen, lessOf, linesOf, repriced } from "../domain/prices.ts";
import { fundKindOf } from "../domain/project-stages.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Quantity } from "../domain/resources.ts";
import { fiscalYearOf, yearEnd, yearStart } from "../domain/time.ts";
import type { Act } from "./act.ts";
import type { Db, Tx } from "./database.ts";
import { ensureFunds, lockProjects, readFundLedger } from "./funds.ts";
import { newId } from "./ids.ts";
import { type PricesInForce, pricesAt } from "./prices.ts";
import { requireApproved } from "./proposing.ts";
import { insertRows } from "./rows.ts";
import type { FundCharges } from "./schema.ts";

export type FundCharge = Selectable<FundCharges>;
interface Change {
  before: FundCharge;
  after: FundCharge;
}
const linesIn = (charge: Pick<FundCharge, "lines">) => charge.lines as CostLine[];

/** The one way in which charges change: rows and the sums of their funds in one go. The projects are locked. */
async function write(tx: Tx, changes: readonly Change[], opened: readonly FundCharge[]): Promise<{ within: boolean }> {
  const sums = new Map<string, { id: string; reserved: number; committed: number; spent: number }>();
  const count = (charge: FundCharge, sign: number) => {
    if (charge.state === "released") return;
    const sum = sums.get(charge.fund_id) ?? { id: charge.fund_id, reserved: 0, committed: 0, spent: 0 };
    sum[charge.state] += sign * charge.amount_fen;
    sums.set(charge.fund_id, sum);
  };
  for (const { before, after } of changes) {
    count(before, -1);
    count(after, 1);
  }
  for (const one of opened) count(one, 1);
  if (changes.length > 0)
    await sql`
      update fund_charges c set fund_id = w.fund_id, from_at = w.from_at, to_at = w.to_at, amount_fen = w.amount_fen, state = w.state, settled_at = w.settled_at
      from jsonb_populate_recordset(null::fund_charges, ${JSON.stringify(changes.map((one) => one.after))}::jsonb) w where c.id = w.id`.execute(tx);
  await insertRows(tx, "fund_charges", opened);
  if (sums.size === 0) return { within: true };
  const { rows } = await sql<{ within: boolean }>`
    update project_funds f set reserved_fen = f.reserved_fen + w.reserved, committed_fen = f.committed_fen + w.committed, spent_fen = f.spent_fen + w.spent
    from jsonb_to_recordset(${JSON.stringify([...sums.values()])}::jsonb) w(id text, reserved bigint, committed bigint, spent bigint) where f.id = w.id
    returning f.reserved_fen + f.committed_fen + f.spent_fen <= f.amount_fen as within`.execute(tx);
  return { within: rows.every((row) => row.within) };
}

/**
 * Writes reservations that the ledger allowed, in the same transaction.
 * @throws Refusal budget-exceeded should a fund be passed all the same: whatever the lock and the ledger are worth, none can
 */
export async function writeFundReservations(tx: Tx, charges: readonly FundCharge[]): Promise<void> {
  const { within } = await write(tx, [], charges);
  if (!within && charges.some((one) => one.amount_fen > 0))
    throw new Refusal("budget-exceeded", "The fund was taken by somebody else at the same moment.", { remedy: "Try again." });
}

/** A reservation from now to the year's end, rounded up. */
export function reservationOf(
  act: Act,
  book: PricesInForce,
  ask: Pick<FundCharge, "project_id" | "fund_id" | "resource_id" | "request_id" | "item_id"> & { lines: CostLine[] },
): FundCharge {
  const to = yearEnd(act.now);
  return {
    id: newId("fch", act.now),
    ...ask,
    price_book_id: book.id,
    from_at: act.now,
    to_at: to,
    amount_fen: costFen(ask.lines, act.now, to, "up"),
    state: "reserved",
    created_at: act.now,
    settled_at: null,
  };
}

const opening = (act: Act, from: FundCharge, change: Pick<FundCharge, "fund_id"> & Partial<FundCharge>): FundCharge => {
  const next = {
    ...from,
    from_at: act.now,
    to_at: yearEnd(act.now),
    ...change,
    id: newId("fch", act.now),
    state: "committed" as const,
    created_at: act.now,
    settled_at: null,
  };
  return { ...next, amount_fen: costFen(next.lines as CostLine[], next.from_at, next.to_at, "down") };
};
/** What was committed until a moment stays paid; the rest is free again. */
const cut = (act: Act, charge: FundCharge, at: Date = act.now): FundCharge => {
  const to = at < charge.to_at ? at : charge.to_at;
  return { ...charge, state: "spent", to_at: to, amount_fen: costFen(linesIn(charge), charge.from_at, to, "down"), settled_at: act.now };
};
const released = (act: Act, charge: FundCharge): FundCharge => ({ ...charge, state: "released", settled_at: act.now });

/** Locks projects, and takes what runs there into the year that it is by now. */
export async function lockPayers(tx: Tx, act: Act, projectIds: readonly string[]): Promise<Map<string, Payer>> {
  if (projectIds.length === 0) return new Map();
  const payers = await lockProjects(tx, projectIds);
  await rollYears(tx, act, payers);
  return payers;
}

/** Charges of a year that is over are spent, and what goes on is charged to the new year's fund at its first prices, whatever that fund has. */
async function rollYears(tx: Tx, act: Act, payers: ReadonlyMap<string, Payer>): Promise<void> {
  const over = await tx
    .selectFrom("fund_charges")
    .selectAll()
    .where("project_id", "in", [...payers.keys()])
    .where("state", "=", "committed")
    .where("to_at", "<=", act.now)
    .orderBy("id")
    .execute();
  if (over.length === 0) return;
  const changes: Change[] = [];
  const opened: FundCharge[] = [];
  const years = new Map<number, PricesInForce | undefined>();
  const first = Math.min(...over.map((one) => fiscalYearOf(one.to_at)));
  const last = fiscalYearOf(act.now);
  for (let year = first; year <= last; year++) years.set(year, await pricesAt(tx, yearStart(year)));
  const kindOf = (projectId: string) => fundKindOf(payers.get(projectId)!.stage);
  const fundOf = await ensureFunds(
    tx,
    act,
    over.flatMap((one) => {
      const from = fiscalYearOf(one.to_at);
      return Array.from({ length: last - from + 1 }, (_, index) => ({ project_id: one.project_id, kind: kindOf(one.project_id), fiscal_year: from + index }));
    }),
  );
  for (const before of over) {
    changes.push({ before, after: cut(act, before, before.to_at) });
    let lines = linesIn(before);
    let book = before.price_book_id;
    for (let year = fiscalYearOf(before.to_at); year <= last; year++) {
      const prices = years.get(year);
      if (prices) [lines, book] = [repriced(lines, prices.prices), prices.id];
      const next = opening(act, before, {
        fund_id: fundOf(before.project_id, kindOf(before.project_id), year),
        lines,
        price_book_id: book,
        from_at: yearStart(year),
        to_at: yearStart(year + 1),
        request_id: null,
        item_id: null,
      });
      opened.push(year < last ? cut(act, next, next.to_at) : next);
    }
  }
  await write(tx, changes, opened);
}

async function openCharges(tx: Tx, by: "item_id" | "resource_id", ids: readonly string[], states: readonly FundCharge["state"][]): Promise<FundCharge[]> {
  if (ids.length === 0) return [];
  return tx
    .selectFrom("fund_charges")
    .selectAll()
    .where(by, "in", [...ids])
    .where("state", "in", [...states])
    .orderBy("id")
    .execute();
}
/** Their charges as they are under the locks of their projects. */
async function lockCharges(tx: Tx, act: Act, by: "item_id" | "resource_id", ids: readonly string[], states: readonly FundCharge["state"][]) {
  const seen = await openCharges(tx, by, ids, states);
  const payers = await lockPayers(
    tx,
    act,
    seen.map((one) => one.project_id),
  );
  return { payers, charges: seen.length === 0 ? [] : await openCharges(tx, by, ids, states) };
}

/** Reserved charges of these items are released, or committed from now on. Done already: nothing happens. */
export async function settleCosts(tx: Tx, act: Act, itemIds: readonly string[], to: "used" | "released"): Promise<void> {
  const { payers, charges } = await lockCharges(tx, act, "item_id", itemIds, ["reserved"]);
  if (charges.length === 0) return;
  if (to === "released") {
    await write(
      tx,
      charges.map((before) => ({ before, after: released(act, before) })),
      [],
    );
    return;
  }
  const held = new Map(
    (
      await openCharges(
        tx,
        "resource_id",
        charges.map((one) => one.resource_id),
        ["committed"],
      )
    ).map((one) => [one.resource_id, one]),
  );
  const year = fiscalYearOf(act.now);
  const fundOf = await ensureFunds(
    tx,
    act,
    charges.map(({ project_id }) => ({ project_id, kind: fundKindOf(payers.get(project_id)!.stage), fiscal_year: year })),
  );
  const changes: Change[] = [];
  const opened = new Map<string, FundCharge>();
  for (const before of charges) {
    // Made by now: it is paid from the fund of the day, even should that have changed since it was reserved.
    const fund_id = fundOf(before.project_id, fundKindOf(payers.get(before.project_id)!.stage), year);
    const standing = opened.get(before.resource_id) ?? held.get(before.resource_id);
    if (standing && standing === held.get(before.resource_id)) changes.push({ before: standing, after: cut(act, standing) });
    changes.push({ before, after: released(act, before) });
    opened.set(before.resource_id, opening(act, before, { fund_id, lines: [...(standing ? linesIn(standing) : []), ...linesIn(before)] }));
  }
  await write(tx, changes, [...opened.values()]);
}

/** Everything that resources still hold of funds is given back; what they cost until now stays paid. */
export async function endCosts(tx: Tx, act: Act, resourceIds: readonly string[]): Promise<void> {
  const { charges } = await lockCharges(tx, act, "resource_id", resourceIds, ["reserved", "committed"]);
  await write(
    tx,
    charges.map((before) => ({ before, after: before.state === "reserved" ? released(act, before) : cut(act, before) })),
    [],
  );
}

/** A resource that has become smaller costs less from now on. */
export async function shrinkCosts(tx: Tx, act: Act, resourceId: string, less: readonly Quantity[]): Promise<void> {
  const { charges } = await lockCharges(tx, act, "resource_id", [resourceId], ["committed"]);
  await write(
    tx,
    charges.map((before) => ({ before, after: cut(act, before) })),
    charges.map((before) => opening(act, before, { fund_id: before.fund_id, lines: lessOf(linesIn(before), less) })),
  );
}

/**
 * What runs under a project is paid from now on from the fund of its stage: after an acceptance. The project is locked.
 * @param resourceIds of another project, which pass to this one
 */
export async function passToFund(tx: Tx, act: Act, projectId: string, resourceIds?: readonly string[]): Promise<void> {
  const from = resourceIds ? (await openCharges(tx, "resource_id", resourceIds, ["committed"])).map((one) => one.project_id) : [];
  const payers = await lockPayers(tx, act, [projectId, ...from]);
  let query = tx.selectFrom("fund_charges").selectAll().where("state", "=", "committed").orderBy("id");
  query = resourceIds ? query.where("resource_id", "in", [...resourceIds]) : query.where("project_id", "=", projectId);
  const charges = await query.execute();
  const kind = fundKindOf(payers.get(projectId)!.stage);
  const year = fiscalYearOf(act.now);
  const fundOf = await ensureFunds(tx, act, [{ project_id: projectId, kind, fiscal_year: year }]);
  const fund_id = fundOf(projectId, kind, year);
  const passing = charges.filter((one) => one.fund_id !== fund_id);
  await write(
    tx,
    passing.map((before) => ({ before, after: cut(act, before) })),
    passing.map((before) => opening(act, before, { fund_id, project_id: projectId })),
  );
}

/**
 * Whether what a request reserved still fits, before it is approved and again when it is applied: the project's stage, and the fund of the day.
 * A reservation of another fund or year moves to it where it may; an approval is of the cost that was shown.
 * @returns the new cost of what moved
 * @throws Refusal project-not-approved, budget-exceeded, plan-changed
 */
export async function requireFunds(
  tx: Tx,
  act: Act,
  { id: requestId, project_id: projectId }: { id: string; project_id: string },
  mayMove: boolean,
): Promise<RequestCost | undefined> {
  const payers = await lockPayers(tx, act, [projectId]);
  requireApproved(payers.get(projectId)!);
  const charges = await tx.selectFrom("fund_charges").selectAll().where("request_id", "=", requestId).where("state", "=", "reserved").orderBy("id").execute();
  if (charges.length === 0) return undefined;
  const ledger = await readFundLedger(tx, payers);
  const year = fiscalYearOf(act.now);
  const to = yearEnd(act.now);
  const today = charges.map((before) => ({ before, amount_fen: costFen(linesIn(before), act.now, to, "up") }));
  // What it holds in the right fund is counted there already; it fits as long as that fund isn't passed.
  const there = ledger.require(projectId, year, 0);
  const coming = today.filter((one) => one.before.fund_id !== there.id).reduce((sum, one) => sum + one.amount_fen, 0);
  const staying = today.filter((one) => one.before.fund_id === there.id).reduce((sum, one) => sum + one.before.amount_fen - one.amount_fen, 0);
  const needed = coming - staying;
  if (needed > 0 || there.reserved_fen + there.committed_fen + there.spent_fen > there.amount_fen) ledger.require(projectId, year, Math.max(1, needed));
  const moves = today.some((one) => one.before.fund_id !== there.id);
  if (moves && !mayMove)
    throw new Refusal("plan-changed", `This is paid from the ${there.kind} fund of ${year} by now: another cost than the one in its change plan.`, {
      remedy: "Have its plan made anew, and look at it again.",
    });
  await write(
    tx,
    today.map(({ before, amount_fen }) => ({ before, after: { ...before, fund_id: there.id, from_at: act.now, to_at: to, amount_fen } })),
    [],
  );
  if (!moves) return undefined;
  const cost = {
    amountFen: today.reduce((sum, one) => sum + one.amount_fen, 0),
    from: act.now.toISOString(),
    to: to.toISOString(),
    fund: { kind: there.kind, fiscalYear: year },
    items: today.map(({ before, amount_fen }) => ({ resource: before.resource_id, amountFen: amount_fen })),
  };
  const { rows } = await sql<{
    cost: RequestCost;
  }>`update requests set cost = cost || ${JSON.stringify(cost)}::jsonb where id = ${requestId} returning cost`.execute(tx);
  return rows[0]?.cost;
}

/** What lives without a charge, from before there were prices, is committed from now on, whatever its fund has. */
export async function commitUncharged(tx: Tx, act: Act, book: PricesInForce): Promise<void> {
  const { rows } = await sql<Quantity & { resource_id: string; project_id: string }>`
    select c.resource_id, r.project_id, c.dimension, sum(c.quantity)::bigint as quantity from quota_charges c join resources r on r.id = c.resource_id
    where c.state = 'used' and r.phase in ('live', 'retiring') and not exists (select from fund_charges f where f.resource_id = c.resource_id and f.state = 'committed')
    group by 1, 2, 3 having sum(c.quantity) > 0 order by 1, 3`.execute(tx);
  if (rows.length === 0) return;
  const payers = await lockPayers(
    tx,
    act,
    rows.map((row) => row.project_id),
  );
  const year = fiscalYearOf(act.now);
  const kind = (projectId: string) => fundKindOf(payers.get(projectId)!.stage);
  const fundOf = await ensureFunds(
    tx,
    act,
    rows.map(({ project_id }) => ({ project_id, kind: kind(project_id), fiscal_year: year })),
  );
  const opened = [...Map.groupBy(rows, (row) => row.resource_id)].map(([resource_id, of]) => {
    const { project_id } = of[0]!;
    const reserved = reservationOf(act, book, {
      project_id,
      fund_id: fundOf(project_id, kind(project_id), year),
      resource_id,
      request_id: null,
      item_id: null,
      lines: linesOf(of, book.prices),
    });
    return opening(act, reserved, { fund_id: reserved.fund_id });
  });
  await write(tx, [], opened);
}

/** Projects with something that runs into a year that has not begun for them: at the start of a year. */
export async function projectsToRoll(db: Db, now: Date): Promise<string[]> {
  const rows = await db
    .selectFrom("fund_charges")
    .select("project_id")
    .distinct()
    .where("state", "=", "committed")
    .where("to_at", "<=", now)
    .orderBy("project_id")
    .execute();
  return rows.map((row) => row.project_id);
}
