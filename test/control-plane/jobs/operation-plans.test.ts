/** Operation plans from asking to their end, on a cluster on paper: what the stores and the job promise. With real machines: test/e2e/members.test.ts. */
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clusterOf, runOperationPlan } from "../../../control-plane/jobs/operation-plan.ts";
import type { JobContext } from "../../../control-plane/jobs/context.ts";
import { runMoves } from "../../../control-plane/jobs/moves.ts";
import { Refusal } from "../../../control-plane/domain/refusal.ts";
import { approvedEstate } from "../../../control-plane/store/approvals.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import {
  askOperation,
  cancelOperation,
  confirmOperation,
  getOperation,
  recomputeOperation,
  type PlanRow,
  stepsOf,
} from "../../../control-plane/store/operation-plans.ts";
import { NewOperationPlan } from "../../../control-plane/contract/operation-plans.ts";
import { finishBackup, requestBackup, startBackup } from "../../../control-plane/store/backups.ts";
import { isMoving } from "../../../control-plane/store/operation-steps.ts";
import { reconcile } from "../../../control-plane/store/reconciliation.ts";
import { type Driver, DriverError, type MemberReading, NoSpace } from "../../../infra/drivers/driver.ts";
import { specDigest } from "../../../infra/approval.ts";
import type { HostSpec } from "../../../infra/spec.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, smallCity, volume } from "../../setup/small-city.ts";

const gib = 1_073_741_824;
const nobody = () => undefined;
const code = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: unknown) => (error instanceof Refusal ? error.code : Promise.reject(error as Error)),
  );

/** Three machines, and what lies where, written down outside of the driver. */
function paperCluster() {
  const members = new Map<string, MemberReading["state"]>(["n1", "n2", "n3"].map((name) => [name, "online"]));
  const places = new Map<string, string>();
  const failing = new Map<string, DriverError>();
  const log: string[] = [];
  const readings = (): MemberReading[] =>
    [...members].map(([name, state]) => ({
      name,
      state,
      groups: [],
      message: "",
      vcpu: 64,
      memory: { totalBytes: 64 * gib, freeBytes: gib },
      disk: { totalBytes: 9e12, freeBytes: 9e12 },
    }));
  const driver = {
    members: async () => readings(),
    observe: async () => ({
      at: 0,
      hosts: [...places]
        .filter(([name]) => name.startsWith("hst"))
        .map(([name, member]) => ({ id: `${name}.1`, name, scope: "", hostname: "h", pool: "", state: "running" as const, addresses: [], member })),
      volumes: [...places]
        .filter(([name]) => name.startsWith("vol"))
        .map(([name, member]) => ({ id: `${name}.1`, name, scope: "", pool: "", sizeGib: 1, usedBytes: 5, member })),
      backups: [],
    }),
    find: async (_kind: string, name: string) => (places.has(name) ? { id: `${name}.1`, spec: {} } : undefined),
    setMember: async (name: string, state: "online" | "evacuated") => {
      const error = failing.get(name);
      if (error) throw error;
      members.set(name, state);
      log.push(`${name} ${state}`);
    },
    moveHost: async (id: string, member: string, call: { fence: number }) => {
      const name = id.slice(0, id.lastIndexOf("."));
      const error = failing.get(name);
      if (error) throw error;
      log.push(`${name} ${places.get(name)} → ${member} fence ${call.fence}`);
      places.set(name, member);
      return { restarted: true };
    },
    moveVolume: async (id: string, member: string) => void places.set(id.slice(0, id.lastIndexOf(".")), member),
  };
  return { driver: driver as unknown as Driver, places, members, failing, log };
}

describe.each(engines)("operation plans, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let cloud: ReturnType<typeof paperCluster>;
  let context: JobContext;
  let enqueued: string[];
  let office = "";
  const author = { ...systemAct(new Date()), actor: "tok_author" };
  const second = { ...systemAct(new Date()), actor: "tok_second" };
  beforeEach(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
    const city = smallCity();
    const compute = city.pools.find((one) => one.code === "compute")!;
    city.pools.push({ ...compute, code: "compute-2", capacity: { hosts: 1, vcpu: 64, memory_mib: 1_000_000, "storage_gib:standard": 10_000 } });
    city.pools.push({ ...compute, code: "compute-low", securityLevel: 2 }, { ...compute, code: "compute-fast", tier: "performance" });
    city.pools.push({ ...compute, code: "elsewhere", endpoint: "somewhere/else" });
    for (const one of city.applications) one.protectionLevel = 3;
    await books.import(city);
    office = (await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow()).id;
    cloud = paperCluster();
    enqueued = [];
    const keep = (job: string) => async (_tx: unknown, id: string) => void enqueued.push(`${job} ${id}`);
    context = {
      db: opened.db,
      queue: { apply: keep("apply"), operation: keep("operation") } as unknown as JobContext["queue"],
      log: pino({ level: "silent" }),
      now: () => new Date(),
      driver: () => cloud.driver,
    } as unknown as JobContext;
  });
  afterEach(() => opened.close());

  const resource = (name: string) => opened.db.selectFrom("resources").selectAll().where("name", "=", name).executeTakeFirstOrThrow();
  /** Hosts that run: on these members, in the order of their names. */
  const made = async (places: Record<string, string>) => {
    const kindOf = (name: string) => (name.startsWith("v") ? volume(name, 1) : host(name));
    // The others are for moves.
    const others = opened.db.updateTable("pools").where("kind", "=", "compute").where("code", "<>", "compute");
    await others.set({ state: "maintenance" }).execute();
    await books.decide(await books.ask("office", Object.keys(places).map(kindOf)));
    await others.set({ state: "open" }).execute();
    await books.apply(office);
    await books.observe();
    for (const [name, member] of Object.entries(places)) cloud.places.set((await resource(name)).id, member);
  };
  const ask = async (body: object) => {
    const row = await books.change((tx) => askOperation(tx, author, NewOperationPlan.parse({ reason: "new memory", ...body })));
    await runOperationPlan(context, row.id);
    return getOperation(opened.db, row.id);
  };
  const confirm = async (plan: PlanRow) => {
    await books.change((tx) => confirmOperation(tx, second, plan.id, plan.hash ?? "0".repeat(64), nobody));
    await runOperationPlan(context, plan.id);
    return getOperation(opened.db, plan.id);
  };
  /** The queue's workers, until nothing is left. */
  const work = async (plan: PlanRow) => {
    while (enqueued.length > 0) {
      const [job, id] = enqueued.shift()!.split(" ") as [string, string];
      if (job === "apply") await runMoves(context, id);
      else await runOperationPlan(context, id);
    }
    return getOperation(opened.db, plan.id);
  };
  const steps = async (plan: PlanRow) =>
    (await stepsOf(opened.db, [plan.id])).map((one) => `${one.action} ${one.name} ${one.from_member ?? ""}→${one.to_member ?? ""} ${one.state}`);
  const taken = async () =>
    Object.fromEntries(
      (
        await opened.db
          .selectFrom("pool_accounts as a")
          .innerJoin("pools as p", "p.id", "a.pool_id")
          .select(["p.code", "a.taken"])
          .where("a.dimension", "=", "hosts")
          .execute()
      ).map((row) => [row.code, row.taken]),
    );
  const sound = async () => expect((await reconcile(opened.db, systemAct(new Date()))).findings).toEqual([]);
  const pool = async (code_: string) => (await opened.db.selectFrom("pools").select("id").where("code", "=", code_).executeTakeFirstOrThrow()).id;

  it("drains a member: shown first, confirmed by somebody else, closed, emptied one by one; the owners are told before and after", async () => {
    await made({ web: "n1", db: "n1", other: "n2", vfree: "n1" });
    const applicant = await books.change(async (tx) => {
      const at = { valid_from: new Date(0), valid_until: null, period_from: null, period_to: null, reason: "test", granted_by: "test", granted_at: new Date() };
      await tx.insertInto("tokens").values({ id: "tok_owner", name: "owner", secret_hash: "x", expires_at: null, created_at: new Date() }).execute();
      await tx
        .insertInto("role_bindings")
        .values({ id: "rbd_owner", subject_id: "tok_owner", role: "applicant", department_id: office, kind: "standing", ...at })
        .execute();
      return "tok_owner";
    });
    const told = async () =>
      (await opened.db.selectFrom("notices").select("kind").where("person_id", "=", applicant).where("kind", "like", "host.%").orderBy("id").execute()).map(
        (one) => one.kind,
      );
    const plan = await ask({ kind: "drain-member", pool: "compute", member: "n1" });
    expect(plan).toMatchObject({ state: "draft", error: null });
    const shown = await steps(plan);
    expect(shown[0]).toBe("close-member n1 → planned");
    // Apart from each other, and from the third of their application.
    expect(shown.slice(1).toSorted()).toEqual([
      expect.stringMatching(/move-host db n1→n[23]/),
      expect.stringMatching(/move-host web n1→n[23]/),
      expect.stringMatching(/move-volume vfree n1→n[23]/),
    ]);
    expect(cloud.log).toEqual([]);
    expect(await code(books.change((tx) => confirmOperation(tx, author, plan.id, plan.hash!, nobody)))).toBe("self-approval");
    expect(await code(books.change((tx) => confirmOperation(tx, second, plan.id, "0".repeat(64), nobody)))).toBe("plan-changed");
    expect(await told()).toEqual([]);
    expect((await confirm(plan)).state).toBe("running");
    expect(await told()).toEqual(["host.moving"]);
    expect(cloud.log).toEqual(["n1 evacuated"]);
    expect(
      (await stepsOf(opened.db, [plan.id])).filter((one) => one.state === "running"),
      "a member gives one at a time",
    ).toHaveLength(1);
    expect((await work(plan)).state).toBe("done");
    expect([...cloud.places.values()]).not.toContain("n1");
    expect(await told()).toEqual(["host.moving", "host.moved"]);
    const audited = await opened.db.selectFrom("audit_entries").select(["action", "actor"]).where("subject_id", "=", plan.id).orderBy("id").execute();
    expect(audited.map((one) => `${one.action} ${one.actor}`)).toEqual([
      "operation-plan.create tok_author",
      "operation-plan.compute system",
      "operation-plan.confirm tok_second",
      "operation-plan.start system",
      "operation-plan.end system",
    ]);
    const moves = await opened.db.selectFrom("audit_entries").select("department_id").where("action", "in", ["host.move", "volume.move"]).execute();
    expect(moves.map((one) => one.department_id)).toEqual([office, office, office]);
    // And what it took away comes back.
    const back = await ask({ kind: "restore-member", pool: "compute", member: "n1", bringBack: true });
    expect((await stepsOf(opened.db, [back.id])).map((one) => one.to_member)).toEqual([null, "n1", "n1", "n1"]);
    await confirm(back);
    expect((await work(back)).state).toBe("done");
    expect(cloud.members.get("n1")).toBe("online");
    await sound();
  });

  it("is bound to what it showed: what moved since sends it back with the difference, and asks for a new confirmation", async () => {
    await made({ web: "n1", db: "n1" });
    const plan = await ask({ kind: "drain-member", pool: "compute", member: "n1" });
    cloud.places.set((await resource("web")).id, "n2");
    const back = await confirm(plan);
    expect(back).toMatchObject({ state: "draft", confirmed_by: null });
    expect(back.difference).toContain("move-host web: no more");
    expect(cloud.log).toEqual([]);
    expect(await code(books.change((tx) => confirmOperation(tx, second, plan.id, plan.hash!, nobody)))).toBe("plan-changed");
    await confirm(back);
    expect((await work(back)).state).toBe("done");
  });

  it("says of each step how it ended; one that fails stops no other, and the plan says so", async () => {
    await made({ web: "n1", db: "n1" });
    const web = await resource("web");
    cloud.failing.set(web.id, new NoSpace("no room"));
    const plan = await ask({ kind: "drain-member", pool: "compute", member: "n1" });
    await confirm(plan);
    expect(await work(plan)).toMatchObject({ state: "failed", error: "1 of 3 steps failed" });
    const step = (await stepsOf(opened.db, [plan.id])).find((one) => one.name === "web");
    expect(step).toMatchObject({ state: "failed", error: { code: "no-space", message: "no room" } });
    expect(cloud.places.get(web.id)).toBe("n1");
    expect(cloud.places.get((await resource("db")).id)).not.toBe("n1");
  });

  it("skips what follows when the member cannot be closed; a host that is gone is skipped, one that came meanwhile is told", async () => {
    await made({ web: "n1", db: "n1", late: "n2" });
    const plan = await ask({ kind: "drain-member", pool: "compute", member: "n1" });
    cloud.failing.set("n1", new DriverError("unreachable", "no answer"));
    await confirm(plan);
    expect((await work(plan)).state).toBe("failed");
    expect((await stepsOf(opened.db, [plan.id])).map((one) => one.state)).toEqual(["failed", "skipped", "skipped"]);
    cloud.failing.clear();
    const again = await ask({ kind: "drain-member", pool: "compute", member: "n1" });
    await confirm(again);
    await opened.db.updateTable("resources").set({ phase: "gone" }).where("name", "=", "web").execute();
    cloud.places.delete((await resource("web")).id);
    cloud.places.set((await resource("late")).id, "n1");
    await work(again);
    const states = Object.fromEntries((await stepsOf(opened.db, [again.id])).map((one) => [one.name, one.state]));
    expect(states).toMatchObject({ db: "done" });
    const rest = await ask({ kind: "drain-member", pool: "compute", member: "n1" });
    expect((await stepsOf(opened.db, [rest.id])).map((one) => one.name)).toEqual(["n1", "late"]);
    await confirm(rest);
    cloud.places.set((await resource("db")).id, "n1");
    expect((await work(rest)).error).toMatch(/1 more came to n1 meanwhile: db/);
  });

  it("waits while a volume of the host is backed up, and goes on after a kill at any point", async () => {
    await made({ web: "n1" });
    const plan = await ask({ kind: "drain-member", pool: "compute", member: "n1" });
    await made({ vdata: "n1" });
    const data = await resource("vdata");
    await books.decide(await books.ask("office", [{ action: "create", kind: "attachment", spec: { host: "web", volume: "vdata" } }]));
    await books.apply(office);
    const backup = await books.change((tx) => requestBackup(tx, books.act(), data.id, null));
    await books.change((tx) => startBackup(tx, books.act(), backup.id));
    await books.change((tx) => recomputeOperation(tx, author, plan.id));
    await runOperationPlan(context, plan.id);
    await confirm(await getOperation(opened.db, plan.id));
    const of = async (name: string) => (await stepsOf(opened.db, [plan.id])).find((one) => one.name === name)?.state;
    expect([await of("n1"), await of("web"), await of("vdata")]).toEqual(["done", "planned", undefined]);
    await books.change((tx) => finishBackup(tx, books.act(), backup.id, { error: "test" }));
    await runOperationPlan(context, plan.id);
    expect(await of("web")).toBe("running");
    expect(await isMoving(opened.db, data.id)).toBe(true);
    // The apply job was lost, and with it the queue: the plan's own job, which a start enqueues, puts it there again.
    enqueued.length = 0;
    await runOperationPlan(context, plan.id);
    expect(enqueued).toEqual([`apply ${office}`]);
    // Killed after the move, before it was written down: done again, it moves nothing further.
    const { id } = await resource("web");
    cloud.places.set(id, "n2");
    expect((await work(plan)).state).toBe("done");
    expect(cloud.log.filter((line) => line.startsWith(id))).toHaveLength(1);
  });

  it("cancelled, it finishes what runs and does no more; two plans never work on one cluster", async () => {
    await made({ web: "n1", db: "n1" });
    const plan = await ask({ kind: "drain-member", pool: "compute", member: "n1" });
    const other = await ask({ kind: "drain-member", pool: "compute", member: "n2" });
    await confirm(plan);
    expect(await code(books.change((tx) => confirmOperation(tx, second, other.id, other.hash!, nobody)))).toBe("conflict");
    await books.change((tx) => cancelOperation(tx, second, plan.id, nobody));
    expect((await work(plan)).state).toBe("cancelled");
    expect((await stepsOf(opened.db, [plan.id])).map((one) => one.state)).toEqual(["done", "done", "skipped"]);
    expect(await code(books.change((tx) => cancelOperation(tx, second, plan.id, nobody)))).toBe("conflict");
    await books.change((tx) => recomputeOperation(tx, author, other.id));
    await runOperationPlan(context, other.id);
    const anew = await getOperation(opened.db, other.id);
    await confirm(anew);
    expect((await work(anew)).state).toBe("done");
  });

  it("moves a host to another pool: capacity there and here, what is wanted, applied and approved, at once", async () => {
    await made({ web: "n1", db: "n1" });
    const [web, db] = [await resource("web"), await resource("db")];
    expect(await taken()).toMatchObject({ compute: 2, "compute-2": 0 });
    const plan = await ask({ kind: "move-host", host: web.id, toPool: "compute-2" });
    expect(await steps(plan)).toEqual(["move-host web n1→n1 planned"]);
    await confirm(plan);
    expect((await work(plan)).state).toBe("done");
    expect(await taken()).toMatchObject({ compute: 1, "compute-2": 1 });
    const moved = await resource("web");
    const to = await pool("compute-2");
    expect(moved.pool_id).toBe(to);
    expect([(moved.wanted as HostSpec).pool, (moved.applied as HostSpec).pool]).toEqual([to, to]);
    const approved = await books.change((tx) => approvedEstate(tx, office));
    expect(approved.find((one) => one.name === web.id)?.digest).toBe(specDigest("host", moved.wanted));
    expect(approved.find((one) => one.name === db.id)?.digest).toBe(specDigest("host", db.wanted));
    await sound();
    // A later approval of the department holds again.
    await books.decide(await books.ask("office", [{ action: "stop", kind: "host", id: web.id, spec: {} }]));
    await books.apply(office);
    const stopped = await resource("web");
    expect(stopped).toMatchObject({ pool_id: to });
    expect((await books.change((tx) => approvedEstate(tx, office))).find((one) => one.name === web.id)?.digest).toBe(specDigest("host", stopped.wanted));
    // The pool is full: what doesn't fit stays where it is.
    const full = await ask({ kind: "move-host", host: db.id, toPool: "compute-2" });
    await confirm(full);
    expect((await work(full)).state).toBe("failed");
    expect((await stepsOf(opened.db, [full.id]))[0]?.error).toMatchObject({ code: "no-space" });
    expect((await resource("db")).pool_id).toBe(db.pool_id);
    expect(await taken()).toMatchObject({ compute: 1, "compute-2": 1 });
    await sound();
  });

  it("gives the new pool's capacity back when the machines refuse the move", async () => {
    await made({ web: "n1" });
    const web = await resource("web");
    const plan = await ask({ kind: "move-host", host: web.id, toPool: "compute-2", toMember: "n2" });
    cloud.failing.set(web.id, new NoSpace("no room"));
    await confirm(plan);
    expect((await work(plan)).state).toBe("failed");
    const still = await resource("web");
    expect([still.pool_id, still.wanted, still.applied]).toEqual([web.pool_id, web.wanted, web.applied]);
    expect(await taken()).toMatchObject({ compute: 1, "compute-2": 0 });
    expect((await books.change((tx) => approvedEstate(tx, office))).find((one) => one.name === web.id)?.digest).toBe(specDigest("host", still.wanted));
    await sound();
  });

  it("never to a lower level or another tier; not while a request changes it; not to another endpoint: it says what to do instead", async () => {
    await made({ web: "n1" });
    const web = await resource("web");
    const low = await ask({ kind: "move-host", host: web.id, toPool: "compute-low" });
    expect((await stepsOf(opened.db, [low.id]))[0]?.blocked).toMatch(/protection level 2 is below 3/);
    expect(await code(books.change((tx) => confirmOperation(tx, second, low.id, low.hash!, nobody)))).toBe("rule-broken");
    const fast = await ask({ kind: "move-host", host: web.id, toPool: "compute-fast" });
    expect((await stepsOf(opened.db, [fast.id]))[0]?.blocked).toMatch(/department has to ask/);
    expect(await ask({ kind: "move-host", host: web.id, toPool: "elsewhere" })).toMatchObject({
      state: "failed",
      error: expect.stringMatching(/another server/),
    });
    const plan = await ask({ kind: "move-host", host: web.id, toPool: "compute-2" });
    await books.ask("office", [{ action: "stop", kind: "host", id: web.id, spec: {} }]);
    await confirm(plan);
    await work(plan);
    expect((await stepsOf(opened.db, [plan.id]))[0]?.error).toMatchObject({ code: "conflict" });
  });

  it("a machine that is alone is not drained", async () => {
    cloud.members.delete("n2");
    cloud.members.delete("n3");
    expect(await ask({ kind: "drain-member", pool: "compute", member: "n1" })).toMatchObject({
      state: "failed",
      error: expect.stringMatching(/one machine only/),
    });
  });
});

it("what a host carries along is counted: its disk and what its volumes use", () => {
  const pool = {
    id: "p",
    code: "p",
    kind: "compute" as const,
    tier: "standard",
    securityLevel: 3,
    zone: "extranet" as const,
    state: "open" as const,
    overcommitPercent: 100,
    dedicatedTo: null,
  };
  const held = {
    phase: "live",
    observedState: "running",
    poolId: "p",
    department: "d",
    departmentZh: "",
    departmentEn: "",
    application: "a",
    applicationName: "",
    departments: ["d"],
    level: 2,
    zone: "extranet" as const,
    apart: "preferred" as const,
    member: null,
  };
  const wanted = { flavour: { vcpu: 1, memoryMib: 512, diskGib: 2 } } as HostSpec;
  const seen = { scope: "", pool: "p", hostname: "h", addresses: [], member: "n1", state: "running" as const };
  const cluster = clusterOf(
    [{ name: "n1", state: "online", groups: [], message: "" }],
    [
      {
        at: 0,
        hosts: [
          { id: "h.1", name: "h", ...seen },
          { id: "x.1", name: "x", ...seen },
        ],
        volumes: [{ id: "v.1", name: "v", scope: "", pool: "p", sizeGib: 9, usedBytes: 7 }],
        backups: [],
      },
    ],
    [
      { id: "h", kind: "host", name: "web", attachedTo: null, wanted, ...held },
      { id: "v", kind: "volume", name: "data", attachedTo: "h", wanted: { sizeGib: 9 } as never, ...held },
    ],
    [pool],
  );
  expect(cluster.things.find((one) => one.id === "h")?.bytes).toBe(2 * gib + 7);
  expect(cluster.strangers).toEqual([{ name: "x", member: "n1" }]);
});
