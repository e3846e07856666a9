import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openApp, type TestApp } from "../../setup/app.ts";

describe("what cannot be read", () => {
  let api: TestApp;
  let operations: string;
  beforeAll(async () => {
    api = await openApp("pglite");
    operations = await api.token("operations");
  });
  afterAll(() => api?.close());

  const post = async (path: string, body: string | Uint8Array<ArrayBuffer>, type = "application/json") => {
    const headers = { authorization: `Bearer ${operations}`, "content-type": type, "idempotency-key": crypto.randomUUID() };
    const answer = await api.app.request(path, { method: "POST", headers, body });
    return [answer.status, answer.headers.get("content-type")];
  };
  const problem = "application/problem+json";

  it("is refused as a problem of its own kind: other media types, bytes that are no UTF-8, characters that no store takes", async () => {
    const path = "/api/v1/departments";
    expect(await post(path, "code=x", "application/x-www-form-urlencoded")).toEqual([415, problem]);
    expect(await post(path, "code: x", "text/plain")).toEqual([415, problem]);
    expect(await post(path, new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toEqual([400, problem]);
    expect(await post(path, "{")).toEqual([400, problem]);
    expect(await post(path, '{"code":"a\\u0000b"}')).toEqual([422, problem]);
    expect(await post(path, '{"code":"\\ud800"}')).toEqual([422, problem]);
    expect(await post(path, '{"code":1e999}')).toEqual([422, problem]);
  });

  it("is refused in addresses too", async () => {
    const ask = async (path: string) => (await api.call(operations, "GET", path)).status;
    expect(await ask("/api/v1/departments/")).toBe(404);
    expect(await ask("/api/v1/departments?limit=1&limit=2")).toBe(400);
    expect(await ask("/api/v1/departments?limit=99999999999999999999")).toBe(400);
  });

  it("leaves a trace when a token that has ended is tried, in the audit and under its own id", async () => {
    const ended = await api.token("operations");
    const { id } = (await api.database.db.selectFrom("tokens").select("id").orderBy("id", "desc").executeTakeFirst())!;
    await api.call(await api.token("system-admin"), "DELETE", `/api/v1/tokens/${id}`);
    expect((await api.call(ended, "GET", "/api/v1/departments")).status).toBe(401);
    const entries = await api.database.db.selectFrom("audit_entries").select(["actor", "result", "action"]).where("actor", "=", id).execute();
    expect(entries).toEqual([{ actor: id, result: "denied", action: "GET /api/v1/departments" }]);
  });

  it("takes changes of a session from its own origin only, where a browser says no more than Origin", async () => {
    const { path } = (await api.call(operations, "POST", "/api/v1/sessions/links", { body: {} })).body;
    const opened = await api.app.request(path);
    const cookie = opened.headers.get("set-cookie")!.split(";")[0]!;
    const change = (origin: string) =>
      api.call(undefined, "POST", "/api/v1/sessions/links", { body: {}, headers: { cookie, origin, host: "plane.test:8080" } });
    for (const other of ["http://plane.test:9090", "http://evil.test", "null"]) {
      expect((await change(other)).status).toBe(403);
    }
    expect((await change("http://plane.test:8080")).status).toBe(201);
  });
});
