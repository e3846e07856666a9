import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NewRequest } from "../../../control-plane/contract/requests.ts";
import type { Role } from "../../../control-plane/contract/roles.ts";
import { isDeciding } from "../../../control-plane/domain/lifecycle.ts";
import { endOfDay, startOfDay } from "../../../control-plane/domain/working-days.ts";
import { createRequest } from "../../../control-plane/store/acceptance.ts";
import { approve } from "../../../control-plane/store/approving.ts";
import { closeCorrection, getCorrection, listCorrections, orderCorrection, reopenCorrection, reportDone } from "../../../control-plane/store/corrections.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { recordPlan } from "../../../control-plane/store/planning.ts";
import { move, type RequestRow, withdraw } from "../../../control-plane/store/requests.ts";
import { bind } from "../../../control-plane/store/role-bindings.ts";
import { acceptAnswer, answerCard, countCards, getCard, listCards, timelineOf } from "../../../control-plane/store/supervision-cards.ts";
import { changeRule, listRules } from "../../../control-plane/store/supervision-rules.ts";
import { supervise } from "../../../control-plane/store/supervising.ts";
import { makeToken } from "../../../control-plane/store/tokens.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { openBooks, plain, smallCity, volume } from "../../setup/small-city.ts";

const ever = { nodes: null };
const none = () => undefined;

describe.each(engines)("supervision, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let people: Record<"applicant" | "approver" | "head" | "authority" | "officer" | "operator", string>;
  let office: string;
  let name = 0;
  // The Tuesday before the National Day holidays of 2026: 1 to 7 October are free, Saturday the 10th is worked.
  let clock = new Date("2026-09-29T02:00:00Z");

  const person = async (role: Role, department: string | null) =>
    books.change(async (tx) => {
      const act = { ...books.act(), now: new Date(0) };
      const { token } = await makeToken(tx, act, { name: `${role} ${name++}`, expiresAt: null });
      const held = { subject_id: token.id, role, department_id: department, kind: "standing" as const, valid_from: act.now, valid_until: null };
      await bind(tx, act, { ...held, period_from: null, period_to: null, reason: "test" });
      return token.id;
    });
  const actOf = (who = "system", now = clock) => ({ ...books.act(who), now });
  const look = (now = clock) => {
    clock = now;
    return books.change((tx) => supervise(tx, actOf("system", now)));
  };
  const ask = (sizeGib = 10) =>
    books.change((tx) =>
      createRequest(
        tx,
        actOf(people.applicant),
        { id: people.applicant, nodes: null },
        NewRequest.parse({ application: "office-app", project: "p", title: "Test", items: [volume(`v${name++}`, sizeGib)] }),
        plain,
      ),
    );
  const plan = (request: RequestRow) => books.change((tx) => recordPlan(tx, actOf(), request.id, { steps: [] }));
  const planned = async () => plan(await ask());
  const approveAs = (who: string, row: RequestRow) =>
    books.change((tx) => approve(tx, actOf(who), { id: who, nodes: null }, row.id, { planHash: row.plan_hash!, reason: "" }));
  const decided = async (row: RequestRow): Promise<RequestRow> => {
    const half = await approveAs(people.approver, row);
    expect(isDeciding(half.state)).toBe(true);
    const approved = await approveAs(people.authority, half);
    // Applied at once: implementing it is another stage.
    return books.change((tx) => move(tx, actOf(), approved, "finish", {}));
  };
  const cardsOf = async (request: string) => (await listCards(opened.db, { request, limit: 100 })).items.toReversed();
  const shown = async (request: string) => (await cardsOf(request)).map((card) => [card.kind, card.stage, card.colour, card.state]);
  /** Nothing of it is looked at in the tests that follow. */
  const end = (row: { id: string }) => books.change((tx) => withdraw(tx, actOf(people.applicant), row.id));
  const ruleOf = async (kind: string, stage?: string) =>
    (await listRules(opened.db, ever, { limit: 100 })).items.find(
      (rule) => rule.kind === kind && (stage === undefined || (rule.terms as { stage: string }).stage === stage),
    )!;

  beforeAll(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
    await books.import(smallCity({ hosts: 1000 }));
    await opened.db.updateTable("pool_accounts").set({ capacity: 1_000_000 }).execute();
    const id = async (code: string) => (await opened.db.selectFrom("departments").select("id").where("code", "=", code).executeTakeFirstOrThrow()).id;
    office = await id("office");
    people = {
      applicant: await person("applicant", office),
      approver: await person("approver", office),
      head: await person("approver", await id("bureau")),
      authority: await person("authority", null),
      officer: await person("supervision", await id("bureau")),
      operator: await person("operations", null),
    };
    // In force long before the clock of these tests.
    await opened.db
      .updateTable("supervision_rules")
      .set({ created_at: new Date("2026-01-01T00:00:00Z") })
      .execute();
  });
  afterAll(() => opened.close());

  it("reminds, cards yellow and red by working days over a holiday, each once, and says who, whose superior and until when", async () => {
    clock = new Date("2026-09-29T02:00:00Z");
    const row = await planned();
    expect(await look(new Date(startOfDay("2026-10-09").getTime() - 1)), "three working days: 30 September, 8 and 9 October").toEqual([]);
    expect(await look(new Date(startOfDay("2026-10-09").getTime() + 1))).toHaveLength(1);
    expect(await look()).toEqual([]);
    expect(await look(endOfDay("2026-10-09")), "the last millisecond is in time").toEqual([]);
    expect(await look(startOfDay("2026-10-10"))).toHaveLength(1);
    expect(await look(endOfDay("2026-10-12")), "two working days more: Saturday the 10th, which is worked, and Monday").toEqual([]);
    expect(await look(startOfDay("2026-10-13"))).toHaveLength(1);
    expect(await shown(row.id)).toEqual([
      ["time-limit", "department-approval", "reminder", "escalated"],
      ["time-limit", "department-approval", "yellow", "escalated"],
      ["time-limit", "department-approval", "red", "open"],
    ]);
    const [, yellow, red] = await cardsOf(row.id);
    expect(red).toMatchObject({ previous_id: yellow!.id, limit_at: endOfDay("2026-10-09"), happened_at: endOfDay("2026-10-12") });
    expect(red!.people).toEqual([
      { id: people.approver, name: expect.any(String), part: "concerned" },
      { id: people.head, name: expect.any(String), part: "superior" },
    ]);
    const events = await opened.db.selectFrom("events").selectAll().where("type", "=", "supervision.card").where("subject_id", "=", red!.id).execute();
    expect(events).toMatchObject([{ department_id: office, data: { colour: "red" } }]);
    const told = await opened.db.selectFrom("notices").selectAll().where("subject_id", "=", red!.id).execute();
    expect(told.map((one) => `${one.person_id} ${one.kind}`).toSorted(), "each once; the board too").toEqual(
      [people.approver, people.head, people.officer].map((id) => `${id} supervision.red`).toSorted(),
    );
    expect(told[0]).toMatchObject({ request_id: row.id, data: { number: row.number, title: "Test" } });
    const audits = await opened.db.selectFrom("audit_entries").selectAll().where("subject_id", "=", red!.id).execute();
    expect(audits).toMatchObject([{ action: "supervision.card", after: { colour: "red", escalates: yellow!.id } }]);
    await decided(row);
    await look();
    expect(
      (await cardsOf(row.id)).map((card) => card.state),
      "what was issued stays",
    ).toEqual(["escalated", "escalated", "open"]);
  });

  it("catches up with what was missed, the graver card in the milder one's place; a reminder that comes too late is left out", async () => {
    clock = new Date("2026-10-12T02:00:00Z");
    const row = await planned();
    const late = new Date("2026-10-30T02:00:00Z");
    clock = late;
    await decided(row);
    // Decided before anybody looked.
    expect(await look(new Date(late.getTime() + 60_000))).toHaveLength(2);
    expect(await shown(row.id)).toEqual([
      ["time-limit", "department-approval", "yellow", "escalated"],
      ["time-limit", "department-approval", "red", "open"],
    ]);
    expect(await look()).toEqual([]);
  });

  it("issues each card once from two replicas at the same moment", async () => {
    clock = new Date("2026-11-02T02:00:00Z");
    const rows = [await planned(), await planned(), await planned()];
    clock = startOfDay("2026-11-06");
    const looks = await Promise.all([look(), look(), look()]);
    expect(looks.map((issued) => issued.length).toSorted((a, b) => a - b)).toEqual([0, 0, 3]);
    for (const row of rows) expect(await shown(row.id)).toEqual([["time-limit", "department-approval", "yellow", "open"]]);
    for (const row of rows) await end(row);
  });

  it("lets a reminder be where the limit was kept", async () => {
    clock = new Date("2026-11-02T02:00:00Z");
    const row = await planned();
    expect(await look(new Date("2026-11-05T01:00:00Z"))).toHaveLength(1);
    await end(row);
    expect(await look()).toEqual([]);
    expect(await shown(row.id)).toEqual([["time-limit", "department-approval", "reminder", "met"]]);
  });

  it("counts the time of planning, which operations staff answer for to the authority", async () => {
    clock = new Date("2026-11-02T02:00:00Z");
    const row = await ask();
    expect(await look(new Date(clock.getTime() + 4 * 3_600_000 + 1))).toHaveLength(1);
    const [card] = await cardsOf(row.id);
    expect(card).toMatchObject({
      stage: "planning",
      colour: "yellow",
      people: [
        { id: people.operator, part: "concerned" },
        { id: people.authority, part: "superior" },
      ],
    });
    await plan(row);
    await look();
    expect(await cardsOf(row.id)).toHaveLength(1);
    await end(row);
  });

  it("takes the reason from whom it concerns, additions later, and is accepted by supervision", async () => {
    clock = new Date("2026-11-02T02:00:00Z");
    const row = await planned();
    await look(startOfDay("2026-11-06"));
    const [card] = await cardsOf(row.id);
    const answer = (who: string, text: string, check = none as (revision: number) => void) =>
      books.change((tx) => answerCard(tx, actOf(who), card!.id, text, check));
    await expect(answer(people.applicant, "not mine")).rejects.toMatchObject({ code: "not-found" });
    await expect(answer(people.head, "as the superior")).rejects.toMatchObject({ code: "forbidden" });
    const accept = (who: string) => books.change((tx) => acceptAnswer(tx, actOf(who), card!.id, "fine", none));
    await expect(accept(people.officer), "there is no answer").rejects.toMatchObject({ code: "conflict" });
    const seen: number[] = [];
    await answer(people.approver, "ill", (revision) => seen.push(revision));
    await answer(people.approver, "with a note", (revision) => seen.push(revision));
    expect(seen).toEqual([1, 2]);
    await expect(accept(people.approver), "nobody supervises themselves").rejects.toMatchObject({ code: "self-approval" });
    await accept(people.officer);
    await expect(answer(people.approver, "once more")).rejects.toMatchObject({ code: "conflict" });
    expect((await getCard(opened.db, card!.id)).state).toBe("accepted");
    expect((await timelineOf(opened.db, card!.id)).map((entry) => [entry.kind, entry.by_id])).toEqual([
      ["issued", "system"],
      ["answer", people.approver],
      ["addition", people.approver],
      ["accepted", people.officer],
    ]);
    await end(row);
  });

  it("follows a correction until it is closed, and cards one that is late", async () => {
    clock = new Date("2026-11-09T02:00:00Z");
    const row = await planned();
    await look(startOfDay("2026-11-13"));
    const [card] = await cardsOf(row.id);
    const order = (ask: { assignee: string; due: string }, by = people.officer) =>
      books.change((tx) => orderCorrection(tx, actOf(by), { card: card!.id, what: "decide on it", ...ask }, none));
    await expect(order({ assignee: people.approver, due: "2026-11-12" }), "a day that is over").rejects.toMatchObject({ code: "invalid-body" });
    await expect(order({ assignee: people.operator, due: "2026-11-16" }), "whom the card doesn't name").rejects.toMatchObject({ code: "rule-broken" });
    await expect(order({ assignee: people.approver, due: "2026-11-16" }, people.approver)).rejects.toMatchObject({ code: "self-approval" });
    const id = await order({ assignee: people.approver, due: "2026-11-16" });
    expect((await getCard(opened.db, card!.id)).state).toBe("correcting");

    // Reminded on the 16th, late on the 17th.
    await end(row);
    await look(startOfDay("2026-11-17"));
    const late = (await cardsOf(row.id)).filter((one) => one.stage === "correction");
    expect(late).toMatchObject([
      {
        colour: "yellow",
        limit_at: endOfDay("2026-11-16"),
        people: [
          { id: people.approver, part: "concerned" },
          { id: people.authority, part: "superior" },
        ],
      },
    ]);
    expect((await listCorrections(opened.db, { state: "overdue" }, clock)).items.map((one) => one.id)).toEqual([id]);
    expect(await countCards(opened.db, { departmentIds: [office] }, clock)).toMatchObject({ correctionsOpen: 1, correctionsOverdue: 1 });

    const done = (who: string) => books.change((tx) => reportDone(tx, actOf(who), id, "decided", none));
    const close = (who: string) => books.change((tx) => closeCorrection(tx, actOf(who), id, "seen", none));
    await expect(close(people.officer), "nobody has done it").rejects.toMatchObject({ code: "conflict" });
    await expect(done(people.head)).rejects.toMatchObject({ code: "not-found" });
    await done(people.approver);
    await expect(close(people.approver)).rejects.toMatchObject({ code: "self-approval" });
    await books.change((tx) => reopenCorrection(tx, actOf(people.officer), id, { note: "not enough", due: "2026-11-20" }, none));
    expect(await getCorrection(opened.db, id)).toMatchObject({ state: "open", due_at: endOfDay("2026-11-20"), done_at: null });
    await done(people.approver);
    await close(people.officer);
    expect(await getCorrection(opened.db, id)).toMatchObject({ state: "closed", revision: 5 });
    expect((await getCard(opened.db, card!.id)).state).toBe("closed");
    expect((await timelineOf(opened.db, card!.id)).map((entry) => entry.kind)).toEqual([
      "issued",
      "correction-ordered",
      "correction-done",
      "correction-reopened",
      "correction-done",
      "correction-closed",
    ]);
  });

  it("finds requests that were split to stay below a threshold, and counts none of them twice", async () => {
    const rule = await ruleOf("split-requests");
    const terms = {
      kind: "split-requests" as const,
      colour: "yellow" as const,
      by: "applicant" as const,
      measure: "storage_gib:standard" as const,
      windowDays: 10,
      threshold: 1000,
    };
    await books.change((tx) => changeRule(tx, actOf(people.officer), rule.id, { name: rule.name, terms, answerDays: 3, enabled: true, note: "" }, none));
    clock = new Date("2026-11-18T02:00:00Z");
    const later = (days: number) => (clock = new Date(clock.getTime() + days * 86_400_000));
    const whole = await ask(1500);
    const withdrawn = await ask(900);
    await end(withdrawn);
    const first = await ask(900);
    later(10);
    const second = await ask(600);
    await look();
    // The first is as old as the window by now.
    const splits = async () => (await listCards(opened.db, { kind: "split-requests", limit: 100 })).items;
    expect(await splits()).toEqual([]);
    later(1);
    const third = await ask(400);
    await look();
    expect(await splits()).toMatchObject([
      {
        request_id: third.id,
        requests: [second.id, third.id],
        colour: "yellow",
        rule_version: 2,
        people: expect.arrayContaining([{ id: people.applicant, name: expect.any(String), part: "concerned" }]),
      },
    ]);
    later(1);
    const fourth = await ask(700);
    await look();
    expect(await splits(), "what was counted counts no more").toHaveLength(1);
    const fifth = await ask(300);
    await look();
    expect((await splits()).map((card) => card.requests)).toEqual([
      [fourth.id, fifth.id],
      [second.id, third.id],
    ]);
    for (const row of [whole, first, second, third, fourth, fifth]) await end(row);
  });

  it("finds who was on both sides, whatever let it happen", async () => {
    clock = new Date("2026-12-01T02:00:00Z");
    const honest = await decided(await planned());
    const other = await decided(await planned());
    await opened.db
      .updateTable("requests")
      .set({ authors: JSON.stringify([people.applicant, people.approver]) })
      .where("id", "=", other.id)
      .execute();
    await look();
    const of = async (id: string) => (await cardsOf(id)).filter((card) => card.kind === "same-person");
    expect(await of(honest.id)).toEqual([]);
    expect(await of(other.id)).toMatchObject([
      {
        colour: "red",
        state: "open",
        people: [
          { id: people.approver, part: "concerned" },
          { id: people.authority, part: "superior" },
        ],
      },
    ]);
    expect(await look()).toEqual([]);
  });

  it("finds approvals that the policy asked for and nobody gave, or gave to another plan", async () => {
    clock = new Date("2026-12-02T02:00:00Z");
    const smuggled = await planned();
    await opened.db.updateTable("requests").set({ state: "approved", decided_by: people.approver, decided_at: clock }).where("id", "=", smuggled.id).execute();
    const other = await decided(await planned());
    await opened.db
      .updateTable("requests")
      .set({ plan_hash: "0".repeat(64) })
      .where("id", "=", other.id)
      .execute();
    const honest = await decided(await planned());
    await look();
    const of = async (id: string) => (await cardsOf(id)).filter((card) => card.kind === "skipped-step").map((card) => [card.colour, card.detail]);
    expect(await of(honest.id)).toEqual([]);
    expect(await of(smuggled.id)).toEqual([["red", "部门审批 / Department approval: 0/1; 主管部门审批 / Authority approval: 0/1"]]);
    expect(await of(other.id)).toEqual([["red", expect.stringContaining("≠ 000000000000")]]);
  });

  it("issues nothing under a rule that is disabled", async () => {
    const rule = await ruleOf("time-limit", "department-approval");
    const change = (enabled: boolean) =>
      books.change((tx) =>
        changeRule(tx, actOf(people.officer), rule.id, { name: rule.name, terms: rule.terms as never, answerDays: 3, enabled, note: "" }, none),
      );
    await change(false);
    clock = new Date("2026-12-07T02:00:00Z");
    const row = await planned();
    await look(startOfDay("2026-12-12"));
    expect(await cardsOf(row.id)).toEqual([]);
    await change(true);
    await look();
    expect(await shown(row.id)).toEqual([["time-limit", "department-approval", "yellow", "open"]]);
  });
});
