/** What a quota account allows: hard and soft limit, guarantee, borrowing. Set by operations, under the locks that charges take. */
import { sql } from "kysely";
import type { Dimension } from "../contract/common.ts";
import { borrowedOf, heldOf } from "../domain/ledger.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvent } from "./events.ts";
import { lockChain, type QuotaRow } from "./quotas.ts";

/** Which account. Level 0: for all protection levels. */
export interface AccountKey {
  departmentId: string;
  dimension: Dimension;
  level: number;
}
/** What is left out stays as it is. */
export interface QuotaSettings {
  limit?: number | null | undefined;
  softLimit?: number | null | undefined;
  guaranteed?: number | undefined;
  borrowCap?: number | null | undefined;
  lends?: boolean | undefined;
}

const find = (db: Db, key: AccountKey) =>
  db
    .selectFrom("quota_accounts")
    .selectAll()
    .where("department_id", "=", key.departmentId)
    .where("dimension", "=", key.dimension)
    .where("level", "=", key.level)
    .executeTakeFirst();

/** An account; one of a level that nobody has set yet counts what its charges add up to. undefined: there is no such department. */
export async function readQuota(db: Db, key: AccountKey): Promise<QuotaRow | undefined> {
  const [row, all] = [await find(db, key), await find(db, { ...key, level: 0 })];
  if (row || !all) return row;
  return {
    ...all,
    level: key.level,
    limit_value: null,
    soft_limit: null,
    guaranteed: 0,
    borrow_cap: null,
    lends: false,
    revision: 1,
    ...(await heldAtLevel(db, key)),
  };
}

async function heldAtLevel(db: Db, { departmentId, dimension, level }: AccountKey): Promise<{ reserved: number; used: number }> {
  const { rows } = await sql<{ reserved: number; used: number }>`
    select coalesce(sum(c.quantity) filter (where c.state = 'reserved'), 0)::bigint as reserved, coalesce(sum(c.quantity) filter (where c.state = 'used'), 0)::bigint as used
    from quota_charges c join department_ancestors a on a.department_id = c.department_id
    where a.ancestor_id = ${departmentId} and c.dimension = ${dimension} and c.level = ${level} and c.state <> 'released'`.execute(db);
  return rows[0]!;
}

/**
 * @param ifMatch revision that was seen
 * @throws Refusal not-found, precondition-failed, or rule-broken: what is held, borrowed or promised already must go on being allowed
 */
export async function setQuota(tx: Tx, act: Act, key: AccountKey, settings: QuotaSettings, ifMatch?: number): Promise<QuotaRow> {
  // Every charge below holds these locks too: nothing moves while the rules are looked at.
  await lockChain(tx, key.departmentId, [key.dimension]);
  const before = await readQuota(tx, key);
  if (!before) throw new Refusal("not-found", `There is no quota account ${key.dimension} of ${key.departmentId}.`);
  if (ifMatch !== undefined && before.revision !== ifMatch)
    throw new Refusal("precondition-failed", `The account has revision ${before.revision}, not ${ifMatch}.`, { remedy: "Read it again." });
  const after: QuotaRow = {
    ...before,
    limit_value: settings.limit === undefined ? before.limit_value : settings.limit,
    soft_limit: settings.softLimit === undefined ? before.soft_limit : settings.softLimit,
    guaranteed: settings.guaranteed ?? before.guaranteed,
    borrow_cap: settings.borrowCap === undefined ? before.borrow_cap : settings.borrowCap,
    lends: settings.lends ?? before.lends,
  };
  const [was, is] = [settingsOf(before), settingsOf(after)];
  if (JSON.stringify(was) === JSON.stringify(is)) return before;
  await requireAllowed(tx, before, after);
  const row: QuotaRow = { ...after, revision: before.revision + 1 };
  const { department_id: _department, dimension: _dimension, level: _level, ...values } = row;
  await tx
    .insertInto("quota_accounts")
    .values(row)
    .onConflict((conflict) => conflict.columns(["department_id", "dimension", "level"]).doUpdateSet(values))
    .execute();
  const name = `${key.departmentId}/${key.dimension}${key.level === 0 ? "" : `/${key.level}`}`;
  await appendAudit(tx, act, { action: "quota.set", subjectKind: "quota", subjectId: name, departmentId: key.departmentId, before: was, after: is });
  await appendEvent(tx, {
    at: act.now,
    departmentId: key.departmentId,
    requestId: null,
    type: "quota.changed",
    subjectId: key.departmentId,
    data: { dimension: key.dimension, level: key.level, ...is },
  });
  return row;
}

const settingsOf = (row: QuotaRow) => ({
  limit: row.limit_value,
  softLimit: row.soft_limit,
  guaranteed: row.guaranteed,
  borrowCap: row.borrow_cap,
  lends: row.lends,
});

async function requireAllowed(tx: Tx, before: QuotaRow, after: QuotaRow): Promise<void> {
  const { rows: near } = await sql<QuotaRow & { parent: boolean }>`
    select q.*, q.department_id = own.parent_id as parent from departments own
    join departments d on d.id = own.parent_id or d.parent_id = own.parent_id or d.parent_id = own.id
    join quota_accounts q on q.department_id = d.id and q.dimension = ${after.dimension} and q.level = ${after.level}
    where own.id = ${after.department_id} and d.id <> own.id`.execute(tx);
  const { rows: children } = await sql<{ id: string }>`select id from departments where parent_id = ${after.department_id}`.execute(tx);
  const own = new Set(children.map((one) => one.id));
  const parent = near.find((one) => one.parent);
  const below = near.filter((one) => own.has(one.department_id));
  const beside = near.filter((one) => !one.parent && !own.has(one.department_id));
  const held = heldOf(after);
  const { limit_value: limit, dimension } = after;
  const no = (pointer: string, detail: string, remedy: string) => {
    throw new Refusal("rule-broken", detail, { errors: [{ pointer, detail: "does not fit" }], remedy });
  };
  const lowered = limit !== null && (before.limit_value === null || limit < before.limit_value);
  const promised = promisedTo(below);
  if (lowered && limit < held) no("/limit", `${held} of ${dimension} are reserved or used; the limit cannot be ${limit}.`, "Retire resources first.");
  if (lowered && limit < held + promised)
    no("/limit", `${held} of ${dimension} are held and ${promised} more are guaranteed below; the limit cannot be ${limit}.`, "Lower the guarantees first.");
  if (limit === null && (after.lends || promised > 0))
    no("/limit", "Without a limit of its own there is nothing to lend or to guarantee.", "Take away lending and guarantees first.");
  if (limit !== null && after.soft_limit !== null && after.soft_limit > limit)
    no("/softLimit", `A soft limit of ${after.soft_limit} above the limit of ${limit} would never be reached.`, "Set it to the limit or below.");
  if (after.guaranteed > 0 && (limit === null || after.guaranteed > limit))
    no("/guaranteed", "A guarantee is a part of the department's own limit.", "Guarantee at most the limit.");
  if (after.guaranteed > before.guaranteed) {
    if (!parent || parent.limit_value === null)
      return no("/guaranteed", "The department above has no limit out of which to guarantee anything.", "Set its limit first.");
    const wanted = heldOf(parent) + promisedTo([...beside, after]);
    if (wanted > parent.limit_value)
      no(
        "/guaranteed",
        `The department above has ${parent.limit_value} of ${dimension}; with this guarantee ${wanted} would be held or promised.`,
        "Guarantee less.",
      );
  }
  const borrowed = borrowedOf(after);
  if (after.borrow_cap !== null && borrowed > after.borrow_cap)
    no("/borrowCap", `${borrowed} of ${dimension} are borrowed; the cap cannot be ${after.borrow_cap}.`, "Retire resources, or raise the limit.");
  const lent = below.reduce((sum, one) => sum + borrowedOf(one), 0);
  if (before.lends && !after.lends && lent > 0)
    no("/lends", `Departments below have borrowed ${lent} of ${dimension}.`, "Raise their limits, or wait until it is given back.");
}

const promisedTo = (accounts: readonly QuotaRow[]): number => accounts.reduce((sum, one) => sum + Math.max(0, one.guaranteed - heldOf(one)), 0);
