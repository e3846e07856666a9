/** An identity provider ends what it opened, and nothing else can. */
import type { JWTPayload } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemAct } from "../../../control-plane/store/act.ts";
import { createAccount } from "../../../control-plane/store/accounts.ts";
import { linkIdentity } from "../../../control-plane/store/identities.ts";
import { getProvider } from "../../../control-plane/store/identity-providers.ts";
import { noteProvider } from "../../../control-plane/store/provider-sessions.ts";
import { openAccountSession } from "../../../control-plane/store/sessions.ts";
import { openApp, type TestApp } from "../../setup/app.ts";
import { engines } from "../../setup/databases.ts";
import { type Issuer, logoutClaims, startIssuer } from "../../setup/issuer.ts";

describe.each(engines)("logging out by the identity provider, on %s", (engine) => {
  let api: TestApp;
  let of: Issuer;
  let operator: string;
  let provider: string;
  const clientId = "zhengyun";
  beforeEach(async () => {
    api = await openApp(engine, { oidcLoopback: true });
    of = await startIssuer();
    operator = await api.token("system-admin");
    const body = { issuer: of.issuer, clientId, nameZh: "x", nameEn: "x" };
    provider = ((await api.call(operator, "POST", "/api/v1/identity-providers", { body })).body as { id: string }).id;
  });
  afterEach(async () => {
    await of.close();
    await api.close();
  });

  /** Somebody whom the provider let in. @returns whether the session holds */
  async function person(subject: string, sid: string | null) {
    const now = new Date();
    const { secret, id, accountId } = await api.database.db.transaction().execute(async (tx) => {
      const known = await tx.selectFrom("identities").select("account_id").where("subject", "=", subject).executeTakeFirst();
      const account = known?.account_id ?? (await createAccount(tx, systemAct(now), { name: subject, displayName: subject, kind: "person" })).id;
      if (!known) await linkIdentity(tx, systemAct(now), await getProvider(tx, provider), { accountId: account, subject });
      const opened = await openAccountSession(tx, account, { source: "127.0.0.1", agent: "test", now });
      await noteProvider(tx, opened.id, { providerId: provider, sid, idTokenSealed: "sealed" });
      return { ...opened, accountId: account };
    });
    return { id, accountId, holds: async () => (await api.call(secret, "GET", "/api/v1/sessions/current")).status === 200 };
  }
  const send = async (token: string, to = provider) => {
    const answer = await api.app.request(`/sign-in/oidc/${to}/back-channel-logout`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ logout_token: token }).toString(),
    });
    expect(answer.headers.get("cache-control")).toBe("no-store");
    return answer.status;
  };
  const claims = (more: JWTPayload) => logoutClaims({ issuer: of.issuer, clientId }, more);

  it("ends the session that is named, once; without a name all of the person's, and never anybody else's", async () => {
    const [first, second, other] = [await person("4711", "a"), await person("4711", "b"), await person("4712", "a2")];
    const token = await of.sign(claims({ sid: "a", sub: "4711" }), { typ: "logout+jwt" });
    expect(await send(token)).toBe(200);
    expect([await first.holds(), await second.holds(), await other.holds()]).toEqual([false, true, true]);
    expect(await send(token), "used").toBe(400);
    expect(await send(await of.sign(claims({ sub: "4711" })))).toBe(200);
    expect([await second.holds(), await other.holds()]).toEqual([false, true]);
    const ended = await api.database.db.selectFrom("audit_entries").selectAll().where("action", "=", "session.end").execute();
    expect(ended.map((one) => [one.actor, one.role])).toEqual([
      [provider, "identity-provider"],
      [provider, "identity-provider"],
    ]);
  });

  it("ends nothing by a token that is not whole, not the provider's, or not for us", async () => {
    const held = await person("4711", "a");
    const now = Math.floor(Date.now() / 1000);
    const right = { sid: "a" };
    const wrong: [string, string][] = [
      ["of a foreign key", await of.sign(claims(right), { foreign: true })],
      ["for somebody else", await of.sign(claims({ ...right, aud: "another" }))],
      ["of another issuer", await of.sign(claims({ ...right, iss: "https://other.example" }))],
      ["an ID token", await of.sign(claims({ ...right, events: undefined }))],
      ["with a nonce", await of.sign(claims({ ...right, nonce: "n" }))],
      ["of another event", await of.sign(claims({ ...right, events: { "https://other.example": {} } }))],
      ["of another type", await of.sign(claims(right), { typ: "at+jwt" })],
      ["of nobody", await of.sign(claims({}))],
      ["over", await of.sign(claims({ ...right, iat: now - 200, exp: now - 100 }))],
      ["old", await of.sign(claims({ ...right, iat: now - 3600, exp: now + 100 }))],
      ["without an id", await of.sign(claims({ ...right, jti: undefined }))],
      ["none", "x.y.z"],
    ];
    for (const [what, token] of wrong) expect(await send(token), what).toBe(400);
    const unsigned = [{ alg: "none" }, claims(right)].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    expect(await send(`${unsigned}.`), "unsigned").toBe(400);
    expect(await send(await of.sign(claims(right)), "idp_00000000000000000000000000")).toBe(404);
    expect(await held.holds()).toBe(true);
  });

  it("lets go whom the provider let in when it is offered no more, or when an account is unlinked from it", async () => {
    const [first, second] = [await person("4711", "a"), await person("4712", "b")];
    expect((await api.call(operator, "DELETE", `/api/v1/identity-providers/${provider}/identities/${first.accountId}`)).status).toBe(204);
    expect([await first.holds(), await second.holds()]).toEqual([false, true]);
    expect((await api.call(operator, "DELETE", `/api/v1/identity-providers/${provider}/identities/${first.accountId}`)).status).toBe(404);
    await api.call(operator, "PATCH", `/api/v1/identity-providers/${provider}`, { body: { enabled: false }, headers: { "if-match": "*" } });
    expect(await second.holds()).toBe(false);
  });
});
