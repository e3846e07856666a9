import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Role } from "../../../control-plane/contract/roles.ts";
import { bootstrapToken } from "../../../control-plane/store/tokens.ts";
import { openApp, type TestApp } from "../../setup/app.ts";
import { engines } from "../../setup/databases.ts";

describe.each(engines)("roles, on %s", (engine) => {
  let api: TestApp;
  let clock: Date;
  let operator: string;
  beforeEach(async () => {
    clock = new Date("2026-11-23T08:00:00Z");
    api = await openApp(engine, { now: () => clock });
    await bootstrapToken(api.database.db, clock, (secret) => (operator = secret));
    for (const [code, parent] of [
      ["city", null],
      ["bureau", "city"],
      ["office", "bureau"],
      ["other", "city"],
    ] as const)
      await api.call(operator, "POST", "/api/v1/departments", { body: { code, parent, nameZh: code, nameEn: code, level: "city" } });
  });
  afterEach(() => api?.close());

  const token = async (name: string): Promise<{ id: string; secret: string }> => (await api.call(operator, "POST", "/api/v1/tokens", { body: { name } })).body;
  const grant = (by: string, subject: string, role: Role, more: object = {}) =>
    api.call(by, "POST", "/api/v1/role-bindings", { body: { subject, role, reason: "test", ...more } });
  const securityAdmin = async () => {
    const made = await token("security");
    expect((await grant(operator, made.id, "security-admin")).status).toBe(201);
    return made;
  };
  const seen = async (secret: string) =>
    ((await api.call(secret, "GET", "/api/v1/departments")).body.items as { code: string }[]).map(({ code }) => code).toSorted();

  it("are granted by security administrators; a system administrator makes the first one, and nothing else", async () => {
    const [somebody, another] = [await token("a"), await token("b")];
    expect((await grant(operator, somebody.id, "approver", { department: "city" })).body).toMatchObject({ status: 403, code: "forbidden" });
    const security = await securityAdmin();
    expect((await grant(operator, another.id, "security-admin")).body).toMatchObject({ code: "forbidden" });
    expect((await grant(security.secret, somebody.id, "approver", { department: "city" })).status).toBe(201);
    expect((await grant(security.secret, security.id, "operations")).body).toMatchObject({ code: "rule-broken", errors: [{ pointer: "/subject" }] });
    expect((await grant(security.secret, "tok_00000000000000000000000000", "authority")).status).toBe(404);
  });

  it("hold for a node and what is below it, for as long as they are valid, until they are revoked", async () => {
    const security = await securityAdmin();
    const who = await token("approver");
    expect((await api.call(who.secret, "GET", "/api/v1/departments")).status).toBe(403);
    const { body } = await grant(security.secret, who.id, "approver", { department: "bureau", validUntil: "2026-11-23T09:00:00Z" });
    expect(await seen(who.secret)).toEqual(["bureau", "office"]);
    await grant(security.secret, who.id, "finance", { department: "other", validUntil: "2026-11-23T09:00:00Z" });
    expect(await seen(who.secret)).toEqual(["bureau", "office", "other"]);
    const revoke = (changesNothing = false) =>
      api.call(security.secret, "POST", `/api/v1/role-bindings/${body.id}/revoke`, { body: { reason: "moved" }, changesNothing });
    expect((await revoke()).body).toMatchObject({ revokedAt: clock.toISOString() });
    expect((await revoke(true)).status).toBe(200);
    expect(await seen(who.secret)).toEqual(["other"]);
    clock = new Date("2026-11-23T09:00:00Z");
    expect((await api.call(who.secret, "GET", "/api/v1/departments")).status).toBe(403);
  });

  it("keep the three administrators (三员) three people, in the database too", async () => {
    const security = await securityAdmin();
    const who = await token("one");
    expect((await grant(security.secret, who.id, "audit-admin")).status).toBe(201);
    expect((await grant(security.secret, who.id, "system-admin")).body).toMatchObject({ status: 409, code: "conflict", errors: [{ pointer: "/role" }] });
    const insert = sql`insert into role_bindings (id, subject_id, role, kind, valid_from, reason, granted_by, granted_at)
      values ('x', ${who.id}, 'system-admin', 'standing', ${clock}, '', 'y', ${clock})`.execute(api.database.db);
    await expect(insert).rejects.toMatchObject({ code: "23P01" });
  });

  it("give an eligible person nothing until there is a reason; auditors see it and say whether it was a good one", async () => {
    const security = await securityAdmin();
    const [who, audit, other] = [await token("on call"), await token("audit"), await token("other")];
    await grant(security.secret, audit.id, "audit-admin");
    const eligible = (await grant(security.secret, who.id, "approver", { department: "city", kind: "eligible" })).body;
    expect((await api.call(who.secret, "GET", "/api/v1/departments")).status).toBe(403);
    const elevate = (secret: string) =>
      api.call(secret, "POST", `/api/v1/role-bindings/${eligible.id}/elevate`, { body: { reason: "the approver cannot be reached", minutes: 30 } });
    expect((await elevate(other.secret)).status).toBe(404);
    const { status, body } = await elevate(who.secret);
    expect(status).toBe(201);
    expect(body).toMatchObject({ kind: "elevated", validUntil: "2026-11-23T08:30:00.000Z", review: null });
    expect(await seen(who.secret)).toContain("office");
    const unreviewed = async () => (await api.call(audit.secret, "GET", "/api/v1/role-bindings?unreviewed=true")).body.items;
    expect(await unreviewed()).toMatchObject([{ id: body.id, reason: "the approver cannot be reached" }]);
    const review = (secret: string) => api.call(secret, "POST", `/api/v1/role-bindings/${body.id}/review`, { body: { verdict: "justified", comment: "ok" } });
    expect((await review(who.secret)).status).toBe(403);
    expect((await review(audit.secret)).body).toMatchObject({ review: { verdict: "justified", by: audit.id } });
    expect((await review(audit.secret)).status).toBe(409);
    expect(await unreviewed()).toEqual([]);
    clock = new Date("2026-11-23T08:30:00Z");
    expect((await api.call(who.secret, "GET", "/api/v1/departments")).status).toBe(403);
    const actions = ((await api.call(audit.secret, "GET", "/api/v1/audit")).body.items as { action: string }[]).map(({ action }) => action);
    expect(actions.filter((action) => action.startsWith("role."))).toEqual([
      "role.review",
      "role.elevate",
      "role.grant",
      "role.grant",
      "role.grant",
      "role.grant",
      "role.grant",
    ]);
  });

  it("let an external auditor see the records of a period and a part of the tree, and keep what was read", async () => {
    const security = await securityAdmin();
    const [who, audit] = [await token("auditor"), await token("audit")];
    await grant(security.secret, audit.id, "audit-admin");
    const period = { validUntil: "2026-12-01T00:00:00Z", periodFrom: "2026-11-23T08:00:00Z", periodTo: "2026-11-23T08:30:00Z" };
    expect((await grant(security.secret, who.id, "auditor", { department: "bureau", ...period })).status).toBe(201);
    const at = async (time: string, code: string) => {
      clock = new Date(time);
      const path = `/api/v1/departments/${code}`;
      const found = await api.call(operator, "GET", path);
      await api.call(operator, "PATCH", path, { body: { nameEn: time }, headers: { "if-match": found.headers.get("etag")! } });
    };
    await at("2026-11-23T08:10:00Z", "office");
    await at("2026-11-23T08:11:00Z", "other");
    await at("2026-11-23T08:40:00Z", "office");
    const { body } = await api.call(who.secret, "GET", "/api/v1/audit?limit=500");
    const entries = body.items as { at: string; action: string }[];
    expect(entries.filter(({ action }) => action === "department.change").map(({ at: time }) => time)).toEqual(["2026-11-23T08:10:00.000Z"]);
    expect(new Date(Math.max(...entries.map((entry) => +new Date(entry.at)))).toISOString() < "2026-11-23T08:30:00.000Z").toBe(true);
    const kept = (await api.call(audit.secret, "GET", `/api/v1/audit?limit=500`)).body.items as { action: string; actor: string; subject: string }[];
    expect(kept.filter((entry) => entry.actor === who.id && entry.action === "read").map(({ subject }) => subject)).toEqual(["/api/v1/audit?limit=500"]);
  });
});
