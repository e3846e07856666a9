/** Signing in by an identity provider: the browser goes there and comes back. Nobody is signed in yet here. */
import { z } from "@hono/zod-openapi";
import { getCookie, setCookie } from "hono/cookie";
import { type OidcError, OfferedProvider } from "../../contract/identity-providers.ts";
import { Id } from "../../contract/common.ts";
import { Refusal } from "../../domain/refusal.ts";
import { appendAudit } from "../../store/audit.ts";
import { NotAdmitted, signInByProvider } from "../../store/identities.ts";
import { enabledProviders, getProvider, type ProviderRow } from "../../store/identity-providers.ts";
import { attemptSeconds, beginAttempt, takeAttempt } from "../../store/oidc-attempts.ts";
import { countAttempt, signInLimits } from "../../store/rate-limits.ts";
import { strangerAct } from "../../store/sign-in.ts";
import type { ApiContext, App, AppDeps } from "../deps.ts";
import { isHttps, setSessionCookie } from "../middleware/session-cookie.ts";
import { claimsFrom, departTo } from "../oidc-client.ts";
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

/** Lax: the provider sends the browser back from another site. It opens nothing by itself, and holds for the way there and back only. */
const cookieName = (c: ApiContext) => (isHttps(c) ? "__Secure-zhengyun_oidc" : "zhengyun_oidc");
const cookiePath = "/sign-in/oidc";

const redirectUri = (c: ApiContext, deps: AppDeps): string => {
  const asked = new URL(c.req.url);
  return `${deps.publicUrl ?? `${isHttps(c) ? "https" : asked.protocol.slice(0, -1)}://${c.req.header("host") ?? asked.host}`}${callbackPath}`;
};
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
      const claims = await claimsFrom(provider, returned, { state: state!, nonce: attempt.nonce, verifier: attempt.verifier }, deps);
      const opened = await deps.db.transaction().execute((tx) => signInByProvider(tx, provider!, claims, visitor));
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
