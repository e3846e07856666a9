/** Capacity of sites (资源池). */
import { type Selectable, sql } from "kysely";
import { backupsOf, groupOf, serverOf } from "../../infra/spec.ts";
import { type Owner, type Protection, whyNotIn } from "../domain/levels.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { resolveDepartment } from "./departments.ts";
import { newId } from "./ids.ts";
import { nameOf } from "./names.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { Dimension, Pools } from "./schema.ts";

export type PoolRow = Selectable<Pools>;
export type Amounts = Partial<Record<Dimension, number>>;
export interface PoolWithAccounts extends PoolRow {
  server: string;
  group: string | null;
  /** What there is, what of it may be given out, what is taken, and what approved requests wait for. */
  owned: Amounts;
  offered: Amounts;
  taken: Amounts;
  queued: Amounts;
  loss_set_by_name: string | null;
  dedicated: { department: string; departmentName: string; application: string | null; applicationName: string | null } | null;
}
/** A department, or one of its applications, by id or code; null: for all. */
export type DedicationAsk = { department: string; application?: string | undefined } | null;
/** What becomes of its hosts when their member doesn't answer. */
export interface LossPolicyAsk {
  action: PoolRow["loss_action"];
  afterSeconds: number;
  fenced: boolean;
}
export type PoolAsk = Pick<PoolRow, "code" | "name" | "kind" | "site" | "tier" | "security_level" | "zone" | "overcommit_percent" | "driver" | "endpoint"> &
  Partial<Pick<PoolRow, "strategy">> & { capacity: Amounts; dedicatedTo?: DedicationAsk | undefined; onMemberLoss?: LossPolicyAsk | undefined };

export const protectionOf = (row: Pick<PoolRow, "kind" | "security_level" | "zone" | "dedicated_department" | "dedicated_application">): Protection => ({
  kind: row.kind,
  securityLevel: row.security_level,
  zone: row.zone,
  dedicatedTo: row.dedicated_department === null ? null : { department: row.dedicated_department, application: row.dedicated_application },
});

export async function getPool(db: Db, idOrCode: string): Promise<PoolWithAccounts> {
  const row = await db
    .selectFrom("pools")
    .selectAll()
    .where((eb) => eb.or([eb("id", "=", idOrCode), eb("code", "=", idOrCode)]))
    .orderBy(sql`id = ${idOrCode}`, "desc")
    .executeTakeFirst();
  if (!row) throw notFound("pool", idOrCode);
  return (await withAccounts(db, [row]))[0]!;
}

export async function listPools(db: Db, ask: PageAsk): Promise<Page<PoolWithAccounts>> {
  const { items, next } = await page(db.selectFrom("pools").selectAll(), { ...ask, by: "id" });
  return { items: await withAccounts(db, items), next };
}

async function withAccounts(db: Db, pools: PoolRow[]): Promise<PoolWithAccounts[]> {
  if (pools.length === 0) return [];
  const ids = pools.map((pool) => pool.id);
  const accounts = await db.selectFrom("pool_accounts").selectAll().where("pool_id", "in", ids).execute();
  const { rows: queued } = await sql<{ pool_id: string; dimension: Dimension; quantity: number }>`
    select x.pool_id, c.dimension, sum(c.quantity)::bigint as quantity
    from requests q join quota_charges c on c.request_id = q.id and c.state = 'reserved' and c.quantity > 0 join resources x on x.id = c.resource_id
    where q.state = 'waiting' and q.waits and x.pool_id = any(${sql.val(ids)}::text[]) group by 1, 2`.execute(db);
  const { rows: setters } = await sql<{ id: string; name: string | null }>`
    select p.id, ${nameOf("p.loss_set_by")} as name from pools p where p.id = any(${sql.val(ids)}::text[]) and p.loss_set_by is not null`.execute(db);
  const { rows: owners } = await sql<{ id: string; department: string; application: string | null }>`
    select p.id, d.name_zh as department, a.name as application from pools p join departments d on d.id = p.dedicated_department
    left join applications a on a.id = p.dedicated_application where p.id = any(${sql.val(ids)}::text[])`.execute(db);
  return pools.map((pool) => {
    const own = accounts.filter((account) => account.pool_id === pool.id);
    const amounts = (pick: (account: (typeof own)[number]) => number) =>
      Object.fromEntries(own.map((account) => [account.dimension, pick(account)])) as Amounts;
    const owner = owners.find((one) => one.id === pool.id);
    return {
      ...pool,
      server: serverOf(pool),
      group: groupOf(pool) ?? null,
      loss_set_by_name: setters.find((one) => one.id === pool.id)?.name ?? null,
      owned: amounts((account) => account.owned),
      offered: amounts((account) => account.capacity),
      taken: amounts((account) => account.taken),
      queued: Object.fromEntries(queued.filter((one) => one.pool_id === pool.id).map((one) => [one.dimension, one.quantity])),
      dedicated:
        pool.dedicated_department === null
          ? null
          : {
              department: pool.dedicated_department,
              departmentName: owner?.department ?? "",
              application: pool.dedicated_application,
              applicationName: owner?.application ?? null,
            },
    };
  });
}

/** @throws Refusal("conflict") when the code is taken, ("rule-broken") when the server's other pools keep backups elsewhere */
export async function createPool(tx: Tx, act: Act, { capacity, dedicatedTo, onMemberLoss, ...ask }: PoolAsk): Promise<PoolRow> {
  await requireOneStore(tx, ask);
  const row = await tx
    .insertInto("pools")
    .values({
      id: newId("pol", act.now),
      ...ask,
      ...(await dedication(tx, dedicatedTo ?? null)),
      ...lossPolicy(act, onMemberLoss),
      state: "open",
      created_at: act.now,
      updated_at: act.now,
    })
    .onConflict((on) => on.column("code").doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new Refusal("conflict", `There is a pool with the code "${ask.code}" already.`, { errors: [{ pointer: "/code", detail: "is taken" }] });
  await setCapacity(tx, row, capacity);
  const after = { ...ask, capacity, dedicatedTo: dedicatedTo ?? null, ...(onMemberLoss ? { onMemberLoss } : {}) };
  await appendAudit(tx, act, { action: "pool.create", subjectKind: "pool", subjectId: row.id, departmentId: null, after });
  return row;
}

/** A volume of one pool is restored to another of the same server: recovery points are kept in one place. @throws Refusal rule-broken */
async function requireOneStore(tx: Tx, ask: Pick<PoolRow, "driver" | "endpoint">): Promise<void> {
  const others = await tx.selectFrom("pools").select(["code", "driver", "endpoint"]).where("driver", "=", ask.driver).execute();
  const other = others.find((one) => serverOf(one) === serverOf(ask) && backupsOf(one) !== backupsOf(ask));
  if (other)
    throw new Refusal("rule-broken", `Pool ${other.code} of the same server keeps its recovery points in ${backupsOf(other) ?? "a place of its own"}.`, {
      errors: [{ pointer: "/endpoint", detail: "names other backups than the server's other pools" }],
    });
}

/** Whether nothing is in a pool and nothing can come to it until the transaction ends: only such a one may pass to another driver. */
export async function isEmpty(tx: Tx, id: string): Promise<boolean> {
  const accounts = await tx.selectFrom("pool_accounts").select("taken").where("pool_id", "=", id).orderBy("dimension").forUpdate().execute();
  if (accounts.some((one) => one.taken > 0)) return false;
  const held = tx.selectFrom("resources").select("id").where("pool_id", "=", id).where("phase", "in", ["wanted", "live", "retiring"]).limit(1);
  const kept = tx.selectFrom("backups").select("id").where("pool_id", "=", id).where("state", "not in", ["failed", "expired"]).limit(1);
  return (await held.executeTakeFirst()) === undefined && (await kept.executeTakeFirst()) === undefined;
}

export type PoolPatch = Partial<Pick<PoolRow, "name" | "state" | "overcommit_percent" | "strategy" | "driver" | "endpoint">> & {
  capacity?: Amounts | undefined;
  dedicatedTo?: DedicationAsk | undefined;
  onMemberLoss?: LossPolicyAsk | undefined;
};

/** @throws Refusal rule-broken where hosts could run twice */
function lossPolicy(act: Act, ask: LossPolicyAsk | undefined) {
  if (ask === undefined) return {};
  const { action, afterSeconds, fenced } = ask;
  if (action === "restart" && !fenced)
    throw new Refusal("rule-broken", "Hosts are started elsewhere only where it is made sure that a machine that lost its cluster is off by then.", {
      remedy: "Give the machines a watchdog, or have their power cut, then say so (fenced). Else have it proposed.",
      errors: [{ pointer: "/onMemberLoss/fenced", detail: "must be true for restart" }],
    });
  return { loss_action: action, loss_after_seconds: afterSeconds, loss_fenced: fenced, loss_set_by: act.actor, loss_set_at: act.now };
}

/**
 * @param check is given the revision as it is now, the row being locked; throws to refuse
 * @throws Refusal rule-broken below what is taken, or where somebody's hosts couldn't stay
 */
export async function changePool(
  tx: Tx,
  act: Act,
  id: string,
  { capacity, dedicatedTo, onMemberLoss, ...patch }: PoolPatch,
  check: (revision: number) => void,
): Promise<PoolWithAccounts> {
  // As placement locks them: the accounts, then the pool. Nothing is placed in it meanwhile.
  await tx.selectFrom("pool_accounts").select("dimension").where("pool_id", "=", id).orderBy("dimension").forUpdate().execute();
  const before = await tx.selectFrom("pools").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!before) throw notFound("pool", id);
  check(before.revision);
  const after = await tx
    .updateTable("pools")
    .set({
      ...patch,
      ...lossPolicy(act, onMemberLoss),
      ...(dedicatedTo === undefined ? {} : await dedication(tx, dedicatedTo)),
      revision: before.revision + 1,
      updated_at: act.now,
    })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (dedicatedTo !== undefined) await requireFitting(tx, after);
  if (patch.endpoint !== undefined) await requireOneStore(tx, after);
  const owned = after.overcommit_percent === before.overcommit_percent ? {} : await ownedOf(tx, id);
  await setCapacity(tx, after, { ...owned, ...capacity });
  await appendAudit(tx, act, {
    action: "pool.change",
    subjectKind: "pool",
    subjectId: id,
    departmentId: null,
    before,
    after: { ...patch, ...(capacity ? { capacity } : {}), ...(dedicatedTo === undefined ? {} : { dedicatedTo }), ...(onMemberLoss ? { onMemberLoss } : {}) },
  });
  return getPool(tx, id);
}

const ownedOf = async (tx: Tx, id: string): Promise<Amounts> =>
  Object.fromEntries(
    (await tx.selectFrom("pool_accounts").select(["dimension", "owned"]).where("pool_id", "=", id).execute()).map((one) => [one.dimension, one.owned]),
  );

/** @throws Refusal rule-broken for who isn't there */
async function dedication(tx: Tx, to: DedicationAsk): Promise<Pick<PoolRow, "dedicated_department" | "dedicated_application">> {
  if (to === null) return { dedicated_department: null, dedicated_application: null };
  const department = await resolveDepartment(tx, to.department);
  if (to.application === undefined) return { dedicated_department: department.id, dedicated_application: null };
  const application = await tx
    .selectFrom("applications")
    .select("id")
    .where("department_id", "=", department.id)
    .where((where) => where.or([where("id", "=", to.application!), where("code", "=", to.application!)]))
    .executeTakeFirst();
  if (!application)
    throw new Refusal("rule-broken", `${department.name_zh} has no application ${to.application}.`, {
      errors: [{ pointer: "/dedicatedTo/application", detail: "no such application" }],
    });
  return { dedicated_department: department.id, dedicated_application: application.id };
}

/** Whether a pool is dedicated so already; one that isn't named stays as it is. */
export async function sameDedication(tx: Tx, pool: PoolRow, to: DedicationAsk | undefined): Promise<boolean> {
  if (to === undefined) return true;
  const wanted = await dedication(tx, to).catch(() => undefined);
  return wanted?.dedicated_department === pool.dedicated_department && wanted.dedicated_application === pool.dedicated_application;
}

/** What is there already must be allowed to be there. @throws Refusal rule-broken */
async function requireFitting(tx: Tx, pool: PoolRow): Promise<void> {
  const { rows } = await sql<{
    id: string;
    name: string;
    department_id: string;
    protection_level: number;
    zone: Owner["zone"];
    departments: string[];
    containers: boolean;
  }>`
    select a.id, a.name, a.department_id, a.protection_level, a.zone, (select json_agg(x.ancestor_id) from department_ancestors x where x.department_id = a.department_id) as departments,
      bool_or(r.kind = 'host' and r.wanted->>'type' is distinct from 'vm') as containers
    from resources r join applications a on a.id = r.application_id
    where r.pool_id = ${pool.id} and r.phase in ('proposed', 'wanted', 'live', 'retiring') group by a.id order by a.id`.execute(tx);
  const wrong = rows.flatMap((one) => {
    const why = whyNotIn(ownerOf(one), protectionOf(pool), { vm: !one.containers });
    return why ? [`${one.name}: ${pool.code} ${why}`] : [];
  });
  if (wrong.length === 0) return;
  throw new Refusal(
    "rule-broken",
    `What is in the pool could not stay: ${wrong.slice(0, 5).join("; ")}${wrong.length > 5 ? `; and ${wrong.length - 5} more` : ""}.`,
    {
      errors: [{ pointer: "/dedicatedTo", detail: "others have something in it" }],
      remedy: "Move or retire what others have in it first; close it meanwhile, so that nothing more comes.",
    },
  );
}

/** Whether virtual machines can be made there, and whether members share their storage: read, not decided, so no change of the pool. */
export async function recordAbilities(db: Db, poolIds: readonly string[], { vm, sharedStorage }: { vm: boolean; sharedStorage: boolean }): Promise<void> {
  await db
    .updateTable("pools")
    .set({ vm, shared_storage: sharedStorage })
    .where("id", "in", [...poolIds])
    .where((where) => where.or([where("vm", "<>", vm), where("shared_storage", "is distinct from", sharedStorage)]))
    .execute();
}

interface OwnerRow {
  id: string;
  protection_level: number;
  zone: Owner["zone"];
  departments: string[];
}
const ownerOf = ({ id, protection_level, zone, departments }: OwnerRow): Owner => ({ application: id, departments, protectionLevel: protection_level, zone });

/** Whose an application's things are. @param departmentId another than its own: as if it were that one's */
export async function readOwner(db: Db, applicationId: string, departmentId?: string): Promise<Owner> {
  const { rows } = await sql<OwnerRow>`
    select a.id, a.protection_level, a.zone, (select json_agg(x.ancestor_id) from department_ancestors x where x.department_id = coalesce(${departmentId ?? null}::text, a.department_id)) as departments
    from applications a where a.id = ${applicationId}`.execute(db);
  if (!rows[0]) throw notFound("application", applicationId);
  return ownerOf(rows[0]);
}

/** Why what belongs to an application may not lie in a pool; undefined: it may. The rule is domain/levels.ts's. */
export async function whyNotInPool(db: Db, applicationId: string, poolId: string, host: { vm?: boolean } = {}): Promise<string | undefined> {
  const pool = await db.selectFrom("pools").selectAll().where("id", "=", poolId).executeTakeFirst();
  if (!pool) throw notFound("pool", poolId);
  return whyNotIn(await readOwner(db, applicationId), protectionOf(pool), host);
}

/** Dimensions that are not named keep what they have. @throws Refusal("rule-broken") below what is taken */
async function setCapacity(tx: Tx, pool: Pick<PoolRow, "id" | "code" | "overcommit_percent">, owned: Amounts): Promise<void> {
  for (const [dimension, amount] of (Object.entries(owned) as [Dimension, number][]).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const offered = dimension === "vcpu" ? Math.floor((amount * pool.overcommit_percent) / 100) : amount;
    const done = await tx
      .insertInto("pool_accounts")
      .values({ pool_id: pool.id, dimension, owned: amount, capacity: offered })
      .onConflict((on) => on.columns(["pool_id", "dimension"]).doUpdateSet({ owned: amount, capacity: offered }).where("pool_accounts.taken", "<=", offered))
      .returning("capacity")
      .executeTakeFirst();
    if (done) continue;
    const { taken } = await tx
      .selectFrom("pool_accounts")
      .select("taken")
      .where("pool_id", "=", pool.id)
      .where("dimension", "=", dimension)
      .executeTakeFirstOrThrow();
    throw new Refusal("rule-broken", `More of ${dimension} is taken than ${offered}: ${taken}.`, {
      errors: [{ pointer: `/capacity/${dimension}`, detail: `is less than what is taken: ${taken}` }],
      remedy: `Close the pool, so that nothing more comes, and move or retire what takes ${taken - offered} of it; then shrink it.`,
    });
  }
}
