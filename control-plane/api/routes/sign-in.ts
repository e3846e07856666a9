/** Signing in by name and password, and the one-time links by which people come to have a password. Nobody is signed in yet here. */
import { LinkPurpose, ReadLink, SignedIn, SignIn, UseLink } from "../../contract/accounts.ts";
import { Refusal } from "../../domain/refusal.ts";
import { readLink, takeLink } from "../../store/account-links.ts";
import { hashNewPassword, keepPassword } from "../../store/account-passwords.ts";
import type { AccountRow } from "../../store/accounts.ts";
import { countAttempt, signInLimits } from "../../store/rate-limits.ts";
import type { Opened } from "../../store/sessions.ts";
import { actOf, admit, signIn as signInTo, strangerAct, type Visitor } from "../../store/sign-in.ts";
import type { ApiContext, App, AppDeps } from "../deps.ts";
import { isSameOrigin } from "../middleware/authentication.ts";
import { setSessionCookie } from "../middleware/session-cookie.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { sourceOf } from "../source.ts";

const tags = ["sign-in"];
const signIn = defineRoute({
  method: "post",
  path: "/api/v1/sign-in",
  tags,
  summary: "Sign in to an account",
  problems: [401, 403, 429],
  request: { body: jsonBody(SignIn) },
  responses: { 200: jsonAnswer(SignedIn, "Signed in") },
});
const readOne = defineRoute({
  method: "post",
  path: "/api/v1/account-links/read",
  tags,
  summary: "What a one-time link is for; leaves it as it is",
  problems: [401, 403, 429],
  request: { body: jsonBody(ReadLink) },
  responses: { 200: jsonAnswer(LinkPurpose) },
});
const useOne = defineRoute({
  method: "post",
  path: "/api/v1/account-links/use",
  tags,
  summary: "Set the account's password by a one-time link, and sign in",
  problems: [401, 403, 429],
  request: { body: jsonBody(UseLink) },
  responses: { 200: jsonAnswer(SignedIn, "Set, and signed in") },
});

export function visitorOf(c: ApiContext, deps: AppDeps): Visitor {
  return { source: sourceOf(c, deps), agent: c.req.header("user-agent") ?? "", correlationId: c.get("correlationId"), now: deps.now() };
}

/** Another site could sign its visitor in to an account of its own choice, and watch what they do there. */
function requireOwnPages(c: ApiContext): void {
  if (!isSameOrigin(c)) throw new Refusal("forbidden", "Signing in happens on the console's own pages only.");
}

export function registerSignIn(app: App, deps: AppDeps): void {
  const answer = (c: ApiContext, account: AccountRow, { secret, expiresAt }: Opened, shown: boolean) => {
    if (!shown) setSessionCookie(c, secret);
    const body: SignedIn = { account: account.id, name: account.display_name, expiresAt: expiresAt.toISOString(), secret: shown ? secret : null };
    return c.json(body);
  };
  app.openapi(signIn, async (c) => {
    requireOwnPages(c);
    const { session, ...ask } = c.req.valid("json");
    const { account, ...opened } = await signInTo(deps.db, deps, ask, visitorOf(c, deps));
    return answer(c, account, opened, session === "bearer");
  });
  app.openapi(readOne, async (c) => {
    requireOwnPages(c);
    const { source, now } = visitorOf(c, deps);
    await countAttempt(deps.db, signInLimits.address, source, now);
    const account = await readLink(deps.db, c.req.valid("json").code, now);
    const body: LinkPurpose = { purpose: account ? "set-up" : "bootstrap", name: account?.name ?? null, displayName: account?.display_name ?? null };
    return c.json(body);
  });
  app.openapi(useOne, async (c) => {
    requireOwnPages(c);
    const visitor = visitorOf(c, deps);
    const { code, password, name, displayName } = c.req.valid("json");
    await countAttempt(deps.db, signInLimits.address, visitor.source, visitor.now);
    const known = await readLink(deps.db, code, visitor.now);
    if (!known && name === null)
      throw new Refusal("rule-broken", "The first administrator needs a name.", { errors: [{ pointer: "/name", detail: "is missing" }] });
    const hash = await hashNewPassword(deps.db, { id: known?.id ?? null, name: known?.name ?? name! }, password);
    const done = await deps.db.transaction().execute(async (tx) => {
      const account = await takeLink(tx, strangerAct(visitor), code, { name: name ?? "", displayName: displayName ?? name ?? "" });
      const act = actOf(account, visitor);
      await keepPassword(tx, act, account, hash);
      return { account, opened: await admit(tx, act, account, visitor, "link") };
    });
    return answer(c, done.account, done.opened, false);
  });
}
