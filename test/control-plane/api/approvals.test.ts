import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { recordPlan } from "../../../control-plane/store/planning.ts";
import { type Called, openApp, type TestApp } from "../../setup/app.ts";
import { engines } from "../../setup/databases.ts";
import { openBooks, smallCity, volume } from "../../setup/small-city.ts";

describe.each(engines)("the API of approvals, on %s", (engine) => {
  let api: TestApp;
  let books: ReturnType<typeof openBooks>;
  let applicant: string;
  let [first, second, auditor, security, system] = ["", "", "", "", ""];
  let office: string;
  // A Tuesday: what is due in working days doesn't depend on when this runs.
  let now = new Date("2026-11-24T02:00:00Z");
  let names = 0;

  beforeAll(async () => {
    api = await openApp(engine, { now: () => now });
    books = openBooks(api.database.db);
    await books.import(smallCity({ now }), now);
    office = (await api.database.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow()).id;
    applicant = await api.token("applicant", office);
    [first, second, auditor] = [await decider(), await decider(), await api.token("auditor")];
    [security, system] = [await api.token("security-admin"), await api.token("system-admin")];
  });
  afterAll(() => api.close());

  const idOf = async (secret: string): Promise<string> => (await api.call(secret, "GET", "/api/v1/sessions/current")).body.id;
  /** Somebody who may decide on every step. */
  const decider = async () => {
    const secret = await api.token("approver");
    const grant = { subject: await idOf(secret), role: "authority", reason: "test" };
    await api.call(await api.token("security-admin"), "POST", "/api/v1/role-bindings", { body: grant });
    return secret;
  };
  const path = (id: string, more = "") => `/api/v1/requests/${id}${more}`;
  const act = (secret: string, row: Called["body"], how: string, body: unknown) =>
    api.call(secret, "POST", path(row.id, `/${how}`), { body, headers: { "if-match": `"${row.revision}"` } });
  const planned = async (): Promise<Called["body"]> => {
    const body = { application: "office-app", project: "p", title: "T", items: [volume(`v${names++}`)] };
    const { id } = (await api.call(applicant, "POST", "/api/v1/requests", { body })).body;
    await books.change((tx) => recordPlan(tx, { ...books.act(), now }, id, { steps: [] }));
    return (await api.call(applicant, "GET", path(id))).body;
  };

  it("goes through both approvals, each with the revision and the plan that were seen; only the last enqueues an apply", async () => {
    const row = await planned();
    expect(row).toMatchObject({ state: "department-approval", approvals: [{ state: "open", dueAt: "2026-11-27T15:59:59.999Z" }, { state: "waiting" }] });
    const decision = { planHash: row.plan.hash };
    api.enqueued.length = 0;
    expect((await api.call(first, "POST", path(row.id, "/approve"), { body: decision })).status).toBe(428);
    expect((await act(first, { ...row, revision: 1 }, "approve", decision)).status).toBe(412);
    expect((await act(first, row, "approve", { planHash: "0" })).body).toMatchObject({ status: 409, code: "plan-changed" });
    expect((await act(applicant, row, "approve", decision)).status).toBe(403);
    const half = await act(first, row, "approve", decision);
    expect(half).toMatchObject({ status: 202, body: { state: "authority-approval", decidedBy: null } });
    expect(half.headers.get("etag")).toBe(`"${half.body.revision}"`);
    expect(api.enqueued).toEqual([]);
    expect((await act(first, half.body, "approve", decision)).body).toMatchObject({ status: 403, code: "second-decision" });
    expect((await act(second, half.body, "approve", decision)).body).toMatchObject({ state: "approved" });
    expect(api.enqueued).toEqual([{ job: "apply", id: office }]);
    const denied = await api.database.db.selectFrom("audit_entries").select("after").where("result", "=", "denied").execute();
    expect(denied.map((one) => (one.after as { code: string }).code)).toContain("second-decision");
  });

  it("says to each whether they may decide, and why not", async () => {
    const row = await planned();
    const offer = async (secret: string) => (await api.call(secret, "GET", path(row.id, "/decision"))).body;
    expect(await offer(first)).toMatchObject({ step: row.approvals[0].id, code: null, overdue: false, workingDaysLeft: 3 });
    expect(await offer(applicant)).toMatchObject({ step: null, code: "self-approval" });
    expect(await offer(auditor)).toMatchObject({ step: null, code: "forbidden" });
    const half = (await act(first, row, "approve", { planHash: row.plan.hash })).body;
    expect(await offer(first)).toMatchObject({ step: null, code: "second-decision" });
    now = new Date("2026-12-01T15:00:00Z");
    expect(await offer(second)).toMatchObject({ overdue: false, workingDaysLeft: 0 });
    now = new Date("2026-12-01T16:00:00Z");
    expect(await offer(second)).toMatchObject({ overdue: true, workingDaysLeft: null });
    now = new Date("2026-11-24T02:00:00Z");
    await act(second, half, "reject", { reason: "no" });
    expect(await offer(first)).toMatchObject({ step: null });
  });

  it("lists what is to be decided and what was, with deadlines, in pages", async () => {
    const rows = [await planned(), await planned(), await planned()];
    const inbox = async (secret: string, query: string) => (await api.call(secret, "GET", `/api/v1/inbox?${query}`)).body;
    const page = await inbox(first, "state=todo&limit=2");
    expect(page.items).toHaveLength(2);
    const rest = await inbox(first, `state=todo&limit=500&cursor=${page.next}`);
    const all = [...page.items, ...rest.items].map((one: { request: { id: string } }) => one.request.id);
    for (const row of rows) expect(all.filter((id) => id === row.id)).toHaveLength(1);
    expect(page.items[0]).toMatchObject({ overdue: false, workingDaysLeft: 3, onBehalfOf: null, request: { departmentNameZh: "部门2" } });
    await act(first, rows[1], "reject", { reason: "not now" });
    expect((await inbox(first, "state=done")).items[0]).toMatchObject({
      request: { id: rows[1].id, state: "rejected" },
      step: { state: "rejected", reason: "not now" },
    });
    expect((await api.call(first, "GET", "/api/v1/inbox?cursor=x")).status).toBe(400);
  });

  it("asks, is answered and amended", async () => {
    const row = await planned();
    const asked = (await act(first, row, "return", { question: "Why?" })).body;
    expect(asked.state).toBe("needs-information");
    expect((await act(second, asked, "approve", { planHash: row.plan.hash })).status).toBe(409);
    const back = (await act(applicant, asked, "answer", { text: "Because." })).body;
    expect(back.state).toBe("department-approval");
    const again = (await act(first, back, "return", { question: "Smaller?" })).body;
    api.enqueued.length = 0;
    const amended = await act(applicant, again, "amend", { items: [volume("smaller", 5)], text: "5 GiB will do." });
    expect(amended).toMatchObject({ status: 202, body: { state: "submitted", plan: null, items: [{ name: "smaller" }] } });
    expect(api.enqueued).toEqual([{ job: "plan", id: row.id }]);
    const { items } = (await api.call(auditor, "GET", path(row.id, "/comments"))).body;
    expect(items.map((one: { kind: string }) => one.kind)).toEqual(["question", "answer", "question", "amendment"]);
    expect(items[3].text).toMatch(/5 GiB will do\.\nitems\.0\.spec/);
    const events = await api.database.db.selectFrom("events").select("type").where("request_id", "=", row.id).orderBy("id").execute();
    expect(events.map((one) => one.type)).toEqual(
      expect.arrayContaining(["approval.returned", "request.question", "request.answer", "request.amendment", "approval.invalidated"]),
    );
  });

  it("plans anew on demand what is being decided on", async () => {
    const row = await planned();
    api.enqueued.length = 0;
    expect((await act(first, row, "check-plan", {})).status).toBe(202);
    expect(api.enqueued).toEqual([{ job: "plan", id: row.id }]);
    const draft = (
      await api.call(applicant, "POST", "/api/v1/requests", {
        body: { application: "office-app", project: "p", title: "T", items: [volume("d")], draft: true },
      })
    ).body;
    expect((await act(first, draft, "check-plan", {})).status).toBe(409);
  });

  it("takes comments and evidence, and gives a file back to be saved, never shown", async () => {
    const row = await planned();
    expect((await api.call(auditor, "POST", path(row.id, "/comments"), { body: { text: "x" } })).status).toBe(403);
    expect((await api.call(second, "POST", path(row.id, "/comments"), { body: { text: "<b>看过</b>" } })).body).toMatchObject({
      kind: "comment",
      text: "<b>看过</b>",
    });
    const html = { name: "page.txt", type: "text/plain", content: Buffer.from("<script>alert(1)</script>").toString("base64") };
    const kept = await api.call(applicant, "POST", path(row.id, "/evidence"), { body: html });
    expect(kept).toMatchObject({ status: 201, body: { sizeBytes: 25, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } });
    const file = await api.call(auditor, "GET", path(row.id, `/evidence/${kept.body.id}`));
    expect(file.body).toBe("<script>alert(1)</script>");
    expect(Object.fromEntries(file.headers)).toMatchObject({
      "content-type": "application/octet-stream",
      "content-disposition": "attachment; filename*=UTF-8''page.txt",
      "x-content-type-options": "nosniff",
      "content-security-policy": "default-src 'none'; sandbox",
    });
    const other = await planned();
    expect((await api.call(auditor, "GET", path(other.id, `/evidence/${kept.body.id}`))).status).toBe(404);
    for (const wrong of [
      { ...html, type: "application/pdf", name: "a.pdf" },
      { ...html, name: "../a.txt" },
      { ...html, type: "text/html", name: "a.html" },
      { ...html, content: "%%%" },
    ])
      expect((await api.call(applicant, "POST", path(row.id, "/evidence"), { body: wrong })).body).toMatchObject({ status: 422, code: "invalid-body" });
    const long = await api.call(applicant, "POST", path(row.id, "/evidence"), { body: { ...html, name: "（报告）'a'.txt" } });
    const named = await api.call(applicant, "GET", path(row.id, `/evidence/${long.body.id}`));
    expect(named.headers.get("content-disposition")).toBe(`attachment; filename*=UTF-8''${encodeURIComponent("（报告）").replaceAll("'", "%27")}%27a%27.txt`);
  });

  it("delegates, and ends it", async () => {
    const mine = [await idOf(first), await idOf(second)];
    const body = { to: mine[1], begins: "2026-11-23T00:00:00+08:00", ends: "2026-11-30T00:00:00+08:00", reason: "年假" };
    const made = await api.call(first, "POST", "/api/v1/delegations", { body });
    expect(made).toMatchObject({ status: 201, body: { from: mine[0], to: mine[1], endedAt: null } });
    expect((await api.call(first, "POST", "/api/v1/delegations", { body: { ...body, to: mine[0] } })).status).toBe(422);
    const row = await planned();
    const decided = await act(second, row, "approve", { planHash: row.plan.hash, onBehalfOf: mine[0] });
    expect(decided.body.approvals[0]).toMatchObject({ decidedBy: mine[1], onBehalfOf: mine[0], state: "approved" });
    expect((await api.call(second, "DELETE", `/api/v1/delegations/${made.body.id}`)).status).toBe(404);
    expect((await api.call(first, "DELETE", `/api/v1/delegations/${made.body.id}`)).status).toBe(204);
    expect((await api.call(auditor, "GET", "/api/v1/delegations")).body.items[0].endedAt).not.toBeNull();
  });

  it("keeps policies by version, inherited, changed only from what was seen", async () => {
    const stage = { name: "科长", kind: "department-approval", role: "approver", days: 1 };
    const address = "/api/v1/approval-policies/office";
    const seen = await api.call(applicant, "GET", address);
    expect(seen.body).toMatchObject({ version: 0, inheritedFrom: null, stages: [{ kind: "department-approval" }, { kind: "authority-approval" }] });
    expect(seen.headers.get("etag")).toBe('"0"');
    const put = (version: number, stages: unknown) =>
      api.call(security, "PUT", address, { body: { stages, note: "n" }, headers: { "if-match": `"${version}"` } });
    expect((await put(1, [stage])).status).toBe(412);
    expect((await put(0, [stage])).body).toMatchObject({ version: 1, stages: [{ name: "科长", mode: "serial", needed: null }] });
    expect((await put(1, [{ ...stage, kind: "authority-approval" }, stage])).body).toMatchObject({ status: 422, errors: [{ pointer: "/stages/1/kind" }] });
    expect((await put(1, [])).status).toBe(422);
    expect((await planned()).approvals).toHaveLength(1);
    expect((await put(1, null)).body).toMatchObject({ version: 2, stages: [{}, {}] });
    expect((await api.call(auditor, "GET", "/api/v1/approval-policies?department=office")).body.items.map((one: { version: number }) => one.version)).toEqual([
      2, 1,
    ]);
  });

  it("knows the working days of 2026, and takes those of another year", async () => {
    expect((await api.call(applicant, "GET", "/api/v1/calendars/2026")).body.workingDays).toEqual([
      "2026-01-04",
      "2026-02-14",
      "2026-02-28",
      "2026-05-09",
      "2026-09-20",
      "2026-10-10",
    ]);
    const body = { year: 2027, source: "测试", holidays: ["2027-01-01"], workingDays: [] };
    expect((await api.call(applicant, "POST", "/api/v1/calendars", { body })).status).toBe(403);
    expect((await api.call(system, "POST", "/api/v1/calendars", { body })).status).toBe(201);
    const change = { source: "测试", holidays: ["2027-01-01", "2027-02-30"], workingDays: [] };
    expect((await api.call(system, "PUT", "/api/v1/calendars/2027", { body: change, headers: { "if-match": '"1"' } })).status).toBe(422);
    expect((await api.call(first, "GET", "/api/v1/calendars/2030")).status).toBe(404);
  });
});
