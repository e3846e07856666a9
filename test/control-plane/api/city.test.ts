import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openApp, type TestApp } from "../../setup/app.ts";
import { engines } from "../../setup/databases.ts";

/** A small city; children stand before their parents. */
const city = () => ({
  name: "Small city",
  flavours: [{ code: "huge", name: "Huge", vcpu: 64, memoryMib: 262_144, diskGib: 500 }],
  images: [{ code: "debian-12", name: "Debian 12" }],
  pools: [{ code: "main", name: "Main", kind: "compute", site: "Site A", capacity: { hosts: 100, vcpu: 200 } }],
  departments: [
    { code: "school", parent: "bureau", nameZh: "学校", nameEn: "School", level: "township" },
    { code: "bureau", parent: "city", nameZh: "局", nameEn: "Bureau", level: "county" },
    { code: "city", nameZh: "市", nameEn: "City", level: "city" },
  ],
  quotas: [{ department: "bureau", limits: { hosts: 10, vcpu: 20 } }],
  projects: [{ department: "school", code: "p", name: "Project", fiscalYear: 2026, budgetFen: 100, stage: "approved" }],
  applications: [{ department: "school", project: "p", code: "portal", name: "Portal", contact: "somebody" }],
  requests: [
    {
      ref: "r1",
      department: "school",
      project: "p",
      application: "portal",
      title: "Hosts",
      items: [{ action: "create", kind: "host", spec: { name: "web", flavour: "standard", image: "zhengyun-base-1", userData: "password" } }],
    },
  ],
});
type City = ReturnType<typeof city>;

const tables = [
  "departments",
  "department_ancestors",
  "quota_accounts",
  "projects",
  "applications",
  "pools",
  "pool_accounts",
  "catalogue",
  "requests",
  "request_items",
  "settings",
  "audit_entries",
] as const;

describe.each(engines)("a city's import, on %s", (engine) => {
  let api: TestApp;
  let operations: string;
  const send = (body: unknown) => api.call(operations, "POST", "/api/v1/city-imports", { body });
  const counts = () =>
    Promise.all(
      tables.map(
        async (table) =>
          (
            await api.database.db
              .selectFrom(table)
              .select((eb) => eb.fn.countAll().as("n"))
              .executeTakeFirstOrThrow()
          ).n,
      ),
    );
  beforeAll(async () => {
    api = await openApp(engine);
    operations = await api.token("operations");
  });
  afterAll(() => api?.close());

  it("tells every error with its place, and imports nothing then", async () => {
    const before = await counts();
    const wrong = city();
    wrong.departments.push({ code: "lost", parent: "nowhere", nameZh: "x", nameEn: "x", level: "x" }, { ...wrong.departments[2]! });
    expect((await send(wrong)).body).toMatchObject({
      status: 422,
      code: "city-invalid",
      errors: [
        { pointer: "/departments/4/code", detail: "stands in the file twice" },
        { pointer: "/departments/3/parent", detail: expect.stringContaining("nowhere") },
      ],
    });
    const circle = city();
    circle.departments[2]!.parent = "school";
    expect((await send(circle)).body.errors.map((error: { pointer: string }) => error.pointer)).toEqual([
      "/departments/0/parent",
      "/departments/1/parent",
      "/departments/2/parent",
    ]);
    const unknown: City = { ...city(), quotas: [{ department: "none", limits: { hosts: 1, vcpu: 1 } }] };
    unknown.projects[0]!.department = "nobody";
    expect((await send(unknown)).body.errors.map((error: { pointer: string }) => error.pointer)).toEqual(["/quotas/0/department", "/projects/0/department"]);
    const late = city();
    late.requests[0]!.application = "no-such";
    expect((await send(late)).body.errors).toEqual([{ pointer: "/requests/0/application", detail: expect.any(String) }]);
    expect(await counts()).toEqual(before);
  });

  describe("once it is there", () => {
    let first: {
      created: Record<string, number>;
      changed: Record<string, number>;
      unchanged: Record<string, number>;
      requests: { ref: string; id: string; state: string }[];
    };
    beforeEach(async () => {
      first ??= (await send(city())).body;
    });

    it("has made all of it, the tree's closure too", async () => {
      expect(first).toMatchObject({
        created: { flavours: 1, images: 1, pools: 1, departments: 3, quotas: 2, projects: 1, applications: 1, requests: 1 },
        changed: {},
        unchanged: {},
        requests: [{ ref: "r1", state: "draft" }],
      });
      const closure = await api.database.db
        .selectFrom("department_ancestors as a")
        .innerJoin("departments as d", "d.id", "a.department_id")
        .innerJoin("departments as u", "u.id", "a.ancestor_id")
        .select(["d.code as code", "u.code as above", "distance"])
        .orderBy("d.code")
        .orderBy("distance")
        .execute();
      expect(closure.map((row) => `${row.code} ${row.distance} ${row.above}`)).toEqual([
        "bureau 0 bureau",
        "bureau 1 city",
        "city 0 city",
        "school 0 school",
        "school 1 bureau",
        "school 2 city",
      ]);
      expect(await api.database.db.selectFrom("quota_accounts").select("dimension").execute()).toHaveLength(21);
      expect(JSON.stringify(await api.database.db.selectFrom("request_items").selectAll().execute())).not.toContain("password");
    });

    it("leaves what is equal alone, and finds its drafts again", async () => {
      const before = await counts();
      const second = (await send(city())).body;
      expect(second).toMatchObject({ created: {}, changed: {}, unchanged: { departments: 3, requests: 1 }, requests: first.requests });
      const after = await counts();
      expect(tables.filter((_, index) => after[index] !== before[index])).toEqual(["audit_entries"]);
    });

    it("changes what differs and deletes nothing", async () => {
      const other = city();
      other.departments[0]!.nameEn = "College";
      other.projects[0]!.budgetFen = 200;
      other.pools[0]!.capacity.hosts = 101;
      other.quotas[0]!.limits.hosts = 11;
      other.applications = [];
      other.requests = [];
      expect((await send(other)).body).toMatchObject({
        created: {},
        changed: { departments: 1, projects: 1, pools: 1, quotas: 1 },
        unchanged: { departments: 2, quotas: 1 },
      });
      expect((await api.call(operations, "GET", "/api/v1/departments/school")).body).toMatchObject({ nameEn: "College", revision: 2 });
      expect((await api.call(operations, "GET", "/api/v1/applications?department=school")).body.items).toHaveLength(1);
      expect((await send(city())).body).toMatchObject({ changed: { departments: 1, projects: 1, pools: 1, quotas: 1 } });
    });

    it("moves nothing that hosts were placed by", async () => {
      const moved = city();
      moved.departments[0]!.parent = "city";
      expect((await send(moved)).body.errors).toEqual([{ pointer: "/departments/0/parent", detail: expect.stringContaining("moves none") }]);
      const zoned = city();
      Object.assign(zoned.applications[0]!, { zone: "internet" });
      expect((await send(zoned)).body.errors).toEqual([{ pointer: "/applications/0/zone", detail: expect.any(String) }]);
    });

    it("passes a pool to another driver while nothing is in it, and not afterwards", async () => {
      const lxd = city();
      Object.assign(lxd.pools[0]!, { driver: "lxd", endpoint: "unix:/var/lib/lxd/unix.socket?storage=default&backups=/srv/backups" });
      const drivers = async () => (await api.call(operations, "GET", "/api/v1/pools")).body.items.map((one: { driver: string }) => one.driver);
      expect((await send(lxd)).body).toMatchObject({ changed: { pools: 1 } });
      expect(await drivers()).toEqual(["lxd"]);
      expect((await send(lxd)).body.changed).toEqual({});
      const pool = await api.database.db.selectFrom("pools").select("id").executeTakeFirstOrThrow();
      const taken = (hosts: number) =>
        api.database.db.updateTable("pool_accounts").set({ taken: hosts }).where("pool_id", "=", pool.id).where("dimension", "=", "hosts").execute();
      await taken(1);
      const back = city();
      Object.assign(back.pools[0]!, { driver: "embedded", endpoint: "/srv/embedded" });
      expect((await send(back)).body.errors).toEqual([{ pointer: "/pools/0", detail: expect.stringContaining("driver, endpoint") }]);
      await taken(0);
      expect((await send(back)).body).toMatchObject({ changed: { pools: 1 } });
      expect(await drivers()).toEqual(["embedded"]);
    });
  });
});
