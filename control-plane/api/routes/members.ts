/** The machines behind pools: as they were read last; they are changed by operation plans. */
import { z } from "@hono/zod-openapi";
import { PageQuery, pageOf, Reference } from "../../contract/common.ts";
import { Member, MemberQuery, MemberThing } from "../../contract/members.ts";
import { MemberName } from "../../contract/operation-plans.ts";
import type { ClusterReading } from "../../domain/cluster.ts";
import { notFound } from "../../domain/refusal.ts";
import { type HeldThing, poolsAt, servers, sizeOf, thingsIn } from "../../store/cluster.ts";
import { pageOfRows } from "../../store/page.ts";
import { getPool } from "../../store/pools.ts";
import type { App, AppDeps } from "../deps.ts";
import { defineRoute, jsonAnswer } from "../route.ts";

const path = "/api/v1/members";
const tags = ["members"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "The machines behind pools, their state, and how much lies on each",
  request: { query: MemberQuery },
  responses: { 200: jsonAnswer(pageOf(Member)) },
});
const things = defineRoute({
  method: "get",
  path: `${path}/{pool}/{name}/things`,
  tags,
  summary: "Departments' hosts and volumes on a machine behind a pool",
  request: { params: z.object({ pool: Reference, name: MemberName }), query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(MemberThing)) },
});

/** Where a thing lies; a volume that is attached goes with its host. */
function placesOf(reading: ClusterReading): (one: HeldThing) => string | undefined {
  const hosts = new Map(reading.hosts.map((one) => [one.name, one.member]));
  const volumes = new Map(reading.volumes.map((one) => [one.name, one.member]));
  return (one) => (one.kind === "host" ? hosts.get(one.id) : (volumes.get(one.id) ?? (one.attachedTo === null ? undefined : hosts.get(one.attachedTo))));
}

export function registerMembers(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { pool, ...ask } = c.req.valid("query");
    const asked = pool === undefined ? undefined : await getPool(deps.db, pool);
    const endpoints = asked ? [asked] : await servers(deps.db);
    const rows: { key: string; member: Member }[] = [];
    for (const { driver, endpoint } of endpoints) {
      const reading = deps.readingOf?.(driver, endpoint);
      if (!reading?.members) continue;
      const pools = await poolsAt(deps.db, { driver, endpoint });
      const held = await thingsIn(
        deps.db,
        pools.map((one) => one.id),
      );
      const on = Map.groupBy(held, placesOf(reading));
      for (const member of reading.members)
        rows.push(shown(member, { driver, pools: pools.map((one) => one.code), at: reading.at, on: on.get(member.name) ?? [] }));
    }
    const { items, next } = pageOfRows(
      rows.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
      ask,
      (row) => row.key,
    );
    return c.json({ items: items.map((row) => row.member), next });
  });
  app.openapi(things, async (c) => {
    const { pool, name } = c.req.valid("param");
    const { driver, endpoint } = await getPool(deps.db, pool);
    const reading = deps.readingOf?.(driver, endpoint);
    if (!reading?.members?.some((one) => one.name === name)) throw notFound("member", name);
    const pools = await poolsAt(deps.db, { driver, endpoint });
    const codes = new Map(pools.map((one) => [one.id, one.code]));
    const placeOf = placesOf(reading);
    const states = new Map(reading.hosts.map((one) => [one.name, one.state]));
    const held = (await thingsIn(deps.db, [...codes.keys()])).filter((one) => placeOf(one) === name);
    const { items, next } = pageOfRows(held, c.req.valid("query"), (one) => one.id);
    return c.json({
      items: items.map((one): MemberThing => ({
        id: one.id,
        kind: one.kind,
        name: one.name,
        department: one.department,
        departmentName: { zh: one.departmentZh, en: one.departmentEn },
        application: one.application,
        applicationName: one.applicationName,
        pool: codes.get(one.poolId)!,
        state: states.get(one.id) ?? one.observedState,
        ...sizeOf(one),
      })),
      next,
    });
  });
}

function shown(
  member: NonNullable<ClusterReading["members"]>[number],
  { driver, pools, at, on }: { driver: string; pools: string[]; at: number; on: readonly HeldThing[] },
): { key: string; member: Member } {
  const hosts = on.filter((one) => one.kind === "host").map(sizeOf);
  return {
    key: `${pools[0] ?? ""} ${member.name}`,
    member: {
      name: member.name,
      pools,
      driver,
      state: member.state,
      groups: [...member.groups],
      message: member.message,
      vcpu: member.vcpu ?? null,
      memory: member.memory ?? null,
      disk: member.disk ?? null,
      hosts: hosts.length,
      volumes: on.length - hosts.length,
      soldVcpu: hosts.reduce((sum, one) => sum + (one.vcpu ?? 0), 0),
      soldMemoryMib: hosts.reduce((sum, one) => sum + (one.memoryMib ?? 0), 0),
      readAt: new Date(at).toISOString(),
    },
  };
}
