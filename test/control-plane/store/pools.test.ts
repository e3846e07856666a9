import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ChangePlan } from "../../../control-plane/contract/requests.ts";
import { Refusal } from "../../../control-plane/domain/refusal.ts";
import { requestBackup } from "../../../control-plane/store/backups.ts";
import { grantWaiting, NoRoom, placeElsewhere } from "../../../control-plane/store/capacity-queue.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { type MemberSeen, membersMoved, pageOfMembers, recordMembers } from "../../../control-plane/store/members.ts";
import { changePool, getPool, listPools, type PoolPatch, whyNotInPool } from "../../../control-plane/store/pools.ts";
import { recordTransitions, transitionsOf } from "../../../control-plane/store/readings.ts";
import { specDigest } from "../../../infra/approval.ts";
import type { HostSpec } from "../../../infra/spec.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, plain, smallCity, volume } from "../../setup/small-city.ts";

const refusal = async (work: Promise<unknown>): Promise<Refusal> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof Refusal) return error;
  throw error ?? new Error("nothing was refused");
};
const gib = 2 ** 30;
const member = (name: string, changes: Partial<MemberSeen> = {}): MemberSeen => ({
  name,
  state: "online",
  groups: ["default", "gold"],
  message: "",
  vcpu: 4,
  memory: { totalBytes: 64 * gib, freeBytes: 60 * gib },
  ...changes,
});
const endpoint = (storage: string) => `unix:/cluster?storage=${storage}&backups=/backups&group=gold`;

describe.each(engines)("pools, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let office = "";
  beforeEach(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
    const city = smallCity({ driver: "lxd", endpoint: endpoint("one") });
    city.pools[0]!.overcommitPercent = 100;
    city.pools[1]!.endpoint = endpoint("two");
    const application = city.applications.find((one) => one.code === "office-app")!;
    city.applications.push({ ...application, code: "secret-app", protectionLevel: 3 }, { ...application, code: "apart-app", antiAffinity: "required" });
    await books.import(city);
    office = (await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow()).id;
  });
  afterEach(() => opened.close());

  const ask = (items: unknown[], application = "office-app") => books.ask("office", items, undefined, { application });
  const see = async (...seen: MemberSeen[]) => {
    const ids = (await opened.db.selectFrom("pools").select("id").execute()).map((row) => row.id);
    await books.change((tx) => recordMembers(tx, ids, seen, new Date()));
  };
  const change = async (code: string, patch: PoolPatch) => {
    const { id } = await getPool(opened.db, code);
    return books.change((tx) => changePool(tx, books.act(), id, patch, () => {}));
  };
  const hosts = async (request: { id: string }) =>
    (await opened.db.selectFrom("resources").selectAll().where("request_id", "=", request.id).where("kind", "=", "host").orderBy("name").execute()).map(
      (row) => ({
        ...row,
        wanted: row.wanted as HostSpec,
      }),
    );
  const membersOf = async (request: { id: string }) => (await hosts(request)).map((one) => one.wanted.member);

  it("spreads an application's hosts over the members of the group that take hosts, and says on the plan why not elsewhere", async () => {
    await see(member("n1"), member("n2"), member("n3"), member("n4", { state: "evacuated" }), member("n5", { groups: ["default"] }));
    const row = await books.plan(await ask([host("web-1"), host("web-2"), host("web-3"), host("web-4")]));
    expect(await membersOf(row)).toEqual(["n1", "n2", "n3", "n1"]);
    const { placement, specifications } = row.plan as ChangePlan;
    const [first] = await hosts(row);
    const placed = placement.find((one) => one.resource === first!.id);
    expect(placed).toMatchObject({ pool: "compute", member: "n1", memberReason: expect.stringContaining("of 3 members") });
    expect(placed!.considered).toContainEqual({ pool: "compute", member: "n4", why: "is evacuated" });
    expect(JSON.stringify(placed!.considered)).not.toContain("n5");
    // What is approved is the pool: where in it the host is made first may be another member by then.
    const digest = specifications.find((one) => one.resource === first!.id)!.digest;
    expect(specDigest("host", { ...first!.wanted, member: "n3" })).toBe(digest);
    expect(specDigest("host", { ...first!.wanted, pool: row.id })).not.toBe(digest);
    const other = await ask([host("db")], "apart-app");
    expect(await membersOf(other), "the least taken").toEqual(["n2"]);
  });

  it("counts hosts where they were seen last, and forgets members that are none any more", async () => {
    await see(member("n1"), member("n2"));
    const row = await books.decide(await ask([host("a"), host("b")]));
    await books.apply(office);
    await books.observe();
    expect(await membersOf(row)).toEqual(["n1", "n2"]);
    const [a, b] = await hosts(row);
    const pool = await getPool(opened.db, "compute");
    const seen = [a!, b!].map(({ id, physical_id }) => ({ name: id, state: "running", physicalId: physical_id ?? `${id}.1`, member: "n1" }));
    await books.change(async (tx) => recordTransitions(tx, books.act(), await transitionsOf(tx, [pool.id], seen)));
    const { items } = await pageOfMembers(opened.db, pool, {});
    expect(items.map((one) => [one.name, one.hosts, one.taken.vcpu])).toEqual([
      ["n1", 2, 4],
      ["n2", 0, 0],
    ]);
    expect(await membersOf(await ask([host("c")])), "both are on n1 by now").toEqual(["n2"]);
    const all = [pool.id];
    expect(await membersMoved(opened.db, all, [member("n1"), member("n2")], new Date())).toBe(false);
    expect(await membersMoved(opened.db, all, [member("n1"), member("n2", { state: "offline" })], new Date())).toBe(true);
    expect(await membersMoved(opened.db, all, [member("n1"), member("n2")], new Date(Date.now() + 120_000)), "what is free is read anew").toBe(true);
    await see(member("n1"));
    expect((await pageOfMembers(opened.db, pool, {})).items.map((one) => one.name)).toEqual(["n1"]);
  });

  it("oversells no member, whoever asks at the same time: who finds no room waits, and goes on when there is a member with room", async () => {
    await see(member("n1"), member("n2"));
    // Two vCPU each: two hosts a member.
    const asked = await Promise.all(Array.from({ length: 6 }, (_, index) => ask([host(`h-${index}`)])));
    const [placed, waiting] = [asked.filter((one) => !one.waits), asked.filter((one) => one.waits)];
    expect((await Promise.all(placed.map(membersOf))).flat().map(String).toSorted()).toEqual(["n1", "n1", "n2", "n2"]);
    expect(waiting).toHaveLength(2);
    expect(await refusal(ask([host("x", "no-such")]))).toMatchObject({ code: "invalid-body" });
    for (const one of placed) await books.decide(one);
    const one = await books.decide(waiting[0]!);
    expect(one, "the pool has room, its members have none").toMatchObject({ state: "waiting" });
    await expect(books.change((tx) => grantWaiting(tx, books.act(), one.id))).rejects.toThrow(NoRoom);
    await see(member("n1"), member("n2"), member("n3"));
    expect(await books.change((tx) => grantWaiting(tx, books.act(), one.id))).toMatchObject({ state: "approved" });
    expect(await membersOf(one)).toEqual(["n3"]);
    await books.apply(office);
    await books.observe();
    expect((await opened.db.selectFrom("requests").select("state").where("id", "=", one.id).executeTakeFirstOrThrow()).state).toBe("active");
    const granted = await books.decide(waiting[1]!);
    expect([granted.state, ...(await membersOf(granted))]).toEqual(["approved", "n3"]);
  });

  it("is placed in another pool, and decided on anew, when no member of its own has room", async () => {
    await see(member("n1", { vcpu: 2 }), member("n2", { vcpu: 2 }));
    await books.decide(await ask([host("a"), host("b")]));
    const waiting = await books.decide(await ask([host("c")]));
    expect(waiting.state).toBe("waiting");
    const elsewhere = () => books.change((tx) => placeElsewhere(tx, books.act(), waiting.id, plain, plain));
    expect(await elsewhere(), "there is no other").toBeUndefined();
    const city = smallCity();
    await books.import({ ...city, pools: [{ ...city.pools[0]!, code: "annex", driver: "embedded", endpoint: "/annex" }] });
    expect(await elsewhere()).toMatchObject({ state: "submitted", waits: false, error: { code: "placed-elsewhere" } });
    const [c] = await hosts(waiting);
    expect([c!.pool_id, c!.wanted.member]).toEqual([(await getPool(opened.db, "annex")).id, undefined]);
  });

  it("takes a policy for members that die from the city file, and says who settled it; what isn't named stays", async () => {
    const city = smallCity();
    const annex = { ...city.pools[0]!, code: "annex", driver: "embedded", endpoint: "/annex" };
    const propose = { action: "propose" as const, afterSeconds: 900, fenced: false };
    await books.import({ ...city, pools: [{ ...annex, onMemberLoss: propose }] });
    const settled = await getPool(opened.db, "annex");
    expect(settled).toMatchObject({ loss_action: "propose", loss_after_seconds: 900, loss_set_by: "tok_applicant" });
    await books.import({ ...city, pools: [annex] });
    expect(await getPool(opened.db, "annex")).toMatchObject({ loss_action: "propose", revision: settled.revision });
    await books.import({ ...city, pools: [{ ...annex, onMemberLoss: { action: "restart", afterSeconds: 60, fenced: true } }] });
    expect(await getPool(opened.db, "annex")).toMatchObject({ loss_action: "restart", revision: settled.revision + 1 });
    const unsafe = { ...city, pools: [{ ...annex, onMemberLoss: { action: "restart" as const, afterSeconds: 60, fenced: false } }] };
    expect(await refusal(books.import(unsafe))).toMatchObject({ name: "Refusal" });
  });

  it("keeps hosts apart where their application must have it so, also on one machine alone", async () => {
    await see(member("n1"), member("n2"));
    const two = await ask([host("a"), host("b")], "apart-app");
    expect((await membersOf(two)).map(String).toSorted()).toEqual(["n1", "n2"]);
    expect(await ask([host("c")], "apart-app")).toMatchObject({ waits: true });
    await see(member("n1"));
    expect(await ask([host("d")], "apart-app")).toMatchObject({ waits: true, error: { message: expect.stringContaining("one member only") } });
  });

  it("lets what is of level 3 only into dedicated pools, or in as a virtual machine, and nobody's into another's", async () => {
    await change("compute", { dedicatedTo: { department: "bureau" } });
    expect((await ask([host("mine")], "secret-app")).waits, "the office is below the bureau").toBe(false);
    expect(await refusal(books.ask("city", [host("not-mine")]))).toMatchObject({
      code: "invalid-body",
      errors: [{ detail: expect.stringContaining("is dedicated to others") }],
    });
    const elsewhere = change("compute", { dedicatedTo: { department: "city", application: "city-app" } });
    expect(await refusal(elsewhere), "somebody is in it").toMatchObject({ code: "rule-broken", detail: expect.stringContaining("could not stay") });
    expect(await refusal(change("compute", { dedicatedTo: null })), "as a container").toMatchObject({
      detail: expect.stringContaining("virtual machines only"),
    });
    await opened.db.updateTable("pools").set({ dedicated_department: null }).where("code", "=", "compute").execute();
    expect(await refusal(ask([host("open")], "secret-app"))).toMatchObject({ errors: [{ detail: expect.stringContaining("virtual machines") }] });
    await opened.db.updateTable("pools").set({ vm: true }).where("code", "=", "compute").execute();
    expect((await hosts(await ask([host("vm")], "secret-app")))[0]!.wanted.type).toBe("vm");
    const container = { action: "create", kind: "host", spec: { ...host("c").spec, type: "container" } };
    expect(await refusal(ask([container], "secret-app"))).toMatchObject({ errors: [{ detail: expect.stringContaining("virtual machines only") }] });
    const [application, pool] = [
      await opened.db.selectFrom("applications").select("id").where("code", "=", "secret-app").executeTakeFirstOrThrow(),
      await getPool(opened.db, "compute"),
    ];
    expect(await whyNotInPool(opened.db, application.id, pool.id)).toContain("virtual machines only");
    expect(await whyNotInPool(opened.db, application.id, pool.id, { vm: true })).toBeUndefined();
  });

  it("attaches volumes of another storage pool of the same server, and backs nothing up to less protection", async () => {
    const made = await books.decide(
      await ask([host("web"), volume("data"), { action: "create", kind: "attachment", spec: { host: "web", volume: "data" } }], "secret-app"),
    );
    await books.apply(office);
    await books.observe();
    expect((await opened.db.selectFrom("requests").select("state").where("id", "=", made.id).executeTakeFirstOrThrow()).state).toBe("active");
    const data = await opened.db.selectFrom("resources").select("id").where("name", "=", "data").executeTakeFirstOrThrow();
    const backup = () => books.change((tx) => requestBackup(tx, books.act(), data.id));
    expect((await backup()).state).toBe("pending");
    await opened.db.updateTable("pools").set({ security_level: 2 }).where("kind", "=", "backup").execute();
    expect(await refusal(backup())).toMatchObject({ code: "rule-broken", detail: expect.stringContaining("backup protection level 2 is below 3") });
  });

  it("gives out vCPU by the overcommit ratio, grows, and doesn't shrink below what is taken", async () => {
    const capacity = { hosts: 60, vcpu: 4, memory_mib: 4_000_000, "storage_gib:standard": 40_000 };
    expect(await change("compute", { capacity, overcommit_percent: 150 })).toMatchObject({ owned: { vcpu: 4 }, offered: { vcpu: 6, hosts: 60 } });
    const three = await ask([host("a"), host("b"), host("c")]);
    expect(three.waits, "six vCPU of four").toBe(false);
    expect((await ask([host("d")])).waits).toBe(true);
    expect(await refusal(change("compute", { overcommit_percent: 100 }))).toMatchObject({
      code: "rule-broken",
      errors: [{ pointer: "/capacity/vcpu" }],
      remedy: expect.stringContaining("Close the pool"),
    });
    expect((await getPool(opened.db, "compute")).overcommit_percent, "all of it or nothing").toBe(150);
    expect(await change("compute", { capacity: { vcpu: 8 } })).toMatchObject({ owned: { vcpu: 8 }, offered: { vcpu: 12 }, taken: { vcpu: 6 } });
    expect((await listPools(opened.db, {})).items.find((one) => one.code === "compute")).toMatchObject({ owned: { vcpu: 8 }, queued: {} });
    await change("compute", { state: "closed" });
    expect(await refusal(ask([host("e")]))).toMatchObject({ errors: [{ detail: expect.stringContaining("is in closed") }] });
  });
});
