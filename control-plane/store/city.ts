/** Imports a whole city in one transaction: things are known by their codes, nothing is deleted, every error is told at once. */
import { type LossPolicyAsk } from "./pools.ts";
import { sql } from "kysely";
import type { z } from "zod";
import type { City, CityImport } from "../contract/city.ts";
import type { Dimension } from "../contract/common.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import { putCatalogue, readCatalogue } from "./catalogue.ts";
import { type Directory, importDepartments } from "./city-departments.ts";
import { CityImporter, repeated } from "./city-import.ts";
import { importApplications, importProjects } from "./city-plans.ts";
import type { Tx } from "./database.ts";
import { type Amounts, changePool, createPool, isEmpty, listPools, type PoolWithAccounts, sameDedication } from "./pools.ts";
import { digestOf } from "../domain/digest.ts";
import { publishPrices } from "./price-books.ts";
import { pricesAt } from "./prices.ts";
import { setQuota } from "./quota-limits.ts";
import { createRequest } from "./acceptance.ts";
import type { Principal, Seal } from "./requests.ts";

type CityData = z.infer<typeof City>;

export interface CityContext {
  principal: Principal;
  seal: Seal;
  /** Endpoint of pools that name none. */
  defaultEndpoint: string;
}

/** @throws Refusal("city-invalid") with a JSON Pointer for each error; the transaction is to be rolled back then */
export async function importCity(tx: Tx, act: Act, city: CityData, context: CityContext): Promise<z.infer<typeof CityImport>> {
  // Imports take turns: each sees all of the one before.
  await sql`select pg_advisory_xact_lock(7302062)`.execute(tx);
  const importer = new CityImporter(tx, act);
  await importPrices(importer, city);
  await importCatalogue(importer, city);
  const departments = await importDepartments(importer, city.departments);
  await importQuotas(importer, city.quotas, departments);
  const projects = await importProjects(importer, city.projects, departments);
  await importApplications(importer, city.applications, departments, projects);
  importer.settle();
  // After those whom they may be dedicated to.
  await importPools(importer, city.pools, context.defaultEndpoint);
  const requests = await importRequests(importer, city.requests, context);
  importer.settle();
  const { created, changed, unchanged } = importer;
  // Also of an import that found everything as it should be: somebody has asked for it.
  await appendAudit(tx, act, { action: "city.import", subjectKind: "city", subjectId: "city", departmentId: null, after: { created, changed, unchanged } });
  return { created, changed, unchanged, requests };
}

async function importPrices(importer: CityImporter, { prices }: CityData): Promise<void> {
  const { tx, act } = importer;
  if (!prices) return;
  const inForce = await pricesAt(tx, act.now);
  const ordered = (list: typeof prices) => list.toSorted((a, b) => (a.meter < b.meter ? -1 : 1));
  const same = inForce !== undefined && digestOf(ordered(inForce.prices)) === digestOf(ordered(prices));
  if (!same) await publishPrices(tx, act, { note: "city import", prices });
  importer.count(same ? "unchanged" : "created", "prices");
}

async function importCatalogue(importer: CityImporter, city: CityData): Promise<void> {
  const there = await readCatalogue(importer.tx);
  const differing = <T extends { code: string }>(noun: "flavours" | "images", wanted: T[], had: T[], same: (a: T, b: T) => boolean): T[] => {
    repeated(
      importer,
      wanted,
      (one) => one.code,
      (index) => `/${noun}/${index}/code`,
    );
    const known = new Map(had.map((one) => [one.code, one]));
    return wanted.filter((one) => {
      const old = known.get(one.code);
      const what = !old ? "created" : same(old, one) ? "unchanged" : "changed";
      importer.count(what, noun);
      return what !== "unchanged";
    });
  };
  const flavours = differing(
    "flavours",
    city.flavours,
    there.flavours,
    (a, b) => a.name === b.name && a.vcpu === b.vcpu && a.memoryMib === b.memoryMib && a.diskGib === b.diskGib,
  );
  const images = differing("images", city.images, there.images, (a, b) => a.name === b.name);
  importer.settle();
  await putCatalogue(importer.tx, importer.act, { flavours, images });
}

async function importPools(importer: CityImporter, pools: CityData["pools"], defaultEndpoint: string): Promise<void> {
  const { tx, act } = importer;
  repeated(
    importer,
    pools,
    (one) => one.code,
    (index) => `/pools/${index}/code`,
  );
  importer.settle();
  const known = new Map<string, PoolWithAccounts>();
  for (let cursor: string | undefined; ;) {
    const { items, next } = await listPools(tx, { limit: 500, cursor });
    for (const pool of items) known.set(pool.code, pool);
    if (next === null) break;
    cursor = next;
  }
  for (const [index, { securityLevel, overcommitPercent, endpoint, dedicatedTo, onMemberLoss, ...one }] of pools.entries()) {
    const there = known.get(one.code);
    const fixed = {
      kind: one.kind,
      site: one.site,
      tier: one.tier,
      security_level: securityLevel,
      zone: one.zone,
      driver: one.driver,
      endpoint: endpoint || there?.endpoint || defaultEndpoint,
    };
    if (!there) {
      await importer.at(`/pools/${index}`, () =>
        createPool(tx, act, {
          ...fixed,
          code: one.code,
          name: one.name,
          strategy: one.strategy,
          overcommit_percent: overcommitPercent,
          capacity: one.capacity,
          dedicatedTo,
          onMemberLoss,
        }),
      );
      importer.count("created", "pools");
      continue;
    }
    const moved = (Object.keys(fixed) as (keyof typeof fixed)[]).filter((key) => there[key] !== fixed[key]);
    // Nothing is there that could be left behind.
    const switches = moved.length > 0 && moved.every((key) => key === "driver" || key === "endpoint") && (await isEmpty(tx, there.id));
    if (moved.length > 0 && !switches)
      importer.error(`/pools/${index}`, `${moved.join(", ")}: what the pool holds was placed by this, so an import does not change it`);
    else if (
      !switches &&
      there.name === one.name &&
      there.overcommit_percent === overcommitPercent &&
      there.strategy === one.strategy &&
      sameAmounts(there.owned, one.capacity) &&
      sameLossPolicy(there, onMemberLoss) &&
      (await sameDedication(tx, there, dedicatedTo))
    )
      importer.count("unchanged", "pools");
    else {
      const place = switches ? { driver: fixed.driver, endpoint: fixed.endpoint } : {};
      const patch = {
        name: one.name,
        strategy: one.strategy,
        overcommit_percent: overcommitPercent,
        capacity: one.capacity,
        dedicatedTo,
        onMemberLoss,
        ...place,
      };
      await importer.at(`/pools/${index}`, () => changePool(tx, act, there.id, patch, () => {}));
      importer.count("changed", "pools");
    }
  }
}

/** What isn't named stays. */
const sameLossPolicy = (there: PoolWithAccounts, named: LossPolicyAsk | undefined) =>
  named === undefined || (there.loss_action === named.action && there.loss_after_seconds === named.afterSeconds && there.loss_fenced === named.fenced);

/** Whether every amount that is named is as it is there. */
const sameAmounts = (there: Amounts, named: Amounts) => Object.entries(named).every(([dimension, amount]) => there[dimension as Dimension] === amount);

async function importQuotas(importer: CityImporter, quotas: CityData["quotas"], departments: Directory): Promise<void> {
  const { tx, act } = importer;
  const accounts = await tx.selectFrom("quota_accounts").select(["department_id", "dimension", "limit_value"]).where("level", "=", 0).execute();
  const limits = new Map(accounts.map((one) => [`${one.department_id} ${one.dimension}`, one.limit_value]));
  for (const [index, one] of quotas.entries()) {
    const department = departments(one.department);
    if (!department) {
      importer.error(`/quotas/${index}/department`, `there is no department "${one.department}"`);
      continue;
    }
    for (const [dimension, limit] of Object.entries(one.limits) as [Dimension, number][]) {
      const key = `${department.id} ${dimension}`;
      const before = limits.get(key) ?? null;
      if (before === limit) importer.count("unchanged", "quotas");
      else {
        await importer.at(`/quotas/${index}/limits/${dimension}`, () => setQuota(tx, act, { departmentId: department.id, dimension, level: 0 }, { limit }));
        importer.count(before === null ? "created" : "changed", "quotas");
        limits.set(key, limit);
      }
    }
  }
}

const keyOf = (ref: string) => `city-request/${ref}`;

/** Drafts are found again by their `ref`, whatever has become of them. */
async function importRequests(importer: CityImporter, requests: CityData["requests"], context: CityContext): Promise<z.infer<typeof CityImport>["requests"]> {
  const { tx, act } = importer;
  repeated(
    importer,
    requests,
    (one) => one.ref,
    (index) => `/requests/${index}/ref`,
  );
  importer.settle();
  const kept = await tx.selectFrom("settings").selectAll().where("key", "like", "city-request/%").execute();
  const ids = new Map(kept.map((one) => [one.key, (one.value as { id: string }).id]));
  const shown: z.infer<typeof CityImport>["requests"] = [];
  for (const [index, { ref, ...body }] of requests.entries()) {
    const id = ids.get(keyOf(ref));
    const there =
      id === undefined ? undefined : await tx.selectFrom("requests").select(["id", "number", "department_id", "state"]).where("id", "=", id).executeTakeFirst();
    const row = there ?? (await importer.at(`/requests/${index}`, () => createRequest(tx, act, context.principal, { ...body, draft: true }, context.seal)));
    if (!row) continue;
    importer.count(there ? "unchanged" : "created", "requests");
    if (!there)
      await tx
        .insertInto("settings")
        .values({ key: keyOf(ref), value: JSON.stringify({ id: row.id }) })
        .execute();
    shown.push({ ref, id: row.id, number: row.number, department: row.department_id, state: row.state });
  }
  return shown;
}
