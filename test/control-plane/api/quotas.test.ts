/** Quotas over the API: levels, soft limits, borrowing, what a request would do, and findings. */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openApp, type TestApp } from "../../setup/app.ts";
import { engines } from "../../setup/databases.ts";
import { host, smallCity } from "../../setup/small-city.ts";

describe.each(engines)("quotas over the API, on %s", (engine) => {
  let api: TestApp;
  let operations: string;
  let applicant: string;
  beforeAll(async () => {
    api = await openApp(engine);
    operations = await api.token("operations");
    expect((await api.call(operations, "POST", "/api/v1/city-imports", { body: smallCity({ hosts: 10 }) })).status).toBe(200);
    const { id } = await api.database.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow();
    applicant = await api.token("applicant", id);
  });
  afterAll(() => api?.close());

  const put = async (path: string, body: unknown) => {
    const seen = await api.call(operations, "GET", path);
    return api.call(operations, "PUT", path, { body, headers: { "if-match": seen.headers.get("etag")! } });
  };
  const ask = (hosts: number) => ({
    application: "office-app",
    project: "p",
    title: "T",
    items: Array.from({ length: hosts }, (_, index) => host(`h${index}`)),
  });
  const whatIf = (hosts: number) => api.call(applicant, "POST", "/api/v1/requests/what-if", { body: ask(hosts), changesNothing: true });
  const tables = ["requests", "request_items", "resources", "quota_charges", "fund_charges", "audit_entries", "events", "idempotency_keys"] as const;
  const counts = () =>
    Promise.all(
      tables.map((table) =>
        api.database.db
          .selectFrom(table)
          .select((eb) => eb.fn.countAll().as("n"))
          .executeTakeFirst(),
      ),
    );

  it("keeps an account of one level apart, with soft limit, guarantee and borrowing", async () => {
    const path = "/api/v1/quotas/office/hosts?level=2";
    expect((await api.call(applicant, "GET", path)).body).toMatchObject({ level: 2, limit: null, borrowed: 0, revision: 1 });
    expect((await put("/api/v1/quotas/bureau/hosts", { lends: true })).body).toMatchObject({ lends: true, limit: 9 });
    expect((await put(path, { limit: 6, softLimit: 5 })).body).toMatchObject({ level: 2, limit: 6, softLimit: 5, revision: 2 });
    expect(await put(path, { softLimit: 7 })).toMatchObject({ status: 422, body: { code: "rule-broken", errors: [{ pointer: "/softLimit" }] } });
    const list = await api.call(applicant, "GET", "/api/v1/quotas?department=office&limit=500");
    expect(list.body.items.filter((one: { dimension: string }) => one.dimension === "hosts").map((one: { level: number }) => one.level)).toEqual([0, 2]);
  });

  it("says what a request would do, and changes nothing", async () => {
    const before = await counts();
    const fits = (await whatIf(2)).body;
    expect(fits).toMatchObject({ outcome: "fits", level: 2, problems: [], warnings: [], shortages: [] });
    expect(fits.items[0]).toMatchObject({ action: "create", name: "h0", placement: { pool: "compute" } });
    expect(fits.cost.amountFen).toBeGreaterThan(0);
    const hosts = fits.accounts.filter((one: { dimension: string }) => one.dimension === "hosts");
    expect(hosts).toMatchObject([
      { departmentName: "部门2", level: 0, leftBefore: 8, leftAfter: 6, raisedBy: "部门1" },
      { departmentName: "部门1", level: 0, leftBefore: 9, leftAfter: 7, raisedBy: "部门0" },
      { departmentName: "部门0", level: 0, leftBefore: 10, leftAfter: 8, raisedBy: "operations" },
      { departmentName: "部门2", level: 2, leftBefore: 6, leftAfter: 4, fits: true },
    ]);
    const soft = (await whatIf(6)).body;
    expect(soft).toMatchObject({ outcome: "fits", warnings: [{ level: 2, softLimit: 5, held: 6 }] });
    const refused = (await whatIf(7)).body;
    expect(refused).toMatchObject({ outcome: "refused", problems: [{ code: "quota-exceeded" }] });
    expect(refused.accounts.filter((one: { fits: boolean }) => !one.fits)).toMatchObject([{ level: 2, limit: 6, asked: 7, leftBefore: 6 }]);
    expect(await counts()).toEqual(before);
    // What it says is what then happens.
    expect((await api.call(applicant, "POST", "/api/v1/requests", { body: ask(7) })).status).toBe(422);
    expect((await api.call(applicant, "POST", "/api/v1/requests", { body: ask(6) })).status).toBe(202);
  });

  it("says who waits for capacity, and refuses what could not be asked for at all", async () => {
    const body = { ...ask(1), items: [{ action: "create", kind: "host", spec: { name: "x", flavour: "none-such", image: "zhengyun-base-1" } }] };
    expect((await api.call(applicant, "POST", "/api/v1/requests/what-if", { body, changesNothing: true })).body).toMatchObject({
      code: "invalid-body",
      errors: [{ pointer: "/items/0/spec/flavour" }],
    });
    await sql`update pool_accounts set capacity = taken where dimension = 'vcpu'`.execute(api.database.db);
    const answer = await api.call(operations, "POST", "/api/v1/requests/what-if", {
      body: { ...ask(1), application: "city-app" },
      changesNothing: true,
    });
    expect(answer.body).toMatchObject({ outcome: "waits", shortages: [expect.stringContaining("vcpu")] });
  });

  it("reports a broken account until an operator closes it with a reason", async () => {
    await sql`update quota_accounts set used = used + 4 where dimension = 'backup_gib' and level = 0 and department_id = (select id from departments where code = 'city')`.execute(
      api.database.db,
    );
    const run = () => api.call(operations, "POST", "/api/v1/quota-reconciliations", { body: {} });
    expect((await api.call(applicant, "POST", "/api/v1/quota-reconciliations", { body: {} })).status).toBe(403);
    const { findings } = (await run()).body;
    expect(findings).toMatchObject([{ kind: "account", field: "used", dimension: "backup_gib", level: 0, expected: 0, found: 4, closedAt: null }]);
    const path = `/api/v1/quota-findings/${findings[0].id}/close`;
    const close = (body: unknown, headers: Record<string, string> = { "if-match": '"1"' }) => api.call(operations, "POST", path, { body, headers });
    expect((await close({ reason: "x" }, {})).status).toBe(428);
    expect((await close({ reason: "" })).status).toBe(422);
    expect((await close({ reason: "looked into it", correct: false })).body).toMatchObject({ corrected: false, reason: "looked into it" });
    const again = (await run()).body.findings;
    expect(again, "an explanation mends nothing").toHaveLength(1);
    expect(again[0].id).not.toBe(findings[0].id);
    const second = await api.call(operations, "POST", `/api/v1/quota-findings/${again[0].id}/close`, {
      body: { reason: "a test wrote it" },
      headers: { "if-match": '"1"' },
    });
    expect(second.body).toMatchObject({ corrected: true });
    expect((await run()).body.findings).toEqual([]);
    expect((await api.call(operations, "GET", "/api/v1/quota-findings?state=closed")).body.items).toHaveLength(2);
  });
});
