import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ProjectAdvance } from "../../../control-plane/contract/projects.ts";
import { costFen, linesOf } from "../../../control-plane/domain/prices.ts";
import type { Refusal } from "../../../control-plane/domain/refusal.ts";
import { fiscalYearOf, yearEnd, yearStart } from "../../../control-plane/domain/time.ts";
import { createRequests } from "../../../control-plane/store/acceptance.ts";
import { NewRequest } from "../../../control-plane/contract/requests.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { beginApply } from "../../../control-plane/store/applying.ts";
import { settleApply } from "../../../control-plane/store/settling.ts";
import { lockPayers, passToFund } from "../../../control-plane/store/fund-charges.ts";
import { publishPrices } from "../../../control-plane/store/price-books.ts";
import { advanceProject, changeFunds } from "../../../control-plane/store/projects.ts";
import { approve, reject } from "../../../control-plane/store/approving.ts";
import { recordPlan } from "../../../control-plane/store/planning.ts";
import { withdraw } from "../../../control-plane/store/requests.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, plain, prices, smallCity, volume } from "../../setup/small-city.ts";

const standard = [
  { dimension: "hosts", quantity: 1 },
  { dimension: "vcpu", quantity: 2 },
  { dimension: "memory_mib", quantity: 4096 },
  { dimension: "storage_gib:standard", quantity: 40 },
] as const;
const bookOf = prices.map((price) => ({ per: 1, ...price }));

describe.each(engines)("budgets, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let project: string;
  beforeEach(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
  });
  afterEach(() => opened.close());

  const begin = async (fundFen?: number) => {
    await books.import(smallCity({ hosts: 45, ...(fundFen === undefined ? {} : { fundFen }) }));
    project = (await projectOf("office")).id;
  };
  const projectOf = async (code: string) =>
    opened.db
      .selectFrom("projects as p")
      .innerJoin("departments as d", "d.id", "p.department_id")
      .selectAll("p")
      .where("d.code", "=", code)
      .executeTakeFirstOrThrow();
  const department = async () => (await projectOf("office")).department_id;
  const fund = async (kind: "construction" | "operating" = "construction", year = fiscalYearOf(new Date())) =>
    opened.db
      .selectFrom("project_funds")
      .select(["amount_fen", "reserved_fen", "committed_fen", "spent_fen"])
      .where("project_id", "=", project)
      .where("kind", "=", kind)
      .where("fiscal_year", "=", year)
      .executeTakeFirst();
  const charges = () => opened.db.selectFrom("fund_charges").selectAll().orderBy("id").execute();
  const id = async (name: string) => (await opened.db.selectFrom("resources").select("id").where("name", "=", name).executeTakeFirstOrThrow()).id;
  const refusal = (work: Promise<unknown>) =>
    work.then(
      () => undefined,
      (error: unknown) => error as Refusal,
    );
  /** As the books do, but at another time. */
  const at = (now: Date, actor = "system") => ({ ...books.act(actor), now });
  const askAt = async (now: Date, items: unknown[]) => {
    const body = NewRequest.parse({ application: "office-app", project: "p", title: "Later", items });
    const [taken] = await books.change((tx) => createRequests(tx, [{ act: at(now, "tok_applicant"), principal: books.applicant, body }], plain));
    if (taken && "row" in taken) return taken.row;
    throw taken;
  };
  const decideAt = async (now: Date, request: string) => {
    await books.appoint();
    let row = await opened.db.selectFrom("requests").selectAll().where("id", "=", request).executeTakeFirstOrThrow();
    if (row.state === "submitted") row = await books.change((tx) => recordPlan(tx, at(now), request, { steps: [] }));
    for (const [state, who] of [["department-approval", books.approver] as const, ["authority-approval", books.authority] as const])
      if (row.state === state) row = await books.change((tx) => approve(tx, at(now, who.id), who, request, { planHash: row.plan_hash ?? "", reason: "" }));
    return row;
  };
  const applyAt = async (now: Date) => {
    const departmentId = await department();
    const begun = await books.change((tx) => beginApply(tx, at(now), departmentId, plain));
    if (begun.unchanged) return;
    const outcome = { operation: "op", steps: [], durationMs: 1, result: "succeeded" as const, failures: [] };
    await books.change((tx) => settleApply(tx, at(now), departmentId, { hash: begun.hash, fence: begun.fence, outcome }));
  };
  const advance = (event: string, more: object = {}, now = new Date()) =>
    books.change((tx) =>
      advanceProject(
        tx,
        at(now, "tok_decider"),
        project,
        ProjectAdvance.parse({ event, reason: "r", evidence: [{ name: "report" }], ...more }),
        ["authority"],
        () => {},
      ),
    );

  it("reserves the cost to the year's end at the submission, commits it at the apply, gives it back at retirement but for what was used", async () => {
    await begin();
    const request = await books.ask("office", [host("web"), volume("data")]);
    const now = request.created_at;
    const cost = costFen(linesOf([...standard], bookOf), now, yearEnd(now), "up");
    const disk = costFen(linesOf([{ dimension: "storage_gib:standard", quantity: 10 }], bookOf), now, yearEnd(now), "up");
    expect(request.cost).toMatchObject({ amountFen: cost + disk, priceBook: 1, fund: { kind: "construction", fiscalYear: fiscalYearOf(now) } });
    expect(await fund()).toMatchObject({ reserved_fen: cost + disk, committed_fen: 0, spent_fen: 0 });
    await books.decide(request);
    const [planned] = await opened.db.selectFrom("requests").select(["plan", "cost"]).execute();
    expect((planned!.plan as { cost: unknown }).cost).toEqual(planned!.cost);
    await books.apply(await department());
    const committed = (await fund())!;
    expect(committed).toMatchObject({ reserved_fen: 0, spent_fen: 0 });
    expect(committed.committed_fen).toBeGreaterThan(cost * 0.99);
    expect(committed.committed_fen).toBeLessThanOrEqual(cost + disk);
    await books.observe();
    await books.decide(await books.ask("office", [{ action: "retire", kind: "host", id: await id("web") }]));
    await books.apply(await department());
    const after = (await fund())!;
    expect(after.reserved_fen).toBe(0);
    expect(after.committed_fen).toBeLessThanOrEqual(disk);
    expect(after.committed_fen).toBeGreaterThan(0);
    expect(after.spent_fen).toBeLessThan(cost / 10);
    // Once: a second settlement finds nothing.
    await books.apply(await department());
    expect(await fund()).toEqual(after);
  });

  it("gives a reservation back once when it is rejected or withdrawn, and when its host could not be made", async () => {
    await begin();
    const one = await books.ask("office", [host("a")]);
    const two = await books.ask("office", [host("b")]);
    await books.change((tx) => withdraw(tx, books.act(), one.id));
    const planned = await books.change((tx) => recordPlan(tx, books.act(), two.id, { steps: [] }));
    await books.appoint();
    await books.change((tx) => reject(tx, books.act("tok_approver"), books.approver, two.id, { planHash: planned.plan_hash!, reason: "no" }));
    expect(await fund()).toMatchObject({ reserved_fen: 0, committed_fen: 0, spent_fen: 0 });
    await books.decide(await books.ask("office", [host("c")]));
    await books.apply(await department(), [await id("c")]);
    expect((await fund())!.reserved_fen).toBeGreaterThan(0);
    await books.apply(await department());
    expect(await fund()).toMatchObject({ reserved_fen: 0, committed_fen: 0, spent_fen: 0 });
  });

  it("says which fund refuses, how much is left and who can raise it; shrinking and retiring are never blocked", async () => {
    await begin();
    await books.decide(await books.ask("office", [host("web", "large")]));
    await books.apply(await department());
    await books.observe();
    const held = (await fund())!.committed_fen;
    const year = fiscalYearOf(new Date());
    await books.change((tx) => changeFunds(tx, books.act(), project, [{ kind: "construction", fiscalYear: year, amountFen: held + 5 }], "cut", () => {}));
    const web = await id("web");
    expect(await refusal(books.ask("office", [host("more")]))).toMatchObject({
      code: "budget-exceeded",
      funds: [{ projectCode: "p", kind: "construction", fiscalYear: year, amountFen: held + 5, leftFen: 5, raisedBy: "finance" }],
    });
    expect(
      await refusal(
        books.change((tx) => changeFunds(tx, books.act(), project, [{ kind: "construction", fiscalYear: year, amountFen: held - 1 }], "x", () => {})),
      ),
    ).toMatchObject({ code: "rule-broken" });
    await books.decide(await books.ask("office", [{ action: "resize", kind: "host", id: web, spec: { flavour: "small" } }]));
    await books.apply(await department());
    await books.observe();
    const smaller = (await fund())!;
    expect(smaller.committed_fen).toBeLessThan(held / 2);
    expect(await refusal(books.ask("office", [{ action: "resize", kind: "host", id: web, spec: { flavour: "large" } }, host("too")]))).toMatchObject({
      code: "budget-exceeded",
    });
    await books.decide(await books.ask("office", [{ action: "resize", kind: "host", id: web, spec: { flavour: "standard" } }]));
    await books.apply(await department());
    const open = (await charges()).filter((one) => one.state === "committed");
    expect(open).toHaveLength(1);
    expect((open[0]!.lines as { meter: string; quantity: number }[]).filter((line) => line.meter === "vcpu").map((line) => line.quantity)).toEqual([1, 1]);
    await opened.db.updateTable("projects").set({ stage: "closed" }).where("id", "=", project).execute();
    expect(await refusal(books.ask("office", [host("closed")]))).toMatchObject({ code: "project-not-approved" });
    await books.decide(await books.ask("office", [{ action: "retire", kind: "host", id: web }]));
    await books.apply(await department());
    expect((await fund())!.committed_fen).toBe(0);
  });

  it("refuses growth before there are prices; what ran before the first of them is charged from then on", async () => {
    const { prices: _none, ...city } = smallCity();
    await books.import(city);
    project = (await projectOf("office")).id;
    expect(await refusal(books.ask("office", [host("web")]))).toMatchObject({ code: "no-price-book" });
    await books.change((tx) => publishPrices(tx, books.act(), { note: "", prices: bookOf }));
    await books.decide(await books.ask("office", [host("web")]));
    await books.apply(await department());
    await sql`delete from fund_charges`.execute(opened.db);
    await sql`update project_funds set committed_fen = 0`.execute(opened.db);
    await sql`alter table price_books disable trigger all`.execute(opened.db);
    await sql`delete from price_books`.execute(opened.db);
    await sql`alter table price_books enable trigger all`.execute(opened.db);
    await books.change((tx) => publishPrices(tx, books.act(), { note: "", prices: bookOf }));
    expect((await charges()).map((one) => one.state)).toEqual(["committed"]);
    expect((await fund())!.committed_fen).toBe((await charges())[0]!.amount_fen);
  });

  it("keeps published prices as they are, in the database too; a later version prices only what is asked for after it", async () => {
    await begin();
    const before = await books.ask("office", [host("a")]);
    await expect(books.change((tx) => publishPrices(tx, books.act(), { validFrom: "2026-01-01T00:00:00Z", note: "", prices: bookOf }))).rejects.toMatchObject({
      code: "rule-broken",
    });
    await expect(sql`update price_books set prices = '[]'`.execute(opened.db)).rejects.toThrow(/never changes/);
    await expect(sql`delete from price_books`.execute(opened.db)).rejects.toThrow(/never changes/);
    await books.change((tx) => publishPrices(tx, books.act(), { note: "dearer", prices: bookOf.map((one) => ({ ...one, fen: one.fen * 2 })) }));
    const after = await books.ask("office", [host("b")]);
    const of = (request: { cost: unknown }) => request.cost as { amountFen: number; priceBook: number };
    expect([of(before).priceBook, of(after).priceBook]).toEqual([1, 2]);
    expect(of(after).amountFen / of(before).amountFen).toBeCloseTo(2, 3);
  });

  it("fills one fund exactly in a race of 40", { timeout: 240_000 }, async () => {
    await begin();
    const now = new Date();
    const cost = costFen(linesOf([...standard], bookOf), now, yearEnd(now), "up");
    const year = fiscalYearOf(now);
    await books.change((tx) => changeFunds(tx, books.act(), project, [{ kind: "construction", fiscalYear: year, amountFen: cost * 7 }], "x", () => {}));
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        books.ask("office", [host(`h${index}`)]).then(
          (request) => request.state,
          (error: unknown) => (error as Refusal).code,
        ),
      ),
    );
    expect(answers.filter((answer) => answer === "submitted")).toHaveLength(7);
    expect(answers.filter((answer) => answer === "budget-exceeded")).toHaveLength(33);
    const { reserved_fen, amount_fen } = (await fund())!;
    expect(reserved_fen).toBeLessThanOrEqual(amount_fen);
    expect(reserved_fen + cost).toBeGreaterThan(amount_fen);
    // In one transaction too, each counted before the next.
    await books.change((tx) => changeFunds(tx, books.act(), project, [{ kind: "construction", fiscalYear: year, amountFen: cost * 10 }], "x", () => {}));
    const asks = Array.from({ length: 6 }, (_, index) => ({
      act: books.act("tok_applicant"),
      principal: books.applicant,
      body: NewRequest.parse({ application: "office-app", project: "p", title: "T", items: [host(`g${index}`)] }),
    }));
    const taken = await books.change((tx) => createRequests(tx, asks, plain));
    expect(taken.filter((one) => "row" in one)).toHaveLength(3);
  });

  it("is never passed while finance lowers it and departments submit at the same time", { timeout: 240_000 }, async () => {
    await begin();
    const now = new Date();
    const cost = costFen(linesOf([...standard], bookOf), now, yearEnd(now), "up");
    const fiscalYear = fiscalYearOf(now);
    const lower = (hosts: number) =>
      books.change((tx) => changeFunds(tx, books.act(), project, [{ kind: "construction", fiscalYear, amountFen: cost * hosts }], "lower", () => {}));
    await lower(10);
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, index) => [refusal(books.ask("office", [host(`h${index}`)])), refusal(lower(9 - index))]).flat(),
    );
    expect(new Set(outcomes.map((one) => one?.code))).toEqual(new Set([undefined, "budget-exceeded", "rule-broken"]));
    const { amount_fen, reserved_fen } = (await fund())!;
    expect(reserved_fen).toBeGreaterThan(0);
    expect(reserved_fen).toBeLessThanOrEqual(amount_fen);
  });

  it("passes to the operating fund at the acceptance, in the middle of the year, and lets nothing grow until it has money", async () => {
    await begin();
    await books.decide(await books.ask("office", [host("web")]));
    await books.apply(await department());
    const committed = (await fund())!.committed_fen;
    await advance("accept");
    expect(await fund()).toMatchObject({ reserved_fen: 0, committed_fen: 0 });
    const operating = (await fund("operating"))!;
    expect(operating.amount_fen).toBe(0);
    expect(operating.committed_fen).toBeGreaterThan(committed * 0.99);
    expect(operating.committed_fen + (await fund())!.spent_fen).toBeLessThanOrEqual(committed);
    expect(await refusal(books.ask("office", [host("more")]))).toMatchObject({ code: "project-not-approved" });
    await advance("operate", { evidence: [] });
    expect(await refusal(books.ask("office", [host("more")]))).toMatchObject({ code: "budget-exceeded", funds: [{ kind: "operating" }] });
    await books.change((tx) =>
      changeFunds(tx, books.act(), project, [{ kind: "operating", fiscalYear: fiscalYearOf(new Date()), amountFen: committed * 3 }], "late budget", () => {}),
    );
    expect((await books.ask("office", [host("more")])).cost).toMatchObject({ fund: { kind: "operating" } });
    const { rows } = await sql<{ stage: string }>`select to_stage as stage from project_steps order by id`.execute(opened.db);
    expect(rows.map((row) => row.stage)).toEqual(["accepted", "operating"]);
  });

  it("passes from project to project with what is transferred, and counts no more than can be counted", async () => {
    await begin();
    await books.decide(await books.ask("office", [host("web"), host("stays")]));
    await books.apply(await department());
    const before = (await fund())!.committed_fen;
    const other = (await projectOf("bureau")).id;
    const moved = [await id("web")];
    await books.change((tx) => passToFund(tx, books.act(), other, moved));
    const [here, there] = [
      (await fund())!,
      await opened.db.selectFrom("project_funds").selectAll().where("project_id", "=", other).where("committed_fen", ">", 0).execute(),
    ];
    expect(there).toHaveLength(1);
    expect(here.committed_fen + here.spent_fen + there[0]!.committed_fen).toBeLessThanOrEqual(before);
    expect(here.committed_fen / there[0]!.committed_fen).toBeCloseTo(1, 3);
    expect(
      (await charges())
        .filter((one) => one.state === "committed")
        .map((one) => one.project_id)
        .toSorted(),
    ).toEqual([project, other].toSorted());
    const most = Number.MAX_SAFE_INTEGER;
    const funds = [2050, 2051].map((fiscalYear) => ({ kind: "operating" as const, fiscalYear, amountFen: most }));
    expect(await refusal(books.change((tx) => changeFunds(tx, books.act(), project, funds, "x", () => {})))).toMatchObject({ code: "rule-broken" });
  });

  it("goes on over new year's eve without money, but grows only when the year has a fund", async () => {
    await begin();
    const year = fiscalYearOf(new Date()) + 5;
    const eve = new Date(yearStart(year).getTime() - 3_600_000);
    await books.change((tx) => changeFunds(tx, books.act(), project, [{ kind: "construction", fiscalYear: year - 1, amountFen: 1_000_000 }], "x", () => {}));
    await decideAt(eve, (await askAt(eve, [host("web")])).id);
    await applyAt(eve);
    const late = await askAt(eve, [host("late")]);
    const approved = await askAt(eve, [host("approved")]);
    await decideAt(eve, approved.id);
    const hour = costFen(linesOf([...standard], bookOf), eve, yearStart(year), "down");
    expect(await fund("construction", year - 1)).toMatchObject({ committed_fen: hour });

    const morning = new Date(yearStart(year).getTime() + 1);
    expect(await refusal(askAt(morning, [host("new")]))).toMatchObject({ code: "budget-exceeded", funds: [{ fiscalYear: year, amountFen: 0 }] });
    expect(await refusal(decideAt(morning, late.id))).toMatchObject({ code: "budget-exceeded" });
    // Approved the day before, applied in the new year: it is not begun, and the rest runs on.
    await applyAt(morning);
    expect(await opened.db.selectFrom("requests").select(["state", "error"]).where("id", "=", approved.id).executeTakeFirst()).toMatchObject({
      state: "failed",
      error: { code: "budget-exceeded" },
    });
    expect(await opened.db.selectFrom("resources").select("phase").where("name", "=", "web").executeTakeFirst()).toEqual({ phase: "live" });
    expect(await fund("construction", year - 1)).toMatchObject({ committed_fen: 0, spent_fen: hour });
    await books.change((tx) => lockPayers(tx, at(morning), [project]));
    const fresh = (await fund("construction", year))!;
    expect(fresh).toMatchObject({ amount_fen: 0, committed_fen: costFen(linesOf([...standard], bookOf), yearStart(year), yearStart(year + 1), "down") });
    // The late budget is raised step by step; then growth is possible again, and what was reserved moves to the new year.
    for (const amountFen of [1, fresh.committed_fen * 4])
      await books.change((tx) => changeFunds(tx, at(morning), project, [{ kind: "construction", fiscalYear: year, amountFen }], "late", () => {}));
    // Planned with the old year's cost: an approver is to see the new one first.
    expect(await refusal(decideAt(morning, late.id))).toMatchObject({ code: "plan-changed" });
    await books.change((tx) => recordPlan(tx, at(morning), late.id, { steps: [] }));
    expect((await opened.db.selectFrom("requests").select("plan").where("id", "=", late.id).executeTakeFirstOrThrow()).plan).toMatchObject({
      cost: { fund: { kind: "construction", fiscalYear: year } },
    });
    await decideAt(morning, late.id);
    await applyAt(morning);
    expect(await opened.db.selectFrom("resources").select("phase").where("name", "=", "late").executeTakeFirst()).toEqual({ phase: "live" });
    expect(await fund("construction", year - 1)).toMatchObject({ reserved_fen: 0, committed_fen: 0 });
    // Three years later nobody looked in between: each year has paid.
    await books.change((tx) => lockPayers(tx, at(new Date(yearStart(year + 3).getTime() + 1)), [project]));
    const all = await opened.db
      .selectFrom("project_funds")
      .selectAll()
      .where("project_id", "=", project)
      .where("fiscal_year", ">", year)
      .orderBy("fiscal_year")
      .execute();
    expect(all.map((one) => [one.fiscal_year - year, one.spent_fen > 0, one.committed_fen > 0])).toEqual([
      [1, true, false],
      [2, true, false],
      [3, false, true],
    ]);
  });
});
