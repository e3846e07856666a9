import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemAct } from "../../../control-plane/store/act.ts";
import { bind } from "../../../control-plane/store/role-bindings.ts";
import { supervise } from "../../../control-plane/store/supervising.ts";
import { openApp, type TestApp } from "../../setup/app.ts";
import { engines } from "../../setup/databases.ts";
import { smallCity, volume } from "../../setup/small-city.ts";

describe.each(engines)("supervision by the API, on %s", (engine) => {
  let api: TestApp;
  let clock = new Date("2026-11-23T02:00:00Z");
  let office: string;
  let bureau: string;
  let people: Record<"applicant" | "operations" | "officer" | "chief" | "stranger" | "auditor" | "outside", string>;
  const rules = "/api/v1/supervision-rules";
  const cards = "/api/v1/supervision-cards";
  const own = "/api/v1/account/supervision-cards";
  const match = (revision: number | string) => ({ "if-match": revision === "*" ? "*" : `"${revision}"` });
  const look = (hours: number) => {
    clock = new Date(clock.getTime() + hours * 3_600_000);
    return api.database.db.transaction().execute((tx) => supervise(tx, systemAct(clock)));
  };
  const me = async (secret: string) => (await api.call(secret, "GET", "/api/v1/sessions/current")).body.id as string;

  beforeAll(async () => {
    api = await openApp(engine, { now: () => clock });
    const operations = await api.token("operations");
    await api.call(operations, "POST", "/api/v1/city-imports", { body: smallCity() });
    const id = async (code: string) => (await api.database.db.selectFrom("departments").select("id").where("code", "=", code).executeTakeFirstOrThrow()).id;
    [office, bureau] = [await id("office"), await id("bureau")];
    const elsewhere = (
      await api.call(operations, "POST", "/api/v1/departments", { body: { code: "elsewhere", nameZh: "他局", nameEn: "Elsewhere", level: "city" } })
    ).body.id;
    people = {
      applicant: await api.token("applicant", office),
      operations,
      officer: await api.token("supervision", bureau),
      chief: await api.token("supervision"),
      stranger: await api.token("supervision", elsewhere),
      auditor: await api.token("audit-admin"),
      outside: await api.token("auditor", office),
    };
    await api.database.db
      .updateTable("supervision_rules")
      .set({ created_at: new Date("2026-01-01T00:00:00Z") })
      .execute();
    // Whose plan is never made: operations staff are late.
    const body = { project: "p", application: "office-app", title: "T", items: [volume("data")] };
    expect((await api.call(people.applicant, "POST", "/api/v1/requests", { body })).status).toBe(202);
    await look(5);
  });
  afterAll(() => api?.close());

  it("shows a card to whom it concerns, to its board and to auditors, and to nobody else", async () => {
    const [card] = (await api.call(people.officer, "GET", cards)).body.items;
    expect(card).toMatchObject({ colour: "yellow", state: "open", stage: "planning", department: office, mayAnswer: false, answerOverdue: false });
    expect(card.people).toEqual([{ id: await me(people.operations), name: "operations", part: "concerned" }]);
    for (const who of [people.chief, people.auditor, people.outside]) {
      expect((await api.call(who, "GET", cards)).body.items).toHaveLength(1);
      expect((await api.call(who, "GET", `${cards}/${card.id}`)).status).toBe(200);
    }
    expect((await api.call(people.stranger, "GET", cards)).body.items).toEqual([]);
    expect((await api.call(people.stranger, "GET", `${cards}/${card.id}`)).status).toBe(404);
    expect((await api.call(people.applicant, "GET", cards)).status).toBe(403);
    expect((await api.call(people.applicant, "GET", own)).body.items).toEqual([]);
    expect((await api.call(people.applicant, "GET", `${own}/${card.id}`)).status).toBe(404);
    expect((await api.call(people.operations, "GET", own)).body.items).toMatchObject([{ id: card.id, mayAnswer: true }]);
    // An external auditor sees what lies in their period, and each look is recorded.
    const looks = await api.database.db.selectFrom("audit_entries").selectAll().where("action", "=", "read").where("role", "=", "auditor").execute();
    expect(looks.map((one) => one.subject_id)).toContain(`${cards}/${card.id}`);
    const filtered = async (query: string) => (await api.call(people.chief, "GET", `${cards}?${query}`)).body.items.length;
    expect(await filtered(`state=pending&colour=yellow&department=bureau&kind=time-limit&rule=${card.rule}`)).toBe(1);
    for (const query of ["state=closed", "colour=red", "department=elsewhere", "kind=same-person"]) expect(await filtered(query), query).toBe(0);
    expect((await api.call(people.chief, "GET", "/api/v1/supervision-counts?department=office")).body).toEqual({
      colours: [
        { colour: "reminder", pending: 0, all: 0 },
        { colour: "yellow", pending: 1, all: 1 },
        { colour: "red", pending: 0, all: 0 },
      ],
      answersOverdue: 0,
      correctionsOpen: 0,
      correctionsOverdue: 0,
    });
  });

  it("is answered, corrected, opened again and closed, each by who may, on what was seen", async () => {
    const [card] = (await api.call(people.officer, "GET", cards)).body.items;
    const answer = (who: string, headers: Record<string, string>, text = "the engine was down") =>
      api.call(who, "POST", `${own}/${card.id}/answers`, { body: { text }, headers });
    expect((await answer(people.operations, {})).body).toMatchObject({ code: "precondition-missing" });
    expect((await answer(people.operations, match(7))).body).toMatchObject({ code: "precondition-failed" });
    expect((await answer(people.applicant, match(card.revision))).status).toBe(404);
    const answered = await answer(people.operations, match(card.revision));
    expect(answered.body).toMatchObject({
      state: "answered",
      timeline: [{ kind: "issued" }, { kind: "answer", byName: "operations", text: "the engine was down" }],
    });
    const revision = Number(answered.headers.get("etag")!.slice(1, -1));

    const order = { card: card.id, what: "watch the engine", assignee: await me(people.operations), due: "2026-11-30" };
    const correct = (who: string, body: object) => api.call(who, "POST", "/api/v1/corrections", { body, headers: match(revision) });
    expect((await correct(people.stranger, order)).status).toBe(404);
    expect((await correct(people.auditor, order)).status).toBe(403);
    expect((await correct(people.officer, { ...order, assignee: await me(people.applicant) })).body).toMatchObject({ code: "rule-broken" });
    const made = await correct(people.officer, order);
    expect(made).toMatchObject({ status: 201, body: { state: "open", overdue: false, dueAt: "2026-11-30T15:59:59.999Z", openedByName: "supervision" } });
    const { id } = made.body;
    expect((await api.call(people.operations, "GET", "/api/v1/account/corrections?state=open")).body.items).toMatchObject([{ id }]);

    const done = (who: string) => api.call(who, "POST", `/api/v1/account/corrections/${id}/done`, { body: { note: "an alert" }, headers: match("*") });
    const settle = (who: string, how: string, body: object) => api.call(who, "POST", `/api/v1/corrections/${id}/${how}`, { body, headers: match("*") });
    expect((await done(people.applicant)).status).toBe(404);
    expect((await settle(people.officer, "close", { note: "seen" })).body).toMatchObject({ code: "conflict" });
    expect((await done(people.operations)).body).toMatchObject({ state: "done" });
    expect((await settle(people.stranger, "close", { note: "seen" })).status).toBe(404);
    expect((await settle(people.officer, "reopen", { note: "no alert", due: "2026-12-02" })).body).toMatchObject({ state: "open" });
    await done(people.operations);
    expect((await settle(people.officer, "close", { note: "seen" })).body).toMatchObject({ state: "closed" });
    expect((await api.call(people.officer, "GET", `${cards}/${card.id}`)).body).toMatchObject({ state: "closed", corrections: [{ id, state: "closed" }] });
    expect((await answer(people.operations, match("*"), "more")).body).toMatchObject({ code: "conflict" });
  });

  it("lets no officer decide on a card that concerns them", async () => {
    const both = await me(people.operations);
    await api.database.db.transaction().execute((tx) =>
      bind(tx, systemAct(new Date(0)), {
        subject_id: both,
        role: "supervision",
        department_id: null,
        kind: "standing",
        valid_from: new Date(0),
        valid_until: null,
        period_from: null,
        period_to: null,
        reason: "test",
      }),
    );
    await look(24);
    const [red] = (await api.call(people.operations, "GET", `${own}?colour=red`)).body.items;
    await api.call(people.operations, "POST", `${own}/${red.id}/answers`, { body: { text: "still" }, headers: match("*") });
    const accept = (who: string) => api.call(who, "POST", `${cards}/${red.id}/accept`, { body: { note: "" }, headers: match("*") });
    expect((await accept(people.operations)).body).toMatchObject({ code: "self-approval" });
    expect((await accept(people.officer)).body).toMatchObject({ state: "accepted" });
  });

  it("has rules that hold below, made and changed by who supervises there, a version at a time", async () => {
    const all = (await api.call(people.officer, "GET", `${rules}?limit=500`)).body.items;
    expect(all.length).toBeGreaterThanOrEqual(10);
    const planning = all.find((rule: { terms: { stage?: string } }) => rule.terms.stage === "planning");
    const terms = { ...planning.terms, limit: 2 };
    const change = (who: string, id: string, body: object, revision: number | string) =>
      api.call(who, "PUT", `${rules}/${id}`, { body, headers: match(revision) });
    expect((await change(people.officer, planning.id, { name: "N", terms }, 1)).body, "it holds for more than the bureau").toMatchObject({ code: "forbidden" });
    expect((await change(people.chief, planning.id, { name: "N", terms }, 9)).body).toMatchObject({ code: "precondition-failed" });
    expect((await change(people.chief, planning.id, { name: "N", terms: { kind: "same-person", colour: "red" } }, 1)).body).toMatchObject({
      code: "invalid-body",
      errors: [{ pointer: "/terms/kind" }],
    });
    expect((await change(people.chief, planning.id, { name: "N", terms, note: "faster" }, 1)).body).toMatchObject({
      version: 2,
      terms,
      changedByName: "supervision",
    });
    expect((await api.call(people.auditor, "GET", `${rules}/${planning.id}/versions`)).body.items).toMatchObject([
      { version: 2, note: "faster" },
      { version: 1, terms: planning.terms },
    ]);

    const make = (who: string, body: object) => api.call(who, "POST", rules, { body });
    const mine = { department: "office", name: "Ours", terms: { ...terms, limit: 1, remindBefore: null } };
    expect((await make(people.officer, { ...mine, department: null })).body).toMatchObject({ code: "forbidden" });
    expect((await make(people.officer, { ...mine, terms: { ...terms, stage: "waiting", limit: null } })).body).toMatchObject({
      errors: [{ pointer: "/terms/limit" }],
    });
    const made = await make(people.officer, mine);
    expect(made).toMatchObject({ status: 201, body: { department: office, version: 1 } });
    expect((await api.call(people.stranger, "GET", `${rules}/${made.body.id}`)).status).toBe(404);
    expect((await change(people.stranger, made.body.id, { name: "N", terms }, 1)).status).toBe(404);
    expect((await change(people.officer, made.body.id, { ...mine, department: undefined, enabled: false }, 1)).body).toMatchObject({ enabled: false });
  });
});
