/** Finds out who asks, by bearer token or session cookie. Whether that is enough, each route's rule of access decides. */
import type { MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import { Refusal } from "../../domain/refusal.ts";
import { heldOf } from "../../store/role-bindings.ts";
import { findSession } from "../../store/sessions.ts";
import { inBatches } from "../../store/batches.ts";
import { findTokens, isUsable, touchToken, type HoldingToken } from "../../store/tokens.ts";
import type { ApiContext, ApiEnv, AppDeps } from "../deps.ts";
import { sourceOf } from "../source.ts";

export const sessionCookie = "zhengyun_session";

export function authentication(deps: AppDeps): MiddlewareHandler<ApiEnv> {
  // Always read, never remembered: a token that was revoked is nobody's at once. What comes together is read together.
  const findToken = inBatches((secrets: readonly string[]) => findTokens(deps.db, secrets));
  return async (c, next) => {
    const now = deps.now();
    c.set("db", deps.db);
    const found = await identify(c, deps, findToken, now);
    // A token that has ended is nobody's, but whose it was goes into the audit with the denial.
    if (found) {
      c.set("act", { actor: found.token.id, role: "", source: sourceOf(c, deps), correlationId: c.get("correlationId"), now });
      if (found.session) requireSameOrigin(c);
    }
    if (found && isUsable(found.token, now)) {
      const { token, expiresAt } = found;
      c.set("holder", { id: token.id, name: token.name, bindings: heldOf(token.held), expiresAt });
      await touchToken(deps.db, token, now);
    }
    await next();
  };
}

async function identify(
  c: ApiContext,
  deps: AppDeps,
  findToken: (secret: string) => Promise<HoldingToken | undefined>,
  now: Date,
): Promise<{ token: HoldingToken; expiresAt: Date | null; session: boolean } | undefined> {
  const header = c.req.header("authorization");
  if (header !== undefined) {
    const secret = /^Bearer +([A-Za-z0-9._~+/=-]{1,200})$/i.exec(header)?.[1];
    const token = secret === undefined ? undefined : await findToken(secret);
    return token && { token, expiresAt: token.expires_at, session: false };
  }
  const cookie = getCookie(c, sessionCookie);
  if (!cookie) return undefined;
  const session = await findSession(deps.db, cookie, now);
  return session && { token: session.token, expiresAt: session.expiresAt, session: true };
}

/** SameSite=Strict keeps other sites out; this keeps out other origins of the same site. */
function requireSameOrigin(c: ApiContext): void {
  const changes = c.req.method !== "GET" && c.req.method !== "HEAD";
  if (changes && !isSameOrigin(c)) throw new Refusal("forbidden", "A session changes things only from the console's own pages.");
}

/** Browsers send Sec-Fetch-Site over https and to this machine only; over plain http, Origin is all there is. Programs send neither. */
function isSameOrigin(c: ApiContext): boolean {
  const from = c.req.header("sec-fetch-site");
  if (from !== undefined) return from === "same-origin" || from === "none";
  const origin = c.req.header("origin");
  if (origin === undefined) return true;
  const host = c.req.header("host") ?? new URL(c.req.url).host;
  return URL.canParse(origin) && new URL(origin).host === host;
}
