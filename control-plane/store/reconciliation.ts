/**
 * Compares the quota accounts and what pools have taken with what live resources and open requests add up to.
 * Differences are written down, never mended: an operator closes each with a reason, and what is set right is audited.
 */
import { type Selectable, sql } from "kysely";
import { chargedWrongly, type ChargedResource } from "../domain/reconciliation.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Quantity } from "../domain/resources.ts";
import type { Act } from "./act.ts";
import { appendAudits } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvents } from "./events.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { lockChain } from "./quotas.ts";
import { insertRows } from "./rows.ts";
import type { QuotaFindings } from "./schema.ts";

export type FindingRow = Selectable<QuotaFindings>;
/** A difference as it is seen now. */
export type Difference = Pick<
  FindingRow,
  "kind" | "subject" | "field" | "department_id" | "resource_id" | "pool_id" | "dimension" | "level" | "expected" | "found"
>;
/** What one thing is to be looked at; left out: everything. */
interface Only {
  departmentId?: string | undefined;
  resourceId?: string | undefined;
  poolId?: string | undefined;
}

/** Accounts whose counts are not the sums of their open charges. */
async function wrongAccounts(db: Db, { departmentId }: Only = {}): Promise<Difference[]> {
  const only = departmentId === undefined ? sql`` : sql`and q.department_id = ${departmentId}`;
  const { rows } = await sql<Difference>`
    with sums as (
      select a.ancestor_id, c.dimension, l.level, c.state, sum(c.quantity)::bigint as quantity
      from quota_charges c join department_ancestors a on a.department_id = c.department_id cross join lateral (values (0), (c.level)) l(level)
      where c.state <> 'released' group by 1, 2, 3, 4)
    select 'account' as kind, q.department_id || '/' || q.dimension || '/' || q.level || '/' || f.field as subject, f.field,
      q.department_id, null as resource_id, null as pool_id, q.dimension, q.level, coalesce(s.quantity, 0)::bigint as expected, f.found
    from quota_accounts q cross join lateral (values ('reserved', q.reserved), ('used', q.used)) f(field, found)
    left join sums s on s.ancestor_id = q.department_id and s.dimension = q.dimension and s.level = q.level and s.state = f.field
    where f.found <> coalesce(s.quantity, 0) ${only} order by 2`.execute(db);
  return rows;
}

/** Pools whose taken capacity is not what the resources in them are charged for. What waits has reserved its quota, and taken nothing of a pool. */
async function wrongPools(db: Db, { poolId }: Only = {}): Promise<Difference[]> {
  const only = poolId === undefined ? sql`` : sql`and p.pool_id = ${poolId}`;
  const { rows } = await sql<Difference>`
    with sums as (
      select r.pool_id, c.dimension, sum(c.quantity)::bigint as quantity from quota_charges c join resources r on r.id = c.resource_id
      where c.state <> 'released' and not (c.state = 'reserved' and exists (select from requests q where q.id = c.request_id and q.waits)) group by 1, 2)
    select 'pool' as kind, p.pool_id || '/' || p.dimension as subject, 'taken' as field, null as department_id, null as resource_id, p.pool_id, p.dimension,
      null::int as level, coalesce(s.quantity, 0)::bigint as expected, p.taken as found
    from pool_accounts p left join sums s on s.pool_id = p.pool_id and s.dimension = p.dimension
    where p.taken <> coalesce(s.quantity, 0) ${only} order by 2`.execute(db);
  return rows;
}

/** Resources that are charged for something else than what they are and what open requests ask for them. */
async function wrongCharges(db: Db, now: Date, { resourceId }: Only = {}): Promise<{ differences: Difference[]; resources: number }> {
  const only = (column: string) => (resourceId === undefined ? sql`` : sql`and ${sql.ref(column)} = ${resourceId}`);
  const resources = await sql<Omit<ChargedResource, "asked" | "made" | "charged">>`
    select r.id, r.kind, r.department_id, r.phase, r.applied, r.updated_at from resources r
    where (r.phase in ('proposed', 'wanted', 'live', 'retiring') or exists (select from quota_charges c where c.resource_id = r.id and c.state <> 'released')) ${only("r.id")}`.execute(
    db,
  );
  // Taken in by a request and not settled yet; before it is submitted an item has no charge. A host's item waits for a reading after it has been settled.
  const items = await sql<{ resource_id: string; open: boolean; charge: Quantity[] }>`
    select i.resource_id, i.state = 'pending' or i.state = 'applying'
        and case when i.action = 'create' then r.applied is null else r.applied is distinct from i.spec->'wanted' end as open, i.spec->'charge' as charge
    from request_items i join resources r on r.id = i.resource_id
    where (i.action = 'create' and i.kind = 'backup-policy' or i.state in ('pending', 'applying')) and jsonb_typeof(i.spec->'charge') = 'array' ${only("r.id")}`.execute(
    db,
  );
  const charges = await sql<{ resource_id: string; state: "reserved" | "used"; dimension: Quantity["dimension"]; level: number; quantity: number }>`
    select c.resource_id, c.state, c.dimension, max(c.level) as level, sum(c.quantity)::bigint as quantity from quota_charges c
    where c.state <> 'released' ${only("c.resource_id")} group by 1, 2, 3`.execute(db);
  const [asked, charged] = [Map.groupBy(items.rows, (row) => row.resource_id), Map.groupBy(charges.rows, (row) => row.resource_id)];
  const differences = resources.rows.flatMap((one) => {
    const of = asked.get(one.id) ?? [];
    const resource: ChargedResource = {
      ...one,
      asked: of.filter((item) => item.open).flatMap((item) => item.charge),
      made: of.flatMap((item) => item.charge),
      charged: charged.get(one.id) ?? [],
    };
    return chargedWrongly(resource, now).map((wrong): Difference => ({
      kind: "charge",
      subject: `${one.id}/${wrong.dimension}/${wrong.field}`,
      field: wrong.field,
      department_id: one.department_id,
      resource_id: one.id,
      pool_id: null,
      dimension: wrong.dimension,
      level: charged.get(one.id)?.[0]?.level ?? null,
      expected: wrong.expected,
      found: wrong.found,
    }));
  });
  return { differences, resources: resources.rows.length };
}

export interface Reconciled {
  at: Date;
  accounts: number;
  resources: number;
  pools: number;
  findings: FindingRow[];
}

/** Key of the setting that says when accounts were reconciled last. */
export const reconciledKey = "quota-reconciled";

/** Looks at everything at one moment, then writes down what differs. An open finding stays one however often it is seen. */
export async function reconcile(db: Db, act: Act): Promise<Reconciled> {
  // One snapshot: what is under way is seen whole or not at all, and nobody is kept waiting.
  const seen = await db
    .transaction()
    .setIsolationLevel("repeatable read")
    .execute(async (tx) => {
      const [accounts, pools, charges] = [await wrongAccounts(tx), await wrongPools(tx), await wrongCharges(tx, act.now)];
      const { rows } = await sql<{
        accounts: number;
        pools: number;
      }>`select (select count(*) from quota_accounts) as accounts, (select count(*) from pool_accounts) as pools`.execute(tx);
      return { differences: [...accounts, ...charges.differences, ...pools], resources: charges.resources, ...rows[0]! };
    });
  const findings = await db.transaction().execute((tx) => record(tx, act, seen));
  return { at: act.now, accounts: seen.accounts, resources: seen.resources, pools: seen.pools, findings };
}

async function record(
  tx: Tx,
  act: Act,
  seen: { differences: readonly Difference[]; accounts: number; resources: number; pools: number },
): Promise<FindingRow[]> {
  const before = await tx.selectFrom("quota_findings").selectAll().where("closed_at", "is", null).forUpdate().execute();
  const open = new Map(before.map((row) => [`${row.kind} ${row.subject}`, row]));
  const fresh: FindingRow[] = [];
  for (const difference of seen.differences) {
    const known = open.get(`${difference.kind} ${difference.subject}`);
    if (!known) {
      const row = { id: newId("qfd", act.now), ...difference, first_seen_at: act.now, last_seen_at: act.now };
      fresh.push({ ...row, closed_at: null, closed_by: null, reason: null, corrected: null, revision: 1 });
      continue;
    }
    const moved = known.expected !== difference.expected || known.found !== difference.found;
    await tx
      .updateTable("quota_findings")
      .set({ expected: difference.expected, found: difference.found, last_seen_at: act.now, revision: known.revision + (moved ? 1 : 0) })
      .where("id", "=", known.id)
      .execute();
  }
  // Two runs at once would write one finding twice: the second gives way.
  const kept = new Set<string>();
  for (const row of fresh) {
    const made = await tx
      .insertInto("quota_findings")
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .returning("id")
      .executeTakeFirst();
    if (made) kept.add(row.id);
  }
  const news = fresh.filter((row) => kept.has(row.id));
  await appendAudits(
    tx,
    act,
    news.map((row) => ({
      action: "quota.finding",
      subjectKind: "quota-finding",
      subjectId: row.id,
      departmentId: row.department_id,
      after: { kind: row.kind, subject: row.subject, field: row.field, expected: row.expected, found: row.found },
    })),
  );
  await appendEvents(
    tx,
    news.map((row) => ({
      at: act.now,
      departmentId: row.department_id,
      requestId: null,
      type: "quota.finding",
      subjectId: row.id,
      data: { kind: row.kind, subject: row.subject, field: row.field, expected: row.expected, found: row.found },
    })),
  );
  const value = JSON.stringify({ at: act.now.toISOString(), differences: seen.differences.length });
  await tx
    .insertInto("settings")
    .values({ key: reconciledKey, value })
    .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
    .execute();
  return tx.selectFrom("quota_findings").selectAll().where("closed_at", "is", null).orderBy("id").execute();
}

/** Newest first. */
export async function listFindings(db: Db, ask: PageAsk & { state: "open" | "closed" | "all" }): Promise<Page<FindingRow>> {
  let query = db.selectFrom("quota_findings").selectAll();
  if (ask.state !== "all") query = query.where("closed_at", ask.state === "open" ? "is" : "is not", null);
  return page(query, { limit: ask.limit, cursor: ask.cursor, by: "id", descending: true });
}

/**
 * An operator closes a finding, with a reason; where it is to be corrected, what was found is set to what adds up now, under the locks of charges.
 * @throws Refusal not-found, conflict when it is closed already
 */
export async function closeFinding(tx: Tx, act: Act, id: string, ask: { reason: string; correct: boolean }): Promise<FindingRow> {
  const finding = await tx.selectFrom("quota_findings").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!finding) throw new Refusal("not-found", `There is no finding ${id}.`);
  if (finding.closed_at) throw new Refusal("conflict", `The finding was closed by ${finding.closed_by}.`);
  const change = ask.correct ? await correct(tx, act, finding) : null;
  const after = await tx
    .updateTable("quota_findings")
    .set({ closed_at: act.now, closed_by: act.actor, reason: ask.reason, corrected: change !== null, revision: finding.revision + 1 })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  const told = { subject: finding.subject, field: finding.field };
  await appendAudits(tx, act, [
    {
      action: change ? "quota.correct" : "quota.explain",
      subjectKind: "quota-finding",
      subjectId: id,
      departmentId: finding.department_id,
      before: { ...told, value: change?.found ?? finding.found },
      after: { ...told, value: change?.expected ?? finding.found, reason: ask.reason },
    },
  ]);
  await appendEvents(tx, [
    {
      at: act.now,
      departmentId: finding.department_id,
      requestId: null,
      type: "quota.finding-closed",
      subjectId: id,
      data: { ...told, corrected: change !== null },
    },
  ]);
  return after;
}

/** Sets right what differs now; null: nothing does any more. */
async function correct(tx: Tx, act: Act, finding: FindingRow): Promise<Difference | null> {
  const same = (one: Difference) => one.subject === finding.subject;
  if (finding.kind === "pool") {
    await sql`select from pool_accounts where pool_id = ${finding.pool_id} and dimension = ${finding.dimension} for update`.execute(tx);
    const now = (await wrongPools(tx, { poolId: finding.pool_id! })).find(same);
    if (!now) return null;
    const { capacity } = await tx
      .selectFrom("pool_accounts")
      .select("capacity")
      .where("pool_id", "=", finding.pool_id!)
      .where("dimension", "=", finding.dimension)
      .executeTakeFirstOrThrow();
    if (now.expected > capacity)
      throw new Refusal("rule-broken", `The pool's resources hold ${now.expected} of ${now.dimension}, more than its capacity of ${capacity}.`, {
        remedy: "Set the pool's capacity first.",
      });
    await tx
      .updateTable("pool_accounts")
      .set({ taken: now.expected })
      .where("pool_id", "=", finding.pool_id!)
      .where("dimension", "=", finding.dimension)
      .execute();
    return now;
  }
  await lockChain(tx, finding.department_id!, [finding.dimension]);
  if (finding.kind === "account") {
    const now = (await wrongAccounts(tx, { departmentId: finding.department_id! })).find(same);
    if (!now) return null;
    await tx
      .updateTable("quota_accounts")
      .set(finding.field === "reserved" ? { reserved: now.expected } : { used: now.expected })
      .where("department_id", "=", finding.department_id!)
      .where("dimension", "=", finding.dimension)
      .where("level", "=", finding.level!)
      .execute();
    return now;
  }
  const now = (await wrongCharges(tx, act.now, { resourceId: finding.resource_id! })).differences.find(same);
  if (now) await correctCharge(tx, act, now);
  return now ?? null;
}

/** A charge of its own for what was missing or too much, counted at the department and above. */
async function correctCharge(tx: Tx, act: Act, { resource_id, department_id, dimension, field, expected, found }: Difference): Promise<void> {
  const about = await tx
    .selectFrom("resources as r")
    .innerJoin("applications as a", "a.id", "r.application_id")
    .select(["r.request_id", "a.protection_level"])
    .where("r.id", "=", resource_id!)
    .executeTakeFirstOrThrow();
  // Under the item that asked for it, with which a reservation is settled.
  const item = await tx.selectFrom("request_items").select("id").where("resource_id", "=", resource_id!).orderBy("id", "desc").limit(1).executeTakeFirst();
  const quantity = expected - found;
  const charge = {
    id: newId("chg", act.now),
    department_id: department_id!,
    resource_id: resource_id!,
    request_id: about.request_id,
    item_id: item?.id ?? "",
    dimension,
    level: about.protection_level,
    quantity,
    state: field as "reserved" | "used",
    expires_at: null,
    created_at: act.now,
    settled_at: field === "used" ? act.now : null,
  };
  await insertRows(tx, "quota_charges", [charge]);
  await sql`
    update quota_accounts q set ${sql.ref(field)} = q.${sql.ref(field)} + ${quantity}::bigint from department_ancestors a
    where a.department_id = ${department_id} and q.department_id = a.ancestor_id and q.dimension = ${dimension} and q.level in (0, ${about.protection_level})`.execute(
    tx,
  );
}
