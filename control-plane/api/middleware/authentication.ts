/** Finds out who asks, by bearer token or session cookie. Whether that is enough, each route's rule of access decides. */
import type { MiddlewareHandler } from "hono";
import { Refusal } from "../../domain/refusal.ts";
import type { Act } from "../../store/act.ts";
import { getHoldingAccount, type HoldingAccount } from "../../store/accounts.ts";
import { heldOf } from "../../store/role-bindings.ts";
import { findSession, sessionPrefix } from "../../store/sessions.ts";
import { inBatches } from "../../store/batches.ts";
import { findTokens, isUsable, touchToken, type HoldingToken } from "../../store/tokens.ts";
import type { ApiContext, ApiEnv, AppDeps, Holder } from "../deps.ts";
import { sourceOf } from "../source.ts";
import { readSessionCookie } from "./session-cookie.ts";

/** Who was found, usable or not. */
interface Found {
  /** An account's token: recorded beside the address. Who acts is the account, by whichever of its tokens. */
  via?: string;
  holder: Holder;
  usable: boolean;
  readOnly: boolean;
  touch?: () => Promise<void>;
}

export function authentication(deps: AppDeps): MiddlewareHandler<ApiEnv> {
  // Always read, never remembered: a token that was revoked is nobody's at once. What comes together is read together.
  const findToken = inBatches((secrets: readonly string[]) => findTokens(deps.db, secrets));
  return async (c, next) => {
    const now = deps.now();
    c.set("db", deps.db);
    const found = await identify(c, deps, findToken, now);
    // A token that has ended is nobody's, but whose it was goes into the audit with the denial.
    if (found) c.set("act", actOf(c, deps, found, now));
    if (found?.cookie) requireSameOrigin(c);
    if (found?.usable) {
      c.set("holder", found.holder);
      await found.touch?.();
      if (found.readOnly && changes(c)) throw new Refusal("forbidden", "This token reads, and changes nothing.");
    }
    await next();
  };
}

function actOf(c: ApiContext, deps: AppDeps, { holder, via }: Found, now: Date): Act {
  const address = sourceOf(c, deps);
  return { actor: holder.id, role: "", source: via ? `${address} ${via}` : address, correlationId: c.get("correlationId"), now };
}

const changes = (c: ApiContext) => c.req.method !== "GET" && c.req.method !== "HEAD";

async function identify(
  c: ApiContext,
  deps: AppDeps,
  findToken: (secret: string) => Promise<HoldingToken | undefined>,
  now: Date,
): Promise<(Found & { cookie?: boolean }) | undefined> {
  const header = c.req.header("authorization");
  if (header !== undefined) {
    const secret = /^Bearer +([A-Za-z0-9._~+/=-]{1,200})$/i.exec(header)?.[1];
    if (secret?.startsWith(`${sessionPrefix}_`)) return bySession(deps, secret, now);
    const token = secret === undefined ? undefined : await findToken(secret);
    return token && byToken(deps, token, now);
  }
  const cookie = readSessionCookie(c);
  if (!cookie) return undefined;
  const found = await bySession(deps, cookie, now);
  return found && { ...found, cookie: true };
}

/** SameSite=Strict keeps other sites out; this keeps out other origins of the same site. */
function requireSameOrigin(c: ApiContext): void {
  if (changes(c) && !isSameOrigin(c)) throw new Refusal("forbidden", "A session changes things only from the console's own pages.");
}

async function bySession(deps: AppDeps, secret: string, now: Date): Promise<Found | undefined> {
  const session = await findSession(deps.db, secret, now);
  if (!session) return undefined;
  const of = { sessionId: session.id, expiresAt: session.expiresAt };
  if (session.account) return { holder: { ...ofAccount(session.account), ...of }, usable: true, readOnly: false };
  const found = session.token && (await byToken(deps, session.token, now));
  return found && { ...found, holder: { ...found.holder, ...of } };
}

async function byToken(deps: AppDeps, token: HoldingToken, now: Date): Promise<Found> {
  const touch = () => touchToken(deps.db, token, now);
  const usable = isUsable(token, now);
  const end = { expiresAt: token.expires_at };
  if (token.account_id !== null) {
    const account = await getHoldingAccount(deps.db, token.account_id);
    return { via: token.id, holder: { ...ofAccount(account), ...end }, usable: usable && !account.disabled_at, readOnly: token.read_only, touch };
  }
  return { holder: { id: token.id, name: token.name, bindings: heldOf(token.held), ...end }, usable, readOnly: token.read_only, touch };
}

const ofAccount = (account: HoldingAccount) => ({ id: account.id, accountId: account.id, name: account.display_name, bindings: heldOf(account.held) });

/** Browsers send Sec-Fetch-Site over https and to this machine only; over plain http, Origin is all there is. Programs send neither. */
export function isSameOrigin(c: ApiContext): boolean {
  const from = c.req.header("sec-fetch-site");
  if (from !== undefined) return from === "same-origin" || from === "none";
  const origin = c.req.header("origin");
  if (origin === undefined) return true;
  const host = c.req.header("host") ?? new URL(c.req.url).host;
  return URL.canParse(origin) && new URL(origin).host === host;
}
