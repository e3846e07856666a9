import pino from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JobContext } from "../../../control-plane/jobs/context.ts";
import { nextDue, ticks } from "../../../control-plane/jobs/ticks.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, smallCity, volume } from "../../setup/small-city.ts";

describe("when a policy is due", () => {
  const nightly = { schedule: "30 2 * * *", timezone: "Europe/Berlin" };
  const due = (after: string) => nextDue(nightly, new Date(after)).toISOString();

  it("is by the clock of its own time zone", () => {
    expect(nextDue({ schedule: "0 1 * * *", timezone: "Asia/Shanghai" }, new Date("2026-11-23T00:00:00Z")).toISOString()).toBe("2026-11-23T17:00:00.000Z");
  });
  it("comes once in a night whose hour exists twice", () => {
    const first = due("2026-10-24T12:00:00Z");
    expect(first).toBe("2026-10-25T00:30:00.000Z");
    expect(due(first)).toBe("2026-10-26T01:30:00.000Z");
  });
  it("comes also in a night whose hour does not exist", () => {
    expect(due("2026-03-28T12:00:00Z").slice(0, 10)).toBe("2026-03-29");
  });
});

describe.each(engines)("ticks, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let clock = new Date();
  const enqueued: string[] = [];
  const keep = (job: string) => async (_tx: unknown, id: string) => void enqueued.push(`${job} ${id}`);
  const unused = () => {
    throw new Error("a tick does no such thing");
  };
  let context: JobContext;
  const later = (hours: number) => (clock = new Date(clock.getTime() + hours * 3_600_000));
  beforeAll(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
    await books.import(smallCity({ hosts: 60 }));
    context = {
      db: opened.db,
      queue: {
        plan: async (_tx: unknown, requests: readonly { id: string }[]) => void enqueued.push(...requests.map(({ id }) => `plan ${id}`)),
        apply: keep("apply"),
        backup: keep("backup"),
        restore: keep("restore"),
        snapshots: keep("snapshots"),
        stackOperation: async (_tx: unknown, { id }: { id: string }) => void enqueued.push(`stack-operation ${id}`),
        look: keep("look"),
        systemBackup: keep("system-backup"),
        operation: keep("operation"),
      },
      log: pino({ level: "silent" }),
      now: () => clock,
      keys: { seal: (_: string, text: string) => text, unseal: (_: string, text: string) => text } as JobContext["keys"],
      engine: { run: unused } as unknown as JobContext["engine"],
      state: { issueOperationToken: unused } as unknown as JobContext["state"],
      archives: "/nowhere",
      images: "/nowhere",
      driftMs: 0,
      version: "test",
      driver: unused,
      observe: unused,
    };
  });
  afterAll(() => opened.close());
  const tick = async (name: string) => {
    enqueued.length = 0;
    await ticks[name]!(context);
    return [...enqueued];
  };
  const department = async (code: string) => (await opened.db.selectFrom("departments").select("id").where("code", "=", code).executeTakeFirstOrThrow()).id;

  it("fail a host that never ran, with what is attached to it, and the next apply gives all of it back", async () => {
    const bureau = await department("bureau");
    const held = () =>
      opened.db
        .selectFrom("quota_charges")
        .select((of) => of.fn.countAll<number>().as("n"))
        .where("state", "<>", "released")
        .where("department_id", "=", bureau)
        .executeTakeFirstOrThrow();
    const before = await held();
    const request = await books.decide(
      await books.ask("bureau", [host("dead"), volume("disk"), { action: "create", kind: "attachment", spec: { host: "dead", volume: "disk" } }]),
    );
    await books.apply(bureau);
    const state = async () => (await opened.db.selectFrom("requests").select("state").where("id", "=", request.id).executeTakeFirstOrThrow()).state;
    expect(await tick("overdue"), "it has ten minutes").toEqual([]);
    expect(await state()).toBe("applying");
    later(1);
    expect(await tick("overdue")).toEqual([`apply ${bureau}`]);
    expect(await state(), "its volume is there").toBe("active");
    const items = await opened.db
      .selectFrom("request_items")
      .select(["kind", "state", "error"])
      .where("request_id", "=", request.id)
      .orderBy("position")
      .execute();
    expect(items).toMatchObject([{ kind: "host", state: "failed", error: { code: "never-ran" } }, { kind: "volume", state: "active" }, { kind: "attachment" }]);
    expect(await books.apply(bureau)).toBe(false);
    const phases = await opened.db.selectFrom("resources").select(["kind", "phase"]).where("request_id", "=", request.id).orderBy("kind").execute();
    expect(phases).toEqual([
      { kind: "attachment", phase: "failed" },
      { kind: "host", phase: "failed" },
      { kind: "volume", phase: "live" },
    ]);
    expect((await held()).n, "only the volume's").toBe(before.n + 1);
    expect(await tick("overdue")).toEqual([]);
  });

  it("forget old versions of a stack's state, and keep the newest", async () => {
    const id = "stack-of-many-versions";
    const [long, count] = [new Date(clock.getTime() - 200 * 86_400_000), 53];
    await opened.db
      .insertInto("state_stacks")
      .values({ id, organization: "zhengyun", project: "department", name: id, tags: "{}", version: count, created_at: long })
      .execute();
    const versions = Array.from({ length: count }, (_, index) => index + 1);
    await opened.db
      .insertInto("state_snapshots")
      .values(versions.map((version) => ({ stack_id: id, version, schema_version: 3, features: "[]", deployment: "{}", resources: 0, created_at: long })))
      .execute();
    await tick("housekeeping");
    const left = await opened.db.selectFrom("state_snapshots").select("version").where("stack_id", "=", id).orderBy("version").execute();
    expect(left.map(({ version }) => version)).toEqual(versions.slice(3));
  });

  it("take a backup that was due in a long sleep once, however often it was missed", async () => {
    const office = await department("office");
    await books.decide(await books.ask("office", [volume("data"), { action: "create", kind: "backup-policy", spec: { name: "nightly", volume: "data" } }]));
    await books.apply(office);
    expect(await tick("backups-due"), "not before its first time").toEqual([]);
    later(24 * 5);
    expect(await tick("backups-due")).toHaveLength(1);
    expect(await tick("backups-due"), "the next is tomorrow's").toEqual([]);
    later(25);
    expect(await tick("backups-due")).toHaveLength(1);
    expect(await opened.db.selectFrom("backups").select("state").execute()).toEqual([{ state: "pending" }, { state: "pending" }]);
  });

  it("put on the queue whatever is under way, as a start does", async () => {
    const asked = await books.ask("bureau", [host("asked")]);
    await books.decide(await books.ask("city", [host("approved")]));
    const found = await tick("unfinished");
    expect(found).toContain(`plan ${asked.id}`);
    expect(found).toContain(`apply ${await department("city")}`);
    expect(found.filter((one) => one.startsWith("backup "))).toHaveLength(2);
    expect(found).toHaveLength(4);
  });

  it("say once a day that a quota is nearly full", async () => {
    const city = await department("city");
    await opened.db.updateTable("quota_accounts").set({ limit_value: 1 }).where("department_id", "=", city).where("dimension", "=", "hosts").execute();
    const said = async () => (await opened.db.selectFrom("events").select("data").where("type", "=", "quota.nearly-full").execute()).length;
    await books.appoint();
    await tick("quota-check");
    const once = await said();
    expect(once).toBe(1);
    await tick("quota-check");
    expect(await said()).toBe(1);
    later(25);
    await tick("quota-check");
    expect(await said()).toBe(2);
    // At its first and at its third look.
    const told = await opened.db
      .selectFrom("notices")
      .select(["person_id", "data"])
      .where("kind", "=", "quota.nearly-full")
      .where("department_id", "=", city)
      .execute();
    expect(told.map((one) => one.person_id).toSorted()).toEqual(["tok_approver", "tok_approver", "tok_authority", "tok_authority"]);
    expect(told[0]!.data).toMatchObject({ departmentZh: "部门0", dimension: "hosts", limit: 1 });
  });
});
