import { sql } from "kysely";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Refusal } from "../../../control-plane/domain/refusal.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { reject } from "../../../control-plane/store/approving.ts";
import { undecidedStates } from "../../../control-plane/domain/lifecycle.ts";
import { withdraw } from "../../../control-plane/store/requests.ts";
import { reconcile } from "../../../control-plane/store/reconciliation.ts";
import { usage } from "../../../control-plane/store/usage.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, smallCity, volume } from "../../setup/small-city.ts";

describe.each(engines)("accounts, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  beforeEach(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
  });
  afterEach(() => opened.close());

  const id = async (code: string) => (await opened.db.selectFrom("departments").select("id").where("code", "=", code).executeTakeFirstOrThrow()).id;
  const account = async (code: string) =>
    opened.db
      .selectFrom("quota_accounts")
      .select(["reserved", "used"])
      .where("department_id", "=", await id(code))
      .where("dimension", "=", "hosts")
      .where("level", "=", 0)
      .executeTakeFirstOrThrow();

  it("reserves at submission, uses at apply, releases at retirement, at every ancestor", async () => {
    await books.import();
    const request = await books.ask("office", [host("web"), volume("data")]);
    expect(request.state).toBe("submitted");
    for (const code of ["office", "bureau", "city"]) expect(await account(code)).toEqual({ reserved: 1, used: 0 });
    await books.decide(request);
    await books.apply(await id("office"));
    for (const code of ["office", "bureau", "city"]) expect(await account(code)).toEqual({ reserved: 0, used: 1 });
    await books.observe();
    expect(await opened.db.selectFrom("requests").select("state").executeTakeFirst()).toEqual({ state: "active" });
    const web = await opened.db.selectFrom("resources").select("id").where("kind", "=", "host").executeTakeFirstOrThrow();
    await books.decide(await books.ask("office", [{ action: "retire", kind: "host", id: web.id }]));
    await books.apply(await id("office"));
    for (const code of ["office", "bureau", "city"]) expect(await account(code)).toEqual({ reserved: 0, used: 0 });
    const held = await opened.db.selectFrom("allocations").select(["meter", "to_at"]).where("resource_id", "=", web.id).execute();
    expect(held.map((row) => row.meter).toSorted()).toEqual(["hosts", "memory_mib", "storage_gib:standard", "vcpu"]);
    expect(held.every((row) => row.to_at !== null)).toBe(true);
  });

  it("says which limit refuses, whose, how much is left, and who can raise it", async () => {
    await books.import(smallCity({ hosts: 3 }));
    const refused = await books.ask("office", [host("a"), host("b")]).catch((error: unknown) => error as Refusal);
    expect(refused).toMatchObject({
      code: "quota-exceeded",
      limits: [{ departmentName: "部门2", dimension: "hosts", limit: 1, left: 1, asked: 2, raisedBy: "部门1" }],
    });
    expect(await opened.db.selectFrom("requests").selectAll().execute()).toEqual([]);
  });

  it("refuses self-approval and an approval of another plan", async () => {
    await books.import();
    const request = await books.ask("office", [host("web")]);
    await expect(books.change((tx) => reject(tx, books.act("tok_applicant"), books.applicant, request.id, { reason: "no" }))).rejects.toMatchObject({
      code: "self-approval",
    });
  });

  it("fails one host without failing its neighbours, and gives its charge back after the next up", async () => {
    await books.import();
    const request = await books.ask("office", [host("good"), host("bad")]);
    await books.decide(request);
    const bad = await opened.db.selectFrom("resources").select("id").where("name", "=", "bad").executeTakeFirstOrThrow();
    expect(await books.apply(await id("office"), [bad.id])).toBe(true);
    expect(await account("city")).toEqual({ reserved: 1, used: 1 });
    expect(await books.apply(await id("office"))).toBe(false);
    await books.observe();
    expect(await account("city")).toEqual({ reserved: 0, used: 1 });
    const items = await opened.db.selectFrom("request_items").select("state").orderBy("position").execute();
    expect(items.map((item) => item.state)).toEqual(["active", "failed"]);
  });

  it("fills exactly 10 of the last 10 places in a race of 200", { timeout: 180_000 }, async () => {
    await books.import(smallCity({ hosts: 12 }));
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        books.ask("office", [host(`h${index}`)]).then(
          (request) => request.state,
          (error: unknown) => (error as Refusal).code,
        ),
      ),
    );
    const taken = answers.filter((answer) => answer === "submitted").length;
    expect(taken).toBe(10);
    expect(answers.filter((answer) => answer === "quota-exceeded").length).toBe(190);
    expect(await account("office")).toEqual({ reserved: 10, used: 0 });
  });

  it("keeps accounts, capacity and intervals equal to what lives and is asked for, whatever happens", { timeout: 300_000 }, async () => {
    // Enough for some of it: now and then a fund refuses.
    await books.import(smallCity({ fundFen: 150_000 }));
    const places = ["city", "bureau", "office"] as const;
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constant("ask" as const),
          place: fc.nat(2),
          hosts: fc.integer({ min: 0, max: 3 }),
          volumes: fc.integer({ min: 0, max: 2 }),
        }),
      },
      { weight: 4, arbitrary: fc.record({ do: fc.constant("approve" as const), which: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("reject" as const), which: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("withdraw" as const), which: fc.nat(20) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("apply" as const), place: fc.nat(2), fail: fc.boolean() }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("retire" as const), which: fc.nat(20) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("resize" as const), which: fc.nat(20), flavour: fc.constantFrom("small", "large") }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("observe" as const) }) },
    );
    let name = 0;
    const run = async (steps: fc.Arbitrary<unknown> extends never ? never : readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[]) => {
      for (const one of steps) {
        if (one.do === "ask" && one.hosts + one.volumes > 0) {
          const items = [...Array.from({ length: one.hosts }, () => host(`h${name++}`)), ...Array.from({ length: one.volumes }, () => volume(`v${name++}`))];
          await books.ask(places[one.place]!, items).catch(expectRefusal);
        } else if (one.do === "approve" || one.do === "reject" || one.do === "withdraw") {
          const open = await opened.db
            .selectFrom("requests")
            .selectAll()
            .where("state", "in", [...undecidedStates, "waiting"])
            .orderBy("id")
            .execute();
          const request = open[one.which % Math.max(1, open.length)];
          if (!request) continue;
          if (one.do === "approve") await books.decide(request).catch(expectRefusal);
          else if (one.do === "reject") {
            await books.appoint();
            await books.change((tx) => reject(tx, books.act("tok_approver"), books.approver, request.id, { reason: "no" })).catch(expectRefusal);
          } else await books.change((tx) => withdraw(tx, books.act(), request.id)).catch(expectRefusal);
        } else if (one.do === "apply") {
          const departmentId = await id(places[one.place]!);
          const wanted = await opened.db.selectFrom("resources").select("id").where("department_id", "=", departmentId).where("phase", "=", "wanted").execute();
          await books.apply(departmentId, one.fail && wanted[0] ? [wanted[0].id] : []);
        } else if (one.do === "retire" || one.do === "resize") {
          const live = await opened.db
            .selectFrom("resources as r")
            .innerJoin("departments as d", "d.id", "r.department_id")
            .select(["r.id", "r.kind", "d.code"])
            .where("r.phase", "=", "live")
            .where("r.kind", "=", "host")
            .orderBy("r.id")
            .execute();
          const resource = live[one.which % Math.max(1, live.length)];
          if (resource)
            await books
              .ask(resource.code, [
                one.do === "retire"
                  ? { action: "retire", kind: resource.kind, id: resource.id }
                  : { action: "resize", kind: "host", id: resource.id, spec: { flavour: one.flavour } },
              ])
              .catch(expectRefusal);
        } else if (one.do === "observe") await books.observe();
        await expectBooksToBalance(opened);
        expect((await reconcile(opened.db, books.act())).findings, "a reconciliation finds nothing").toEqual([]);
      }
    };
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), run), { numRuns: engine === "pglite" ? 20 : 40, endOnFailure: true });
  });

  it("answers usage from intervals: own, with everything below, and for a period", async () => {
    await books.import();
    await books.decide(await books.ask("office", [host("web")]));
    await books.apply(await id("office"));
    const ids = [await id("city"), await id("office")];
    const now = new Date();
    const [top, office] = await usage(opened.db, { departmentIds: ids, from: new Date(now.getTime() - 3_600_000), to: now });
    expect(top).toMatchObject({ own: {}, tree: { hosts: 1, vcpu: 2, memory_mib: 4096, "storage_gib:standard": 40 } });
    expect(office).toMatchObject({ own: { hosts: 1 }, tree: { hosts: 1 } });
    const before = await usage(opened.db, { departmentIds: ids, from: new Date(0), to: new Date(now.getTime() - 1_800_000) });
    expect(before.map((row) => row.tree)).toEqual([{}, {}]);
  });
});

function expectRefusal(error: unknown): void {
  if (!(error instanceof Refusal)) throw error;
}

/** Recounts everything from the resources and the open charges, and compares. */
async function expectBooksToBalance({ db }: OpenDatabase): Promise<void> {
  const accounts = await sql<{ wrong: number }>`
    select count(*) as wrong from (
      select q.department_id, q.dimension, q.reserved, q.used,
        coalesce(sum(c.quantity) filter (where c.state = 'reserved'), 0) as r, coalesce(sum(c.quantity) filter (where c.state = 'used'), 0) as u
      from quota_accounts q left join department_ancestors a on a.ancestor_id = q.department_id left join quota_charges c on c.department_id = a.department_id and c.dimension = q.dimension and c.state <> 'released'
      group by 1, 2, 3, 4) x where reserved <> r or used <> u`.execute(db);
  expect(accounts.rows[0]?.wrong, "accounts are the sums of their charges").toBe(0);
  const live = await sql<{ id: string }>`
    select r.id from resources r left join quota_charges c on c.resource_id = r.id and c.state = 'used' and c.dimension = 'hosts'
    where r.kind = 'host' group by r.id, r.phase having coalesce(sum(c.quantity), 0) <> case when r.phase in ('live', 'retiring') then 1 else 0 end`.execute(
    db,
  );
  expect(live.rows, "a live host uses one place, no other does").toEqual([]);
  const sizes = await sql<{ id: string }>`
    select r.id from resources r join quota_charges c on c.resource_id = r.id and c.state = 'used' and c.dimension = 'vcpu'
    where r.kind = 'host' and r.phase = 'live' group by r.id having sum(c.quantity) <> (r.applied->'flavour'->>'vcpu')::int`.execute(db);
  expect(sizes.rows, "a live host is charged for the size it was applied with").toEqual([]);
  const pools = await sql<{ wrong: number }>`
    select count(*) as wrong from pool_accounts p
    where p.taken <> coalesce((select sum(c.quantity) from quota_charges c join resources r on r.id = c.resource_id where r.pool_id = p.pool_id and c.dimension = p.dimension and c.state <> 'released'), 0)`.execute(
    db,
  );
  expect(pools.rows[0]?.wrong, "a pool's taken capacity is what its resources are charged for").toBe(0);
  const held = await sql<{ id: string }>`
    select r.id from resources r left join allocations a on a.resource_id = r.id and a.meter = 'hosts' and a.to_at is null
    where r.kind = 'host' group by r.id, r.phase having count(a.id) <> case when r.phase in ('live', 'retiring') then 1 else 0 end`.execute(db);
  expect(held.rows, "a live host has one open interval, no other has").toEqual([]);
  const funds = await sql<{ id: string }>`
    select f.id from project_funds f left join fund_charges c on c.fund_id = f.id group by f.id
    having f.reserved_fen <> coalesce(sum(c.amount_fen) filter (where c.state = 'reserved'), 0) or f.committed_fen <> coalesce(sum(c.amount_fen) filter (where c.state = 'committed'), 0)
      or f.spent_fen <> coalesce(sum(c.amount_fen) filter (where c.state = 'spent'), 0) or f.reserved_fen + f.committed_fen + f.spent_fen > f.amount_fen`.execute(
    db,
  );
  expect(funds.rows, "funds are the sums of their charges, and never passed").toEqual([]);
  const paid = await sql<{ id: string }>`
    select r.id from resources r
    left join (select resource_id, dimension, sum(quantity) as n from quota_charges where state = 'used' group by 1, 2) q on q.resource_id = r.id
    full join (select f.resource_id, l->>'meter' as meter, sum((l->>'quantity')::bigint) as n from fund_charges f, jsonb_array_elements(f.lines) l where f.state = 'committed' group by 1, 2) m
      on m.resource_id = q.resource_id and m.meter = q.dimension
    where coalesce(q.n, 0) <> coalesce(m.n, 0)`.execute(db);
  expect(paid.rows, "what is used is paid for, meter by meter").toEqual([]);
  const gaps = await sql<{ id: string }>`
    select id from (select id, from_at, lag(to_at) over (partition by resource_id, meter order by from_at, to_at) as before from allocations) x where before is not null and before <> from_at`.execute(
    db,
  );
  expect(gaps.rows, "intervals touch").toEqual([]);
}
