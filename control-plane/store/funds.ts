/** Funds of projects (项目资金): read under the lock of their project, made when they are needed, set by who decides. */
import { type Selectable, sql } from "kysely";
import type { FundKind, NewFund } from "../contract/projects.ts";
import { FundLedger, type Payer } from "../domain/funds.ts";
import { yuan } from "../domain/prices.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { insertRows } from "./rows.ts";
import type { ProjectFunds } from "./schema.ts";

export type FundRow = Selectable<ProjectFunds>;

/** Locks projects in one order: who holds a project's row holds its stage, its funds and their charges. After quota accounts, before pools. */
export async function lockProjects(tx: Tx, projectIds: readonly string[]): Promise<Map<string, Payer>> {
  const { rows } = await sql<Payer>`
    select id, code, name, stage from projects where id = any(${sql.val([...new Set(projectIds)])}::text[]) order by id for no key update`.execute(tx);
  return new Map(rows.map((row) => [row.id, row]));
}

/** The same without a lock, for what changes nothing. */
export async function readPayers(db: Db, projectIds: readonly string[]): Promise<Map<string, Payer>> {
  const rows = await db
    .selectFrom("projects")
    .select(["id", "code", "name", "stage"])
    .where("id", "in", [...projectIds])
    .execute();
  return new Map(rows.map((row) => [row.id, row]));
}

export async function fundsOf(db: Db, projectIds: readonly string[]): Promise<FundRow[]> {
  if (projectIds.length === 0) return [];
  return db
    .selectFrom("project_funds")
    .selectAll()
    .where("project_id", "in", [...new Set(projectIds)])
    .orderBy("project_id")
    .orderBy("fiscal_year")
    .orderBy("kind")
    .execute();
}

/** What the projects, locked before, may still reserve. */
export async function readFundLedger(tx: Tx, payers: ReadonlyMap<string, Payer>): Promise<FundLedger> {
  return new FundLedger([...payers.values()], await fundsOf(tx, [...payers.keys()]));
}

const keyOf = (one: { project_id: string; kind: string; fiscal_year: number }) => `${one.project_id} ${one.kind} ${one.fiscal_year}`;

/**
 * Ids of funds that are charged whether or not anybody gave them money: what runs goes on.
 * @returns finds the id of a fund that was asked for
 */
export async function ensureFunds(tx: Tx, act: Act, wanted: readonly Pick<FundRow, "project_id" | "kind" | "fiscal_year">[]) {
  const once = [...new Map(wanted.map((one) => [keyOf(one), one])).values()];
  const ids = new Map<string, string>();
  const there = await fundsOf(
    tx,
    once.map((one) => one.project_id),
  );
  for (const one of there) ids.set(keyOf(one), one.id);
  const fresh = once.filter((one) => !ids.has(keyOf(one))).map((one) => ({ id: newId("fnd", act.now), ...one, amount_fen: 0 }));
  for (const one of fresh) ids.set(keyOf(one), one.id);
  await insertRows(
    tx,
    "project_funds",
    fresh.map((one) => ({ ...one, reserved_fen: 0, committed_fen: 0, spent_fen: 0 })),
  );
  return (projectId: string, kind: FundKind, year: number): string => ids.get(keyOf({ project_id: projectId, kind, fiscal_year: year }))!;
}

/**
 * Sets amounts of a project's funds; the project is locked.
 * @returns the sum of all its funds then
 * @throws Refusal rule-broken for an amount that is lowered below what is held, or for more than can be counted
 */
export async function setFunds(tx: Tx, act: Act, projectId: string, funds: readonly NewFund[]): Promise<number> {
  for (const { kind, fiscalYear, amountFen } of funds) {
    const before = await tx
      .selectFrom("project_funds")
      .selectAll()
      .where("project_id", "=", projectId)
      .where("kind", "=", kind)
      .where("fiscal_year", "=", fiscalYear)
      .executeTakeFirst();
    const held = before ? before.reserved_fen + before.committed_fen + before.spent_fen : 0;
    // A budget that came late is raised step by step, though more may be held already.
    if (before && amountFen < before.amount_fen && amountFen < held)
      throw new Refusal(
        "rule-broken",
        `${yuan(held)} yuan of the ${kind} fund for ${fiscalYear} are held or spent: it cannot be lowered to ${yuan(amountFen)}.`,
      );
    await tx
      .insertInto("project_funds")
      .values({ id: newId("fnd", act.now), project_id: projectId, kind, fiscal_year: fiscalYear, amount_fen: amountFen })
      .onConflict((on) => on.columns(["project_id", "kind", "fiscal_year"]).doUpdateSet({ amount_fen: amountFen }))
      .execute();
  }
  const sum = await sql<{ sum: number }>`select coalesce(sum(amount_fen), 0)::bigint as sum from project_funds where project_id = ${projectId}`.execute(tx);
  const total = sum.rows[0]!.sum;
  if (!Number.isSafeInteger(total)) throw new Refusal("rule-broken", "The funds of this project add up to more than can be counted.");
  return total;
}
