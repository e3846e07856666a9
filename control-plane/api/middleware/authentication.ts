/** Finds out who asks, by bearer token or session cookie. Whether that is enough, each route's rule of access decides. */
import type { MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import { Refusal } from "../../domain/refusal.ts";
import { findSession } from "../../store/sessions.ts";
import { findToken, touchToken, type TokenRow } from "../../store/tokens.ts";
import type { ApiContext, ApiEnv, AppDeps } from "../deps.ts";

export const sessionCookie = "zhengyun_session";

export function authentication(deps: AppDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const now = deps.now();
    const found = await identify(c, deps, now);
    if (found) {
      const { token, expiresAt } = found;
      c.set("principal", { tokenId: token.id, name: token.name, role: token.role, departmentId: token.department_id, expiresAt });
      c.set("act", { actor: token.id, role: token.role, source: clientAddress(c), correlationId: c.get("correlationId"), now });
      await touchToken(deps.db, token, now);
    }
    await next();
  };
}

async function identify(c: ApiContext, deps: AppDeps, now: Date): Promise<{ token: TokenRow; expiresAt: Date | null } | undefined> {
  const header = c.req.header("authorization");
  if (header !== undefined) {
    const secret = /^Bearer +([A-Za-z0-9._~+/=-]{1,200})$/i.exec(header)?.[1];
    const token = secret === undefined ? undefined : await findToken(deps.db, secret, now);
    return token && { token, expiresAt: token.expires_at };
  }
  const cookie = getCookie(c, sessionCookie);
  if (!cookie) return undefined;
  const session = await findSession(deps.db, cookie, now);
  if (!session) return undefined;
  // SameSite=Strict keeps other sites out; this keeps out other origins of the same site.
  const from = c.req.header("sec-fetch-site");
  const changes = c.req.method !== "GET" && c.req.method !== "HEAD";
  if (changes && from !== undefined && from !== "same-origin" && from !== "none")
    throw new Refusal("forbidden", "A session changes things only from the console's own pages.");
  return { token: session.token, expiresAt: session.expiresAt };
}

function clientAddress(c: ApiContext): string {
  const bindings = c.env as { incoming?: { socket?: { remoteAddress?: string } } } | undefined;
  return bindings?.incoming?.socket?.remoteAddress ?? "local";
}
