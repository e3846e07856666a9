/** Instances that were found on an endpoint and belong to nobody of ours, and the requests by which they are taken over. */
import { type Selectable, sql } from "kysely";
import type { FoundInstance, NewAdoption } from "../contract/adoptions.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import { createRequests } from "./acceptance.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { Principal, RequestRow, Seal } from "./requests.ts";
import type { FoundInstances } from "./schema.ts";

export type FoundRow = Selectable<FoundInstances>;
export type ShownFound = FoundRow & { request_id: string | null };
/** As a driver reads it. */
type ForeignInstance = Omit<FoundInstance, "id" | "pool" | "member" | "seenAt" | "host" | "request" | "revision"> & { member?: string };
interface Server {
  driver: string;
  endpoint: string;
}
/** Pools of one server differ by what stands behind the question mark. */
const serverAt = ({ driver, endpoint }: Server): Server => ({ driver, endpoint: endpoint.split("?")[0]! });

const scanKey = (poolId: string) => `adoption-scan:${poolId}`;
export interface Scan {
  askedAt: string;
  endedAt: string | null;
  found: number | null;
  error: string | null;
}
export async function getScan(db: Db, poolId: string): Promise<Scan | undefined> {
  return (await db.selectFrom("settings").select("value").where("key", "=", scanKey(poolId)).executeTakeFirst())?.value as Scan | undefined;
}
export async function noteScan(tx: Tx, poolId: string, scan: Scan): Promise<void> {
  const value = JSON.stringify(scan);
  await tx
    .insertInto("settings")
    .values({ key: scanKey(poolId), value })
    .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
    .execute();
}

/** What one look at a server found: known ones are brought up to date, those that are there no more are marked so. */
export async function recordForeign(tx: Tx, act: Act, at: Server, found: readonly ForeignInstance[]): Promise<void> {
  const { driver, endpoint } = serverAt(at);
  await tx
    .updateTable("found_instances")
    .set({ gone_at: act.now })
    .where("driver", "=", driver)
    .where("endpoint", "=", endpoint)
    .where("gone_at", "is", null)
    .execute();
  const rows = found.map(({ project, instance, ...facts }) => ({
    id: newId("fin", act.now),
    driver,
    endpoint,
    project,
    instance,
    facts,
    seen_at: act.now,
    revision: 1,
  }));
  for (const row of rows)
    await tx
      .insertInto("found_instances")
      .values({ ...row, facts: JSON.stringify(row.facts), gone_at: null })
      .onConflict((conflict) =>
        conflict
          .columns(["driver", "endpoint", "project", "instance"])
          .doUpdateSet({ facts: JSON.stringify(row.facts), seen_at: act.now, gone_at: null, revision: sql<number>`found_instances.revision + 1` }),
      )
      .execute();
}

const base = (db: Db) =>
  db
    .selectFrom("found_instances as f")
    .leftJoin("resources as r", (join) => join.onRef("r.id", "=", "f.resource_id").on("r.phase", "not in", ["gone", "failed"]))
    .selectAll("f")
    .select(["r.id as live_id", "r.request_id"]);
/** At a pool's server: those that are there, and those that are being, or were, taken over. */
export async function listFound(db: Db, at: Server, ask: PageAsk): Promise<Page<ShownFound>> {
  const { driver, endpoint } = serverAt(at);
  const query = base(db)
    .where("f.driver", "=", driver)
    .where("f.endpoint", "=", endpoint)
    .where((where) => where.or([where("f.gone_at", "is", null), where("r.id", "is not", null)]));
  const { items, next } = await page(query, { limit: ask.limit, cursor: ask.cursor, by: "f.id" });
  return { items: items.map(({ live_id, ...row }) => ({ ...row, resource_id: live_id })), next };
}

/**
 * Proposes that a found instance becomes a host, as it is, by a request under the rules of every other. Charged as it is limited; where it isn't, limits are given.
 * @throws Refusal not-found, conflict when it is somebody's already, invalid-body, and what createRequest throws
 */
export async function proposeAdoption(tx: Tx, act: Act, principal: Principal, ask: NewAdoption, seal: Seal): Promise<{ row: FoundRow; request: RequestRow }> {
  const row = await tx.selectFrom("found_instances").selectAll().where("id", "=", ask.instance).forUpdate().executeTakeFirst();
  if (!row) throw notFound("found instance", ask.instance);
  if (row.resource_id !== null) {
    const held = await tx.selectFrom("resources").select(["name", "phase"]).where("id", "=", row.resource_id).executeTakeFirstOrThrow();
    if (held.phase !== "gone" && held.phase !== "failed") throw new Refusal("conflict", `${row.instance} is, or is to become, the host ${held.name} already.`);
  }
  if (row.gone_at !== null)
    throw new Refusal("conflict", `${row.instance} was not there any more when the server was last looked at.`, { remedy: "Look again." });
  const facts = row.facts as Omit<ForeignInstance, "project" | "instance">;
  if (facts.ephemeral) throw new Refusal("rule-broken", `${row.instance} is ephemeral: it would be deleted when it stops.`);
  const errors = (["vcpu", "memoryMib", "diskGib"] as const).flatMap((size) => {
    const [is, given] = [facts[size], ask[size]];
    if (given === undefined && (is === null || !Number.isInteger(is))) return [{ pointer: `/${size}`, detail: `has no limit (${is ?? "none"}): give one` }];
    if (size === "memoryMib" && given !== undefined && given * 1_048_576 < facts.memoryUsedBytes)
      return [{ pointer: `/${size}`, detail: `is less than the ${Math.ceil(facts.memoryUsedBytes / 1_048_576)} MiB that it uses now` }];
    if (size === "diskGib" && given !== undefined && is !== null && given < is)
      return [{ pointer: `/${size}`, detail: `is less than the ${is} GiB that it has` }];
    return [];
  });
  const name = ask.name ?? row.instance;
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) errors.push({ pointer: "/name", detail: `${name} is no host name: give one` });
  if (errors.length > 0) throw new Refusal("invalid-body", errors[0]!.detail, { errors });
  const pool = ask.pool ?? (await poolAt(tx, row));
  const spec = {
    name,
    pool,
    flavour: { vcpu: ask.vcpu ?? facts.vcpu!, memoryMib: ask.memoryMib ?? facts.memoryMib!, diskGib: ask.diskGib ?? facts.diskGib! },
    type: facts.type,
    image: facts.image.slice(0, 128),
    power: facts.state,
    addresses: [],
    adopted: { project: row.project, instance: row.instance },
    weaknesses: facts.weaknesses,
    ...(ask.expiresAt === undefined ? {} : { expiresAt: ask.expiresAt }),
  };
  const body = {
    application: ask.application,
    project: ask.project,
    ...(ask.department === undefined ? {} : { department: ask.department }),
    title: ask.title ?? `纳管 / Adopt ${row.project}/${row.instance}`,
    reason: ask.reason,
    items: [{ action: "create" as const, kind: "host" as const, spec }],
    draft: false,
  };
  const [taken] = await createRequests(tx, [{ act, principal: { id: principal.id, nodes: null }, body }], seal);
  if (taken instanceof Refusal) throw taken;
  const [item] = taken!.items;
  const resource = await tx.selectFrom("resources").select(["id", "pool_id"]).where("id", "=", item!.resource_id).executeTakeFirstOrThrow();
  const placed = await tx.selectFrom("pools").select(["driver", "endpoint"]).where("id", "=", resource.pool_id).executeTakeFirst();
  if (!placed || serverAt(placed).endpoint !== row.endpoint)
    throw new Refusal("invalid-body", `The pool ${pool} is not at the server that has ${row.instance}.`);
  const after = await tx
    .updateTable("found_instances")
    .set({ resource_id: resource.id, revision: row.revision + 1 })
    .where("id", "=", row.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "adoption.propose",
    subjectKind: "host",
    subjectId: resource.id,
    departmentId: taken!.row.department_id,
    after: { project: row.project, instance: row.instance, flavour: spec.flavour, weaknesses: facts.weaknesses, request: taken!.row.number },
  });
  return { row: after, request: taken!.row };
}

async function poolAt(tx: Tx, row: FoundRow): Promise<string> {
  const pools = await tx
    .selectFrom("pools")
    .select(["code", "driver", "endpoint"])
    .where("kind", "=", "compute")
    .where("driver", "=", row.driver)
    .orderBy("code")
    .execute();
  const own = pools.find((one) => serverAt(one).endpoint === row.endpoint);
  if (!own) throw new Refusal("invalid-body", "There is no compute pool at its server.", { errors: [{ pointer: "/pool", detail: "name one" }] });
  return own.code;
}
