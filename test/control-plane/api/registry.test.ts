import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openApp, type TestApp } from "../../setup/app.ts";
import { engines } from "../../setup/databases.ts";

describe.each(engines)("the registry over the API, on %s", (engine) => {
  let api: TestApp;
  let operations: string;
  beforeAll(async () => {
    api = await openApp(engine);
    operations = await api.token("operations");
  });
  afterAll(() => api?.close());

  const department = (code: string, parent: string | null = null) =>
    api.call(operations, "POST", "/api/v1/departments", { body: { code, parent, nameZh: `${code} 局`, nameEn: `${code} bureau`, level: "city" } });

  it("keeps a tree, and shows each viewer only its own part", async () => {
    const root = (await department("tree")).body;
    const left = (await department("tree-left", "tree")).body;
    const below = (await department("tree-left-1", left.id)).body;
    await department("tree-right", "tree");
    expect(root).toMatchObject({ parent: null, children: 0, revision: 1 });
    expect((await api.call(operations, "GET", "/api/v1/departments/tree")).body).toMatchObject({ id: root.id, children: 2 });

    const viewer = await api.token("applicant", left.id);
    const seen = await api.call(viewer, "GET", "/api/v1/departments");
    expect(seen.body.items.map((one: { code: string }) => one.code)).toEqual(["tree-left", "tree-left-1"]);
    expect((await api.call(viewer, "GET", `/api/v1/departments/${below.id}`)).status).toBe(200);
    for (const hidden of [root.id, "tree", "tree-right"])
      expect((await api.call(viewer, "GET", `/api/v1/departments/${hidden}`)).body).toMatchObject({ status: 404, code: "not-found" });
  });

  it("makes a quota account per dimension with each department", async () => {
    const { id } = (await department("accounts")).body;
    const rows = await api.database.db.selectFrom("quota_accounts").selectAll().where("department_id", "=", id).execute();
    expect(rows).toHaveLength(7);
    expect(rows.every((row) => row.limit_value === null && row.used === 0 && row.reserved === 0)).toBe(true);
  });

  it("pages without counting: every item once, next null at the end, a made-up cursor refused", async () => {
    await department("paged");
    for (const code of ["paged-1", "paged-2", "paged-3", "paged-4", "paged-5"]) await department(code, "paged");
    const seen: string[] = [];
    let path: string | null = "/api/v1/departments?parent=paged&limit=2";
    while (path) {
      const { items, next }: { items: { code: string }[]; next: string | null } = (await api.call(operations, "GET", path)).body;
      expect(items.length).toBeLessThanOrEqual(2);
      seen.push(...items.map((one) => one.code));
      path = next && `/api/v1/departments?parent=paged&limit=2&cursor=${next}`;
    }
    expect(seen).toEqual(["paged-1", "paged-2", "paged-3", "paged-4", "paged-5"]);
    expect((await api.call(operations, "GET", "/api/v1/departments?cursor=nonsense")).body).toMatchObject({ status: 400, code: "invalid-query" });
    expect((await api.call(operations, "GET", "/api/v1/departments?limit=501")).body).toMatchObject({ status: 400, errors: [{ pointer: "/limit" }] });
  });

  it("does a POST once for each Idempotency-Key", async () => {
    const body = { code: "once", nameZh: "一次", nameEn: "Once", level: "city" };
    const send = (more: object = {}) =>
      api.call(operations, "POST", "/api/v1/departments", { body: { ...body, ...more }, headers: { "idempotency-key": `once-${engine}` } });
    const [first, second] = await Promise.all([send(), send()]);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(first.body).toEqual(second.body);
    expect([first, second].filter((answer) => answer.headers.has("idempotency-replayed"))).toHaveLength(1);
    expect((await send({ nameEn: "Twice" })).body).toMatchObject({ status: 422, code: "idempotency-key-reused" });
    expect((await api.call(operations, "POST", "/api/v1/departments", { body, headers: { "idempotency-key": "" } })).body).toMatchObject({
      status: 400,
      code: "idempotency-key-missing",
    });
  });

  it("keeps no key for a refused POST, nor what it had done", async () => {
    const send = (project: string) =>
      api.call(operations, "POST", "/api/v1/applications", {
        body: { department: "refused", project, code: "a", name: "A", contact: "somebody" },
        headers: { "idempotency-key": `refused-${engine}` },
      });
    await department("refused");
    await api.call(await api.token("authority"), "POST", "/api/v1/projects", {
      body: { department: "refused", code: "p", name: "P", fiscalYear: 2026, budgetFen: 1 },
    });
    expect((await send("none")).status).toBe(404);
    expect((await send("p")).status).toBe(201);
  });

  it("changes only from the revision that was seen", async () => {
    const { id } = (await department("changing")).body;
    const change = (headers: Record<string, string>) => api.call(operations, "PATCH", `/api/v1/departments/${id}`, { body: { nameEn: "Changed" }, headers });
    expect((await change({})).body).toMatchObject({ status: 428, code: "precondition-missing" });
    expect((await change({ "if-match": '"2"' })).body).toMatchObject({ status: 412, code: "precondition-failed" });
    const seen = await api.call(operations, "GET", `/api/v1/departments/${id}`);
    const changed = await change({ "if-match": seen.headers.get("etag")! });
    expect(changed).toMatchObject({ status: 200, body: { nameEn: "Changed", revision: 2 } });
    expect(changed.headers.get("etag")).toBe('"2"');
    expect((await change({ "if-match": '"1"' })).status).toBe(412);
  });

  it("writes what was done, and what was denied, to the audit", async () => {
    const { id } = (await department("audited")).body;
    const viewer = await api.token("applicant", id);
    expect((await api.call(viewer, "POST", "/api/v1/departments", { body: { code: "no", nameZh: "x", nameEn: "x", level: "x" } })).status).toBe(403);
    const entries = (await api.call(await api.token("auditor"), "GET", "/api/v1/audit?department=audited")).body.items;
    expect(entries.map((entry: { action: string; result: string }) => `${entry.action} ${entry.result}`)).toEqual([
      "POST /api/v1/departments denied",
      "role.grant done",
      "department.create done",
    ]);
    expect(JSON.stringify(entries)).not.toContain(viewer);
  });

  it("refuses a pool's capacity below what is taken", async () => {
    const pool = (
      await api.call(operations, "POST", "/api/v1/pools", { body: { code: "pool", name: "P", kind: "compute", site: "S", capacity: { hosts: 10, vcpu: 20 } } })
    ).body;
    expect(pool).toMatchObject({ endpoint: "/var/lib/zhengyun/embedded", capacity: { hosts: 10, vcpu: 20 }, taken: { hosts: 0, vcpu: 0 } });
    await api.database.db.updateTable("pool_accounts").set({ taken: 5 }).where("pool_id", "=", pool.id).where("dimension", "=", "hosts").execute();
    const change = (hosts: number) => api.call(operations, "PATCH", "/api/v1/pools/pool", { body: { capacity: { hosts } }, headers: { "if-match": "*" } });
    expect((await change(4)).body).toMatchObject({ status: 422, code: "rule-broken", errors: [{ pointer: "/capacity/hosts" }] });
    expect((await change(5)).body).toMatchObject({ capacity: { hosts: 5, vcpu: 20 }, revision: 2 });
  });

  it("points at every place of a body that does not fit, and stores no text that cannot be stored", async () => {
    const bad = await api.call(await api.token("authority"), "POST", "/api/v1/projects", {
      body: { department: "x", code: "-", name: " ", fiscalYear: 1999, extra: 1 },
    });
    expect(bad.body).toMatchObject({ status: 422, code: "invalid-body" });
    expect(bad.body.errors.map((error: { pointer: string }) => error.pointer).toSorted()).toEqual(["/budgetFen", "/code", "/extra", "/fiscalYear", "/name"]);
    const nul = await api.call(operations, "POST", "/api/v1/departments", { body: { code: "nul", nameZh: "a\0b", nameEn: "\ud800", level: "x" } });
    expect(nul.body.errors.map((error: { pointer: string }) => error.pointer)).toEqual(["/nameZh", "/nameEn"]);
    expect((await api.call(operations, "POST", "/api/v1/departments", { body: "{" })).body).toMatchObject({ status: 400, code: "malformed" });
    expect((await api.call(operations, "POST", "/api/v1/departments", { body: "{}", headers: { "content-type": "text/plain" } })).body).toMatchObject({
      status: 415,
      code: "unsupported-media-type",
    });
  });
});
