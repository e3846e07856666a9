import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NoticeKind } from "../../../control-plane/contract/notices.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import { notify } from "../../../control-plane/store/notices.ts";
import { engines } from "../../setup/databases.ts";
import { openApp, type TestApp } from "../../setup/app.ts";

describe.each(engines)("notices and webhooks over the API, on %s", (engine) => {
  let api: TestApp;
  let admin: string;
  beforeAll(async () => {
    api = await openApp(engine, { mailConfigured: true });
    admin = await api.token("system-admin");
  });
  afterAll(() => api.close());

  const person = async () => {
    const { id, secret } = (await api.call(admin, "POST", "/api/v1/tokens", { body: { name: "N" } })).body as { id: string; secret: string };
    return { id, secret };
  };
  const tell = (to: string, kind: NoticeKind = "request.active") =>
    api.database.db
      .transaction()
      .execute((tx) =>
        notify(tx, systemAct(new Date()), { kind, to: [to], departmentId: null, requestId: null, subjectId: null, data: { number: "1", title: "T" } }),
      );
  const hook = { name: "W", url: "https://receiver.example/hook", kinds: ["request.active"] };
  const make = async (body: object = hook) =>
    (await api.call(admin, "POST", "/api/v1/webhooks", { body })).body as { id: string; secret: string; revision: number };

  it("lists one's own, page after page, counts and marks them", async () => {
    const [one, other] = [await person(), await person()];
    for (let n = 0; n < 3; n++) await tell(one.id);
    await tell(other.id);
    const first = (await api.call(one.secret, "GET", "/api/v1/notices?limit=2")).body;
    expect(first.items).toHaveLength(2);
    const second = (await api.call(one.secret, "GET", `/api/v1/notices?limit=2&cursor=${first.next}`)).body;
    expect(second).toMatchObject({ items: [{ kind: "request.active", readAt: null, data: { number: "1" } }], next: null });
    expect((await api.call(one.secret, "GET", "/api/v1/notices/unread")).body).toEqual({ unread: 3 });
    const read = (body: object, changesNothing = false) => api.call(one.secret, "POST", "/api/v1/notices/read", { body, changesNothing });
    expect((await read({ ids: [second.items[0].id] })).body).toEqual({ unread: 2 });
    expect((await read({ ids: [second.items[0].id] }, true)).body, "again").toEqual({ unread: 2 });
    const others = (await api.call(other.secret, "GET", "/api/v1/notices")).body.items as { id: string }[];
    expect(others).toHaveLength(1);
    expect((await read({ ids: [others[0]!.id] }, true)).status).toBe(200);
    expect((await api.call(other.secret, "GET", "/api/v1/notices/unread")).body, "another's stays unread").toEqual({ unread: 1 });
    expect((await read({ upTo: first.items[0].id })).body).toEqual({ unread: 0 });
    expect((await api.call(one.secret, "GET", "/api/v1/notices?unread=true")).body).toEqual({ items: [], next: null });
    expect((await read({})).body).toMatchObject({ status: 422, code: "invalid-body" });
  });

  it("shows a secret once, when it is made, and never again", async () => {
    const made = await make();
    expect(made.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    for (const path of ["/api/v1/webhooks", `/api/v1/webhooks/${made.id}`])
      expect(JSON.stringify((await api.call(admin, "GET", path)).body)).not.toContain('ecret":');
    const entries = await api.database.db.selectFrom("audit_entries").selectAll().where("subject_id", "=", made.id).execute();
    expect(JSON.stringify(entries)).not.toContain(made.secret.slice(6));
    const key = { "idempotency-key": "twice" };
    const first = await api.call(admin, "POST", `/api/v1/webhooks/${made.id}/rotate-secret`, { body: {}, headers: key });
    expect(first.body.secret).not.toBe(made.secret);
    expect((await api.call(admin, "POST", `/api/v1/webhooks/${made.id}/rotate-secret`, { body: {}, headers: key })).body).toMatchObject({ code: "conflict" });
  });

  it("changes one from what was seen, and forgets it with its deliveries", async () => {
    const { id } = await make();
    const change = (match: string | undefined, body: object) =>
      api.call(admin, "PATCH", `/api/v1/webhooks/${id}`, { body, headers: match ? { "if-match": match } : {} });
    expect((await change(undefined, { state: "paused" })).status).toBe(428);
    expect((await change('"1"', { state: "paused" })).body).toMatchObject({ state: "paused", pausedReason: "by hand", revision: 2 });
    expect((await change('"1"', { state: "active" })).status).toBe(412);
    expect((await change('"2"', { state: "active", kinds: ["request.failed", "request.failed"] })).body).toMatchObject({
      kinds: ["request.failed"],
      pausedReason: null,
    });
    const sent = (await api.call(admin, "POST", `/api/v1/webhooks/${id}/test`, { body: {} })).body;
    expect((await api.call(admin, "GET", `/api/v1/webhooks/${id}/deliveries`)).body.items).toEqual([sent]);
    expect((await api.call(admin, "POST", `/api/v1/deliveries/${sent.id}/redeliver`, { body: {} })).body).toMatchObject({ code: "conflict" });
    expect((await api.call(admin, "DELETE", `/api/v1/webhooks/${id}`)).status).toBe(204);
    expect((await api.call(admin, "GET", `/api/v1/webhooks/${id}`)).status).toBe(404);
    expect((await api.call(admin, "GET", "/api/v1/deliveries?channel=webhook")).body.items).not.toContainEqual(sent);
  });

  it.each(["ftp://receiver.example/", "https://name:password@receiver.example/", "https://receiver.example/#x", "nonsense"])(
    "refuses %s as an address",
    async (url) =>
      expect((await api.call(admin, "POST", "/api/v1/webhooks", { body: { ...hook, url } })).body).toMatchObject({
        code: "invalid-body",
        errors: [{ pointer: "/url" }],
      }),
  );

  it("refuses kinds and departments that there are not, and mail settings of what is no account", async () => {
    expect((await api.call(admin, "POST", "/api/v1/webhooks", { body: { ...hook, kinds: ["nothing"] } })).status).toBe(422);
    expect((await api.call(admin, "POST", "/api/v1/webhooks", { body: { ...hook, kinds: [] } })).status).toBe(422);
    expect((await api.call(admin, "POST", "/api/v1/webhooks", { body: { ...hook, department: "nowhere" } })).status).toBe(404);
    expect((await api.call((await person()).secret, "GET", "/api/v1/account/notifications")).status).toBe(403);
  });
});
