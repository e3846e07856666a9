/** Limits, guarantees, borrowing and their reconciliation, over random trees on both stores. */
import fc from "fast-check";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { borrowedOf, heldOf } from "../../../control-plane/domain/ledger.ts";
import { Refusal } from "../../../control-plane/domain/refusal.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import { createDepartment } from "../../../control-plane/store/departments.ts";
import type { OpenDatabase, Tx } from "../../../control-plane/store/database.ts";
import { newId } from "../../../control-plane/store/ids.ts";
import { type QuotaSettings, setQuota } from "../../../control-plane/store/quota-limits.ts";
import { allowanceOf, listQuotas, lockLedger, releaseResources, settleCharges, writeReservations } from "../../../control-plane/store/quotas.ts";
import { closeFinding, reconcile } from "../../../control-plane/store/reconciliation.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, smallCity } from "../../setup/small-city.ts";

describe.each(engines)("quotas, on %s", (engine) => {
  let opened: OpenDatabase;
  beforeEach(async () => void (opened = await openEmpty(engine)));
  afterEach(() => opened.close());

  const act = () => systemAct(new Date());
  const change = <T>(work: (tx: Tx) => Promise<T>) => opened.db.transaction().execute(work);
  let made = 0;
  const department = (parentId: string | null) =>
    change((tx) => createDepartment(tx, act(), { parentId, code: `d${made++}`, nameZh: `部门${made}`, nameEn: "D", level: "city", line: null }));
  const set = (departmentId: string, settings: QuotaSettings, level = 0) =>
    change((tx) => setQuota(tx, act(), { departmentId, dimension: "hosts", level }, settings));
  /** @returns the id of what holds it, or the refusal */
  const charge = (departmentId: string, quantity: number, level = 2): Promise<string | Refusal> =>
    change(async (tx) => {
      const ledger = await lockLedger(tx, [departmentId]);
      ledger.reserve(departmentId, level, [{ dimension: "hosts", quantity }]);
      const id = newId("hst");
      const one = { departmentId, level, requestId: id, resourceId: id, itemId: id, dimension: "hosts" as const, quantity };
      await writeReservations(tx, act(), [one], new Date(Date.now() + 1e6));
      return id;
    }).catch((error: unknown) => {
      if (error instanceof Refusal) return error;
      throw error;
    });
  const hosts = async (level = 0) => {
    const rows = (await listQuotas(opened.db)).filter((row) => row.dimension === "hosts" && row.level === level);
    return new Map(rows.map((row) => [row.department_id, row]));
  };
  /** A parent that lends, with two children. */
  const family = async (parent: QuotaSettings, left: QuotaSettings, right: QuotaSettings) => {
    const top = await department(null);
    const [a, b] = [await department(top.id), await department(top.id)];
    await set(top.id, parent);
    await set(a.id, left);
    await set(b.id, right);
    return { top: top.id, a: a.id, b: b.id };
  };

  it("lends what a sibling leaves unused, up to the cap, within the parent's limit, and gives it back first", async () => {
    const { a, b } = await family({ limit: 10, lends: true }, { limit: 4, borrowCap: 3 }, { limit: 6 });
    const first = await charge(a, 4);
    const second = await charge(a, 3);
    expect(second).toMatch(/^hst/);
    expect(borrowedOf((await hosts()).get(a)!)).toBe(3);
    expect(await charge(a, 1), "its cap").toMatchObject({ code: "quota-exceeded", limits: [{ department: a, limit: 4, left: 0 }] });
    expect(await charge(b, 4), "the parent's limit is not passed by the lender's own share").toMatchObject({ limits: [{ limit: 10, left: 3 }] });
    expect(await charge(b, 3)).toMatch(/^hst/);
    // What was there before any borrowing is released: what is borrowed shrinks all the same.
    await change((tx) => releaseResources(tx, act(), [first as string]));
    expect(borrowedOf((await hosts()).get(a)!)).toBe(0);
    await expect(set(a, { borrowCap: 0 })).resolves.toMatchObject({ borrow_cap: 0 });
  });

  it("keeps a guarantee free within the parent's limit, whoever asks", async () => {
    const { top, a, b } = await family({ limit: 10, lends: true }, { limit: 4 }, { limit: 6 });
    await set(b, { guaranteed: 5 });
    expect(await charge(a, 6)).toMatchObject({ code: "quota-exceeded" });
    expect(await charge(a, 5)).toMatch(/^hst/);
    expect(await charge(top, 1), "nor the parent itself").toMatchObject({ limits: [{ department: top, left: 0 }] });
    expect(await charge(b, 5)).toMatch(/^hst/);
    await expect(set(a, { guaranteed: 1 })).resolves.toBeTruthy();
    await expect(set(b, { guaranteed: 7 }), "more than its own limit").rejects.toMatchObject({ code: "rule-broken" });
  });

  it("lends nothing where the parent does not, and stops lending only when nothing is lent", async () => {
    const { top, a } = await family({ limit: 10 }, { limit: 4 }, { limit: 6 });
    expect(await charge(a, 5)).toMatchObject({ code: "quota-exceeded" });
    await set(top, { lends: true });
    expect(await charge(a, 5)).toMatch(/^hst/);
    await expect(set(top, { lends: false })).rejects.toMatchObject({ code: "rule-broken", errors: [{ pointer: "/lends" }] });
    await expect(set(a, { borrowCap: 0 })).rejects.toMatchObject({ errors: [{ pointer: "/borrowCap" }] });
  });

  it("limits one protection level apart from the others, from what is held already", async () => {
    const top = (await department(null)).id;
    await set(top, { limit: 10 });
    await charge(top, 2, 3);
    expect(await set(top, { limit: 3 }, 3)).toMatchObject({ level: 3, reserved: 2 });
    expect(await charge(top, 2, 3)).toMatchObject({ limits: [{ level: 3, limit: 3, left: 1 }] });
    expect(await charge(top, 8, 2)).toMatch(/^hst/);
    expect((await hosts(3)).get(top)).toMatchObject({ reserved: 2 });
    await expect(set(top, { limit: 1 }, 3)).rejects.toMatchObject({ code: "rule-broken" });
  });

  it("accepts what passes a soft limit, and says so on its plan and as an event", async () => {
    const books = openBooks(opened.db);
    await books.import();
    const { id } = await opened.db.selectFrom("departments").select("id").where("code", "=", "bureau").executeTakeFirstOrThrow();
    await set(id, { softLimit: 1 });
    await books.plan(await books.ask("office", [host("a")]));
    const over = await books.plan(await books.ask("office", [host("b")]));
    expect(over.plan).toMatchObject({ warnings: [{ department: id, dimension: "hosts", level: 0, softLimit: 1, held: 2 }] });
    const events = await opened.db.selectFrom("events").selectAll().where("type", "=", "quota.over-soft-limit").execute();
    expect(events).toMatchObject([{ request_id: over.id, subject_id: id }]);
  });

  it("allows a department on the servers what it is charged for itself, reserved or used, and nothing of those below it", async () => {
    const top = await department(null);
    const child = await department(top.id);
    for (const one of [top, child]) await set(one.id, { limit: 10 });
    const of = (departmentId: string) => allowanceOf(opened.db, departmentId);
    expect(await of(top.id)).toEqual({ hosts: 0, vcpu: 0, memoryMib: 0, storageGib: 0 });
    await charge(top.id, 2);
    const other = await charge(child.id, 5);
    expect(await of(top.id)).toMatchObject({ hosts: 2 });
    await change((tx) => settleCharges(tx, act(), [other as string], "used"));
    expect(await of(child.id)).toMatchObject({ hosts: 5 });
    await change((tx) => releaseResources(tx, act(), [other as string]));
    expect(await of(child.id)).toMatchObject({ hosts: 0 });
    const id = newId("hst");
    const one = { departmentId: child.id, level: 2, requestId: id, resourceId: id, itemId: id };
    const parts = { vcpu: 4, memory_mib: 2048, "storage_gib:standard": 30, "storage_gib:performance": 12 } as const;
    const charges = Object.entries(parts).map(([dimension, quantity]) => ({ ...one, dimension: dimension as keyof typeof parts, quantity }));
    await change((tx) => writeReservations(tx, act(), charges, new Date(Date.now() + 1e6)));
    expect(await of(child.id)).toEqual({ hosts: 0, vcpu: 4, memoryMib: 2048, storageGib: 42 });
  });

  it("never holds more than limits, lending and guarantees allow, and a reconciliation finds nothing", { timeout: 240_000 }, async () => {
    const amount = fc.integer({ min: 0, max: 12 });
    const node = fc.record({
      parent: fc.nat(20),
      limit: fc.option(amount),
      levelLimit: fc.option(amount, { freq: 3 }),
      guaranteed: fc.nat(4),
      cap: fc.option(fc.nat(5)),
      lends: fc.boolean(),
    });
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({ do: fc.constant("charge" as const), at: fc.nat(20), quantity: fc.integer({ min: 1, max: 5 }), level: fc.constantFrom(2, 3) }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("use" as const), which: fc.nat(40) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("release" as const), which: fc.nat(40) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("set" as const), at: fc.nat(20), limit: amount, lends: fc.boolean(), guaranteed: fc.nat(4) }) },
    );
    const plan = fc.record({
      nodes: fc.array(node, { minLength: 2, maxLength: 7 }),
      steps: fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 4, maxLength: 12 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ nodes, steps }) => {
        const ids: string[] = [];
        for (const one of nodes) ids.push((await department(ids.length === 0 ? null : ids[one.parent % ids.length]!)).id);
        const refused = (error: unknown) => {
          if (!(error instanceof Refusal)) throw error;
        };
        for (const [index, one] of nodes.entries()) {
          await set(ids[index]!, { limit: index === 0 ? 20 : one.limit, borrowCap: one.cap, lends: one.lends }).catch(refused);
          await set(ids[index]!, { guaranteed: one.guaranteed }).catch(refused);
          if (one.levelLimit !== null) await set(ids[index]!, { limit: one.levelLimit, lends: one.lends }, 3).catch(refused);
        }
        const held: string[] = [];
        for (const together of steps) {
          // At once, as far as the store lets them.
          await Promise.all(
            together.map(async (one) => {
              if (one.do === "charge") {
                const done = await charge(ids[one.at % ids.length]!, one.quantity, one.level);
                if (typeof done === "string") held.push(done);
              } else if (one.do === "set")
                await set(ids[one.at % ids.length]!, { limit: one.limit, lends: one.lends, guaranteed: one.guaranteed }).catch(refused);
              else if (held.length > 0) {
                const id = held[one.which % held.length]!;
                await change((tx) => (one.do === "use" ? settleCharges(tx, act(), [id], "used") : releaseResources(tx, act(), [id])));
              }
            }),
          );
          await expectAllowed(ids);
          expect((await reconcile(opened.db, act())).findings).toEqual([]);
        }
      }),
      { numRuns: engine === "pglite" ? 25 : 40, endOnFailure: true },
    );
  });

  async function expectAllowed(ids: readonly string[]): Promise<void> {
    const parents = new Map(
      (
        await opened.db
          .selectFrom("departments")
          .select(["id", "parent_id"])
          .where("id", "in", [...ids])
          .execute()
      ).map((row) => [row.id, row.parent_id]),
    );
    for (const level of [0, 3]) {
      const accounts = await hosts(level);
      for (const id of ids) {
        const account = accounts.get(id);
        if (!account || account.limit_value === null) continue;
        const parent = accounts.get(parents.get(id) ?? "");
        const borrowed = borrowedOf(account);
        if (!parent?.lends) expect(borrowed, "hard where nothing is lent").toBe(0);
        expect(borrowed).toBeLessThanOrEqual(account.borrow_cap ?? Infinity);
        const promised = ids
          .filter((child) => parents.get(child) === id)
          .map((child) => accounts.get(child))
          .reduce((sum, one) => sum + Math.max(0, (one?.guaranteed ?? 0) - (one ? heldOf(one) : 0)), 0);
        if (!parent?.lends) expect(heldOf(account) + promised, "guarantees have room").toBeLessThanOrEqual(account.limit_value);
      }
    }
  }

  it("finds accounts, charges and pools that were broken, keeps them until an operator closes them, and mends nothing itself", async () => {
    const books = openBooks(opened.db);
    await books.import(smallCity());
    await books.decide(await books.ask("office", [host("web")]));
    const { id } = await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow();
    await books.apply(id);
    await books.observe();
    expect((await reconcile(opened.db, act())).findings).toEqual([]);
    await sql`update quota_accounts set used = used + 2 where department_id = ${id} and dimension = 'hosts' and level = 0`.execute(opened.db);
    await sql`update pool_accounts set taken = taken + 3 where dimension = 'vcpu'`.execute(opened.db);
    await sql`update quota_charges set quantity = quantity + 5 where dimension = 'memory_mib'`.execute(opened.db);
    const { findings } = await reconcile(opened.db, act());
    expect(findings.filter((one) => one.kind === "charge")).toMatchObject([{ field: "used", dimension: "memory_mib" }]);
    expect(findings.filter((one) => one.kind === "pool" && one.dimension === "vcpu")).toMatchObject([{ field: "taken" }]);
    expect(findings.filter((one) => one.kind === "account" && one.dimension === "hosts")).toMatchObject([{ department_id: id, expected: 1, found: 3 }]);
    expect(
      (await reconcile(opened.db, act())).findings.map((one) => one.id),
      "each once",
    ).toEqual(findings.map((one) => one.id));
    expect((await hosts()).get(id)!.used, "nothing is mended").toBe(3);
    // The charge first: what accounts and pools should be follows from charges.
    const inOrder = findings.toSorted((a, b) => Number(b.kind === "charge") - Number(a.kind === "charge"));
    for (const one of inOrder) await change((tx) => closeFinding(tx, act(), one.id, { reason: "a test broke it", correct: true }));
    const left = (await reconcile(opened.db, act())).findings;
    expect(left).toEqual([]);
    expect((await hosts()).get(id)!.used).toBe(1);
    const audit = await opened.db
      .selectFrom("audit_entries")
      .select("action")
      .where("action", "in", ["quota.finding", "quota.correct", "quota.explain"])
      .execute();
    expect(audit.filter((one) => one.action === "quota.finding")).toHaveLength(findings.length);
    await expect(change((tx) => closeFinding(tx, act(), findings[0]!.id, { reason: "again", correct: true }))).rejects.toMatchObject({ code: "conflict" });
  });
});
