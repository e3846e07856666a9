import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openApp, type TestApp } from "../../setup/app.ts";
import { engines } from "../../setup/databases.ts";
import { prices } from "../../setup/small-city.ts";

const opinion = { expert: "王工", organisation: "设计院", verdict: "support", opinion: "可行" };
const report = { name: "验收报告", reference: "京验〔2026〕7号" };

describe.each(engines)("annual plans over the API, on %s", (engine) => {
  let api: TestApp;
  let bureau: { id: string };
  let people: Record<"applicant" | "authority" | "finance" | "auditor" | "elsewhere", string>;
  beforeAll(async () => {
    api = await openApp(engine);
    const operations = await api.token("operations");
    const make = async (code: string, parent: string | null = null) =>
      (await api.call(operations, "POST", "/api/v1/departments", { body: { code, parent, nameZh: code, nameEn: code, level: "city" } })).body;
    const city = await make("city");
    bureau = await make("bureau", "city");
    const other = await make("other");
    people = {
      applicant: await api.token("applicant", bureau.id),
      authority: await api.token("authority", city.id),
      finance: await api.token("finance", city.id),
      auditor: await api.token("auditor", city.id),
      elsewhere: await api.token("authority", other.id),
    };
  });
  afterAll(() => api?.close());

  const file = async (code: string, budgetFen: number, more: object = {}) =>
    (await api.call(people.applicant, "POST", "/api/v1/projects", { body: { department: "bureau", code, name: code, fiscalYear: 2026, budgetFen, ...more } }))
      .body;
  const read = async (id: string) => (await api.call(people.auditor, "GET", `/api/v1/projects/${id}`)).body;
  const step = async (by: string, id: string, event: string, more: object = {}) =>
    api.call(by, "POST", `/api/v1/projects/${id}/advance`, {
      body: { event, reason: `因 ${event}`, ...more },
      headers: { "if-match": `"${(await read(id)).revision}"` },
    });

  it("takes a project from its filing to its closing, each step by who may, with what it needs", async () => {
    const { id, stage, filedBy } = await file("whole", 50_000_000);
    expect(stage).toBe("filed");
    expect((await step(people.applicant, id, "review", { opinions: [opinion] })).body).toMatchObject({ status: 403, code: "forbidden" });
    expect((await step(people.elsewhere, id, "review", { opinions: [opinion] })).body).toMatchObject({ status: 404, code: "not-found" });
    expect((await step(people.finance, id, "review", { opinions: [opinion] })).body).toMatchObject({ status: 403, code: "forbidden" });
    expect((await step(people.authority, id, "approve")).body).toMatchObject({ status: 409, code: "conflict" });
    expect((await step(people.authority, id, "review")).body).toMatchObject({ status: 422, errors: [{ pointer: "/opinions" }] });
    expect((await step(people.authority, id, "review", { opinions: [opinion] })).body.stage).toBe("reviewed");
    const change = await api.call(people.applicant, "PATCH", `/api/v1/projects/${id}`, { body: { name: "Late" }, headers: { "if-match": '"2"' } });
    expect(change.body).toMatchObject({ status: 409, code: "conflict" });
    const funds = [{ kind: "construction", fiscalYear: 2026, amountFen: 40_000_000 }];
    expect((await step(people.authority, id, "approve", { funds })).body).toMatchObject({
      stage: "approved",
      budgetFen: 40_000_000,
      funds: [{ kind: "construction", fiscalYear: 2026, amountFen: 40_000_000, reservedFen: 0, committedFen: 0, spentFen: 0, leftFen: 40_000_000 }],
    });
    expect((await step(people.authority, id, "accept")).body).toMatchObject({ status: 422, errors: [{ pointer: "/evidence" }] });
    expect((await step(people.authority, id, "accept", { evidence: [report] })).body.stage).toBe("accepted");
    expect((await step(people.applicant, id, "operate")).body.stage).toBe("operating");
    expect((await step(people.finance, id, "evaluate", { evidence: [report] })).body.stage).toBe("evaluated");
    expect((await step(people.finance, id, "close")).body.stage).toBe("closed");
    const { items } = (await api.call(people.auditor, "GET", `/api/v1/projects/${id}/steps`)).body;
    expect(items.map((one: { event: string }) => one.event)).toEqual(["close", "evaluate", "operate", "accept", "approve", "review"]);
    expect(items.at(-1)).toMatchObject({ from: "filed", to: "reviewed", reason: "因 review", opinions: [opinion], role: "authority" });
    const audited = await api.database.db.selectFrom("audit_entries").select("action").where("subject_id", "=", id).orderBy("id").execute();
    expect(audited.map((one) => one.action)).toEqual([
      "project.create",
      "project.review",
      "project.approve",
      "project.accept",
      "project.operate",
      "project.evaluate",
      "project.close",
    ]);
    expect(filedBy).not.toBe("system");
  });

  it("never lets who filed it judge it", async () => {
    const { body } = await api.call(people.authority, "POST", "/api/v1/projects", {
      body: { department: "bureau", code: "own", name: "Own", fiscalYear: 2026, budgetFen: 1 },
    });
    expect((await step(people.authority, body.id, "review", { opinions: [opinion] })).body).toMatchObject({ status: 403, code: "self-approval" });
  });

  it("asks for a supervisor from the threshold on, at the approval and when a fund is raised", async () => {
    const funds = [{ kind: "construction", fiscalYear: 2026, amountFen: 100_000_000 }];
    const { id } = await file("large", 100_000_000);
    await step(people.authority, id, "review", { opinions: [opinion] });
    expect((await step(people.authority, id, "approve", { funds })).body).toMatchObject({ status: 422, detail: expect.stringContaining("监理") });
    expect((await step(people.authority, id, "approve", { funds: [{ ...funds[0], amountFen: 99_999_999 }] })).status).toBe(200);
    const raise = async (amountFen: number) =>
      api.call(people.finance, "PUT", `/api/v1/projects/${id}/funds/operating/2027`, {
        body: { amountFen, reason: "追加" },
        headers: { "if-match": `"${(await read(id)).revision}"` },
      });
    expect((await raise(1)).body).toMatchObject({ status: 422, code: "rule-broken" });
    const name = (supervisor: object | null) =>
      read(id).then(({ revision }) =>
        api.call(people.authority, "PATCH", `/api/v1/projects/${id}`, { body: { supervisor }, headers: { "if-match": `"${revision}"` } }),
      );
    expect((await name({ name: "监理公司", creditCode: "91110000MA01ABCD2X" })).status).toBe(200);
    expect((await raise(1)).body).toMatchObject({
      budgetFen: 100_000_000,
      funds: [{ kind: "construction" }, { kind: "operating", fiscalYear: 2027, amountFen: 1 }],
    });
    expect((await name(null)).body).toMatchObject({ status: 422, code: "rule-broken" });
    const { revision, supervisorThresholdFen } = (await api.call(people.auditor, "GET", "/api/v1/plan-policy")).body;
    expect(supervisorThresholdFen).toBe(100_000_000);
    const everywhere = await api.token("authority");
    const set = (fen: number, seen: number) =>
      api.call(everywhere, "PUT", "/api/v1/plan-policy", { body: { supervisorThresholdFen: fen }, headers: { "if-match": `"${seen}"` } });
    expect((await set(200_000_000, revision)).body).toEqual({ supervisorThresholdFen: 200_000_000, revision: revision + 1 });
    expect((await set(1, revision)).status).toBe(412);
    expect((await name(null)).status).toBe(200);
    await set(100_000_000, revision + 1);
  });

  it("files a whole plan or nothing of it, says each line that doesn't fit, and only says what it would do when asked to", async () => {
    const plan = (more: object = {}) => [
      { department: "bureau", code: "i1", name: "One", fiscalYear: 2026, budgetFen: 1 },
      { department: bureau.id, code: "i2", name: "Two", fiscalYear: 2026, budgetFen: 2, ...more },
    ];
    const send = async (projects: object[], dryRun = false) =>
      (await api.call(people.applicant, "POST", "/api/v1/project-imports", { body: { projects, dryRun }, changesNothing: true })).body;
    expect(await send(plan(), true)).toEqual({ dryRun: true, created: 2, changed: 0, unchanged: 0 });
    expect((await api.call(people.auditor, "GET", "/api/v1/projects?stage=filed")).body.items.map((one: { code: string }) => one.code)).not.toContain("i1");
    expect(await send([...plan(), { ...plan()[0], department: "other" }, { ...plan()[0], name: "Again" }])).toMatchObject({
      status: 404,
      errors: [{ pointer: "/projects/2/department" }, { pointer: "/projects/3/code", detail: "stands in the file twice" }],
    });
    expect((await api.call(people.auditor, "GET", "/api/v1/projects?stage=filed")).body.items.map((one: { code: string }) => one.code)).not.toContain("i1");
    expect(await send(plan())).toEqual({ dryRun: false, created: 2, changed: 0, unchanged: 0 });
    expect(await send(plan({ budgetFen: 3 }))).toEqual({ dryRun: false, created: 0, changed: 1, unchanged: 1 });
    const [one] = (await api.call(people.auditor, "GET", "/api/v1/projects?department=bureau&stage=filed")).body.items.filter(
      (item: { code: string }) => item.code === "i2",
    );
    expect(one.budgetFen).toBe(3);
    expect(
      (
        await api.call(people.authority, "POST", `/api/v1/projects/${one.id}/advance`, {
          body: { event: "review", reason: "r", opinions: [opinion] },
          headers: { "if-match": '"2"' },
        })
      ).status,
    ).toBe(200);
    expect(await send(plan({ budgetFen: 4 }))).toMatchObject({
      status: 422,
      errors: [{ pointer: "/projects/1/code", detail: expect.stringContaining("reviewed") }],
    });
  });

  it("publishes prices whole, by finance, and never in the past", async () => {
    const finance = await api.token("finance");
    const publish = (body: object) => api.call(finance, "POST", "/api/v1/price-books", { body });
    expect((await publish({ prices: prices.slice(1) })).body).toMatchObject({ status: 422, errors: [{ detail: expect.stringContaining("hosts") }] });
    expect((await publish({ prices: [...prices, prices[0]] })).body).toMatchObject({ status: 422, errors: [{ pointer: "/prices/7/meter" }] });
    expect((await publish({ prices, validFrom: "2020-01-01T00:00:00Z" })).body).toMatchObject({ status: 422, code: "rule-broken" });
    expect((await publish({ prices, note: "第一版" })).body).toMatchObject({ version: 1, inForce: true });
    expect((await publish({ prices, validFrom: "2999-01-01T00:00:00Z" })).body).toMatchObject({ version: 2, inForce: false });
    const { items } = (await api.call(people.auditor, "GET", "/api/v1/price-books")).body;
    expect(items.map((one: { inForce: boolean }) => one.inForce)).toEqual([true, false]);
    expect((await api.call(people.authority, "POST", "/api/v1/price-books", { body: { prices } })).status).toBe(403);
  });
});
