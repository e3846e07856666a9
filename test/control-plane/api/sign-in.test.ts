/** Accounts over the API, on both stores: what somebody without credentials, or with stolen ones, can and cannot do. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { codeAt, fromBase32, stepAt } from "../../../control-plane/domain/totp.ts";
import { namesOf } from "../../../control-plane/store/names.ts";
import { bindingsOf } from "../../../control-plane/store/subjects.ts";
import { type CallOptions, openApp, type TestApp } from "../../setup/app.ts";
import { engines } from "../../setup/databases.ts";

const good = "Corr3ct-horse-battery";

describe.each(engines)("accounts, on %s", (engine) => {
  let api: TestApp;
  let operations: string;
  let auditors: string;
  /** Moves the server's clock, ms. */
  let ahead = 0;
  const now = () => new Date(Date.now() + ahead);
  beforeAll(async () => {
    api = await openApp(engine, { now });
    operations = await api.token("system-admin");
    auditors = await api.token("audit-admin");
  });
  afterAll(() => api?.close());

  const post = (path: string, body?: unknown, options: CallOptions & { as?: string } = {}) =>
    api.call(options.as, "POST", `/api/v1${path}`, { ...options, body });
  /** A person with a password. @returns the account's id */
  async function person(name: string, password = good): Promise<string> {
    const made = await post("/accounts", { name, displayName: name }, { as: operations });
    expect(made).toMatchObject({ status: 201, body: { state: "invited" } });
    expect((await post("/account-links/use", { code: made.body.setUp.path.split("#")[1], password })).status).toBe(200);
    return made.body.id as string;
  }
  const signIn = (name: string, password = good, more: object = {}) => post("/sign-in", { name, password, session: "bearer", ...more });
  const signedIn = async (name: string, more: object = {}): Promise<string> => {
    const answer = await signIn(name, good, more);
    expect(answer.status).toBe(200);
    return answer.body.secret as string;
  };
  const me = (secret: string) => api.call(secret, "GET", "/api/v1/sessions/current");

  it("lets people set their password by a link, once, and by no password that is easily guessed", async () => {
    const made = await post("/accounts", { name: "Li.Wei", displayName: "李伟" }, { as: operations });
    const code = made.body.setUp.path.split("#")[1] as string;
    expect(await post("/account-links/read", { code }, { changesNothing: true })).toMatchObject({ status: 200, body: { purpose: "set-up", name: "li.wei" } });
    for (const password of ["Short-1", "alllowercaseletters", "Li.Wei-has-2-birds", "Aaaa-bbbb-cccc-1111"])
      expect(await post("/account-links/use", { code, password })).toMatchObject({ status: 422, body: { code: "rule-broken" } });
    const used = await Promise.all([1, 2].map(() => post("/account-links/use", { code, password: good })));
    expect(used.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 401]);
    const cookie = used.find(({ status }) => status === 200)!.headers.get("set-cookie");
    expect(cookie).toMatch(/^zhengyun_session=zys_[^;]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
    expect((await me(await signedIn("LI.WEI"))).body).toMatchObject({ name: "李伟" });
  });

  it("binds the cookie to this host over https", async () => {
    await person("https.user");
    const answer = await post("/sign-in", { name: "https.user", password: good }, { headers: { "x-forwarded-proto": "https" } });
    expect(answer.headers.get("set-cookie")).toMatch(/^__Host-zhengyun_session=[^;]+; Max-Age=43200; Path=\/; HttpOnly; Secure; SameSite=Strict$/);
    expect(answer.body.secret).toBe(null);
  });

  it("answers the same for an account that is unknown, locked or disabled, and for a wrong password", async () => {
    await person("victim");
    const gone = await person("gone");
    await post(`/accounts/${gone}/disable`, undefined, { as: operations });
    const times: Record<string, number> = {};
    const told = async (what: string, name: string, password: string) => {
      const begun = performance.now();
      const { status, body } = await signIn(name, password);
      times[what] = performance.now() - begun;
      const { correlationId, ...rest } = body;
      expect(correlationId).toBeTypeOf("string");
      return { status, ...rest };
    };
    const wrong = await told("wrong", "victim", "wrong");
    expect(wrong).toMatchObject({ status: 401, code: "sign-in-refused" });
    expect(await told("unknown", "nobody.here", "wrong")).toEqual(wrong);
    expect(await told("disabled", "gone", good)).toEqual(wrong);
    // At once: no more than the five are looked at, though the right password is among them.
    await Promise.all(Array.from({ length: 6 }, () => told("many", "victim", "wrong")));
    expect(await told("locked", "victim", good)).toEqual(wrong);
    const [shortest, longest] = [Math.min(...Object.values(times)), Math.max(times["wrong"]!, times["unknown"]!, times["disabled"]!, times["locked"]!)];
    expect(shortest).toBeGreaterThanOrEqual(249);
    expect(longest - shortest).toBeLessThan(200);
    const entries = await api.call(auditors, "GET", "/api/v1/audit?limit=50");
    expect(entries.body.items.filter((one: { after: { locked?: boolean } | null }) => one.after?.locked === true).length).toBe(1);
  });

  it("unlocks after a quarter of an hour, or by an administrator", async () => {
    const id = await person("locked.out");
    for (let attempt = 0; attempt < 5; attempt++) await signIn("locked.out", "wrong");
    expect((await signIn("locked.out")).status).toBe(401);
    expect((await api.call(operations, "GET", `/api/v1/accounts/${id}`)).body.state).toBe("locked");
    expect((await post(`/accounts/${id}/unlock`, undefined, { as: operations })).body.state).toBe("active");
    await signedIn("locked.out");
    for (let attempt = 0; attempt < 5; attempt++) await signIn("locked.out", "wrong");
    ahead += 15 * 60_000 + 1000;
    await signedIn("locked.out");
  });

  it("counts attempts by account and by address, and says when to come again", async () => {
    ahead += 600_000;
    for (let attempt = 0; attempt < 20; attempt++)
      await api.database.db.updateTable("rate_limits").set({ count: 19 }).where("key", "like", "sign-in:account%").execute();
    await signIn("some.body", "wrong");
    await api.database.db.updateTable("rate_limits").set({ count: 20 }).where("key", "like", "sign-in:account%").execute();
    const refused = await signIn("some.body", "wrong");
    expect(refused).toMatchObject({ status: 429, body: { code: "too-many-requests" } });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(200);
    await api.database.db.updateTable("rate_limits").set({ count: 100 }).where("key", "like", "sign-in:address%").execute();
    expect((await signIn("another.body", "wrong")).status).toBe(429);
    ahead += 300_000;
    expect((await signIn("some.body", "wrong")).status).toBe(401);
  });

  it("takes a code of the second factor once, also of two requests at once; and a recovery code once", async () => {
    ahead += 600_000;
    await person("totp.user");
    const session = await signedIn("totp.user");
    expect((await post("/account/totp", { password: "wrong" }, { as: session })).status).toBe(422);
    const begun = await post("/account/totp", { password: good }, { as: session });
    const secret = fromBase32(begun.body.secret as string);
    expect(begun.body.uri).toMatch(/^otpauth:\/\/totp\/Zhengyun%3Atotp\.user\?secret=[A-Z2-7]{32}&/);
    const code = () => codeAt(secret, stepAt(now()));
    const { recoveryCodes } = (await post("/account/totp/confirm", { code: code() }, { as: session })).body as { recoveryCodes: string[] };
    expect(new Set(recoveryCodes).size).toBe(10);
    expect((await signIn("totp.user")).body.code).toBe("second-factor-needed");
    // The code that confirmed it was used by that.
    expect((await signIn("totp.user", good, { code: code() })).body.code).toBe("sign-in-refused");
    ahead += 30_000;
    const race = await Promise.all([1, 2, 3].map(() => signIn("totp.user", good, { code: code() })));
    expect(race.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 401, 401]);
    const again = await Promise.all([1, 2].map(() => signIn("totp.user", good, { code: recoveryCodes[0] })));
    expect(again.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 401]);
    const kept = await api.database.db.selectFrom("recovery_codes").selectAll().execute();
    expect(JSON.stringify(kept)).not.toContain(recoveryCodes[1]);
    expect((await api.call(session, "GET", "/api/v1/account")).body).toMatchObject({ secondFactor: true, recoveryCodesLeft: 9 });
    expect((await post("/account/totp/remove", { password: good, code: recoveryCodes[1] }, { as: session })).status).toBe(204);
    await signedIn("totp.user");
  });

  it("ends a session by its owner at once, by resting, and after twelve hours; a stranger cannot", async () => {
    ahead += 600_000;
    await person("owner");
    await person("stranger");
    const [mine, stolen, theirs] = [await signedIn("owner"), await signedIn("owner"), await signedIn("stranger")];
    const { items } = (await api.call(mine, "GET", "/api/v1/sessions")).body;
    // Of the link, and two.
    expect(items).toHaveLength(3);
    expect(items[1]).toMatchObject({ current: true, source: "local" });
    const end = (secret: string) => api.call(secret, "DELETE", `/api/v1/sessions/${items[2].id}`);
    expect((await end(theirs)).status).toBe(404);
    expect((await me(stolen)).status).toBe(200);
    expect((await end(mine)).status).toBe(204);
    expect((await me(stolen)).status).toBe(401);
    ahead += 29 * 60_000;
    expect((await me(mine)).status).toBe(200);
    ahead += 29 * 60_000;
    expect((await me(mine)).status).toBe(200);
    expect((await me(theirs)).status).toBe(401);
    for (let rest = 0; rest < 26; rest++, ahead += 29 * 60_000) await me(mine);
    expect((await me(mine)).status).toBe(401);
  });

  it("asks for the old password, takes none of the last five, and ends the other sessions; an old one must be replaced", async () => {
    ahead += 600_000;
    await person("careful");
    const [mine, other] = [await signedIn("careful"), await signedIn("careful")];
    const change = (password: string, newPassword: string) => post("/account/password", { password, newPassword }, { as: mine });
    expect((await change("wrong", "An0ther-long-secret")).status).toBe(422);
    expect((await change(good, good)).body.detail).toContain("one of the last 5");
    expect((await change(good, "An0ther-long-secret")).status).toBe(204);
    expect([(await me(mine)).status, (await me(other)).status]).toEqual([200, 401]);
    expect((await change("An0ther-long-secret", good)).body.detail).toContain("one of the last 5");
    ahead += 91 * 86_400_000;
    operations = await api.token("system-admin");
    expect((await signIn("careful", "An0ther-long-secret")).body).toMatchObject({ status: 403, code: "password-expired" });
    expect((await signIn("careful", "An0ther-long-secret", { newPassword: good })).status).toBe(422);
    expect((await signIn("careful", "An0ther-long-secret", { newPassword: "Th1rd-long-secret" })).status).toBe(200);
  });

  it("keeps a personal token within its scope and its account; a token makes no tokens", async () => {
    ahead += 600_000;
    const id = await person("scripter");
    const session = await signedIn("scripter");
    const ask = { name: "script", scope: "read", expiresAt: new Date(now().getTime() + 86_400_000).toISOString(), password: good };
    expect((await post("/account/tokens", { ...ask, password: "wrong" }, { as: session })).status).toBe(422);
    expect((await post("/account/tokens", { ...ask, expiresAt: new Date(now().getTime() + 400 * 86_400_000).toISOString() }, { as: session })).status).toBe(
      422,
    );
    const reading = (await post("/account/tokens", ask, { as: session })).body;
    const acting = (await post("/account/tokens", { ...ask, scope: "all" }, { as: session })).body;
    expect((await me(reading.secret)).body.name).toBe("scripter");
    expect((await post("/sessions/links", undefined, { as: reading.secret })).body).toMatchObject({
      status: 403,
      detail: "This token reads, and changes nothing.",
    });
    expect((await post("/sessions/links", undefined, { as: acting.secret })).status).toBe(201);
    expect((await post("/account/tokens", ask, { as: acting.secret })).status).toBe(403);
    const kept = await api.database.db.selectFrom("tokens").selectAll().execute();
    expect(JSON.stringify(kept)).not.toContain(reading.secret);
    expect((await api.call(session, "DELETE", `/api/v1/account/tokens/${acting.id}`)).status).toBe(204);
    expect((await me(acting.secret)).status).toBe(401);
    await post(`/accounts/${id}/disable`, undefined, { as: operations });
    expect([(await me(reading.secret)).status, (await me(session)).status]).toEqual([401, 401]);
  });

  it("lets a service act by tokens alone", async () => {
    const service = (await post("/accounts", { name: "exporter", displayName: "Exporter", kind: "service" }, { as: operations })).body;
    expect(service.setUp).toBe(null);
    expect((await post(`/accounts/${service.id}/reset`, undefined, { as: operations })).status).toBe(422);
    expect((await signIn("exporter")).status).toBe(401);
    const ask = { name: "night", expiresAt: new Date(now().getTime() + 86_400_000).toISOString() };
    const { secret } = (await post(`/accounts/${service.id}/tokens`, ask, { as: operations })).body;
    expect((await me(secret)).body).toMatchObject({ name: "Exporter", roles: [] });
    const grant = { subject: service.id, role: "operations", department: null, kind: "standing", reason: "exports at night" };
    expect((await post("/role-bindings", grant, { as: await api.token("security-admin") })).body).toMatchObject({ subjectName: "Exporter" });
    expect((await me(secret)).body).toMatchObject({ name: "Exporter", roles: [{ role: "operations" }] });
    // A token that reads stays one.
    expect((await post("/departments", { code: "x", nameZh: "x", nameEn: "x", level: "city" }, { as: secret })).status).toBe(403);
    const { db } = api.database;
    expect(await namesOf(db, [service.id, "tok_none"])).toEqual(new Map([[service.id, "Exporter"]]));
    expect((await bindingsOf(db, service.id, now()))?.map(({ role }) => role)).toEqual(["operations"]);
    await post(`/accounts/${service.id}/disable`, undefined, { as: operations });
    expect(await bindingsOf(db, service.id, now())).toBe(undefined);
    expect((await me(secret)).status).toBe(401);
    await post(`/accounts/${service.id}/enable`, undefined, { as: operations });
    expect((await me(secret)).status).toBe(200);
    ahead += 2 * 86_400_000;
    expect((await me(secret)).status).toBe(401);
  });
});
