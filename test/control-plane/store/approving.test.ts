import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Amendment, type ChangePlan, NewRequest } from "../../../control-plane/contract/requests.ts";
import type { Stage } from "../../../control-plane/contract/approvals.ts";
import { isDeciding, lifecycle } from "../../../control-plane/domain/lifecycle.ts";
import { Refusal } from "../../../control-plane/domain/refusal.ts";
import { amendRequest, createRequest, submitRequest } from "../../../control-plane/store/acceptance.ts";
import { policyOf, setPolicy } from "../../../control-plane/store/approval-policies.ts";
import { answer, approve, reject, returnWithQuestion } from "../../../control-plane/store/approving.ts";
import { changeCalendar, createCalendar, getCalendar } from "../../../control-plane/store/calendars.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { delegate, endDelegation } from "../../../control-plane/store/delegations.ts";
import { attachEvidence, readEvidence } from "../../../control-plane/store/evidence.ts";
import { done, todo } from "../../../control-plane/store/inbox.ts";
import { plansThatMayMove, recordPlan } from "../../../control-plane/store/planning.ts";
import { type Principal, type RequestRow, withdraw } from "../../../control-plane/store/requests.ts";
import type { Role } from "../../../control-plane/contract/roles.ts";
import { bind } from "../../../control-plane/store/role-bindings.ts";
import type { RequestState } from "../../../control-plane/store/schema.ts";
import { makeToken } from "../../../control-plane/store/tokens.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, plain, smallCity, volume } from "../../setup/small-city.ts";

const defaultTimes = { monday: new Date("2026-11-23T02:00:00Z"), tuesday: new Date("2026-11-24T02:00:00Z"), friday: new Date("2026-11-27T02:00:00Z") };

describe.each(engines)("approval, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let author: Principal;
  let people: Principal[];
  let office: string;
  let bureau: string;
  let name = 0;

  const person = async (roles: readonly Role[], department: string | null = null): Promise<Principal> =>
    books.change(async (tx) => {
      const act = { ...books.act(), now: new Date(0) };
      const { token } = await makeToken(tx, act, { name: `${roles.join()} ${name++}`, expiresAt: null });
      const bound = { subject_id: token.id, department_id: department, kind: "standing" as const, valid_from: act.now, valid_until: null };
      for (const role of roles) await bind(tx, act, { ...bound, role, period_from: null, period_to: null, reason: "test" });
      return { id: token.id, nodes: department === null ? null : [department] };
    });
  /** Somebody who may decide on every step. */
  const decider = () => person(["approver", "authority"]);
  const actOf = (who: Principal, now = new Date()) => ({ ...books.act(who.id), now });
  beforeAll(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
    await books.import(smallCity({ hosts: 1000 }));
    await opened.db.updateTable("pool_accounts").set({ capacity: 1_000_000 }).execute();
    const id = async (code: string) => (await opened.db.selectFrom("departments").select("id").where("code", "=", code).executeTakeFirstOrThrow()).id;
    [office, bureau] = [await id("office"), await id("bureau")];
    author = await person(["applicant"], office);
    people = [await decider(), await decider(), await decider(), await decider()];
  });
  afterAll(() => opened.close());

  const ask = (items: unknown[], who = author, more: object = {}) =>
    books.change((tx) =>
      createRequest(tx, actOf(who), who, NewRequest.parse({ application: "office-app", project: "p", title: "Test", items, ...more }), plain),
    );
  const step = (action: "create" | "delete", resource: string): ChangePlan["steps"][number] => ({ action, kind: "host", resource, name: "web", changes: [] });
  const plan = (id: string, steps: ChangePlan["steps"] = [], now = new Date()) => books.change((tx) => recordPlan(tx, { ...books.act(), now }, id, { steps }));
  const planned = async (now = new Date()) => plan((await ask([volume(`v${name++}`)])).id, [], now);
  const approveAs = (who: Principal, row: RequestRow, more: object = {}, now = new Date()) =>
    books.change((tx) => approve(tx, actOf(who, now), who, row.id, { planHash: row.plan_hash!, reason: "fine", ...more }));
  const rejectAs = (who: Principal, row: RequestRow) => books.change((tx) => reject(tx, actOf(who), who, row.id, { reason: "no" }));
  const askAs = (who: Principal, row: RequestRow, now = new Date()) =>
    books.change((tx) => returnWithQuestion(tx, actOf(who, now), who, row.id, { question: "What for?" }));
  const answerAs = (who: Principal, row: RequestRow, now = new Date()) => books.change((tx) => answer(tx, actOf(who, now), row.id, "For that."));
  const amendAs = (who: Principal, row: RequestRow, items: unknown[]) =>
    books.change((tx) => amendRequest(tx, actOf(who), row.id, Amendment.parse({ items, text: "changed" }), plain, plain));
  const policy = (department: string, stages: Stage[] | null) =>
    books.change((tx) => setPolicy(tx, actOf(people[0]!), department, { stages, note: "" }, () => undefined));
  const stage = (more: Partial<Stage> = {}): Stage => ({
    name: "S",
    kind: "department-approval",
    role: "approver",
    approvers: [],
    mode: "serial",
    needed: null,
    days: 3,
    ...more,
  });
  const stepsOf = (id: string) =>
    opened.db.selectFrom("approval_steps").selectAll().where("request_id", "=", id).orderBy("round").orderBy("position").execute();
  const refused = (code: string) => ({ code });

  it("goes from the department to the authority, each another person, with deadlines in working days", async () => {
    const [a, b] = people as [Principal, Principal];
    const row = await planned(defaultTimes.friday);
    expect(row.state).toBe("department-approval");
    const [first, second] = await stepsOf(row.id);
    expect(first).toMatchObject({ state: "open", due_at: new Date("2026-12-02T15:59:59.999Z") });
    expect(second).toMatchObject({ state: "waiting", due_at: null });
    await expect(approveAs(author, row)).rejects.toMatchObject(refused("self-approval"));
    const half = await approveAs(a, row);
    expect(half).toMatchObject({ state: "authority-approval", decided_by: null });
    await expect(approveAs(a, half)).rejects.toMatchObject(refused("second-decision"));
    expect(await approveAs(b, half)).toMatchObject({ state: "approved", decided_by: b.id });
    expect((await stepsOf(row.id)).map((one) => [one.decided_by, one.plan_hash])).toEqual([
      [a.id, row.plan_hash],
      [b.id, row.plan_hash],
    ]);
  });

  it("refuses a decision on another plan than the present one", async () => {
    const row = await planned();
    await expect(approveAs(people[0]!, row, { planHash: "0" })).rejects.toMatchObject(refused("plan-changed"));
  });

  it("is refused by the database itself when one person approves twice", async () => {
    const row = await planned();
    const twice = { state: "approved" as const, decided_by: people[0]!.id, decided_at: new Date() };
    await expect(opened.db.updateTable("approval_steps").set(twice).where("request_id", "=", row.id).execute()).rejects.toThrow("approval_steps_once");
  });

  it("of a plan that moved begins again with the first approver, the difference shown; of one that did not, nothing changes", async () => {
    const [a, b] = people as [Principal, Principal];
    const row = await planned();
    const [resource] = await opened.db.selectFrom("request_items").select("resource_id").where("request_id", "=", row.id).execute();
    const half = await approveAs(a, row);
    expect(await plan(row.id), "the same plan").toEqual(half);
    const moved = await plan(row.id, [step("create", resource!.resource_id)]);
    expect(moved).toMatchObject({ state: "department-approval", error: { code: "plan-moved" } });
    expect((moved.plan as ChangePlan).differences).toEqual(["host web: nothing → create"]);
    await expect(approveAs(b, half)).rejects.toMatchObject(refused("plan-changed"));
    const rounds = await stepsOf(row.id);
    expect(rounds.map((one) => [one.round, one.state, one.invalidated_at !== null])).toEqual([
      [1, "approved", true],
      [1, "open", true],
      [2, "open", false],
      [2, "waiting", false],
    ]);
    // What was decided counts no more: the same person may decide anew.
    expect((await approveAs(a, moved)).state).toBe("authority-approval");
  });

  it("is planned anew after an apply where it depends on what is there", async () => {
    const [disk, alone] = [`v${name++}`, `v${name++}`];
    const row = await plan((await ask([volume(disk), { action: "create", kind: "backup-policy", spec: { name: `${disk}-nightly`, volume: disk } }])).id);
    const other = await plan((await ask([volume(alone)])).id);
    const found = (await plansThatMayMove(opened.db, office)).map((one) => one.id);
    expect(found).toContain(row.id);
    expect(found).not.toContain(other.id);
    await rejectAs(people[0]!, row);
    expect((await plansThatMayMove(opened.db, office)).map((one) => one.id)).not.toContain(row.id);
  });

  it("is asked back, answered, and goes on with who asked; the days that the answer took are added", async () => {
    const [a, b] = people as [Principal, Principal];
    const row = await planned(defaultTimes.monday);
    const waiting = await askAs(a, row, defaultTimes.tuesday);
    expect(waiting.state).toBe("needs-information");
    await expect(approveAs(b, waiting)).rejects.toMatchObject(refused("conflict"));
    const back = await answerAs(author, waiting, defaultTimes.friday);
    expect(back.state).toBe("department-approval");
    const [first] = await stepsOf(row.id);
    expect(first).toMatchObject({ state: "open", extra_days: 3, due_at: new Date("2026-12-01T15:59:59.999Z"), decided_by: null });
    expect((await approveAs(a, back)).state, "who asked decides").toBe("authority-approval");
    const comments = await opened.db.selectFrom("request_comments").select(["kind", "text"]).where("request_id", "=", row.id).orderBy("id").execute();
    expect(comments.map((one) => one.kind)).toEqual(["question", "answer"]);
    await expect(answerAs(author, back)).rejects.toMatchObject(refused("conflict"));
  });

  it("whoever answers or amends for the applicant decides on it no more", async () => {
    const [a, b] = people as [Principal, Principal];
    const row = await askAs(a, await planned());
    const back = await answerAs(b, row);
    await expect(approveAs(b, back)).rejects.toMatchObject(refused("self-approval"));
    const half = await askAs(people[2]!, await approveAs(a, back));
    await expect(answerAs(a, half), "nor does who has decided answer").rejects.toMatchObject(refused("self-approval"));
  });

  it("is amended: what was reserved is given back, it is planned anew, and nothing that was decided counts", async () => {
    const [a, b] = people as [Principal, Principal];
    const free = async () =>
      (
        await opened.db
          .selectFrom("quota_accounts")
          .select("reserved")
          .where("department_id", "=", office)
          .where("dimension", "=", "hosts")
          .executeTakeFirstOrThrow()
      ).reserved;
    const before = await free();
    const row = await plan((await ask([host(`h${name}`), host(`i${name}`)])).id);
    const waiting = await askAs(b, await approveAs(a, row));
    expect(await free()).toBe(before + 2);
    const { row: amended, differences } = await amendAs(author, waiting, [host(`h${name}`)]);
    expect(differences.join()).toContain("items.1");
    expect(amended).toMatchObject({ state: "submitted", plan_hash: null });
    expect(await free()).toBe(before + 1);
    const again = await plan(row.id);
    expect(again.state).toBe("department-approval");
    expect((again.plan as ChangePlan).differences).toContain("quota hosts: 2 → 1");
    expect((await approveAs(b, await approveAs(a, again))).state).toBe("approved");
    await expect(amendAs(author, again, [host("x")])).rejects.toMatchObject(refused("conflict"));
  });

  it("goes by the nearest policy above; a new version is for what is planned from then on", async () => {
    const [a, b, c] = people as [Principal, Principal, Principal];
    const before = await planned();
    await policy(bureau, [stage({ approvers: [b.id, c.id], mode: "parallel", needed: 1, days: 1 })]);
    expect((await policyOf(opened.db, office)).row).toMatchObject({ department_id: bureau, version: 1 });
    expect(await stepsOf(before.id)).toHaveLength(2);
    const row = await planned();
    expect((await stepsOf(row.id)).map((one) => one.state)).toEqual(["open", "open"]);
    await expect(approveAs(a, row)).rejects.toMatchObject(refused("forbidden"));
    expect((await approveAs(c, row)).state).toBe("approved");
    expect((await stepsOf(row.id)).map((one) => one.state)).toEqual(["skipped", "approved"]);
    await policy(office, [stage({ kind: "authority-approval", role: "authority" })]);
    expect((await planned()).state).toBe("authority-approval");
    await policy(office, null);
    expect((await policyOf(opened.db, office)).row?.department_id).toBe(bureau);
    await policy(bureau, null);
    expect((await policyOf(opened.db, office)).row).toBeUndefined();
    await expect(policy(office, [stage({ kind: "authority-approval", role: "authority" }), stage()])).rejects.toMatchObject(refused("invalid-body"));
  });

  it("one rejection ends it, and nobody is asked any more", async () => {
    const row = await planned();
    expect(await rejectAs(people[0]!, row)).toMatchObject({ state: "rejected" });
    expect((await stepsOf(row.id)).map((one) => one.state)).toEqual(["rejected", "skipped"]);
  });

  describe("delegation", () => {
    const days = (n: number) => new Date(Date.now() + n * 86_400_000);
    const leave = (from: Principal, to: Principal, begins = days(-1), ends = days(1)) =>
      books.change((tx) => delegate(tx, actOf(from), { to: to.id, begins, ends, reason: "leave" }));
    const over = (from: Principal, id: string) => books.change((tx) => endDelegation(tx, actOf(from), from.id, id));

    it("is recorded on each decision as B for A; A then has decided too", async () => {
      const [a, b, c] = people as [Principal, Principal, Principal];
      const { id } = await leave(a, b);
      await policy(office, [stage({ approvers: [a.id] }), stage({ kind: "authority-approval", role: "authority" })]);
      const row = await planned();
      await expect(approveAs(c, row)).rejects.toMatchObject(refused("forbidden"));
      expect((await todo(opened.db, b, new Date(), {})).items.find((one) => one.request.id === row.id)).toMatchObject({ for: { id: a.id } });
      const half = await approveAs(b, row);
      expect((await stepsOf(row.id))[0]).toMatchObject({ decided_by: b.id, decided_for: a.id, delegation_id: id });
      for (const who of [a, b]) await expect(approveAs(who, half)).rejects.toMatchObject(refused("second-decision"));
      expect((await approveAs(c, half)).state).toBe("approved");
      await over(a, id);
      const next = await planned();
      await expect(approveAs(b, next)).rejects.toMatchObject(refused("forbidden"));
      await policy(office, null);
    });

    it("lets nobody decide on the request of the one they stand in for", async () => {
      const [a, b] = people as [Principal, Principal];
      const row = await plan((await ask([volume(`v${name++}`)], a)).id);
      const { id } = await leave(a, b);
      await expect(approveAs(b, row, { onBehalfOf: a.id })).rejects.toMatchObject(refused("self-approval"));
      expect((await approveAs(b, row)).state, "in their own name").toBe("authority-approval");
      await over(a, id);
    });

    it("goes to nobody who may not hold the role, not to oneself, and not in a chain", async () => {
      const [a, b, c] = people as [Principal, Principal, Principal];
      await expect(leave(a, a)).rejects.toMatchObject(refused("rule-broken"));
      await expect(leave(a, author)).rejects.toMatchObject(refused("rule-broken"));
      await expect(leave(a, b, days(-3), days(-1))).rejects.toMatchObject(refused("rule-broken"));
      const { id } = await leave(b, c);
      await expect(leave(a, b), "b is on leave").rejects.toMatchObject({ code: "rule-broken", detail: expect.stringContaining("no chains") });
      await expect(leave(c, a), "c stands in for b").rejects.toMatchObject({ code: "rule-broken", detail: expect.stringContaining("no chains") });
      await expect(leave(b, a), "twice").rejects.toMatchObject(refused("rule-broken"));
      const later = await leave(a, b, days(2), days(3));
      await over(a, later.id);
      await over(b, id);
      const outcomes = await Promise.allSettled([leave(a, b), leave(b, c)]);
      expect(
        outcomes.filter((one) => one.status === "fulfilled"),
        "two at once that would make a chain",
      ).toHaveLength(1);
      for (const one of outcomes) if (one.status === "fulfilled") await over(one.value.from_id === a.id ? a : b, one.value.id);
    });
  });

  it("shows an inbox by deadline, in pages that miss and repeat nothing, without one's own and decided ones", async () => {
    const reader = await decider();
    const mine = await plan((await ask([volume(`v${name++}`)], reader)).id);
    const rows = [await planned(defaultTimes.friday), await planned(defaultTimes.monday), await planned(defaultTimes.tuesday)];
    const all: string[] = [];
    const dues: string[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await todo(opened.db, reader, new Date(), { limit: 2, cursor });
      all.push(...page.items.map((one) => one.request.id));
      dues.push(...page.items.map((one) => one.step.due_at!.toISOString()));
      expect(page.items.length).toBeLessThanOrEqual(2);
      if (page.next === null) break;
      cursor = page.next;
    }
    expect(new Set(all).size).toBe(all.length);
    expect(dues).toEqual(dues.toSorted());
    expect(all).not.toContain(mine.id);
    for (const row of rows) expect(all).toContain(row.id);
    await approveAs(reader, rows[1]!);
    await rejectAs(reader, rows[0]!);
    const left = (await todo(opened.db, reader, new Date(), { limit: 500 })).items.map((one) => one.request.id);
    expect(left).not.toContain(rows[1]!.id);
    const page = await done(opened.db, reader, { limit: 1 });
    expect(page.items.map((one) => [one.request.id, one.step.state])).toEqual([[rows[0]!.id, "rejected"]]);
    expect((await done(opened.db, reader, { limit: 1, cursor: page.next! })).items.map((one) => one.request.id)).toEqual([rows[1]!.id]);
  });

  it("moves open deadlines when the calendar changes, and refuses days that cannot be", async () => {
    const row = await planned(new Date("2026-12-30T02:00:00Z"));
    const due = async () => (await stepsOf(row.id))[0]!.due_at!.toISOString();
    expect(await due()).toBe("2027-01-04T15:59:59.999Z");
    const ask2027 = { year: 2027, source: "a test's own", holidays: ["2027-01-01", "2027-01-02", "2027-01-03"], workingDays: ["2027-01-09"] };
    await books.change((tx) => createCalendar(tx, books.act(), ask2027));
    expect(await due()).toBe("2027-01-05T15:59:59.999Z");
    await books.change((tx) => changeCalendar(tx, books.act(), { ...ask2027, holidays: [] }, () => undefined));
    expect(await due()).toBe("2027-01-04T15:59:59.999Z");
    expect((await getCalendar(opened.db, 2026)).holidays).toHaveLength(33);
    await expect(books.change((tx) => createCalendar(tx, books.act(), ask2027))).rejects.toMatchObject(refused("conflict"));
    for (const wrong of [{ holidays: ["2026-01-01"] }, { workingDays: ["2027-01-05"] }, { holidays: ["2027-02-02", "2027-02-02"] }])
      await expect(books.change((tx) => changeCalendar(tx, books.act(), { ...ask2027, ...wrong }, () => undefined))).rejects.toMatchObject(
        refused("invalid-body"),
      );
  });

  it("keeps evidence byte for byte, with its digest, and notices when it is no longer what it was", async () => {
    const row = await planned();
    const content = Buffer.concat([Buffer.from("%PDF-1.7\n"), Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 256))]);
    const attach = (file: { name: string; type: "application/pdf" | "text/plain"; content: Uint8Array }) =>
      books.change((tx) => attachEvidence(tx, actOf(author), row, file));
    const { id, sha256 } = await attach({ name: "论证报告.pdf", type: "application/pdf", content });
    const read = await readEvidence(opened.db, row.id, id);
    expect(Buffer.from(read.content).equals(content)).toBe(true);
    expect(read).toMatchObject({ sha256, size_bytes: content.length });
    await expect(attach({ name: "a.pdf", type: "application/pdf", content: Buffer.from("MZ") })).rejects.toMatchObject(refused("invalid-body"));
    await expect(attach({ name: "a.exe", type: "text/plain", content: Buffer.from("a") })).rejects.toMatchObject(refused("invalid-body"));
    await expect(attach({ name: "a.pdf", type: "application/pdf", content: Buffer.alloc(5_000_000) })).rejects.toMatchObject(refused("invalid-body"));
    await opened.db.updateTable("request_evidence").set({ sha256: "0" }).where("id", "=", id).execute();
    await expect(readEvidence(opened.db, row.id, id)).rejects.toThrow("digest differs");
  });

  it("keeps every rule whatever people do in whatever order", { timeout: 300_000 }, async () => {
    const cast = [author, await person(["applicant"], office), ...people];
    // How often each is tried: few requests, often decided on, so that many come to their end.
    const weights = { ask: 2, submit: 1, plan: 5, approve: 20, reject: 1, return: 2, answer: 2, amend: 3, withdraw: 1, apply: 3, move: 1, policy: 1 };
    const acts = Object.keys(weights) as (keyof typeof weights)[];
    const act = fc.record({
      do: fc.oneof(...acts.map((one) => ({ weight: weights[one], arbitrary: fc.constant(one) }))),
      who: fc.nat(cast.length - 1),
      which: fc.nat(20),
      other: fc.nat(9),
    });
    const stages = [
      null,
      [stage({ needed: 2, mode: "parallel" }), stage({ kind: "authority-approval", role: "authority" })],
      [stage({ approvers: [people[0]!.id, people[1]!.id, people[2]!.id], mode: "parallel", needed: 2 })],
      [stage(), stage({ approvers: [people[0]!.id, people[1]!.id] }), stage({ kind: "authority-approval", role: "authority" })],
    ] satisfies (Stage[] | null)[];
    // Somebody is on leave for the whole time.
    const { id: leave } = await books.change((tx) =>
      delegate(tx, actOf(people[0]!), {
        to: people[3]!.id,
        begins: new Date(Date.now() - 1000),
        ends: new Date(Date.now() + 86_400_000),
        reason: "leave",
      }),
    );
    const happened = new Set<string>();
    const reached = new Set<RequestState>();
    const run = async (sequence: readonly { do: keyof typeof weights; who: number; which: number; other: number }[]) => {
      const mine: string[] = [];
      for (const one of sequence) {
        const who = cast[one.who]!;
        const id = mine[one.which % Math.max(1, mine.length)];
        const row = id === undefined ? undefined : await opened.db.selectFrom("requests").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
        const items = [volume(`v${name++}`)];
        const onBehalfOf = one.other === 0 ? { onBehalfOf: people[0]!.id } : {};
        const work = async (): Promise<unknown> => {
          if ((one.do === "ask" && mine.length < 3) || mine.length === 0) return mine.push((await ask(items, who, { draft: one.other % 3 === 0 })).id);
          if (one.do === "policy") return policy(office, stages[one.which % stages.length]!);
          if (!row) return undefined;
          if (one.do === "submit") return books.change((tx) => submitRequest(tx, actOf(who), row.id, plain, plain));
          if (one.do === "plan") return plan(row.id);
          if (one.do === "move") return isDeciding(row.state) && plan(row.id, [step("create", `vol_${one.other}`)]);
          if (one.do === "approve") return approveAs(who, row, onBehalfOf);
          if (one.do === "reject") return rejectAs(who, row);
          if (one.do === "return") return askAs(who, row);
          if (one.do === "answer") return answerAs(who, row);
          if (one.do === "amend") return amendAs(who, row, items);
          if (one.do === "withdraw") return one.other < 5 && books.change((tx) => withdraw(tx, actOf(who), row.id));
          return books.apply(office);
        };
        const done = await work().then(
          () => true,
          (error: unknown) => {
            if (!(error instanceof Refusal)) throw error;
            return false;
          },
        );
        if (done) happened.add(one.do);
        for (const request of mine) reached.add(await expectRules(request));
      }
    };
    await fc.assert(fc.asyncProperty(fc.array(act, { minLength: 30, maxLength: 60 }), run), { numRuns: 40, endOnFailure: true });
    // The sequences did come to every act and to every end.
    expect(acts.filter((one) => !happened.has(one))).toEqual([]);
    const ends: RequestState[] = [
      "draft",
      "submitted",
      "department-approval",
      "authority-approval",
      "needs-information",
      "approved",
      "active",
      "rejected",
      "withdrawn",
    ];
    expect(ends.filter((one) => !reached.has(one))).toEqual([]);
    await books.change((tx) => endDelegation(tx, actOf(people[0]!), people[0]!.id, leave));
    await policy(office, null);
  });

  /** What must hold of a request at any moment. */
  async function expectRules(id: string): Promise<RequestState> {
    const row = await opened.db.selectFrom("requests").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
    const steps = await stepsOf(id);
    const audit = await opened.db.selectFrom("audit_entries").selectAll().where("subject_id", "=", id).orderBy("id").execute();
    // No forbidden transition, and none that is not in the audit.
    const moves = audit.flatMap((one) => {
      const [before, after] = [(one.before as { state?: RequestState } | null)?.state, (one.after as { state?: RequestState } | null)?.state];
      return before !== undefined && after !== undefined ? [{ event: one.action.replace("request.", ""), before, after }] : [];
    });
    let state: RequestState = "draft";
    for (const one of moves) {
      expect(one.before, "every move is in the audit").toBe(state);
      expect((lifecycle[one.before] as Record<string, string>)[one.event], `${one.before} ${one.event}`).toBe(one.after);
      state = one.after;
    }
    expect(row.state).toBe(state);
    // Every decision is in the audit, under who made it.
    const told = audit.filter((one) => one.action === "approval.approve").map((one) => (one.after as { step: string }).step);
    const approved = steps.filter((one) => one.state === "approved");
    expect(told.toSorted()).toEqual(approved.map((one) => one.id).toSorted());
    const counting = approved.filter((one) => one.invalidated_at === null);
    for (const one of counting) {
      const authors = [...row.authors, row.requested_by, row.submitted_by];
      expect(authors, "nobody approves their own").not.toContain(one.decided_by);
      if (one.decided_for !== null) expect(authors, "nor as a delegate of its author").not.toContain(one.decided_for);
    }
    const names = counting.flatMap((one) => [one.decided_by, ...(one.decided_for === null ? [] : [one.decided_for])]);
    expect(new Set(names).size, "nobody decides twice").toBe(names.length);
    // What is approved has been approved by all that its policy asked, on exactly its plan.
    if (["approved", "applying", "active"].includes(row.state)) {
      for (const of of Map.groupBy(
        steps.filter((one) => one.invalidated_at === null),
        (one) => one.stage,
      ).values()) {
        expect(of.filter((one) => one.state === "approved").length).toBe(of[0]!.needed);
        expect(of.some((one) => one.state === "open" || one.state === "waiting" || one.state === "asked")).toBe(false);
      }
      expect(counting.length).toBeGreaterThan(0);
      for (const one of counting) expect(one.plan_hash).toBe(row.plan_hash);
    }
    const open = steps.filter((one) => one.invalidated_at === null && one.state === "open");
    if (row.state !== "needs-information") expect(open.length > 0, `somebody is asked while it is ${row.state}`).toBe(isDeciding(row.state));
    return row.state;
  }
});
