/** For every route that changes something: how it succeeds. What it leaves in the audit then is asked by audited.test.ts. */
import { sql } from "kysely";
import { Role } from "../../control-plane/contract/roles.ts";
import { makeEscrowPair } from "../../control-plane/state/escrow.ts";
import { codeAt, fromBase32, stepAt } from "../../control-plane/domain/totp.ts";
import { drawUp, hashOf } from "../../control-plane/domain/operation-plans.ts";
import { recordForeign } from "../../control-plane/store/adoptions.ts";
import { systemAct } from "../../control-plane/store/act.ts";
import { lockOperation, showOperation } from "../../control-plane/store/operation-plans.ts";
import { newId } from "../../control-plane/store/ids.ts";
import { notify } from "../../control-plane/store/notices.ts";
import { recordPlan } from "../../control-plane/store/planning.ts";
import { noteCompared, settleRestored } from "../../control-plane/store/restored.ts";
import { noteProvider } from "../../control-plane/store/provider-sessions.ts";
import { openAccountSession } from "../../control-plane/store/sessions.ts";
import { supervise } from "../../control-plane/store/supervising.ts";
import type { Called, TestApp } from "../setup/app.ts";
import { logoutClaims, startIssuer } from "../setup/issuer.ts";
import { prices, smallCity, volume } from "../setup/small-city.ts";
import { buildWorld, type World } from "./world.ts";

/** What the acts share. */
export interface Stage {
  api: TestApp;
  ids: World["ids"];
  /** For each role the secret of somebody who holds it everywhere. */
  people: Record<Role, string>;
  /** @returns the answer to a POST */
  post(by: Role, path: string, body?: unknown): Promise<Called>;
}

export async function openStage(api: TestApp): Promise<Stage> {
  const { db } = api.database;
  const { ids } = await buildWorld(db);
  // The world's own request has taken the first number.
  await sql`select setval('request_numbers', 1000)`.execute(db);
  const made: [Role, string][] = [];
  for (const role of Role.options) made.push([role, await api.token(role)]);
  const people = Object.fromEntries(made) as Record<Role, string>;
  const post: Stage["post"] = (by, path, body) => api.call(people[by], "POST", path, { body });
  await post("operations", "/api/v1/city-imports", smallCity());
  return { api, ids, people, post };
}

/** A request as far as it must be for an act. */
async function request(stage: Stage, upTo: "draft" | "submitted" | "planned"): Promise<{ path: string; hash: string }> {
  const asked = { project: "p", application: "office-app", title: "T", draft: upTo === "draft", items: [volume(crypto.randomUUID().slice(0, 8))] };
  const { id } = (await stage.post("applicant", "/api/v1/requests", asked)).body as { id: string };
  const planned =
    upTo === "planned" ? await stage.api.database.db.transaction().execute((tx) => recordPlan(tx, systemAct(new Date()), id, { steps: [] })) : undefined;
  return { path: `/api/v1/requests/${id}`, hash: planned?.plan_hash ?? "" };
}

const madeToken = async (stage: Stage) => (await stage.post("system-admin", "/api/v1/tokens", { name: "T" })).body as { id: string; secret: string };
const binding = (subject: string, kind: "standing" | "eligible" = "standing") => ({ subject, role: "approver", department: "office", kind, reason: "test" });
/** Somebody who may take a role for a while. */
async function eligible(stage: Stage): Promise<{ secret: string; path: string }> {
  const { id, secret } = await madeToken(stage);
  const made = (await stage.post("security-admin", "/api/v1/role-bindings", binding(id, "eligible"))).body as { id: string };
  return { secret, path: `/api/v1/role-bindings/${made.id}/elevate` };
}
const elevation = { reason: "the approver cannot be reached", minutes: 30 };

/** A host that has less memory than it was applied with. */
async function drifted({ api, ids }: Stage): Promise<string> {
  const { db } = api.database;
  await db.updateTable("drift_findings").set({ state: "gone", closed_at: new Date() }).where("closed_at", "is", null).where("id", "<>", ids.drift).execute();
  await db.updateTable("drift_findings").set({ state: "open", actual: "1024", closed_at: null, request_id: null }).where("id", "=", ids.drift).execute();
  await db.updateTable("requests").set({ state: "withdrawn" }).where("state", "=", "submitted").execute();
  return `/api/v1/drift/${ids.drift}`;
}

/** A request whose approver has asked something. */
async function asked(stage: Stage): Promise<string> {
  const { path } = await request(stage, "planned");
  await stage.api.call(stage.people.approver, "POST", `${path}/return`, { body: { question: "why?" }, headers: { "if-match": "*" } });
  return path;
}
/** A request whose resources are on trial. */
async function onTrial(stage: Stage): Promise<string> {
  const { path } = await request(stage, "planned");
  const id = path.split("/").at(-1)!;
  const { db } = stage.api.database;
  await db.updateTable("requests").set({ state: "on-trial" }).where("id", "=", id).execute();
  await db.updateTable("request_items").set({ state: "active" }).where("request_id", "=", id).execute();
  await db.updateTable("resources").set({ phase: "live" }).where("request_id", "=", id).execute();
  return path;
}
/** An owner's person, with a terminal's ticket for the world's host. */
async function ticketed(stage: Stage): Promise<string> {
  const made = await stage.post("applicant", `/api/v1/hosts/${stage.ids.host}/sessions`, { purpose: "look" });
  return (made.body as { id: string }).id;
}
/** The world's snapshot, with nothing that is to be done with it. */
async function snapshotOf({ api, ids }: Stage, state: "complete" | "failed" = "complete"): Promise<string> {
  const { db } = api.database;
  await db.updateTable("snapshot_reverts").set({ state: "withdrawn" }).where("state", "in", ["asked", "pending"]).execute();
  await db.updateTable("snapshots").set({ state: "failed" }).where("id", "<>", ids.snapshot).execute();
  await db.updateTable("snapshots").set({ state }).where("id", "=", ids.snapshot).execute();
  return ids.snapshot;
}
/** A revert that waits for a second person. */
async function revertAsked(stage: Stage): Promise<string> {
  const asked = { snapshot: await snapshotOf(stage), volumeName: "volume", reason: "R" };
  const made = await stage.post("operations", "/api/v1/snapshot-reverts", asked);
  return `/api/v1/snapshot-reverts/${(made.body as { id: string }).id}`;
}
async function consentAsked(stage: Stage): Promise<string> {
  const made = await stage.post("operations", "/api/v1/consents", { host: stage.ids.host, purpose: "mend" });
  return `/api/v1/consents/${(made.body as { id: string }).id}`;
}
/** A request of which something waits for its restart. */
async function scheduled(stage: Stage): Promise<string> {
  const { path } = await request(stage, "submitted");
  const { db } = stage.api.database;
  const id = path.split("/").at(-1)!;
  await db.updateTable("requests").set({ state: "scheduled" }).where("id", "=", id).execute();
  const need = JSON.stringify({ host: stage.ids.host, why: "test" });
  await db.updateTable("request_items").set({ state: "scheduled", action: "resize", restart_need: need }).where("request_id", "=", id).execute();
  return path;
}
/** Two with the same role at the same place. */
async function colleagues(stage: Stage) {
  const [from, to] = [await madeToken(stage), await madeToken(stage)];
  for (const { id } of [from, to]) await stage.post("security-admin", "/api/v1/role-bindings", binding(id));
  return { from, to };
}
const leave = (to: string) => ({ to, begins: new Date().toISOString(), ends: "2999-01-01T00:00:00Z", reason: "leave" });

/** A browser that is signed in. */
async function browser(stage: Stage): Promise<{ signIn: string; cookie: () => Promise<string> }> {
  const { path } = (await stage.post("operations", "/api/v1/sessions/links", {})).body as { path: string };
  return { signIn: path, cookie: async () => (await stage.api.app.request(path)).headers.get("set-cookie")!.split(";")[0]! };
}

const chosen = "Corr3ct-horse-battery";
/** A person who has signed in. */
async function person(stage: Stage): Promise<{ id: string; link: string; signIn: () => Promise<string>; name: string }> {
  const name = code();
  const made = (await stage.post("system-admin", "/api/v1/accounts", { name, displayName: "N" })).body as { id: string; setUp: { path: string } };
  const link = made.setUp.path.split("#")[1]!;
  const signIn = async () => {
    await stage.api.call(undefined, "POST", "/api/v1/account-links/use", { body: { code: link, password: chosen } });
    const ask = { name, password: chosen, session: "bearer" };
    return ((await stage.api.call(undefined, "POST", "/api/v1/sign-in", { body: ask })).body as { secret: string }).secret;
  };
  return { id: made.id, link, signIn, name };
}
/** With a second factor whose secret is known, confirmed or not. */
async function withFactor(stage: Stage): Promise<{ secret: string; codeIn: (steps: number) => string }> {
  const secret = await (await person(stage)).signIn();
  const begun = (await stage.api.call(secret, "POST", "/api/v1/account/totp", { body: { password: chosen } })).body as { secret: string };
  return { secret, codeIn: (steps) => codeAt(fromBase32(begun.secret), stepAt(new Date()) + steps) };
}
const nextYear = () => new Date(Date.now() + 300 * 86_400_000).toISOString();
const changesAccount = (verb: string) => async (stage: Stage) => {
  const { id } = await person(stage);
  if (verb === "enable") await stage.post("system-admin", `/api/v1/accounts/${id}/disable`, {});
  return { path: `/api/v1/accounts/${id}/${verb}`, body: {} };
};

const newProvider = () => ({ issuer: `https://${code()}.example`, clientId: "zhengyun", nameZh: "N", nameEn: "N" });
const providerOn = async (stage: Stage) => ((await stage.post("system-admin", "/api/v1/identity-providers", newProvider())).body as { id: string }).id;

const told = { kind: "request.active" as const, departmentId: null, requestId: null, subjectId: null, data: {} };
const webhook = { name: "W", url: "https://receiver.example/hook", kinds: ["request.active"] };
const madeWebhook = async (stage: Stage) => `/api/v1/webhooks/${((await stage.post("system-admin", "/api/v1/webhooks", webhook)).body as { id: string }).id}`;

/** What is sent; If-Match fits whatever is there. */
export interface Ask {
  /** By whom; left out: by the first of the roles that may. "": by nobody. */
  secret?: string;
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
}

/** A card of supervision on a request whose approver is late. */
async function carded(stage: Stage): Promise<{ id: string; secret: string; person: string }> {
  const { db } = stage.api.database;
  const { id: requestId } = (
    await stage.post("applicant", "/api/v1/requests", {
      project: "p",
      application: "office-app",
      title: "T",
      items: [volume(crypto.randomUUID().slice(0, 8))],
    })
  ).body as { id: string };
  const person = await madeToken(stage);
  await db.transaction().execute((tx) => supervise(tx, systemAct(new Date(Date.now() + 5 * 3_600_000))));
  const { id } = await db
    .selectFrom("supervision_cards")
    .select("id")
    .where("request_id", "=", requestId)
    .where("state", "=", "open")
    .executeTakeFirstOrThrow();
  await db.insertInto("supervision_card_people").values({ card_id: id, subject_id: person.id, part: "concerned" }).execute();
  return { id, secret: person.secret, person: person.id };
}
/** A correction under one, done or not. */
async function corrected(stage: Stage, done: boolean): Promise<{ id: string; secret: string }> {
  const card = await carded(stage);
  const ask = { card: card.id, what: "W", assignee: card.person, due: "2999-01-01" };
  const ordered = await stage.api.call(stage.people.supervision, "POST", "/api/v1/corrections", { body: ask, headers: { "if-match": "*" } });
  const { id } = ordered.body as { id: string };
  if (done) await stage.api.call(card.secret, "POST", `/api/v1/account/corrections/${id}/done`, { body: { note: "n" }, headers: { "if-match": "*" } });
  return { id, secret: card.secret };
}
const samePerson = { name: "R", terms: { kind: "same-person", colour: "red" } };

let count = 0;
const code = () => `audited-${++count}`;
const department = () => ({ code: code(), nameZh: "局", nameEn: "Bureau", level: "city" });
const project = () => ({ department: "office", code: code(), name: "P", fiscalYear: 2026, budgetFen: 1 });
const pool = () => ({ code: code(), name: "P", kind: "storage", site: "S", capacity: { "storage_gib:standard": 9 } });

const drain = { kind: "drain-member", pool: "pool", member: "n1", reason: "new memory" };
/** A drain as the job would have computed it, of an empty member of a cluster of its own. */
async function drawnUp(stage: Stage): Promise<{ id: string; hash: string }> {
  const made = (await stage.post("operations", "/api/v1/pools", { ...pool(), endpoint: crypto.randomUUID() })).body as { id: string };
  const { id } = (await stage.post("operations", "/api/v1/operation-plans", { ...drain, pool: made.id })).body as { id: string };
  const members = ["n1", "n2"].map((name) => ({ name, state: "online" as const, groups: [] }));
  const steps = drawUp({ kind: "drain-member", member: "n1" }, { members, things: [], strangers: [] }, []);
  await stage.api.database.db.transaction().execute(async (tx) => showOperation(tx, systemAct(new Date()), (await lockOperation(tx, id))!, steps));
  return { id, hash: hashOf(steps) };
}
const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
const maintenance = ({ ids }: Stage) => ({ scope: { kind: "hosts", hosts: [ids.host] }, to: inHours(1), reason: "R", emergencyReason: "E" });
/** A maintenance window that holds; its address. */
const announced = async (stage: Stage) =>
  `/api/v1/maintenance-windows/${((await stage.post("operations", "/api/v1/maintenance-windows", maintenance(stage))).body as { id: string }).id}`;

/** A member that does not answer, and who asked that it is given up; its address. */
async function lost({ api }: Stage, askedBy: string | null): Promise<string> {
  const now = new Date();
  const id = newId("mls", now);
  const rest = { asked_by: askedBy, reason: null, confirmed_by: null, error: null, updated_at: now };
  await api.database.db
    .insertInto("member_losses")
    .values({ id, driver: "lxd", endpoint: id, member: "n1", since: now, state: askedBy === null ? "lost" : "asked", ...rest })
    .execute();
  return `/api/v1/member-losses/${id}`;
}

/** What is asked by POST for its body alone: it can write nothing. */
export const changesNothing = ["post /api/v1/requests/what-if"];

/** `method /path` → how to succeed. A new route that changes something needs a line. */
export const acts: Record<string, (stage: Stage) => Promise<Ask> | Ask> = {
  "get /sign-in": async (stage) => ({ path: (await browser(stage)).signIn }),
  "post /api/v1/tokens": () => ({ path: "/api/v1/tokens", body: { name: "T" } }),
  "delete /api/v1/tokens/{id}": async (stage) => ({ path: `/api/v1/tokens/${(await madeToken(stage)).id}` }),
  "post /api/v1/role-bindings": async (stage) => ({ path: "/api/v1/role-bindings", body: binding((await madeToken(stage)).id) }),
  "post /api/v1/role-bindings/{id}/revoke": async (stage) => {
    const { id } = (await stage.post("security-admin", "/api/v1/role-bindings", binding((await madeToken(stage)).id))).body as { id: string };
    return { path: `/api/v1/role-bindings/${id}/revoke`, body: { reason: "moved" } };
  },
  "post /api/v1/role-bindings/{id}/elevate": async (stage) => ({ ...(await eligible(stage)), body: elevation }),
  "post /api/v1/role-bindings/{id}/review": async (stage) => {
    const { secret, path } = await eligible(stage);
    const { id } = (await stage.api.call(secret, "POST", path, { body: elevation })).body as { id: string };
    return { path: `/api/v1/role-bindings/${id}/review`, body: { verdict: "justified", comment: "ok" } };
  },
  "put /api/v1/account/notifications": async (stage) => ({
    secret: await (await person(stage)).signIn(),
    path: "/api/v1/account/notifications",
    body: { email: "n@example.com", language: "en", mailKinds: ["request.active"] },
  }),
  "post /api/v1/notices/read": async (stage) => {
    const { db } = stage.api.database;
    const { secret, id } = await madeToken(stage);
    await db.transaction().execute((tx) => notify(tx, systemAct(new Date()), { ...told, to: [id] }));
    const notice = await db.selectFrom("notices").select("id").where("person_id", "=", id).executeTakeFirstOrThrow();
    return { secret, path: "/api/v1/notices/read", body: { ids: [notice.id] } };
  },
  "post /api/v1/maintenance-windows": (stage) => ({ path: "/api/v1/maintenance-windows", body: maintenance(stage) }),
  "patch /api/v1/maintenance-windows/{id}": async (stage) => ({
    path: await announced(stage),
    body: { to: inHours(2), reason: "longer", emergencyReason: "it takes longer" },
  }),
  "post /api/v1/maintenance-windows/{id}/cancel": async (stage) => ({ path: `${await announced(stage)}/cancel`, body: { reason: "done" } }),
  "post /api/v1/member-losses/{id}/give-up": async (stage) => ({ path: `${await lost(stage, null)}/give-up`, body: { reason: "burnt", poweredOff: true } }),
  "post /api/v1/member-losses/{id}/confirm": async (stage) => ({
    path: `${await lost(stage, "tok_other")}/confirm`,
    body: { member: "n1", poweredOff: true },
  }),
  "post /api/v1/member-losses/{id}/keep": async (stage) => ({ path: `${await lost(stage, "tok_other")}/keep` }),
  "put /api/v1/maintenance-policy": () => ({ path: "/api/v1/maintenance-policy", body: { noticeDays: 5, longestHours: 24, downAfterSeconds: 300 } }),
  "post /api/v1/webhooks": () => ({ path: "/api/v1/webhooks", body: webhook }),
  "patch /api/v1/webhooks/{id}": async (stage) => ({ path: await madeWebhook(stage), body: { state: "paused" } }),
  "delete /api/v1/webhooks/{id}": async (stage) => ({ path: await madeWebhook(stage) }),
  "post /api/v1/webhooks/{id}/rotate-secret": async (stage) => ({ path: `${await madeWebhook(stage)}/rotate-secret`, body: {} }),
  "post /api/v1/webhooks/{id}/test": async (stage) => ({ path: `${await madeWebhook(stage)}/test`, body: {} }),
  "post /api/v1/deliveries/{id}/redeliver": async (stage) => {
    const { id } = (await stage.post("system-admin", `${await madeWebhook(stage)}/test`, {})).body as { id: string };
    await stage.api.database.db.updateTable("deliveries").set({ state: "dead" }).where("id", "=", id).execute();
    return { path: `/api/v1/deliveries/${id}/redeliver`, body: {} };
  },
  "post /api/v1/accounts": () => ({ path: "/api/v1/accounts", body: { name: code(), displayName: "N" } }),
  "post /api/v1/identity-providers": () => ({ path: "/api/v1/identity-providers", body: newProvider() }),
  "patch /api/v1/identity-providers/{id}": async (stage) => ({
    path: `/api/v1/identity-providers/${await providerOn(stage)}`,
    body: { enabled: false },
    headers: { "if-match": '"1"' },
  }),
  "put /api/v1/identity-providers/{id}/mapping": async (stage) => ({
    path: `/api/v1/identity-providers/${await providerOn(stage)}/mapping`,
    body: { mapping: [{ claim: "groups", value: "finance", role: "finance" }] },
    headers: { "if-match": '"1"' },
  }),
  "post /sign-in/oidc/{id}/back-channel-logout": async (stage) => {
    const of = await startIssuer();
    const { db } = stage.api.database;
    const made = (await stage.post("system-admin", "/api/v1/identity-providers", { ...newProvider(), issuer: of.issuer, clientId: "c" })).body as {
      id: string;
    };
    const account = (await stage.post("system-admin", "/api/v1/accounts", { name: code(), displayName: "N" })).body as { id: string };
    await db.transaction().execute(async (tx) => {
      const { id } = await openAccountSession(tx, account.id, { source: "", agent: "", now: new Date() });
      await noteProvider(tx, id, { providerId: made.id, sid: "s", idTokenSealed: "" });
    });
    const logout_token = await of.sign(logoutClaims({ issuer: of.issuer, clientId: "c" }, { sid: "s" }));
    return {
      secret: "",
      path: `/sign-in/oidc/${made.id}/back-channel-logout`,
      body: Buffer.from(new URLSearchParams({ logout_token }).toString()),
      headers: { "content-type": "application/x-www-form-urlencoded" },
    };
  },
  "delete /api/v1/identity-providers/{id}/identities/{account}": async (stage) => {
    const { id } = (await stage.post("system-admin", "/api/v1/accounts", { name: code(), displayName: "N" })).body as { id: string };
    const path = `/api/v1/identity-providers/${await providerOn(stage)}/identities`;
    await stage.post("system-admin", path, { account: id, subject: code() });
    return { path: `${path}/${id}` };
  },
  "post /api/v1/identity-providers/{id}/identities": async (stage) => {
    const { id } = (await stage.post("system-admin", "/api/v1/accounts", { name: code(), displayName: "N" })).body as { id: string };
    return { path: `/api/v1/identity-providers/${await providerOn(stage)}/identities`, body: { account: id, subject: code() } };
  },
  "post /api/v1/accounts/{id}/disable": changesAccount("disable"),
  "post /api/v1/accounts/{id}/enable": changesAccount("enable"),
  "post /api/v1/accounts/{id}/unlock": changesAccount("unlock"),
  "post /api/v1/accounts/{id}/reset": changesAccount("reset"),
  "post /api/v1/accounts/{id}/tokens": async (stage) => {
    const { id } = (await stage.post("system-admin", "/api/v1/accounts", { name: code(), displayName: "N", kind: "service" })).body as { id: string };
    return { path: `/api/v1/accounts/${id}/tokens`, body: { name: "T", expiresAt: nextYear() } };
  },
  "post /api/v1/sign-in": async (stage) => {
    const { name, signIn } = await person(stage);
    await signIn();
    return { secret: "", path: "/api/v1/sign-in", body: { name, password: chosen } };
  },
  "post /api/v1/account-links/use": async (stage) => ({
    secret: "",
    path: "/api/v1/account-links/use",
    body: { code: (await person(stage)).link, password: chosen },
  }),
  "post /api/v1/account/password": async (stage) => ({
    secret: await (await person(stage)).signIn(),
    path: "/api/v1/account/password",
    body: { password: chosen, newPassword: "An0ther-long-secret" },
  }),
  "post /api/v1/account/totp": async (stage) => ({ secret: await (await person(stage)).signIn(), path: "/api/v1/account/totp", body: { password: chosen } }),
  "post /api/v1/account/totp/confirm": async (stage) => {
    const { secret, codeIn } = await withFactor(stage);
    return { secret, path: "/api/v1/account/totp/confirm", body: { code: codeIn(0) } };
  },
  "post /api/v1/account/totp/remove": async (stage) => {
    const { secret, codeIn } = await withFactor(stage);
    await stage.api.call(secret, "POST", "/api/v1/account/totp/confirm", { body: { code: codeIn(0) } });
    return { secret, path: "/api/v1/account/totp/remove", body: { password: chosen, code: codeIn(1) } };
  },
  "post /api/v1/account/tokens": async (stage) => ({
    secret: await (await person(stage)).signIn(),
    path: "/api/v1/account/tokens",
    body: { name: "T", expiresAt: nextYear(), password: chosen },
  }),
  "delete /api/v1/account/tokens/{id}": async (stage) => {
    const secret = await (await person(stage)).signIn();
    const made = await stage.api.call(secret, "POST", "/api/v1/account/tokens", { body: { name: "T", expiresAt: nextYear(), password: chosen } });
    return { secret, path: `/api/v1/account/tokens/${made.body.id}` };
  },
  "delete /api/v1/sessions/{id}": async (stage) => {
    const secret = await (await person(stage)).signIn();
    const { items } = (await stage.api.call(secret, "GET", "/api/v1/sessions")).body as { items: { id: string; current: boolean }[] };
    return { secret, path: `/api/v1/sessions/${items.find((one) => !one.current)!.id}` };
  },
  "delete /api/v1/sessions/current": async (stage) => ({
    secret: "",
    path: "/api/v1/sessions/current",
    headers: { cookie: await (await browser(stage)).cookie(), "sec-fetch-site": "same-origin" },
  }),
  "post /api/v1/sessions/links": () => ({ path: "/api/v1/sessions/links", body: {} }),
  "post /api/v1/departments": () => ({ path: "/api/v1/departments", body: department() }),
  "patch /api/v1/departments/{id}": ({ ids }) => ({ path: `/api/v1/departments/${ids.department}`, body: { nameEn: code() } }),
  "post /api/v1/projects": () => ({ path: "/api/v1/projects", body: project() }),
  "patch /api/v1/projects/{id}": ({ ids }) => ({ path: `/api/v1/projects/${ids.filedProject}`, body: { name: code() } }),
  "post /api/v1/projects/{id}/advance": async ({ api, post }) => {
    const { id } = (await post("authority", "/api/v1/projects", project())).body as { id: string };
    await api.database.db.updateTable("projects").set({ stage: "accepted" }).where("id", "=", id).execute();
    return { path: `/api/v1/projects/${id}/advance`, body: { event: "operate", reason: "r" } };
  },
  "put /api/v1/projects/{id}/funds/{kind}/{year}": ({ ids }) => ({
    path: `/api/v1/projects/${ids.project}/funds/operating/2027`,
    body: { amountFen: 7, reason: "r" },
  }),
  "post /api/v1/project-imports": () => ({ path: "/api/v1/project-imports", body: { projects: [project()] } }),
  "put /api/v1/term-policy": () => ({ path: "/api/v1/term-policy", body: { noticeDays: 30, graceDays: 30, stoppedDays: 7, trialAnswerDays: null } }),
  "put /api/v1/plan-policy": () => ({ path: "/api/v1/plan-policy", body: { supervisorThresholdFen: 5 } }),
  "post /api/v1/price-books": () => ({ path: "/api/v1/price-books", body: { prices } }),
  "post /api/v1/applications": () => ({
    path: "/api/v1/applications",
    body: { department: "office", project: "p", code: code(), name: "A", contact: "somebody" },
  }),
  "patch /api/v1/applications/{id}": ({ ids }) => ({ path: `/api/v1/applications/${ids.application}`, body: { name: code() } }),
  "put /api/v1/images/{code}": () => ({
    path: `/api/v1/images/${code()}?name=T`,
    body: Buffer.from("1f8b0800000000000003", "hex"),
    headers: { "content-type": "application/octet-stream" },
  }),
  "delete /api/v1/images/{code}": async ({ api, people }) => {
    const path = `/api/v1/images/${code()}`;
    const body = Buffer.concat([Buffer.from("1f8b080000000000", "hex"), Buffer.from(crypto.randomUUID())]);
    await api.app.request(`${path}?name=T`, {
      method: "PUT",
      body,
      headers: { authorization: `Bearer ${people.operations}`, "content-type": "application/octet-stream" },
    });
    return { path };
  },
  "post /api/v1/pools": () => ({ path: "/api/v1/pools", body: pool() }),
  "patch /api/v1/pools/{id}": ({ ids }) => ({ path: `/api/v1/pools/${ids.pool}`, body: { name: code() } }),
  "post /api/v1/operation-plans": () => ({ path: "/api/v1/operation-plans", body: drain }),
  "post /api/v1/operation-plans/{id}/confirm": async (stage) => {
    const { id, hash } = await drawnUp(stage);
    return { secret: await stage.api.token("operations"), path: `/api/v1/operation-plans/${id}/confirm`, body: { hash } };
  },
  "post /api/v1/operation-plans/{id}/cancel": async (stage) => ({ path: `/api/v1/operation-plans/${(await drawnUp(stage)).id}/cancel`, body: {} }),
  "post /api/v1/operation-plans/{id}/recompute": async (stage) => ({ path: `/api/v1/operation-plans/${(await drawnUp(stage)).id}/recompute`, body: {} }),
  "put /api/v1/quotas/{department}/{dimension}": () => ({ path: "/api/v1/quotas/office/hosts", body: { limit: 7 } }),
  "post /api/v1/quota-reconciliations": () => ({ path: "/api/v1/quota-reconciliations", body: {} }),
  "post /api/v1/quota-findings/{id}/close": async (stage) => {
    await sql`update quota_accounts set used = used + 1 where dimension = 'backup_gib' and level = 0`.execute(stage.api.database.db);
    const { findings } = (await stage.post("operations", "/api/v1/quota-reconciliations", {})).body as { findings: { id: string }[] };
    return { path: `/api/v1/quota-findings/${findings[0]!.id}/close`, body: { reason: "broken by a test" } };
  },
  "post /api/v1/requests": () => ({
    path: "/api/v1/requests",
    body: { project: "p", application: "office-app", title: "T", items: [volume(code())] },
  }),
  "post /api/v1/requests/{id}/submit": async (stage) => ({ path: `${(await request(stage, "draft")).path}/submit`, body: {} }),
  "post /api/v1/requests/{id}/withdraw": async (stage) => ({ path: `${(await request(stage, "submitted")).path}/withdraw`, body: {} }),
  "post /api/v1/requests/{id}/approve": async (stage) => {
    const { path, hash } = await request(stage, "planned");
    return { path: `${path}/approve`, body: { planHash: hash, reason: "" } };
  },
  "post /api/v1/requests/{id}/reject": async (stage) => ({ path: `${(await request(stage, "planned")).path}/reject`, body: { reason: "no" } }),
  "post /api/v1/requests/{id}/return": async (stage) => ({ path: `${(await request(stage, "planned")).path}/return`, body: { question: "why?" } }),
  "post /api/v1/requests/{id}/check-plan": async (stage) => ({ path: `${(await request(stage, "planned")).path}/check-plan`, body: {} }),
  "post /api/v1/requests/{id}/agree-restart": async (stage) => ({ path: `${await scheduled(stage)}/agree-restart`, body: { time: { when: "now" } } }),
  "post /api/v1/requests/{id}/accept-trial": async (stage) => ({ path: `${await onTrial(stage)}/accept-trial`, body: {} }),
  "post /api/v1/requests/{id}/refuse-trial": async (stage) => ({ path: `${await onTrial(stage)}/refuse-trial`, body: { reason: "too slow" } }),
  "post /api/v1/requests/{id}/answer": async (stage) => ({ path: `${await asked(stage)}/answer`, body: { text: "because" } }),
  "post /api/v1/requests/{id}/amend": async (stage) => ({ path: `${await asked(stage)}/amend`, body: { items: [volume(code())], text: "smaller" } }),
  "post /api/v1/requests/{id}/comments": async (stage) => ({ path: `${(await request(stage, "draft")).path}/comments`, body: { text: "well" } }),
  "post /api/v1/requests/{id}/evidence": async (stage) => ({
    path: `${(await request(stage, "draft")).path}/evidence`,
    body: { name: "t.txt", type: "text/plain", content: "dGV4dA==" },
  }),
  "post /api/v1/delegations": async (stage) => {
    const { from, to } = await colleagues(stage);
    return { secret: from.secret, path: "/api/v1/delegations", body: leave(to.id) };
  },
  "delete /api/v1/delegations/{id}": async (stage) => {
    const { from, to } = await colleagues(stage);
    const { id } = (await stage.api.call(from.secret, "POST", "/api/v1/delegations", { body: leave(to.id) })).body as { id: string };
    return { secret: from.secret, path: `/api/v1/delegations/${id}` };
  },
  "put /api/v1/approval-policies/{department}": () => ({ path: "/api/v1/approval-policies/bureau", body: { stages: null, note: "n" } }),
  "post /api/v1/calendars": () => ({ path: "/api/v1/calendars", body: { year: 2050, source: "test", holidays: [], workingDays: [] } }),
  "put /api/v1/calendars/{year}": () => ({ path: "/api/v1/calendars/2026", body: { source: "test", holidays: ["2026-01-01"], workingDays: [] } }),
  "post /api/v1/supervision-rules": () => ({ path: "/api/v1/supervision-rules", body: samePerson }),
  "put /api/v1/supervision-rules/{id}": async (stage) => {
    const { id } = (await stage.post("supervision", "/api/v1/supervision-rules", samePerson)).body as { id: string };
    return { path: `/api/v1/supervision-rules/${id}`, body: { ...samePerson, enabled: false } };
  },
  "post /api/v1/account/supervision-cards/{id}/answers": async (stage) => {
    const { id, secret } = await carded(stage);
    return { secret, path: `/api/v1/account/supervision-cards/${id}/answers`, body: { text: "ill" } };
  },
  "post /api/v1/supervision-cards/{id}/accept": async (stage) => {
    const { id, secret } = await carded(stage);
    await stage.api.call(secret, "POST", `/api/v1/account/supervision-cards/${id}/answers`, { body: { text: "ill" }, headers: { "if-match": "*" } });
    return { path: `/api/v1/supervision-cards/${id}/accept`, body: {} };
  },
  "post /api/v1/corrections": async (stage) => {
    const { id, person } = await carded(stage);
    return { path: "/api/v1/corrections", body: { card: id, what: "W", assignee: person, due: "2999-01-01" } };
  },
  "post /api/v1/corrections/{id}/close": async (stage) => ({ path: `/api/v1/corrections/${(await corrected(stage, true)).id}/close`, body: { note: "n" } }),
  "post /api/v1/corrections/{id}/reopen": async (stage) => ({
    path: `/api/v1/corrections/${(await corrected(stage, true)).id}/reopen`,
    body: { note: "n", due: "2999-01-01" },
  }),
  "post /api/v1/account/corrections/{id}/done": async (stage) => {
    const { id, secret } = await corrected(stage, false);
    return { secret, path: `/api/v1/account/corrections/${id}/done`, body: { note: "n" } };
  },
  "post /api/v1/hosts/{id}/sessions": ({ ids }) => ({ path: `/api/v1/hosts/${ids.host}/sessions`, body: { purpose: "look" } }),
  "post /api/v1/hosts/{id}/exec": ({ ids }) => ({ path: `/api/v1/hosts/${ids.host}/exec`, body: { argv: ["true"] } }),
  "post /api/v1/host-sessions/{id}/end": async (stage) => ({ path: `/api/v1/host-sessions/${await ticketed(stage)}/end`, body: {} }),
  "post /api/v1/consents": ({ ids }) => ({ path: "/api/v1/consents", body: { host: ids.host, purpose: "mend" } }),
  "post /api/v1/consents/{id}/grant": async (stage) => ({ path: `${await consentAsked(stage)}/grant`, body: {} }),
  "post /api/v1/consents/{id}/refuse": async (stage) => ({ path: `${await consentAsked(stage)}/refuse`, body: { reason: "not now" } }),
  "post /api/v1/consents/{id}/revoke": async (stage) => {
    const path = await consentAsked(stage);
    await stage.post("applicant", `${path}/grant`, {});
    return { path: `${path}/revoke`, body: {} };
  },
  "post /api/v1/backups": ({ ids }) => ({ path: "/api/v1/backups", body: { volume: ids.volume } }),
  "post /api/v1/restores": async (stage) => {
    await snapshotOf(stage, "failed");
    return { path: "/api/v1/restores", body: { backup: stage.ids.backup } };
  },
  "post /api/v1/snapshots": async (stage) => {
    await stage.api.database.db.updateTable("restores").set({ state: "complete" }).execute();
    return { path: "/api/v1/snapshots", body: { volume: stage.ids.volume, name: code() } };
  },
  "patch /api/v1/snapshots/{id}": async (stage) => ({ path: `/api/v1/snapshots/${await snapshotOf(stage)}`, body: { note: code() } }),
  "delete /api/v1/snapshots/{id}": async (stage) => ({ path: `/api/v1/snapshots/${await snapshotOf(stage)}` }),
  "post /api/v1/snapshot-reverts": async (stage) => ({
    path: "/api/v1/snapshot-reverts",
    body: { snapshot: await snapshotOf(stage), volumeName: "volume", reason: "R" },
  }),
  "post /api/v1/snapshot-reverts/{id}/confirm": async (stage) => ({ path: `${await revertAsked(stage)}/confirm`, body: { volumeName: "volume" } }),
  "post /api/v1/snapshot-reverts/{id}/cancel": async (stage) => ({ path: `${await revertAsked(stage)}/cancel`, body: { reason: "R" } }),
  "put /api/v1/snapshot-policy": () => ({ path: "/api/v1/snapshot-policy", body: { perVolume: 9 } }),
  "post /api/v1/adoption-scans": () => ({ path: "/api/v1/adoption-scans", body: { pool: "compute" } }),
  "post /api/v1/adoptions": async ({ api }) => {
    const { db } = api.database;
    const pool = await db.selectFrom("pools").select(["driver", "endpoint"]).where("code", "=", "compute").executeTakeFirstOrThrow();
    const sizes = { vcpu: 1, memoryMib: 64, diskGib: 1, memoryUsedBytes: 0 };
    const facts = { ...sizes, type: "container", image: "i", state: "running", ephemeral: false, addresses: [], volumes: [], weaknesses: [] } as const;
    const instance = code();
    await db
      .transaction()
      .execute((tx) =>
        recordForeign(tx, systemAct(new Date()), pool, [{ ...facts, project: "default", instance, addresses: [], volumes: [], weaknesses: [] }]),
      );
    const { id } = await db.selectFrom("found_instances").select("id").where("instance", "=", instance).executeTakeFirstOrThrow();
    return { path: "/api/v1/adoptions", body: { instance: id, application: "office-app", project: "p", reason: "R" } };
  },
  "post /api/v1/drift-scans": () => ({ path: "/api/v1/drift-scans", body: { department: "office" } }),
  "post /api/v1/drift/{id}/put-back": async (stage) => ({ path: `${await drifted(stage)}/put-back`, body: { reason: "R" } }),
  "post /api/v1/drift/{id}/adopt": async (stage) => ({ path: `${await drifted(stage)}/adopt`, body: { reason: "R" } }),
  "post /api/v1/drift/{id}/accept": async (stage) => ({ path: `${await drifted(stage)}/accept`, body: { reason: "R" } }),
  "post /api/v1/stack-operations": () => ({ path: "/api/v1/stack-operations", body: { department: "office", kind: "preview" } }),
  "post /api/v1/city-imports": () => ({ path: "/api/v1/city-imports", body: smallCity() }),
  "post /api/v1/system/backups": () => ({ path: "/api/v1/system/backups" }),
  "post /api/v1/system/key-escrows": () => ({ path: "/api/v1/system/key-escrows", body: { publicKey: makeEscrowPair().publicKey, reason: "Vault" } }),
  "post /api/v1/system/key-escrows/{id}/approve": async (stage) => {
    const asked = await stage.post("security-admin", "/api/v1/system/key-escrows", { publicKey: makeEscrowPair().publicKey, reason: "Vault" });
    return { path: `/api/v1/system/key-escrows/${asked.body.id}/approve` };
  },
  "post /api/v1/system/unknown/acknowledge": async ({ api }) => {
    await api.database.db.transaction().execute(async (tx) => {
      await settleRestored(tx, systemAct(new Date()), { createdAt: new Date().toISOString(), digest: "0" });
      await noteCompared(tx, new Date());
    });
    return { path: "/api/v1/system/unknown/acknowledge" };
  },
};
