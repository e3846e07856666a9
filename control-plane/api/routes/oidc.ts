/** Signing in by an identity provider: the browser goes there and comes back. Nobody is signed in yet here. */
import { z } from "@hono/zod-openapi";
import { getCookie, setCookie } from "hono/cookie";
import { type OidcError, OfferedProvider } from "../../contract/identity-providers.ts";
import { Id } from "../../contract/common.ts";
import { Refusal } from "../../domain/refusal.ts";
import type { Act } from "../../store/act.ts";
import { appendAudit } from "../../store/audit.ts";
import { NotAdmitted, signInByProvider } from "../../store/identities.ts";
import { enabledProviders, getProvider, type ProviderRow } from "../../store/identity-providers.ts";
import { attemptSeconds, beginAttempt, takeAttempt } from "../../store/oidc-attempts.ts";
import { endProviderSessions, idTokenContext, noteProvider, takeLogout } from "../../store/provider-sessions.ts";
import { countAttempt, signInLimits } from "../../store/rate-limits.ts";
import { strangerAct } from "../../store/sign-in.ts";
import type { ApiContext, App, AppDeps } from "../deps.ts";
import { baseUrl } from "../base-url.ts";
import { isHttps, setSessionCookie } from "../middleware/session-cookie.ts";
import { claimsFrom, departTo, logoutFrom } from "../oidc-client.ts";
import { defineRoute, jsonAnswer } from "../route.ts";
import { visitorOf } from "./sign-in.ts";

const tags = ["sign-in"];
const callbackPath = "/sign-in/oidc/callback";
const offered = defineRoute({
  method: "get",
  path: "/api/v1/sign-in/providers",
  tags,
  summary: "Identity providers that one may sign in by",
  responses: { 200: jsonAnswer(z.object({ items: z.array(OfferedProvider) })) },
});
const start = defineRoute({
  method: "get",
  path: "/sign-in/oidc/{id}/start",
  tags,
  summary: "Go to an identity provider to sign in",
  problems: [429],
  request: { params: z.object({ id: Id }) },
  responses: { 303: { description: "Goes on to the provider; to the sign-in page where it does not answer" } },
});
const callback = defineRoute({
  method: "get",
  path: callbackPath,
  tags,
  summary: "Come back from an identity provider",
  problems: [429],
  request: {
    query: z.looseObject({ state: z.string().max(500).optional() }),
  },
  responses: { 303: { description: "Signed in, or not: goes on to the console" } },
});

const backChannel = defineRoute({
  method: "post",
  path: "/sign-in/oidc/{id}/back-channel-logout",
  tags,
  summary: "An identity provider ends sessions that it opened (OpenID Connect Back-Channel Logout 1.0)",
  problems: [429],
  request: {
    params: z.object({ id: Id }),
    body: { content: { "application/x-www-form-urlencoded": { schema: z.object({ logout_token: z.string().min(1).max(20_000) }) } }, required: true },
  },
  responses: { 200: { description: "Ended" } },
});

/** Lax: the provider sends the browser back from another site. It opens nothing by itself, and holds for the way there and back only. */
const cookieName = (c: ApiContext) => (isHttps(c) ? "__Secure-zhengyun_oidc" : "zhengyun_oidc");
const cookiePath = "/sign-in/oidc";

const redirectUri = (c: ApiContext, deps: AppDeps): string => `${baseUrl(c, deps)}${callbackPath}`;
const backToSignIn = (c: ApiContext, code: OidcError) => c.redirect(`/?sign-in-error=${code}`, 303);

export function registerOidc(app: App, deps: AppDeps): void {
  app.openapi(offered, async (c) => {
    const rows = await enabledProviders(deps.db);
    return c.json({ items: rows.map((row): OfferedProvider => ({ id: row.id, nameZh: row.name_zh, nameEn: row.name_en })) });
  });

  app.openapi(callback, async (c) => {
    const visitor = visitorOf(c, deps);
    await countAttempt(deps.db, signInLimits.address, visitor.source, visitor.now);
    const { state } = c.req.valid("query");
    const browser = getCookie(c, cookieName(c));
    const attempt = state === undefined || browser === undefined ? undefined : await takeAttempt(deps.db, state, browser, visitor.now);
    setCookie(c, cookieName(c), "", { path: cookiePath, maxAge: 0, httpOnly: true, sameSite: "Lax", secure: isHttps(c) });
    let provider: ProviderRow | undefined;
    try {
      if (!attempt) throw new NotAdmitted("attempt-unknown");
      provider = await getProvider(deps.db, attempt.provider_id);
      if (!provider.enabled) throw new NotAdmitted("attempt-unknown");
      const returned = new URL(attempt.redirect_uri);
      returned.search = new URL(c.req.url).search;
      const { claims, idToken } = await claimsFrom(provider, returned, { state: state!, nonce: attempt.nonce, verifier: attempt.verifier }, deps);
      const { id: providerId } = provider;
      const opened = await deps.db.transaction().execute(async (tx) => {
        const session = await signInByProvider(tx, provider!, claims, visitor);
        const sid = typeof claims["sid"] === "string" ? claims["sid"] : null;
        await noteProvider(tx, session.id, { providerId, sid, idTokenSealed: deps.seal(idTokenContext(session.id), idToken) });
        return session;
      });
      setSessionCookie(c, opened.secret);
      return c.redirect("/", 303);
    } catch (error) {
      if (!(error instanceof NotAdmitted)) throw error;
      await deps.db.transaction().execute((tx) =>
        appendAudit(tx, strangerAct(visitor), {
          action: "session.open",
          subjectKind: "account",
          subjectId: error.accountId ?? "unknown",
          departmentId: null,
          result: "denied",
          after: { by: provider?.id ?? "identity provider", why: error.code },
        }),
      );
      return backToSignIn(c, error.code);
    }
  });

  app.openapi(backChannel, async (c) => {
    const visitor = visitorOf(c, deps);
    c.header("cache-control", "no-store");
    const provider = await getProvider(deps.db, c.req.valid("param").id);
    const { jti, expiresAt, sid, subject } = await logoutFrom(provider, c.req.valid("form").logout_token, deps).catch(async (error: unknown) => {
      if (error instanceof NotAdmitted) throw new Refusal("unavailable", "The identity provider's keys cannot be read now.");
      // Only what is wrong is counted: a provider may end a whole city's sessions at once.
      await countAttempt(deps.db, signInLimits.address, visitor.source, visitor.now);
      throw error;
    });
    const act: Act = { actor: provider.id, role: "identity-provider", source: visitor.source, correlationId: visitor.correlationId, now: visitor.now };
    await deps.db.transaction().execute(async (tx) => {
      if (!(await takeLogout(tx, provider.id, jti, expiresAt))) throw new Refusal("malformed", "This logout token has been used.");
      await endProviderSessions(tx, act, provider.id, sid === undefined ? { subject: subject! } : { sid }, "the provider ended it");
    });
    return c.body(null, 200);
  });

  app.openapi(start, async (c) => {
    const visitor = visitorOf(c, deps);
    await countAttempt(deps.db, signInLimits.address, visitor.source, visitor.now);
    const provider = await getProvider(deps.db, c.req.valid("param").id);
    if (!provider.enabled) throw new Refusal("not-found", "This identity provider is not offered.");
    try {
      const back = redirectUri(c, deps);
      const { url, ...expected } = await departTo(provider, back, deps);
      const browser = await beginAttempt(deps.db, { provider_id: provider.id, redirect_uri: back, ...expected }, visitor.now);
      setCookie(c, cookieName(c), browser, { path: cookiePath, maxAge: attemptSeconds, httpOnly: true, sameSite: "Lax", secure: isHttps(c) });
      return c.redirect(url.href, 303);
    } catch (error) {
      if (error instanceof NotAdmitted) return backToSignIn(c, error.code);
      throw error;
    }
  });
}
