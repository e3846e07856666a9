import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bootstrapToken } from "../../../control-plane/store/tokens.ts";
import { openApp, type TestApp } from "../../setup/app.ts";
import { engines } from "../../setup/databases.ts";

describe.each(engines)("access, on %s", (engine) => {
  let api: TestApp;
  let clock = new Date("2026-11-23T08:00:00Z");
  beforeAll(async () => {
    api = await openApp(engine, { now: () => clock });
  });
  afterAll(() => api?.close());
  const browser = (cookie: string, method = "GET", path = "/api/v1/sessions/current", headers: Record<string, string> = {}) =>
    api.app.request(path, { method, headers: { cookie, ...headers } });

  it("makes the first token once, however many start at the same moment", async () => {
    const made: string[] = [];
    const start = (keep = (secret: string) => void made.push(secret)) => bootstrapToken(api.database.db, clock, keep);
    const full = () => {
      throw new Error("the disk is full");
    };
    await expect(start(full), "what could not be kept was not made").rejects.toThrow("the disk is full");
    await Promise.all([1, 2, 3].map(() => start()));
    expect(made).toHaveLength(1);
    await start(full);
    const [operator] = made;
    expect((await api.call(operator, "GET", "/api/v1/sessions/current")).body).toMatchObject({
      name: "operator",
      roles: [
        { role: "operations", department: null },
        { role: "system-admin", department: null },
      ],
      expiresAt: null,
    });
  });

  it("shows a token's secret once and stores only its hash", async () => {
    const system = await api.token("system-admin");
    const send = () => api.call(system, "POST", "/api/v1/tokens", { body: { name: "A" }, headers: { "idempotency-key": "secret" } });
    const { status, body } = await send();
    expect(status).toBe(201);
    expect((await api.call(body.secret, "GET", "/api/v1/sessions/current")).status).toBe(200);
    expect((await send()).body).toMatchObject({ status: 409, code: "conflict" });
    const kept = await Promise.all(
      (["tokens", "idempotency_keys", "audit_entries"] as const).map((table) => api.database.db.selectFrom(table).selectAll().execute()),
    );
    expect(JSON.stringify(kept)).not.toContain(body.secret);
  });

  it("refuses a token that would have ended already", async () => {
    const system = await api.token("system-admin");
    expect((await api.call(system, "POST", "/api/v1/tokens", { body: { name: "A", expiresAt: "2026-11-23T07:59:59Z" } })).body).toMatchObject({
      code: "rule-broken",
      errors: [{ pointer: "/expiresAt" }],
    });
  });

  it("ends with the token's time", async () => {
    const system = await api.token("system-admin");
    const { secret } = (await api.call(system, "POST", "/api/v1/tokens", { body: { name: "A", expiresAt: "2026-11-23T09:00:00Z" } })).body;
    expect((await api.call(secret, "GET", "/api/v1/sessions/current")).status).toBe(200);
    clock = new Date("2026-11-23T09:00:00Z");
    expect((await api.call(secret, "GET", "/api/v1/sessions/current")).status).toBe(401);
  });

  it("signs a browser in by a link that opens once, and out again", async () => {
    const system = await api.token("system-admin");
    const { path } = (await api.call(system, "POST", "/api/v1/sessions/links", { body: {} })).body;
    const opened = await api.app.request(path);
    expect(opened.status).toBe(303);
    expect(opened.headers.get("location")).toBe("/");
    const set = opened.headers.get("set-cookie")!;
    expect(set).toMatch(/HttpOnly/);
    expect(set).toMatch(/SameSite=Strict/);
    const cookie = set.split(";")[0]!;
    expect((await api.app.request(path)).status).toBe(401);
    expect(await (await browser(cookie)).json()).toMatchObject({ name: "system-admin" });
    // Another origin of the same site does not act as the session; a page of ours does.
    expect((await browser(cookie, "DELETE", undefined, { "sec-fetch-site": "same-site" })).status).toBe(403);
    expect((await browser(cookie, "DELETE", undefined, { "sec-fetch-site": "same-origin" })).status).toBe(200);
    expect((await browser(cookie)).status).toBe(401);
  });

  it("lets links and sessions grow old, and a session end with its token", async () => {
    const system = await api.token("system-admin");
    const made = (await api.call(system, "POST", "/api/v1/tokens", { body: { name: "A" } })).body;
    const open = async () => {
      const { path } = (await api.call(made.secret, "POST", "/api/v1/sessions/links", { body: {} })).body;
      return { path, cookie: async () => (await api.app.request(path)).headers.get("set-cookie")?.split(";")[0] ?? "" };
    };
    const late = await open();
    const [first, second] = [await (await open()).cookie(), await (await open()).cookie()];
    clock = new Date(clock.getTime() + 15 * 60_000);
    expect((await api.app.request(late.path)).status).toBe(401);
    expect((await browser(first)).status).toBe(200);
    await api.call(system, "DELETE", `/api/v1/tokens/${made.id}`);
    expect((await browser(second)).status).toBe(401);
    clock = new Date(clock.getTime() + 12 * 3_600_000);
    expect((await browser(first)).status).toBe(401);
  });
});
