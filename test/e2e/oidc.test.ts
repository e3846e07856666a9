/** Signing in by a real OpenID provider: in Chromium, and by whoever tries what is not meant. */
import { decodeJwt } from "jose";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, createClient } from "../../control-plane/cli/client.ts";
import type { Account } from "../../control-plane/contract/accounts.ts";
import type { AuditEntry } from "../../control-plane/contract/audit.ts";
import type { IdentityProvider } from "../../control-plane/contract/identity-providers.ts";
import type { RoleBinding } from "../../control-plane/contract/roles.ts";
import { waitFor } from "../../control-plane/cli/wait.ts";
import { type Issuer, startIssuer } from "../setup/issuer.ts";
import { openChromium, picture } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { type OidcProvider, startOidcProvider } from "../setup/oidc-provider.ts";

/** With another content under the same signature. */
function swapped(token: string, claims: object): string {
  const [header, payload, signature] = token.split(".") as [string, string, string];
  const read = JSON.parse(Buffer.from(payload, "base64url").toString()) as object;
  return [header, Buffer.from(JSON.stringify({ ...read, ...claims })).toString("base64url"), signature].join(".");
}

describe("signing in by an identity provider", { timeout: 120_000 }, () => {
  let startedIssuer: Issuer;
  const plane = new TestPlane();
  let sso: OidcProvider;
  let made: IdentityProvider;
  let security: Client;
  let browser: Browser;

  beforeAll(async () => {
    startedIssuer = await startIssuer();
    await plane.start({ ZHENGYUN_OIDC_LOOPBACK: "true" });
    await plane.fill();
    const { url } = plane.operations;
    sso = await startOidcProvider(`${url}/sign-in/oidc/callback`, {
      "4711": { name: "张伟", preferred_username: "Zhang.Wei", groups: ["office-applicants", "others"] },
      "4712": { name: "李娜", preferred_username: "zhang.wei", groups: [] },
      "4713": { name: "赵敏", preferred_username: "zhao", groups: ["system", "security"] },
    });
    security = createClient({ url, token: await plane.grant("security-admin") });
    made = await plane.operations.post<IdentityProvider>("/api/v1/identity-providers", {
      issuer: sso.issuer,
      clientId: sso.clientId,
      clientSecret: sso.clientSecret,
      nameZh: "统一身份认证",
      nameEn: "City SSO",
      makesAccounts: true,
    });
    made = await security.put<IdentityProvider>(
      `/api/v1/identity-providers/${made.id}/mapping`,
      {
        mapping: [
          { claim: "groups", value: "office-applicants", role: "applicant", department: "office" },
          { claim: "groups", value: "system", role: "system-admin" },
          { claim: "groups", value: "security", role: "security-admin" },
        ],
      },
      made.revision,
    );
    sso.register(made.register);
    browser = await openChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await sso?.close();
    await startedIssuer?.close();
    await plane.remove();
  });

  const open = async (locale = "zh-CN"): Promise<Page> => {
    const context = await browser.newContext({ baseURL: plane.operations.url, locale, viewport: { width: 1280, height: 900 } });
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    await page.goto("/");
    return page;
  };
  /** To the provider, and through its own pages. */
  const comeBackAs = async (page: Page, sub: string, button = "使用统一身份认证登录"): Promise<void> => {
    await page.getByRole("link", { name: button }).click();
    await page.locator("input[name=login]").fill(sub);
    await page.locator("input[name=password]").fill("any");
    await page.getByRole("button", { name: "Sign-in" }).click();
    await page.getByRole("button", { name: "Continue" }).click();
    await page.waitForURL((url) => url.origin === plane.operations.url);
  };
  const accounts = () => Array.fromAsync(plane.operations.all<Account>("/api/v1/accounts"));
  const rolesOf = async (subject: string) =>
    (await Array.fromAsync(plane.operations.all<RoleBinding>("/api/v1/role-bindings", { subject })))
      .filter((one) => one.revokedAt === null)
      .map((one) => one.role);

  it("makes the account at the first sign-in, with the roles of the claims; none of them is left when the claims go", async () => {
    const page = await open();
    await page.getByRole("link", { name: "使用统一身份认证登录" }).waitFor();
    await picture(page, "sign-in-by-provider");
    await comeBackAs(page, "4711");
    await page.getByRole("link", { name: "张伟" }).waitFor();
    await page.getByText("申请人").first().waitFor();
    const account = (await accounts()).find((one) => one.displayName === "张伟")!;
    expect(account).toMatchObject({ name: "zhang.wei", kind: "person" });
    expect(await rolesOf(account.id)).toEqual(["applicant"]);
    await page.context().close();

    // A role that was granted by hand is none of the provider's business.
    await security.post("/api/v1/role-bindings", { subject: account.id, role: "finance", department: "city", reason: "by hand" });
    sso.people["4711"]!["groups"] = [];
    const again = await open("en");
    await comeBackAs(again, "4711", "Sign in by City SSO");
    await again.getByRole("link", { name: "张伟" }).waitFor();
    expect(await rolesOf(account.id)).toEqual(["finance"]);
    await again.context().close();
  });

  it("never takes another's account for somebody's by its name", async () => {
    const page = await open();
    await comeBackAs(page, "4712");
    await page.getByRole("link", { name: "李娜" }).waitFor();
    expect((await accounts()).filter((one) => one.name.startsWith("zhang.wei")).map((one) => [one.name, one.displayName])).toEqual([
      ["zhang.wei", "张伟"],
      ["zhang.wei-2", "李娜"],
    ]);
    await page.context().close();
  });

  it("gives nobody two of the three administrators' roles, and says so", async () => {
    const page = await open();
    await comeBackAs(page, "4713");
    await page.getByRole("alert").getByText("互斥").waitFor();
    expect(
      (await accounts()).some((one) => one.displayName === "赵敏"),
      "nothing of it is left",
    ).toBe(false);
    await page.context().close();
  });

  it("lets nobody in whose account is disabled", async () => {
    const account = (await accounts()).find((one) => one.displayName === "李娜")!;
    await plane.operations.post(`/api/v1/accounts/${account.id}/disable`, {});
    const page = await open();
    await comeBackAs(page, "4712");
    await page.getByRole("alert").getByText("停用").waitFor();
    await page.context().close();
  });

  it("takes a return once, and only from the browser that went", async () => {
    const page = await open();
    const returns: string[] = [];
    page.on("request", (request) => {
      if (request.url().includes("/sign-in/oidc/callback?")) returns.push(request.url());
    });
    await comeBackAs(page, "4711");
    await page.getByRole("link", { name: "张伟" }).waitFor();
    const errorOf = async (url: string, headers: Record<string, string> = {}) => {
      const answer = await fetch(url, { redirect: "manual", headers });
      expect(
        answer.headers.getSetCookie().some((one) => one.startsWith("zhengyun_session=")),
        "no session",
      ).toBe(false);
      return new URL(answer.headers.get("location") ?? "", url).searchParams.get("sign-in-error");
    };
    expect(await errorOf(returns[0]!)).toBe("attempt-unknown");
    const cookie = (await page.context().cookies()).map((one) => `${one.name}=${one.value}`).join("; ");
    expect(await errorOf(returns[0]!, { cookie }), "used already").toBe("attempt-unknown");

    // Somebody else's browser, with a state of its own: a code that was stolen on the way is of no use.
    const begun = await fetch(`${plane.operations.url}/sign-in/oidc/${made.id}/start`, { redirect: "manual" });
    const own = begun.headers.getSetCookie()[0]!.split(";")[0]!;
    const state = new URL(begun.headers.get("location")!).searchParams.get("state")!;
    const stolen = new URL(returns[0]!);
    stolen.searchParams.set("state", state);
    expect(await errorOf(stolen.href), "without its cookie").toBe("attempt-unknown");
    expect(await errorOf(stolen.href, { cookie: own }), "the code was given for another verifier").toBe("provider-refused");
    expect(begun.headers.getSetCookie()[0]).toMatch(/HttpOnly/);
    expect(begun.headers.getSetCookie()[0]).toMatch(/SameSite=Lax/);
    expect(new URL(begun.headers.get("location")!).searchParams.get("code_challenge_method")).toBe("S256");
    await page.context().close();
  });

  it("takes an ID token by nobody's word but the provider's own, for us, for this sign-in, now", async () => {
    const own = startedIssuer;
    const now = Math.floor(Date.now() / 1000);
    const changes: [string, (token: string) => Promise<string>][] = [
      ["signed by a foreign key", (token) => own.sign(decodeJwt(token))],
      ["changed after it was signed", async (token) => swapped(token, { sub: "4712" })],
      ["unsigned", async (token) => `${Buffer.from('{"alg":"none"}').toString("base64url")}.${token.split(".")[1]!}.`],
      ["for another client", (token) => own.sign({ ...decodeJwt(token), aud: "another" })],
      ["for another sign-in", (token) => own.sign({ ...decodeJwt(token), nonce: "another" })],
      ["over", (token) => own.sign({ ...decodeJwt(token), exp: now - 3600 })],
    ];
    for (const [what, tamper] of changes) {
      sso.tamper = tamper;
      const page = await open();
      await comeBackAs(page, "4711");
      await page.getByRole("alert").getByText("未通过").waitFor();
      expect(
        (await page.context().cookies()).some((one) => one.name === "zhengyun_session"),
        what,
      ).toBe(false);
      await page.context().close();
    }
    sso.tamper = undefined;
  });

  it("signs out of the provider too, and is signed out within a second when the provider says so", async () => {
    const [first, second] = [await open(), await open()];
    for (const page of [first, second]) {
      await comeBackAs(page, "4711");
      await page.getByRole("link", { name: "张伟" }).waitFor();
    }
    const cookie = (await second.context().cookies()).map((one) => `${one.name}=${one.value}`).join("; ");
    const holds = async () => (await fetch(`${plane.operations.url}/api/v1/sessions/current`, { headers: { cookie } })).status;

    // Here, and by that at the provider: the next sign-in asks who it is.
    await first.getByRole("button", { name: "退出" }).click();
    await first.getByRole("button", { name: "Yes, sign me out" }).click();
    await first.waitForURL((url) => url.origin === plane.operations.url);
    await first.getByRole("heading", { name: "请登录" }).waitFor();
    await first.getByRole("link", { name: "使用统一身份认证登录" }).click();
    await first.locator("input[name=login]").waitFor();
    expect(await holds(), "another session of the provider's").toBe(200);

    // At the provider, elsewhere: the session here ends.
    await second.goto(`${sso.issuer}/session/end`);
    await second.getByRole("button", { name: "Yes, sign me out" }).click();
    const begun = performance.now();
    await waitFor(holds, (status) => status === 401, { intervalMs: 50, timeoutMs: 5000 });
    expect(performance.now() - begun).toBeLessThan(1000);
    for (const page of [first, second]) await page.context().close();
  });

  it("is in the audit: who was let in by which provider, and who was not", async () => {
    const auditor = createClient({ url: plane.operations.url, token: await plane.grant("audit-admin") });
    const opened = await Array.fromAsync(auditor.all<AuditEntry>("/api/v1/audit", { action: "session.open" }));
    expect(opened.filter((one) => one.result === "done" && (one.after as { by?: string }).by === made.id).length).toBeGreaterThan(2);
    expect(opened.filter((one) => one.result === "denied").map((one) => (one.after as { why?: string }).why)).toContain("roles-conflict");
    const granted = await Array.fromAsync(auditor.all<AuditEntry>("/api/v1/audit", { actor: made.id }));
    expect(granted.map((one) => one.action)).toEqual(expect.arrayContaining(["account.create", "role.grant", "role.revoke"]));
  });

  it("refuses a provider that does not know us by our secret, and one that does not answer; name and password go on", async () => {
    const port = Number(new URL(sso.issuer).port);
    const page = await open();
    await page.getByRole("link", { name: "使用统一身份认证登录" }).click();
    await page.locator("input[name=login]").waitFor();
    await sso.close();
    const error = async () => {
      const answer = await fetch(`${plane.operations.url}/sign-in/oidc/${changed.id}/start`, { redirect: "manual" });
      return new URL(answer.headers.get("location") ?? "", plane.operations.url).searchParams.get("sign-in-error");
    };
    // Changed, so that nothing of it is remembered.
    const changed = await plane.operations.patch<IdentityProvider>(`/api/v1/identity-providers/${made.id}`, { nameEn: "SSO" }, made.revision);
    expect(await error()).toBe("provider-unreachable");
    const people = sso.people;
    sso = await startOidcProvider(`${plane.operations.url}/sign-in/oidc/callback`, people, { port, clientSecret: "another-secret-than-the-one-that-is-kept" });
    const other = await open();
    await comeBackAs(other, "4711");
    await other.getByRole("alert").getByText("未通过").waitFor();
    await other.getByLabel("密码").waitFor();
    await other.context().close();
    await page.context().close();
  });

  it("is set up by two administrators, neither of whom can do the other's part", async () => {
    await expect(security.post("/api/v1/identity-providers", { issuer: "https://x.example", clientId: "x", nameZh: "x", nameEn: "x" })).rejects.toMatchObject({
      problem: { code: "forbidden" },
    });
    const { revision } = await plane.operations.get<IdentityProvider>(`/api/v1/identity-providers/${made.id}`);
    await expect(plane.operations.put(`/api/v1/identity-providers/${made.id}/mapping`, { mapping: [] }, revision)).rejects.toMatchObject({
      problem: { code: "forbidden" },
    });
    await expect(
      plane.operations.post("/api/v1/identity-providers", { issuer: "http://sso.example", clientId: "x", nameZh: "x", nameEn: "x" }),
    ).rejects.toMatchObject({ problem: { errors: [{ pointer: "/issuer", detail: "begins with http:" }] } });
    expect(JSON.stringify(await plane.operations.get(`/api/v1/identity-providers/${made.id}`))).not.toContain(sso.clientSecret);
  });
});
