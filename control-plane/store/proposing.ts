/** Reads what proposals are made from, and writes proposed resources, their charges and their capacity. */
import { sql } from "kysely";
import type { Item } from "../contract/requests.ts";
import type { PoolView } from "../domain/placement.ts";
import { type Context, type Held, type Proposals, propose } from "../domain/proposals.ts";
import { Refusal } from "../domain/refusal.ts";
import type { AnySpec, Quantity } from "../domain/resources.ts";
import type { Flavour, HostSpec, SpecKind } from "../../infra/spec.ts";
import type { Act } from "./act.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import type { Applications, Dimension, Projects } from "./schema.ts";
import type { Selectable } from "kysely";

const prefixes = { host: "hst", volume: "vol", attachment: "att", "backup-policy": "bkp" } as const;

/** Pools with what is free in each. */
export async function readPools(db: Db): Promise<PoolView[]> {
  const { rows } = await sql<{
    id: string;
    code: string;
    kind: PoolView["kind"];
    tier: PoolView["tier"];
    security_level: number;
    zone: PoolView["zone"];
    driver: string;
    endpoint: string;
    state: PoolView["state"];
    accounts: { dimension: Dimension; capacity: number; taken: number }[];
  }>`
    select p.id, p.code, p.kind, p.tier, p.security_level, p.zone, p.driver, p.endpoint, p.state,
      coalesce((select json_agg(json_build_object('dimension', a.dimension, 'capacity', a.capacity, 'taken', a.taken)) from pool_accounts a where a.pool_id = p.id), '[]') as accounts
    from pools p order by p.code`.execute(db);
  return rows.map(({ security_level, accounts, ...row }) => ({
    ...row,
    securityLevel: security_level,
    free: Object.fromEntries(accounts.map((one) => [one.dimension, one.capacity - one.taken])),
    capacity: Object.fromEntries(accounts.map((one) => [one.dimension, one.capacity])),
  }));
}

/** Ids and names that items speak of: their own, and those of what they use. */
const spokenOf = (items: readonly Item[]): string[] => [
  ...new Set(
    items.flatMap((item) => [
      ...("id" in item ? [item.id] : []),
      ...Object.entries(item.spec).flatMap(([key, value]) => (["name", "host", "volume"].includes(key) ? [String(value)] : [])),
    ]),
  ),
];

/**
 * Resources of an application that items speak of, and their attachments and policies, by which other open request each is being changed.
 * Only these: an application may have thousands. Those that are gone are left out.
 */
export async function readHeld(db: Db, applicationId: string, items: readonly Item[]): Promise<Held[]> {
  const spoken = sql`any(${sql.val(spokenOf(items))}::text[])`;
  const alone = items.every((item) => item.action === "create" && (item.kind === "host" || item.kind === "volume"));
  const named = sql<boolean>`(r.id = ${spoken} or r.name = ${spoken})`;
  const uses = sql<boolean>`(${named} or r.kind in ('attachment', 'backup-policy'))`;
  const rows = await db
    .selectFrom("resources as r")
    .select(["r.id", "r.kind", "r.name", "r.phase", "r.pool_id", "r.wanted"])
    .select((where) =>
      where
        .selectFrom("request_items as i")
        .innerJoin("requests as q", "q.id", "i.request_id")
        .select("q.number")
        .whereRef("i.resource_id", "=", "r.id")
        .where("i.action", "not in", ["create", "extend"])
        .where("i.state", "in", ["pending", "applying"])
        .where("q.state", "in", ["submitted", "planned", "approved", "applying"])
        .limit(1)
        .as("changed_by"),
    )
    .where("r.application_id", "=", applicationId)
    // What only makes hosts and volumes needs no more than the names that are taken.
    .where(alone ? named : uses)
    .where("r.phase", "in", ["proposed", "wanted", "live", "retiring"])
    .execute();
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind,
    name: row.name,
    phase: row.phase,
    poolId: row.pool_id,
    wanted: row.wanted as AnySpec,
    changedBy: row.changed_by,
  }));
}

/** @throws Refusal invalid-body */
export async function proposeFor(db: Db, act: Act, application: Selectable<Applications>, items: readonly Item[]): Promise<Proposals> {
  const catalogue = await db.selectFrom("catalogue").selectAll().execute();
  const context: Context = {
    application: { id: application.id, protectionLevel: application.protection_level, zone: application.zone },
    flavours: new Map(catalogue.filter((entry) => entry.kind === "flavour").map((entry) => [entry.code, entry.spec as Flavour])),
    images: new Set(catalogue.filter((entry) => entry.kind === "image").map((entry) => entry.code)),
    pools: await readPools(db),
    held: await readHeld(db, application.id, items),
    newId: (kind: SpecKind) => newId(prefixes[kind], act.now),
  };
  return propose(items, context);
}

/** Pool capacity to be taken, or given back where negative. */
export interface Take extends Quantity {
  poolId: string | null;
}

/** Takes all of it or nothing. @returns false when somebody else took it meanwhile */
export async function takeCapacity(tx: Tx, takes: readonly Take[]): Promise<boolean> {
  const sums = new Map<string, { poolId: string; dimension: Dimension; quantity: number }>();
  for (const { poolId, dimension, quantity } of takes) {
    if (poolId === null || quantity === 0) continue;
    const key = `${poolId} ${dimension}`;
    sums.set(key, { poolId, dimension, quantity: (sums.get(key)?.quantity ?? 0) + quantity });
  }
  const wanted = [...sums.values()];
  if (wanted.length === 0) return true;
  const { rows } = await sql<{
    pool_id: string;
    dimension: Dimension;
    free: number;
  }>`select pool_id, dimension, capacity - taken as free from pool_accounts where (pool_id, dimension) in (select * from unnest(${sql.val(wanted.map((one) => one.poolId))}::text[], ${sql.val(wanted.map((one) => one.dimension))}::text[])) order by pool_id, dimension for update`.execute(
    tx,
  );
  const short = (one: Quantity & { poolId: string }) =>
    one.quantity > 0 && (rows.find((row) => row.pool_id === one.poolId && row.dimension === one.dimension)?.free ?? 0) < one.quantity;
  if (wanted.some(short)) return false;
  await sql`
    update pool_accounts p set taken = p.taken + w.quantity
    from unnest(${sql.val(wanted.map((one) => one.poolId))}::text[], ${sql.val(wanted.map((one) => one.dimension))}::text[], ${sql.val(wanted.map((one) => one.quantity))}::bigint[]) as w(pool_id, dimension, quantity)
    where p.pool_id = w.pool_id and p.dimension = w.dimension`.execute(tx);
  return true;
}

/** userData is a secret: it is sealed before it reaches a table, and never shown. */
export function sealed(wanted: AnySpec, kind: SpecKind, seal: (context: string, text: string) => string): AnySpec {
  const { userData, ...rest } = wanted as HostSpec;
  return kind === "host" && userData !== undefined ? { ...rest, userData: seal(wanted.name, userData) } : wanted;
}

/** @throws Refusal project-not-approved */
export function requireApproved(project: Selectable<Projects>): void {
  if (project.stage === "approved" || project.stage === "operating") return;
  throw new Refusal("project-not-approved", `Project ${project.code} (${project.name}) is ${project.stage}.`, {
    remedy: "Resources are provisioned only under an approved or operating project of the annual plan.",
  });
}
