/** How a browser signs in: by a one-time link that somebody with a token made. */
import { z } from "@hono/zod-openapi";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { Session, SignInLink } from "../../contract/access.ts";
import { isInForce } from "../../domain/authority.ts";
import { departmentNames } from "../../store/departments.ts";
import { endSession, makeLink, openSession, sessionSeconds } from "../../store/sessions.ts";
import type { App, AppDeps } from "../deps.ts";
import { sessionCookie } from "../middleware/authentication.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer } from "../route.ts";
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
  responses: { 204: { description: "Signed out" } },
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
    const cookie = getCookie(c, sessionCookie);
    if (cookie) await deps.db.transaction().execute((tx) => endSession(tx, c.get("act"), cookie));
    deleteCookie(c, sessionCookie, { path: "/" });
    return c.body(null, 204);
  });
  app.openapi(links, (c) =>
    idempotent(c, deps, async (tx) => {
      const { code, expiresAt } = await makeLink(tx, c.get("act"), c.get("holder").id);
      const body: z.infer<typeof SignInLink> = { path: `/sign-in?code=${code}`, expiresAt: expiresAt.toISOString() };
      return { status: 201, body, secret: true };
    }),
  );
  app.openapi(signIn, async (c) => {
    const from = { source: sourceOf(c, deps), correlationId: c.get("correlationId"), now: deps.now() };
    const { secret } = await deps.db.transaction().execute((tx) => openSession(tx, c.req.valid("query").code, from));
    const secure = c.req.url.startsWith("https:") || c.req.header("x-forwarded-proto") === "https";
    setCookie(c, sessionCookie, secret, { httpOnly: true, sameSite: "Strict", path: "/", maxAge: sessionSeconds, secure });
    return c.redirect("/", 303);
  });
}
