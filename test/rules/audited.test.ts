/** The audit is complete: whoever does something, and whoever may not, is in it, with role, place and correlation id. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findTokens, hashSecret } from "../../control-plane/store/tokens.ts";
import { accessTable } from "../../control-plane/api/access.ts";
import { Role } from "../../control-plane/contract/roles.ts";
import { trustedProxies } from "../../control-plane/domain/client-address.ts";
import { openApp, type TestApp } from "../setup/app.ts";
import { makeShells } from "../setup/shells.ts";
import { trials } from "./access.ts";
import { acts, changesNothing, openStage, type Stage } from "./audited.ts";

const inside = makeShells();
let api: TestApp;
let stage: Stage;
beforeAll(async () => {
  api = await openApp("pglite", {
    shells: inside.shells,
    oidcLoopback: true,
    trustsProxy: trustedProxies(["10.0.0.0/8"]),
    exposeMetrics: { contentType: "text/plain", expose: async () => "", public: false },
  });
  stage = await openStage(api);
  await inside.open(api.database.db, [stage.ids.host]);
});
afterAll(async () => {
  await inside.close();
  await api?.close();
});

/** Its code must stand in no address: it reads by POST. */
const reading = ["post /api/v1/account-links/read"];
const changing = Object.keys(accessTable).filter((key) => !key.startsWith("get ") && !reading.includes(key));

/** Calls as if over a connection of a reverse proxy. */
async function call(secret: string | undefined, method: string, path: string, options: { body?: unknown; headers?: Record<string, string> } = {}) {
  const correlationId = randomUUID();
  const headers = {
    "x-correlation-id": correlationId,
    "x-forwarded-for": "198.51.100.1, 203.0.113.7",
    "if-match": "*",
    ...(secret ? { authorization: `Bearer ${secret}` } : {}),
    ...(method === "POST" ? { "idempotency-key": correlationId } : {}),
    ...(options.body === undefined ? {} : { "content-type": "application/json" }),
    ...options.headers,
  };
  const init = {
    method,
    headers,
    ...(options.body === undefined ? {} : { body: options.body instanceof Uint8Array ? options.body : JSON.stringify(options.body) }),
  };
  const response = await api.app.request(path, init, { incoming: { socket: { remoteAddress: "::ffff:10.1.2.3" } } });
  const text = response.headers.get("content-type")?.includes("event-stream") ? (await response.body?.cancel(), "") : await response.text();
  const entries = await api.database.db.selectFrom("audit_entries").selectAll().where("correlation_id", "=", correlationId).execute();
  return { status: response.status, text, entries };
}

/** Of a token itself, or of the account whose session it is; a session that was ended just now is nobody's. */
async function actorOf(secret: string): Promise<string> {
  const { db } = api.database;
  const session = await db.selectFrom("sessions").select("account_id").where("secret_hash", "=", hashSecret(secret)).executeTakeFirst();
  return session?.account_id ?? (await findTokens(db, [secret]))[0]!.id;
}

it("every route that changes something is tried", () => {
  expect(changing.filter((key) => !acts[key] && !changesNothing.includes(key))).toEqual([]);
});

it.each(Object.entries(acts))("%s leaves who, as what, from where, and what was done", async (key, act) => {
  const by = accessTable[key]!.roles[0] ?? "operations";
  const { secret = stage.people[by], path, body, headers = {} } = await act(stage);
  const { status, text, entries } = await call(secret, key.split(" ")[0]!.toUpperCase(), path, { body, headers });
  expect(status, text).toBeLessThan(400);
  expect(entries.length).toBeGreaterThan(0);
  for (const entry of entries) {
    expect(entry).toMatchObject({ actor: expect.stringMatching(/^(tok|acc|idp)_/), result: "done", source: "203.0.113.7" });
    expect(entry.role).toBe(accessTable[key]!.roles.length === 0 ? (entry.actor.startsWith("idp_") ? "identity-provider" : "self") : by);
    expect(entry.action).toMatch(/^[a-z-]+\.[a-z-]+$/);
  }
  if (secret) expect(entries.map((entry) => entry.actor)).toContain(await actorOf(secret));
});

describe("a denial", () => {
  const missing = (path: string) => path.replaceAll(/\{\w+\}/g, "hst_00000000000000000000000000");
  const denials = Object.entries(accessTable).flatMap(([key, { roles, scope }]) =>
    scope === "public" || scope === "self" ? [] : Role.options.filter((role) => !roles.includes(role)).map((role) => [key, role] as const),
  );

  it.each(denials)("of %s to the role %s is recorded", async (key, role) => {
    const [method = "", path = ""] = key.split(" ");
    const secret = stage.people[role];
    const { status, entries } = await call(secret, method.toUpperCase(), missing(path));
    expect(status).toBe(403);
    const action = `${method.toUpperCase()} ${missing(path)}`;
    expect(entries).toMatchObject([{ actor: await actorOf(secret), role, source: "203.0.113.7", action, result: "denied", after: { code: "forbidden" } }]);
  });

  const hidden = Object.entries(trials).flatMap(([key, { stranger }]) => (stranger ? [[key, stranger] as const] : []));
  it.each(hidden)("of %s by hiding what is another department's is recorded", async (key, stranger) => {
    const { path, body } = stranger(stage.ids);
    const other = await api.database.db.selectFrom("departments").select("id").where("code", "=", "stranger-bureau").executeTakeFirstOrThrow();
    const role = accessTable[key]!.roles[0]!;
    const secret = await api.token(role, other.id);
    const { status, entries } = await call(secret, key.split(" ")[0]!.toUpperCase(), path, { body });
    expect(status).toBe(404);
    expect(entries).toMatchObject([{ actor: await actorOf(secret), role, source: "203.0.113.7", result: "denied", after: { code: "not-found" } }]);
  });

  it("of a session's change from another origin is recorded", async () => {
    const link = (await stage.post("operations", "/api/v1/sessions/links", {})).body as { path: string };
    const cookie = (await api.app.request(link.path)).headers.get("set-cookie")!.split(";")[0]!;
    const { status, entries } = await call(undefined, "POST", "/api/v1/sessions/links", { body: {}, headers: { cookie, "sec-fetch-site": "cross-site" } });
    expect(status).toBe(403);
    expect(entries).toMatchObject([{ actor: await actorOf(stage.people.operations), result: "denied", source: "203.0.113.7" }]);
  });
});
