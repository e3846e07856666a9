import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openApp, type TestApp } from "../setup/app.ts";
import { type AccessCase, cases, staticPages } from "./access.ts";
import { buildWorld, type World } from "./world.ts";

let api: TestApp;
let world: World;
let tokens: Record<"owner" | "stranger" | "operations" | "auditor" | "revoked", string>;

/** `method /path` → the rule that the route itself declares. */
const declared = () =>
  new Map<string, Pick<AccessCase, "roles" | "scope"> | undefined>(
    api.app.openAPIRegistry.definitions.flatMap((definition) => {
      if (definition.type !== "route") return [];
      const route = definition.route as typeof definition.route & { "x-access"?: Pick<AccessCase, "roles" | "scope"> };
      return [[`${route.method} ${route.path}`, route["x-access"]] as const];
    }),
  );

beforeAll(async () => {
  api = await openApp("pglite");
  world = await buildWorld(api.database.db);
  tokens = {
    owner: await api.token("department", world.owner),
    stranger: await api.token("department", world.stranger),
    operations: await api.token("operations"),
    auditor: await api.token("auditor"),
    revoked: await api.token("operations"),
  };
  const { id } = (await api.database.db.selectFrom("tokens").select("id").orderBy("id", "desc").executeTakeFirst())!;
  await api.call(tokens.operations, "DELETE", `/api/v1/tokens/${id}`);
});
afterAll(() => api?.close());

/** An address of the route; what it names need not exist. */
function anyAddress(path: string): string {
  const missing = "00000000000000000000000000";
  const prefixes: Record<string, string> = { tokens: "tok", projects: "prj", applications: "app", requests: "req", system: "arc" };
  const prefix = prefixes[path.split("/")[3] ?? ""] ?? "hst";
  return path.replace("{id}", `${prefix}_${missing}`).replace("{department}", "owner-bureau").replace("{dimension}", "hosts");
}

describe("every route", () => {
  it("has a case here, and every case has a route", () => {
    expect([...declared().keys()].toSorted()).toEqual(Object.keys(cases).toSorted());
  });

  it("is in the OpenAPI document, but for pages that are everybody's", () => {
    const documented = new Set([...declared().keys()].map((key) => key.replaceAll(/\{(\w+)\}/g, ":$1").toLowerCase()));
    const served = new Set(api.app.routes.filter((route) => route.method !== "ALL").map((route) => `${route.method} ${route.path}`));
    expect([...served].filter((route) => !documented.has(route.toLowerCase())).toSorted()).toEqual(staticPages.toSorted());
  });

  it.each(Object.entries(cases))("%s declares the rule that is written here", (key, { roles, scope }) => {
    expect(declared().get(key)).toEqual({ roles, scope });
  });
});

describe.each(Object.entries(cases).filter(([, { scope }]) => scope !== "public"))("%s", (key, access) => {
  const [method = "", path = ""] = key.split(" ");
  const address = anyAddress(path);

  it("asks for credentials, whatever else is wrong", async () => {
    for (const secret of [undefined, "zy_wrong", tokens.revoked]) {
      const answer = await api.call(secret, method.toUpperCase(), address, { body: method === "get" ? undefined : "{" });
      expect(answer.body).toMatchObject({ status: 401, code: "unauthenticated" });
    }
  });

  it("turns away other roles before it looks at anything", async () => {
    const by = { department: tokens.owner, operations: tokens.operations, auditor: tokens.auditor };
    for (const role of ["department", "operations", "auditor"] as const) {
      if (access.roles.includes(role)) continue;
      const answer = await api.call(by[role], method.toUpperCase(), address, { body: method === "get" ? undefined : "{" });
      expect(answer.body).toMatchObject({ status: 403, code: "forbidden" });
    }
  });
});

const text = (body: unknown) => (typeof body === "string" ? body : JSON.stringify(body));
const inSubtrees = Object.entries(cases).filter(([, { scope }]) => scope === "subtree");

it("every route of subtrees is tried by a stranger", () => {
  expect(inSubtrees.filter(([, { stranger, list }]) => !stranger && !list).map(([key]) => key)).toEqual([]);
});

it.each(inSubtrees.flatMap(([key, { stranger }]) => (stranger ? [[key, stranger] as const] : [])))(
  "%s hides a thing from another department, and answers its own",
  async (key, stranger) => {
    const method = key.split(" ")[0]!.toUpperCase();
    const { path, body } = stranger(world.ids);
    const ask = async (secret: string) => {
      const headers = {
        authorization: `Bearer ${secret}`,
        "if-match": '"1"',
        ...(method === "POST" ? { "idempotency-key": key } : {}),
        ...(body ? { "content-type": "application/json" } : {}),
      };
      const response = await api.app.request(path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
      // A stream would not end: that it begins is all that is asked.
      await response.body?.cancel();
      return response.status;
    };
    expect(await ask(tokens.stranger)).toBe(404);
    expect([401, 403, 404, 500]).not.toContain(await ask(tokens.owner));
  },
);

it.each(inSubtrees.flatMap(([key, { list }]) => (list ? [[key, list] as const] : [])))("%s lists nothing of another department", async (_key, list) => {
  const mine = await api.call(tokens.owner, "GET", list);
  const theirs = await api.call(tokens.stranger, "GET", list);
  expect([mine.status, theirs.status]).toEqual([200, 200]);
  const owners = new RegExp(`${world.owner}|owner-bureau`);
  expect(text(mine.body)).toMatch(owners);
  expect(text(theirs.body)).not.toMatch(owners);
});
