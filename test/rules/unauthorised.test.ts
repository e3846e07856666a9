import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openApp, type TestApp } from "../setup/app.ts";
import { accessTable } from "../../control-plane/api/access.ts";
import { defineRoute } from "../../control-plane/api/route.ts";
import { Role } from "../../control-plane/contract/roles.ts";
import { staticPages, trials } from "./access.ts";
import { buildWorld, type World } from "./world.ts";

let api: TestApp;
let world: World;
/** For each role two people: one for the department that has everything, one for another. Roles of the whole platform are the same for both. */
let people: Record<Role, { owner: string; stranger: string }>;
let roleless: string;
let revoked: string;

const everywhere: readonly Role[] = ["operations", "system-admin", "security-admin", "audit-admin"];
const declared = () =>
  new Map<string, unknown>(
    api.app.openAPIRegistry.definitions.flatMap((definition) =>
      definition.type === "route" ? [[`${definition.route.method} ${definition.route.path}`, (definition.route as { "x-access"?: unknown })["x-access"]]] : [],
    ),
  );
const rows = Object.entries(accessTable);

beforeAll(async () => {
  api = await openApp("pglite", { exposeMetrics: { contentType: "text/plain", expose: async () => "", public: false } });
  world = await buildWorld(api.database.db);
  const made = Role.options.map(async (role) => {
    const place = (id: string) => api.token(role, everywhere.includes(role) ? null : id);
    return [role, { owner: await place(world.owner), stranger: await place(world.stranger) }] as const;
  });
  people = Object.fromEntries(await Promise.all(made)) as typeof people;
  revoked = await api.token("operations");
  const { id } = (await api.database.db.selectFrom("tokens").select("id").orderBy("id", "desc").executeTakeFirst())!;
  await api.call(people["system-admin"].owner, "DELETE", `/api/v1/tokens/${id}`);
  roleless = (await api.call(people["system-admin"].owner, "POST", "/api/v1/tokens", { body: { name: "roleless" } })).body.secret;
});
afterAll(() => api?.close());

/** An address of the route; what it names need not exist. */
function anyAddress(path: string): string {
  const missing = "00000000000000000000000000";
  const prefixes: Record<string, string> = {
    tokens: "tok",
    account: "tok",
    accounts: "acc",
    sessions: "ses",
    projects: "prj",
    applications: "app",
    requests: "req",
    system: "arc",
    webhooks: "whk",
    "operation-plans": "opl",
    deliveries: "dlv",
    "role-bindings": "rbd",
  };
  const prefix = prefixes[path.split("/")[3] ?? ""] ?? "hst";
  return path
    .replace("{id}", `${prefix}_${missing}`)
    .replace("{pool}", "pool")
    .replace("{name}", "n1")
    .replace("{kind}", "operating")
    .replace("{evidence}", `evd_${missing}`)
    .replace("{department}", "owner-bureau")
    .replace("{dimension}", "hosts")
    .replace("{year}", "2026");
}

describe("the table of access", () => {
  it("has a row for every route, and every row a route", () => {
    expect([...declared().keys()].toSorted()).toEqual(Object.keys(accessTable).toSorted());
  });

  it("has every route in the OpenAPI document, but for pages that are everybody's", () => {
    const documented = new Set([...declared().keys()].map((key) => key.replaceAll(/\{(\w+)\}/g, ":$1").toLowerCase()));
    const served = new Set(api.app.routes.filter((route) => route.method !== "ALL").map((route) => `${route.method} ${route.path}`));
    expect([...served].filter((route) => !documented.has(route.toLowerCase())).toSorted()).toEqual(staticPages.toSorted());
  });

  it("refuses to start with a route that has no row", () => {
    expect(() => defineRoute({ method: "get", path: "/api/v1/nobody-knows", responses: { 200: { description: "" } } })).toThrow("has no row");
  });

  it("has a trial for every route of subtrees", () => {
    const routes = rows.filter(([, { scope }]) => scope === "subtree").map(([key]) => key);
    expect(Object.keys(trials).toSorted()).toEqual(routes.toSorted());
  });

  it("gives nobody who asks for hosts the right to decide, and no administrator (三员) either", () => {
    const deciders = Object.entries(accessTable).flatMap(([key, { roles }]) => (/approve|reject/.test(key) && key.includes("/requests/") ? roles : []));
    expect(new Set(deciders)).toEqual(new Set(["approver", "authority"]));
  });

  it("lets auditors change nothing", () => {
    const changes = rows.filter(([key, { roles }]) => !key.startsWith("get ") && roles.includes("auditor")).map(([key]) => key);
    expect(changes).toEqual([]);
  });
});

describe.each(rows.filter(([, { scope }]) => scope !== "public"))("%s", (key, access) => {
  const [method = "", path = ""] = key.split(" ");
  const address = anyAddress(path);
  const broken = method === "get" ? undefined : "{";

  it("asks for credentials, whatever else is wrong", async () => {
    for (const secret of [undefined, "zy_wrong", revoked]) {
      const answer = await api.call(secret, method.toUpperCase(), address, { body: broken });
      expect(answer.body).toMatchObject({ status: 401, code: "unauthenticated" });
    }
  });

  it.runIf(access.scope !== "self")("turns away every other role, and who has none, before it looks at anything", async () => {
    const others = Role.options.filter((role) => !access.roles.includes(role)).map((role) => people[role].owner);
    for (const secret of [roleless, ...others]) {
      const answer = await api.call(secret, method.toUpperCase(), address, { body: broken });
      expect(answer.body).toMatchObject({ status: 403, code: "forbidden" });
    }
  });
});

const text = (body: unknown) => (typeof body === "string" ? body : JSON.stringify(body));
/** Every route of subtrees with every role that may call it for a part of the tree. */
const tried = Object.entries(trials).flatMap(([key, trial]) =>
  accessTable[key]!.roles.filter((role) => !everywhere.includes(role)).map((role) => [key, role, trial] as const),
);

it.each(tried.flatMap(([key, role, { stranger }]) => (stranger ? [[key, role, stranger] as const] : [])))(
  "%s hides a thing from the %s of another department, and answers its own",
  async (key, role, stranger) => {
    const method = key.split(" ")[0]!.toUpperCase();
    const { path, body } = stranger(world.ids);
    const ask = async (secret: string) => {
      const headers = {
        authorization: `Bearer ${secret}`,
        "if-match": '"1"',
        ...(method === "POST" ? { "idempotency-key": randomUUID() } : {}),
        ...(body ? { "content-type": "application/json" } : {}),
      };
      const response = await api.app.request(path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
      // A stream would not end: that it begins is all that is asked.
      await response.body?.cancel();
      return response.status;
    };
    expect(await ask(people[role].stranger)).toBe(404);
    expect([401, 403, 404, 500]).not.toContain(await ask(people[role].owner));
  },
);

it.each(tried.flatMap(([key, role, { list, by }]) => (list ? [[key, role, list, by] as const] : [])))(
  "%s lists for the %s nothing of another department",
  async (_key, role, list, by) => {
    const mine = await api.call(people[role].owner, "GET", list);
    const theirs = await api.call(people[role].stranger, "GET", list);
    expect([mine.status, theirs.status]).toEqual([200, 200]);
    const owners = new RegExp(by === undefined ? `${world.owner}|owner-bureau` : `"${by}":"${world.owner}"`);
    expect(text(mine.body)).toMatch(owners);
    expect(text(theirs.body)).not.toMatch(owners);
  },
);
