/** How a browser signs in: by a one-time link that somebody with a token made. */
import { z } from "@hono/zod-openapi";
import { OwnSession } from "../../contract/accounts.ts";
import { pageOf, PageQuery } from "../../contract/common.ts";
import { Session, SignedOut, SignInLink } from "../../contract/access.ts";
import { isInForce } from "../../domain/authority.ts";
import { departmentNames } from "../../store/departments.ts";
import { getProvider } from "../../store/identity-providers.ts";
import { idTokenContext, providerOf } from "../../store/provider-sessions.ts";
import { endOwnSession, endSession, listSessions, makeLink, openSession, type SessionOwner, type SessionRow } from "../../store/sessions.ts";
import type { App, AppDeps, Holder } from "../deps.ts";
import { baseUrl } from "../base-url.ts";
import { endSessionUrl } from "../oidc-client.ts";
import { dropSessionCookie, readSessionCookie, setSessionCookie } from "../middleware/session-cookie.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer } from "../route.ts";
import { sourceOf } from "../source.ts";

const current = defineRoute({
  method: "get",
  path: "/api/v1/sessions/current",
  tags: ["sessions"],
  summary: "Who am I",
  responses: { 200: jsonAnswer(Session) },
});
const end = defineRoute({
  method: "delete",
  path: "/api/v1/sessions/current",
  tags: ["sessions"],
  summary: "Sign out",
  responses: { 200: jsonAnswer(SignedOut, "Signed out") },
});
const links = defineRoute({
  method: "post",
  path: "/api/v1/sessions/links",
  tags: ["sessions"],
  summary: "Make a one-time sign-in link that acts as you do",
  responses: { 201: jsonAnswer(SignInLink, "Made; it can be opened once") },
});
const signIn = defineRoute({
  method: "get",
  path: "/sign-in",
  tags: ["sessions"],
  summary: "Open a one-time sign-in link",
  problems: [401],
  request: { query: z.object({ code: z.string().min(1).max(200) }) },
  responses: { 303: { description: "Signed in; goes on to the console" } },
});

const list = defineRoute({
  method: "get",
  path: "/api/v1/sessions",
  tags: ["sessions"],
  summary: "One's own sessions that hold",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(OwnSession)) },
});
const endOne = defineRoute({
  method: "delete",
  path: "/api/v1/sessions/{id}",
  tags: ["sessions"],
  summary: "End one of one's own sessions, at once",
  request: byId,
  responses: { 204: { description: "Ended" } },
});

const ownerOf = ({ accountId, id }: Holder): SessionOwner => (accountId === undefined ? { token_id: id } : { account_id: accountId });
const shown = (row: SessionRow, current: string | undefined): OwnSession => ({
  id: row.id,
  current: row.id === current,
  source: row.source,
  agent: row.agent,
  createdAt: row.created_at.toISOString(),
  lastSeenAt: row.last_seen_at?.toISOString() ?? null,
  expiresAt: row.expires_at.toISOString(),
});

export function registerSessions(app: App, deps: AppDeps): void {
  app.openapi(current, async (c) => {
    const holder = c.get("holder");
    const held = holder.bindings.filter((binding) => isInForce(binding, deps.now()));
    const names = await departmentNames(
      deps.db,
      held.flatMap((binding) => binding.department ?? []),
    );
    const body: z.infer<typeof Session> = {
      id: holder.id,
      name: holder.name,
      roles: held.map(({ role, department, validUntil }) => ({
        role,
        department,
        departmentName: department === null ? null : (names.get(department) ?? null),
        validUntil: validUntil?.toISOString() ?? null,
      })),
      expiresAt: holder.expiresAt?.toISOString() ?? null,
    };
    return c.json(body);
  });
  app.openapi(end, async (c) => {
    const bearer = /^Bearer +(zys_[A-Za-z0-9_-]+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    const cookie = bearer ?? readSessionCookie(c);
    const by = cookie ? await providerOf(deps.db, cookie) : undefined;
    if (cookie) await deps.db.transaction().execute((tx) => endSession(tx, c.get("act"), cookie));
    dropSessionCookie(c);
    // At the provider too, or whoever comes to this browser next is signed in by one click.
    const url =
      by &&
      (await endSessionUrl(await getProvider(deps.db, by.providerId), deps.unseal(idTokenContext(by.id), by.idTokenSealed), `${baseUrl(c, deps)}/`, deps));
    const body: SignedOut = { providerLogout: url ?? null };
    return c.json(body);
  });
  app.openapi(list, async (c) => {
    const viewer = c.get("holder");
    const { items, next } = await listSessions(deps.db, ownerOf(viewer), deps.now(), c.req.valid("query"));
    return c.json({ items: items.map((row) => shown(row, viewer.sessionId)), next });
  });
  app.openapi(endOne, async (c) => {
    await deps.db.transaction().execute((tx) => endOwnSession(tx, c.get("act"), ownerOf(c.get("holder")), c.req.valid("param").id));
    return c.body(null, 204);
  });
  app.openapi(links, (c) =>
    idempotent(c, deps, async (tx) => {
      const { code, expiresAt } = await makeLink(tx, c.get("act"), ownerOf(c.get("holder")));
      const body: z.infer<typeof SignInLink> = { path: `/sign-in?code=${code}`, expiresAt: expiresAt.toISOString() };
      return { status: 201, body, secret: true };
    }),
  );
  app.openapi(signIn, async (c) => {
    const from = { source: sourceOf(c, deps), correlationId: c.get("correlationId"), now: deps.now() };
    const { secret } = await deps.db.transaction().execute((tx) => openSession(tx, c.req.valid("query").code, from));
    setSessionCookie(c, secret);
    return c.redirect("/", 303);
  });
}
