/**
 * The life of requests as a whole: random sequences of what people, the engine and the clock do, and after each act what must hold whatever happened.
 * The transitions are written here once more, from the specification and not from the code.
 */
import fc from "fast-check";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ticks } from "../../../control-plane/jobs/ticks.ts";
import type { JobContext } from "../../../control-plane/jobs/context.ts";
import { acceptTrial, refuseTrial } from "../../../control-plane/store/trials.ts";
import { City } from "../../../control-plane/contract/city.ts";
import { Item, NewRequest } from "../../../control-plane/contract/requests.ts";
import { Refusal } from "../../../control-plane/domain/refusal.ts";
import { amendRequest, createRequest, submitRequest } from "../../../control-plane/store/acceptance.ts";
import { type Act, systemAct } from "../../../control-plane/store/act.ts";
import { answer, approve, reject, returnWithQuestion } from "../../../control-plane/store/approving.ts";
import type { OpenDatabase, Tx } from "../../../control-plane/store/database.ts";
import { beginApply } from "../../../control-plane/store/applying.ts";
import { failApply, settleApply } from "../../../control-plane/store/settling.ts";
import { lockPayers, projectsToRoll } from "../../../control-plane/store/fund-charges.ts";
import { recordPlan } from "../../../control-plane/store/planning.ts";
import { reconcile } from "../../../control-plane/store/reconciliation.ts";
import { expireReservations, withdraw } from "../../../control-plane/store/requests.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, plain, smallCity, volume } from "../../setup/small-city.ts";

/** Where a request may go from each state, as the specification says. */
const allowed: Record<string, readonly string[]> = {
  draft: ["submitted", "withdrawn"],
  submitted: ["planned", "failed", "withdrawn", "rejected"],
  waiting: ["approved", "submitted", "withdrawn", "rejected"],
  planned: ["department-approval", "authority-approval", "approved"],
  "department-approval": ["authority-approval", "approved", "needs-information", "rejected", "withdrawn", "submitted"],
  "authority-approval": ["approved", "needs-information", "rejected", "withdrawn", "submitted"],
  "needs-information": ["department-approval", "authority-approval", "submitted", "withdrawn"],
  approved: ["applying", "waiting", "active", "failed"],
  applying: ["on-trial", "active", "failed", "applying", "submitted"],
  "on-trial": ["active", "expiring", "reclaimed"],
  active: ["expiring"],
  expiring: ["active", "reclaimed"],
};
const places = ["city", "bureau", "second", "office"] as const;
/** Who is there: writers, holders of one role, a chief who writes and holds both, and somebody with nothing. */
const holders = {
  tok_writer: [],
  tok_other: [],
  tok_chief: ["approver", "authority"],
  tok_approver1: ["approver"],
  tok_approver2: ["approver"],
  tok_authority1: ["authority"],
  tok_authority2: ["authority"],
  tok_stranger: [],
} as const satisfies Record<string, readonly ("approver" | "authority")[]>;
type Who = keyof typeof holders;
const people = Object.keys(holders) as Who[];
const who = fc.constantFrom(...people);
const writer = fc.constantFrom<Who>("tok_writer", "tok_other", "tok_chief");
const which = fc.nat(30);
const place = fc.constantFrom(...places);

const acts = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("create" as const),
      place,
      hosts: fc.integer({ min: 0, max: 3 }),
      volumes: fc.nat(1),
      term: fc.constantFrom(0, 0, 10, 50),
      trial: fc.constantFrom(0, 0, 5),
      draft: fc.boolean(),
      by: writer,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("live" as const), place, term: fc.constantFrom(0, 10, 50), trial: fc.constantFrom(0, 0, 5), by: writer }),
  },
  // The clock goes on, and is looked at.
  { weight: 4, arbitrary: fc.record({ do: fc.constant("terms" as const), days: fc.constantFrom(1, 8, 31) }) },
  { weight: 2, arbitrary: fc.constant({ do: "reclaim" as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("accept" as const, "refuse" as const), which, by: writer }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("submit" as const), which, by: writer }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("plan" as const), which }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constantFrom("approve" as const, "approve" as const, "approve" as const, "reject" as const, "return" as const),
      which,
      by: who,
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("grant" as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("answer" as const, "amend" as const), which, by: who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("withdraw" as const), which, by: writer }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("apply" as const), place, result: fc.constantFrom("ok", "ok", "part", "all", "engine") }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("resize" as const, "extend" as const, "stop" as const, "start" as const, "retire" as const),
      which,
      by: writer,
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "observe" as const }) },
  { weight: 2, arbitrary: fc.constant({ do: "room" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "expire" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "new-year" as const }) },
);
/** Sequences that surely come to the ends of the life of resources. */
const wholeLife: One[] = [
  ...Array.from({ length: 5 }, (): One => ({ do: "live", place: "office", term: 10, trial: 0, by: "tok_writer" })),
  ...Array.from({ length: 5 }, (): One => ({ do: "live", place: "second", term: 50, trial: 0, by: "tok_other" })),
  { do: "terms", days: 8 },
  { do: "terms", days: 31 },
  { do: "terms", days: 8 },
  { do: "reclaim" },
  { do: "room" },
  { do: "terms", days: 31 },
  { do: "reclaim" },
  { do: "terms", days: 8 },
  { do: "reclaim" },
  { do: "room" },
  { do: "apply", place: "second", result: "ok" },
  { do: "observe" },
];
const queued: One[] = [
  ...Array.from({ length: 4 }, (): One => ({ do: "live", place: "office", term: 0, trial: 0, by: "tok_writer" })),
  ...Array.from({ length: 4 }, (): One => ({ do: "live", place: "second", term: 0, trial: 0, by: "tok_other" })),
  { do: "retire", which: 0, by: "tok_writer" },
  { do: "grant", which: 0 },
  { do: "apply", place: "office", result: "ok" },
  { do: "room" },
  { do: "apply", place: "second", result: "ok" },
  { do: "observe" },
];
const tried: One[] = [
  { do: "live", place: "office", term: 0, trial: 5, by: "tok_writer" },
  { do: "live", place: "bureau", term: 10, trial: 5, by: "tok_writer" },
  { do: "accept", which: 0, by: "tok_other" },
  { do: "live", place: "second", term: 10, trial: 0, by: "tok_writer" },
  { do: "terms", days: 1 },
  { do: "extend", which: 2, by: "tok_other" },
  { do: "grant", which: 0 },
  { do: "refuse", which: 0, by: "tok_other" },
  { do: "reclaim" },
  { do: "terms", days: 31 },
];
type One = typeof acts extends fc.Arbitrary<infer T> ? T : never;

/** What the test itself knows of a request. */
interface Known {
  state: string;
  authors: Set<string>;
  /** Who approved since its plan last moved. */
  deciders: Set<string>;
}

describe.each(engines)("the life of requests, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  beforeEach(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
    const city = smallCity({ hosts: 12, fundFen: 250_000 });
    city.departments.push({ ...city.departments[1]!, code: "second", nameZh: "部门三", nameEn: "second" });
    city.quotas.find((one) => one.department === "bureau")!.limits.hosts = 5;
    city.quotas.push({ department: "second", limits: { ...city.quotas[1]!.limits, hosts: 4 } });
    city.projects.push({ ...city.projects[1]!, department: "second" });
    city.applications.push({ ...city.applications[1]!, department: "second", code: "second-app" });
    city.pools[0]!.capacity.hosts = 6;
    await books.import(City.parse(city));
    // The bureaus may borrow from each other.
    await opened.db
      .updateTable("quota_accounts")
      .set({ lends: true })
      .where("department_id", "=", (where) => where.selectFrom("departments").select("id").where("code", "=", "city"))
      .execute();
    for (const [id, roles] of Object.entries(holders)) {
      await opened.db
        .insertInto("tokens")
        .values({ id, name: id, secret_hash: id, expires_at: null, created_at: new Date(0) })
        .execute();
      for (const role of roles)
        await opened.db
          .insertInto("role_bindings")
          .values({
            id: `rbd_${id}_${role}`,
            subject_id: id,
            role,
            department_id: null,
            kind: "standing",
            valid_from: new Date(0),
            valid_until: null,
            period_from: null,
            period_to: null,
            reason: "test",
            granted_by: "test",
            granted_at: new Date(0),
          })
          .execute();
    }
  });
  afterEach(() => opened.close());

  it("goes only where the specification lets it, by whom it lets, within quotas and funds, all of it audited", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(acts, { minLength: 15, maxLength: 40 }), async (sequence) => {
        await empty(opened);
        const world = new World(opened);
        for (const one of sequence) await world.step(one);
      }),
      { numRuns: 12, endOnFailure: true, examples: [[wholeLife], [queued], [tried]] },
    );
  });
});

/** Nothing asked for, nothing held; what the audit has stays. */
async function empty({ db }: OpenDatabase): Promise<void> {
  await sql`truncate requests, request_items, resources, quota_charges, fund_charges, approval_steps, allocations, uptime_intervals, estates, quota_findings cascade`.execute(
    db,
  );
  await sql`update quota_accounts set reserved = 0, used = 0`.execute(db);
  await sql`update pool_accounts set taken = 0`.execute(db);
  await sql`update project_funds set reserved_fen = 0, committed_fen = 0, spent_fen = 0`.execute(db);
}

class World {
  readonly #opened: OpenDatabase;
  #now = new Date("2026-10-08T02:00:00Z");
  readonly #known = new Map<string, Known>();
  #names = 0;
  #excess = new Map<string, number>();
  #overspent = new Map<string, number>();
  #resources = new Map<string, string>();
  /** Departments where something failed: the job runs the engine again at once, which removes what is left of it. */
  readonly #again = new Set<string>();
  constructor(opened: OpenDatabase) {
    this.#opened = opened;
  }

  get #db() {
    return this.#opened.db;
  }
  #change = <T>(work: (tx: Tx) => Promise<T>) => this.#db.transaction().execute(work);
  #actOf = (by: string): Act => ({ ...systemAct(this.#now), actor: by, role: by === "system" ? "system" : `role of ${by}` });

  async step(one: One): Promise<void> {
    // A grant is several acts, so that sequences come to where resources live.
    if (one.do === "grant") {
      await this.step({ do: "plan", which: one.which });
      for (const by of ["tok_approver1", "tok_authority1"] as const) await this.step({ do: "approve", which: one.which, by });
      return;
    }
    // Several acts again, so that terms come to their end.
    if (one.do === "live") {
      await this.step({ do: "create", place: one.place, hosts: 1, volumes: 0, term: one.term, trial: one.trial, draft: false, by: one.by });
      const newest = await this.#db.selectFrom("requests").select("id").where("state", "=", "submitted").orderBy("id").execute();
      if (newest.length > 0) await this.step({ do: "grant", which: 7 * (newest.length - 1) });
      await this.step({ do: "apply", place: one.place, result: "ok" });
      return this.step({ do: "observe" });
    }
    if (one.do === "reclaim") {
      await this.step({ do: "terms", days: 8 });
      for (let round = 0; round < 4; round++) {
        await this.step({ do: "grant", which: 0 });
        for (const where of places) await this.step({ do: "apply", place: where, result: "ok" });
        await this.step({ do: "observe" });
      }
      return;
    }
    this.#now = new Date(this.#now.getTime() + 60_000);
    const { rows } = await sql<{ id: number }>`select coalesce(max(id), 0)::int as id from audit_entries`.execute(this.#db);
    const by = "by" in one ? one.by : "system";
    const act = this.#actOf(by);
    let refused = false;
    await this.#do(one, act).catch((error: unknown) => {
      if (!(error instanceof Refusal)) throw error;
      refused = true;
    });
    await this.#check(one, act, rows[0]!.id, refused);
  }

  async #request(which: number, states: readonly string[]) {
    const all = await this.#db.selectFrom("requests").selectAll().orderBy("id").execute();
    const fitting = all.filter((row) => states.includes(row.state));
    // Now and then one that doesn't fit: it must be refused.
    return which % 7 === 6 ? all[which % Math.max(1, all.length)] : fitting[which % Math.max(1, fitting.length)];
  }

  async #do(one: One, act: Act): Promise<void> {
    switch (one.do) {
      case "create": {
        const items = [
          ...Array.from({ length: one.hosts }, () => host(`h${this.#names++}`)),
          ...Array.from({ length: one.volumes }, () => volume(`v${this.#names++}`)),
        ];
        const expiresAt = new Date(this.#now.getTime() + one.term * 86_400_000).toISOString();
        const kept = items.map((item) => (one.term === 0 ? item : { ...item, spec: { ...item.spec, expiresAt } }));
        if (items.length > 0) await this.#create(one.place, kept, act, one.draft, one.trial);
        return;
      }
      case "submit": {
        const request = await this.#request(one.which, ["draft"]);
        if (request)
          await this.#change((tx) => submitRequest(tx, act, request.id, plain, plain)).then(() => this.#known.get(request.id)!.authors.add(act.actor));
        return;
      }
      case "plan": {
        const request = await this.#request(one.which, ["submitted"]);
        if (request) await this.#change((tx) => recordPlan(tx, act, request.id, { steps: [] }));
        return;
      }
      case "approve":
      case "reject":
      case "return":
        return this.#decide(one.do, one.which, act);
      case "answer":
      case "amend": {
        const request = await this.#request(one.which, ["needs-information"]);
        if (!request) return;
        const item = Item.parse(host(`h${this.#names++}`));
        await this.#change<unknown>((tx) =>
          one.do === "answer" ? answer(tx, act, request.id, "so") : amendRequest(tx, act, request.id, { items: [item], text: "so" }, plain, plain),
        );
        const known = this.#known.get(request.id)!;
        known.authors.add(act.actor);
        if (one.do === "amend") known.deciders.clear();
        else expect(known.deciders, "an answer is not given by who has decided").not.toContain(act.actor);
        return;
      }
      case "withdraw": {
        const request = await this.#request(one.which, ["draft", "submitted", "waiting", "department-approval", "authority-approval", "needs-information"]);
        if (request) await this.#change((tx) => withdraw(tx, act, request.id));
        return;
      }
      case "apply":
        return this.#apply(one.place, one.result, act);
      case "observe": {
        const live = await this.#db.selectFrom("resources").select("id").where("phase", "=", "live").execute();
        if (live.length > 0) await openBooks(this.#db).observe();
        return;
      }
      case "room":
        return ticks["waiting"]!(this.#jobs());
      case "terms":
        await this.#applyAgain(act);
        this.#now = new Date(this.#now.getTime() + one.days * 86_400_000);
        await ticks["terms"]!(this.#jobs());
        return this.#roll();
      case "accept":
      case "refuse": {
        const request = await this.#request(one.which, ["on-trial"]);
        if (request) await this.#change((tx) => (one.do === "accept" ? acceptTrial(tx, act, request.id) : refuseTrial(tx, act, request.id, "no", plain)));
        return;
      }
      case "expire":
        await this.#applyAgain(act);
        this.#now = new Date(this.#now.getTime() + 31 * 86_400_000);
        await this.#change((tx) => expireReservations(tx, { ...act, now: this.#now }));
        return this.#roll();
      case "new-year":
        await this.#applyAgain(act);
        if (this.#now.getUTCFullYear() < 2027) this.#now = new Date("2026-12-31T16:30:00Z");
        return this.#roll();
      case "resize":
      case "extend":
      case "stop":
      case "start":
      case "retire": {
        const hosts = await this.#db
          .selectFrom("resources as r")
          .innerJoin("departments as d", "d.id", "r.department_id")
          .select(["r.id", "d.code"])
          .where("r.phase", "=", "live")
          .where("r.kind", "=", "host")
          .orderBy("r.id")
          .execute();
        const chosen = hosts[one.which % Math.max(1, hosts.length)];
        const spec = one.do === "resize" ? { flavour: one.which % 2 ? "small" : "large" } : one.do === "extend" ? { expiresAt: "2028-01-01T00:00:00Z" } : {};
        if (chosen) await this.#create(chosen.code, [{ action: one.do, kind: "host", id: chosen.id, spec }], act, false);
        return;
      }
      case "grant":
      case "live":
      case "reclaim":
    }
  }

  /** What the ticks are given; what they act as is told by the system's name. */
  #jobs(): JobContext {
    const queue = { plan: async () => {}, apply: async () => {} };
    return { db: this.#db, queue, now: () => this.#now, keys: { seal: plain, unseal: plain } } as unknown as JobContext;
  }

  async #create(code: string, items: unknown[], act: Act, draft: boolean, trial = 0): Promise<void> {
    const body = NewRequest.parse({
      application: `${code}-app`,
      project: "p",
      department: code,
      title: "Test",
      items,
      draft,
      ...(trial > 0 ? { trialDays: trial } : {}),
    });
    const made = await this.#change((tx) => createRequest(tx, act, { id: act.actor, nodes: null }, body, plain));
    this.#known.set(made.id, { state: "draft", authors: new Set([act.actor]), deciders: new Set() });
  }

  async #decide(how: "approve" | "reject" | "return", index: number, act: Act): Promise<void> {
    const request = await this.#request(index, ["department-approval", "authority-approval"]);
    if (!request) return;
    const principal = { id: act.actor, nodes: null };
    const stage = request.state === "department-approval" ? "approver" : "authority";
    const decision = { planHash: request.plan_hash ?? "", reason: "" };
    await this.#change<unknown>((tx) =>
      how === "approve"
        ? approve(tx, act, principal, request.id, decision)
        : how === "reject"
          ? reject(tx, act, principal, request.id, { reason: "no" })
          : returnWithQuestion(tx, act, principal, request.id, { question: "why?" }),
    );
    const known = this.#known.get(request.id)!;
    expect(known.authors, "nobody decides on their own").not.toContain(act.actor);
    expect(known.deciders, "nobody decides twice").not.toContain(act.actor);
    // Before there is a step to decide, whom the first stage will ask may reject.
    const role = ["submitted", "waiting"].includes(request.state) ? "approver" : stage;
    expect(holders[act.actor as Who], "only who holds the stage's role decides").toContain(role);
    if (how === "approve") known.deciders.add(act.actor);
  }

  async #apply(code: string, result: string, act: Act): Promise<void> {
    const { id } = await this.#db.selectFrom("departments").select("id").where("code", "=", code).executeTakeFirstOrThrow();
    const begun = await this.#change((tx) => beginApply(tx, act, id, plain));
    this.#again.delete(code);
    if (begun.unchanged) return;
    if (result === "engine") {
      this.#again.add(code);
      return this.#change((tx) => failApply(tx, act, id, { code: "engine-failed", message: "no" }));
    }
    const applying = await this.#db
      .selectFrom("request_items as i")
      .innerJoin("requests as r", "r.id", "i.request_id")
      .select("i.resource_id")
      .where("r.department_id", "=", id)
      .where("i.state", "=", "applying")
      .orderBy("i.resource_id")
      .execute();
    const failing = result === "ok" ? [] : result === "part" ? applying.slice(0, 1) : applying;
    const failures = failing.map((one) => ({ kind: "host" as const, name: one.resource_id, code: "no", message: "no" }));
    const outcome = { operation: "op", steps: [], durationMs: 1, result: failures.length > 0 ? ("failed" as const) : ("succeeded" as const), failures };
    const { again } = await this.#change((tx) => settleApply(tx, act, id, { hash: begun.hash, fence: begun.fence, outcome }));
    if (again) this.#again.add(code);
  }

  /** Before days go by: no job waits for as long. */
  async #applyAgain(act: Act): Promise<void> {
    for (const code of this.#again) await this.#apply(code, "ok", act);
  }

  async #roll(): Promise<void> {
    for (const project of await projectsToRoll(this.#db, this.#now))
      await this.#change((tx) => lockPayers(tx, { ...this.#actOf("system"), now: this.#now }, [project]));
  }

  async #check(one: One, act: Act, audited: number, refused: boolean): Promise<void> {
    const told = `after ${JSON.stringify(one)}`;
    const entries = await this.#db.selectFrom("audit_entries").selectAll().where("id", ">", audited).orderBy("id").execute();
    if (refused && one.do !== "apply") expect(entries, `a refusal changes nothing, ${told}`).toEqual([]);
    for (const entry of entries) expect({ actor: entry.actor, role: entry.role }, told).toEqual({ actor: act.actor, role: act.role });
    await this.#checkTransitions(entries, told);
    await this.#checkQuotas(told);
    await this.#checkFunds(one, told);
    await this.#checkReclaimed(told);
    expect((await reconcile(this.#db, { ...systemAct(this.#now) })).findings, `a reconciliation finds nothing, ${told}`).toEqual([]);
  }

  /** The audit tells every change of state, each one that is allowed; and every change of a resource. */
  async #checkTransitions(entries: readonly { action: string; subject_id: string; before: unknown; after: unknown }[], told: string): Promise<void> {
    for (const row of await this.#db.selectFrom("requests").selectAll().execute()) {
      // What the terms or a refused trial asked for.
      if (row.origin && !this.#known.has(row.id)) this.#known.set(row.id, { state: "draft", authors: new Set([row.requested_by]), deciders: new Set() });
      const known = this.#known.get(row.id)!;
      const own = entries.filter((entry) => entry.subject_id === row.id);
      for (const { action, before, after } of own) {
        const [from, to] = [(before as { state?: string } | null)?.state, (after as { state?: string } | null)?.state];
        if (!from || !to) continue;
        expect(from, `${action} begins where the one before ended, ${told}`).toBe(known.state);
        expect(allowed[from] ?? [], `${action}, ${told}`).toContain(to);
        known.state = to;
        // The plan moved: what was decided counts no more.
        if (to === "submitted") known.deciders.clear();
      }
      expect(row.state, `the audit tells how ${row.number} came there, ${told}`).toBe(known.state);
      expect(new Set(row.authors), `who has a part in it, ${told}`).toEqual(known.authors);
      const steps = await this.#db.selectFrom("approval_steps").selectAll().where("request_id", "=", row.id).where("invalidated_at", "is", null).execute();
      const approvedBy = steps.flatMap((step) => (step.state === "approved" ? [step.decided_by!] : []));
      expect(approvedBy.toSorted(), told).toEqual([...known.deciders].toSorted());
      if (row.origin === "term-stop") expect(approvedBy, `nobody is asked, ${told}`).toEqual([]);
      else if (["approved", "waiting", "applying", "on-trial", "active", "expiring", "reclaimed"].includes(row.state))
        expect(approvedBy, `both stages have approved, ${told}`).toHaveLength(2);
    }
    const before = this.#resources;
    const resources = await this.#db.selectFrom("resources").select(["id", "phase", "applied"]).execute();
    this.#resources = new Map(resources.map((row) => [row.id, `${row.phase === "gone" ? "gone" : ""}${JSON.stringify(row.applied)}`]));
    for (const [id, now] of this.#resources)
      if (now !== (before.get(id) ?? "null"))
        expect(
          entries.filter((entry) => entry.subject_id === id),
          `what became of ${id} is audited, ${told}`,
        ).not.toEqual([]);
  }

  /** Of what is reclaimed nothing is left: no host, no charge, no open interval. */
  async #checkReclaimed(told: string): Promise<void> {
    const { rows } = await sql<{ left: number }>`
      select count(*)::int as left from requests q join resources r on r.request_id = q.id where q.state = 'reclaimed' and r.kind in ('host', 'volume') and (r.phase not in ('gone', 'failed')
        or exists (select from quota_charges c where c.resource_id = r.id and c.state = 'reserved')
        or exists (select from fund_charges f where f.resource_id = r.id and f.state in ('reserved', 'committed'))
        or exists (select from allocations a where a.resource_id = r.id and a.to_at is null))`.execute(this.#db);
    expect(rows[0]!.left, `reclaimed is gone, ${told}`).toBe(0);
  }

  /** No account passes its limit but by borrowing what its siblings leave unused. */
  async #checkQuotas(told: string): Promise<void> {
    const accounts = await this.#db
      .selectFrom("quota_accounts as q")
      .innerJoin("departments as d", "d.id", "q.department_id")
      .select(["q.department_id", "d.parent_id", "d.code", "q.dimension", "q.level", "q.limit_value", "q.reserved", "q.used", "q.lends"])
      .execute();
    for (const one of accounts) {
      expect(Math.min(one.reserved, one.used), `${one.code} ${one.dimension}, ${told}`).toBeGreaterThanOrEqual(0);
      if (one.limit_value === null) continue;
      const key = `${one.code} ${one.dimension} ${one.level}`;
      const excess = Math.max(0, one.reserved + one.used - one.limit_value);
      if (excess > (this.#excess.get(key) ?? 0)) {
        const beside = accounts.filter((other) => other.dimension === one.dimension && other.level === one.level);
        const lends = beside.find((other) => other.department_id === one.parent_id)?.lends ?? false;
        const siblings = lends ? beside.filter((other) => other.parent_id === one.parent_id && other !== one && other.limit_value !== null) : [];
        const unused = siblings.reduce((sum, other) => sum + Math.max(0, other.limit_value! - other.reserved - other.used), 0);
        expect(excess, `${key} holds no more than its limit and what it may borrow, ${told}`).toBeLessThanOrEqual(unused);
      }
      this.#excess.set(key, excess);
    }
    for (const pool of await this.#db.selectFrom("pool_accounts").selectAll().execute()) expect(pool.taken, told).toBeLessThanOrEqual(pool.capacity);
  }

  /** No request passes a fund; only what runs on into a new year may, since nothing is stopped for money. */
  async #checkFunds(one: One, told: string): Promise<void> {
    for (const fund of await this.#db.selectFrom("project_funds").selectAll().execute()) {
      const over = Math.max(0, fund.reserved_fen + fund.committed_fen + fund.spent_fen - fund.amount_fen);
      if (one.do !== "new-year" && one.do !== "expire" && one.do !== "terms")
        expect(over, `fund ${fund.kind} ${fund.fiscal_year} is not passed, ${told}`).toBeLessThanOrEqual(this.#overspent.get(fund.id) ?? 0);
      this.#overspent.set(fund.id, over);
      const { rows } = await sql<{ open: number }>`
        select coalesce(sum(amount_fen), 0)::bigint as open from fund_charges where fund_id = ${fund.id} and state <> 'released'`.execute(this.#db);
      expect(fund.reserved_fen + fund.committed_fen + fund.spent_fen, `fund ${fund.kind} ${fund.fiscal_year} is the sum of its charges, ${told}`).toBe(
        rows[0]!.open,
      );
    }
  }
}
