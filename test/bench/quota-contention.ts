/**
 * quota-contention: 1,000 submissions at once over HTTP against one parent quota that 500 of them fill exactly, beside the same 1,000 against a bare
 * conditional UPDATE and INSERT in one transaction each. Once more, not timed, against a fund that is full before the quota is.
 */
import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import { sql } from "kysely";
import type { Engine } from "../setup/databases.ts";
import { host, smallCity } from "../setup/small-city.ts";
import { listen } from "./accept.ts";
import { type Figure, sideBySide, timed } from "./bench.ts";
import { openBench } from "./store.ts";

const submissions = 1_000;
const places = 500;
const departments = ["city", "office"];

/** All at once. @returns how many were taken */
async function storm(send: (index: number) => Promise<Response>): Promise<number> {
  const statuses = await Promise.all(
    Array.from({ length: submissions }, async (_, index) => {
      const response = await send(index);
      const text = await response.text();
      if (response.status !== 202 && response.status !== 422) throw new Error(`${response.status}: ${text}`);
      return response.status;
    }),
  );
  return statuses.filter((status) => status === 202).length;
}

function requireExactly(what: string, found: number, expected: number): void {
  if (found !== expected) throw new Error(`${what}: ${found} instead of ${expected}`);
}

export async function quotaContentionFigure(engine: Engine): Promise<Figure> {
  const bench = await openBench(engine);
  const { db } = bench;
  await sql`create table bare_quota (id int primary key, limit_value bigint not null, reserved bigint not null)`.execute(db);
  await sql`create table bare_request (id text primary key, body jsonb not null)`.execute(db);
  const bare = new Hono();
  bare.post("/requests", async (c) => {
    const [id, body] = [randomUUID(), JSON.stringify(await c.req.json())];
    const taken = await db.transaction().execute(async (tx) => {
      const { rows } = await sql`update bare_quota set reserved = reserved + 1 where id = 1 and reserved + 1 <= limit_value returning id`.execute(tx);
      if (rows.length > 0) await sql`insert into bare_request values (${id}, ${body})`.execute(tx);
      return rows.length > 0;
    });
    return c.json({ id }, taken ? 202 : 422);
  });
  const [ours, baseline] = [await listen(bench.app.fetch), await listen(bare.fetch)];
  try {
    const city = smallCity({ hosts: 1_000_000, fundFen: 1_000_000_000_000 });
    for (const pool of city.pools) pool.capacity = Object.fromEntries(Object.keys(pool.capacity).map((dimension) => [dimension, 1_000_000_000]));
    for (const quota of city.quotas) quota.limits = { hosts: 1_000_000, vcpu: 1_000_000_000, memory_mib: 1_000_000_000, "storage_gib:standard": 1_000_000_000 };
    const headers = { authorization: `Bearer ${bench.token}`, "content-type": "application/json" };
    const post = (path: string, body: unknown) =>
      fetch(ours.url + path, { method: "POST", headers: { ...headers, "idempotency-key": randomUUID() }, body: JSON.stringify(body) });
    const imported = await post("/api/v1/city-imports", city);
    if (!imported.ok) throw new Error(await imported.text());
    const body = (department: string, name: string) => ({ application: `${department}-app`, project: "p", title: "Bench", items: [host(name)] });
    const parent = db.selectFrom("quota_accounts as q").innerJoin("departments as d", "d.id", "q.department_id").where("d.code", "=", "city");
    const account = () => parent.select(["q.limit_value", "q.reserved"]).where("q.dimension", "=", "hosts").where("q.level", "=", 0).executeTakeFirstOrThrow();
    /** Leaves room for so many at the parent. */
    const open = async (room: number) => {
      const { reserved } = await account();
      await sql`update quota_accounts set limit_value = ${reserved + room} where dimension = 'hosts' and department_id = (select id from departments where code = 'city')`.execute(
        db,
      );
    };
    const name = () => `h${randomUUID().slice(0, 13)}`;
    const oneOurs = async () => {
      await open(places);
      const before = (await account()).reserved;
      let taken = 0;
      const spent = await timed(
        async () => void (taken = await storm((index) => post("/api/v1/requests", body(departments[index % departments.length]!, name())))),
      );
      requireExactly("submissions taken", taken, places);
      requireExactly("reserved at the parent", (await account()).reserved - before, places);
      return spent;
    };
    const oneBare = async () => {
      await sql`insert into bare_quota values (1, ${places}, 0) on conflict (id) do update set reserved = 0`.execute(db);
      let taken = 0;
      const send = (index: number) =>
        fetch(`${baseline.url}/requests`, { method: "POST", headers, body: JSON.stringify(body(departments[index % 2]!, name())) });
      const spent = await timed(async () => void (taken = await storm(send)));
      requireExactly("bare submissions taken", taken, places);
      return spent;
    };
    await oneOurs();
    await oneBare();
    const result = await sideBySide(3, oneOurs, oneBare);
    await fillFund();
    return {
      name: `quota-contention-${engine}`,
      ratio: result.ratio,
      goal: 3,
      unit: "× a bare conditional UPDATE + INSERT",
      detail: `${submissions} at once, ${places} taken exactly, ${result.ours.toFixed(0)} ms against ${result.baseline.toFixed(0)} ms, median of 3; a fund was filled exactly too`,
    };

    /** The quota has room for all; the money has not. */
    async function fillFund(): Promise<void> {
      await open(submissions);
      const asked = await post("/api/v1/requests/what-if", body("bureau", name()));
      const { cost } = (await asked.json()) as { cost: { amountFen: number } };
      const fund = sql`project_id = (select p.id from projects p join departments d on d.id = p.department_id where d.code = 'bureau')`;
      await sql`update project_funds set amount_fen = ${Math.floor(cost.amountFen * (places + 0.5))} where ${fund} and kind = 'construction'`.execute(db);
      const taken = await storm(() => post("/api/v1/requests", body("bureau", name())));
      const { rows } = await sql<{
        left: number;
      }>`select amount_fen - reserved_fen - committed_fen - spent_fen as left from project_funds where ${fund} and kind = 'construction'`.execute(db);
      const left = rows[0]!.left;
      if (left < 0 || left >= cost.amountFen) throw new Error(`${taken} submissions left ${left} fen of the fund, one costs ${cost.amountFen}`);
    }
  } finally {
    ours.close();
    baseline.close();
    await bench.close();
  }
}
