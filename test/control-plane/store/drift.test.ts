/** What the books make of drift: one finding a property, decided on once, charged once. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Drifted } from "../../../control-plane/domain/drift.ts";
import { Refusal } from "../../../control-plane/domain/refusal.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import { approvedEstate } from "../../../control-plane/store/approvals.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { calmOf, getDrift, listDrift, openDrift, recordDrift } from "../../../control-plane/store/drift.ts";
import { accept, adopt, putBack, settleAdoptions } from "../../../control-plane/store/drift-decisions.ts";
import { beginApply } from "../../../control-plane/store/applying.ts";
import { settleApply } from "../../../control-plane/store/settling.ts";
import { reconcile } from "../../../control-plane/store/reconciliation.ts";
import type { HostSpec } from "../../../infra/spec.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, volume } from "../../setup/small-city.ts";

const plain = (_: string, text: string) => text;
const refusal = async (work: Promise<unknown>): Promise<Refusal> => {
  const error = await work.catch((thrown: unknown) => thrown);
  if (error instanceof Refusal) return error;
  throw error instanceof Error ? error : new Error("nothing was refused");
};
const [one, other] = [
  { id: "tok_operator", nodes: null },
  { id: "tok_other", nodes: null },
];

describe.each(engines)("drift, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let office = "";
  let web: { id: string; wanted: HostSpec };
  let data: { id: string };
  beforeEach(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
    await books.import();
    office = (await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow()).id;
    await books.decide(
      await books.ask("office", [host("web"), volume("data"), { action: "create", kind: "attachment", spec: { host: "web", volume: "data" } }]),
    );
    await books.apply(office);
    await books.observe();
    web = (await resource("web")) as unknown as typeof web;
    data = await resource("data");
    strange = { ...memory(null), property: "strange", wanted: [], actual: ["device eth1 (nic)"] };
  });
  afterEach(() => opened.close());

  const resource = (name: string) => opened.db.selectFrom("resources").selectAll().where("name", "=", name).executeTakeFirstOrThrow();
  const memory = (actual: number | null): Drifted => ({
    resourceId: web.id,
    kind: "host",
    property: "flavour.memoryMib",
    wanted: web.wanted.flavour.memoryMib,
    actual,
  });
  let strange: Drifted;
  const lost = (): Drifted => ({ resourceId: data.id, kind: "volume", property: "existence", wanted: "present", actual: "missing" });
  const scan = async (found: readonly Drifted[]) => {
    const calm = (await calmOf(opened.db, office))!;
    return books.change((tx) => recordDrift(tx, books.act(), office, calm, found));
  };
  const all = async () => (await listDrift(opened.db, { state: "all", limit: 100 })).items;
  const states = async () => (await all()).map((row) => `${row.name} ${row.property} ${row.state}`).toSorted();
  const idOf = async (property: string) => (await all()).find((row) => row.property === property && row.closed_at === null)!.id;
  const back = (who: typeof one, id: string, acceptLoss = false) => books.change((tx) => putBack(tx, books.act(who.id), who, id, { reason: "R", acceptLoss }));
  const take = (id: string) => books.change((tx) => adopt(tx, books.act(one.id), one, id, { reason: "R" }, plain));
  const begin = () => books.change((tx) => beginApply(tx, books.act(), office, plain));
  const used = async () =>
    (
      await opened.db
        .selectFrom("quota_accounts")
        .select(["dimension", "used", "reserved"])
        .where("department_id", "=", office)
        .where("level", "=", 0)
        .execute()
    ).find((row) => row.dimension === "memory_mib")!;
  const sound = async () => expect((await reconcile(opened.db, systemAct(new Date()))).findings).toEqual([]);

  it("is one finding a property, however often it is seen, at once or after another; it is closed when it is gone by itself", async () => {
    const calm = (await calmOf(opened.db, office))!;
    await Promise.all([1, 2, 3].map(() => books.change((tx) => recordDrift(tx, books.act(), office, calm, [memory(1), strange]))));
    expect(await states()).toEqual(["web flavour.memoryMib open", "web strange open"]);
    expect(await openDrift(opened.db)).toEqual([{ kind: "host", n: 2 }]);
    await scan([memory(2), strange]);
    expect((await all()).find((row) => row.property === "flavour.memoryMib")).toMatchObject({ actual: 2, revision: 2 });
    await scan([strange]);
    await scan([strange, memory(null)]);
    expect(await states()).toEqual(["web flavour.memoryMib gone", "web flavour.memoryMib open", "web strange open"]);
    const told = await opened.db.selectFrom("events").select("type").where("type", "like", "drift.%").execute();
    expect(told.map((event) => event.type).toSorted()).toEqual(["drift.found", "drift.found", "drift.found", "drift.gone"]);
  });

  it("stays found while nobody can see it, since its member doesn't answer", async () => {
    await scan([memory(1), lost()]);
    await opened.db.updateTable("resources").set({ unreachable_since: new Date() }).where("id", "=", web.id).execute();
    await scan([]);
    expect(await states()).toEqual(["data existence gone", "web flavour.memoryMib open"]);
    await opened.db.updateTable("resources").set({ unreachable_since: null }).where("id", "=", web.id).execute();
    await scan([]);
    expect(await states()).toEqual(["data existence gone", "web flavour.memoryMib gone"]);
  });

  it("counts nothing that was found while something was applied", async () => {
    const calm = (await calmOf(opened.db, office))!;
    await books.decide(await books.ask("office", [host("db")]));
    expect(await calmOf(opened.db, office)).toBeUndefined();
    await books.apply(office);
    await books.observe();
    expect(await books.change((tx) => recordDrift(tx, books.act(), office, calm, [memory(1)]))).toBeUndefined();
    expect(await all()).toEqual([]);
  });

  it("is put back by an apply though nothing else is wanted, as a whole; what could not be is open again with its reason", async () => {
    await scan([memory(1), strange]);
    expect((await begin()).unchanged).toBe(true);
    await back(one, await idOf("strange"));
    expect(await refusal(back(other, await idOf("strange")))).toMatchObject({ code: "conflict" });
    const begun = await begin();
    if (begun.unchanged) throw new Error("nothing to apply");
    expect(begun.putBack).toEqual([{ name: web.id, anew: false }]);
    expect(begun.approved.find((row) => row.name === web.id)).toMatchObject({ digest: expect.any(String), remove: false });
    const settle = (failures: { kind: string; name: string; code: string; message: string }[]) =>
      books.change((tx) =>
        settleApply(tx, books.act(), office, {
          hash: begun.hash,
          fence: begun.fence,
          putBack: begun.putBack,
          outcome: { operation: "o", result: failures.length > 0 ? "failed" : "succeeded", steps: [], failures, durationMs: 1 },
        }),
      );
    await settle([{ kind: "host", name: web.id, code: "no-space", message: "no room" }]);
    expect((await all()).map((row) => [row.state, row.error])).toEqual([
      ["open", "no room"],
      ["open", "no room"],
    ]);
    await back(one, await idOf("strange"));
    const again = await begin();
    if (again.unchanged) throw new Error("nothing to apply");
    await books.change((tx) =>
      settleApply(tx, books.act(), office, {
        hash: again.hash,
        fence: again.fence,
        putBack: again.putBack,
        outcome: { operation: "o", result: "succeeded", steps: [], failures: [], durationMs: 1 },
      }),
    );
    expect(await states()).toEqual(["web flavour.memoryMib put-back", "web strange put-back"]);
    expect((await begin()).unchanged).toBe(true);
    await sound();
  });

  it("takes two persons where what is gone is made anew, says what is lost, and may then remove what hangs on it", async () => {
    await scan([lost()]);
    const id = await idOf("existence");
    expect((await getDrift(opened.db, id))!.lost).toContain("There is no backup");
    expect(await refusal(back(one, id))).toMatchObject({ code: "rule-broken" });
    expect(await refusal(take(id))).toMatchObject({ code: "rule-broken" });
    expect((await back(one, id, true)).begins).toBe(false);
    expect(await refusal(back(one, id, true))).toMatchObject({ code: "second-decision" });
    expect((await begin()).unchanged).toBe(true);
    expect((await back(other, id, true)).begins).toBe(true);
    const begun = await begin();
    if (begun.unchanged) throw new Error("nothing to apply");
    expect(begun.putBack).toEqual([{ name: data.id, anew: true }]);
    const attachment = await opened.db.selectFrom("resources").select("id").where("kind", "=", "attachment").executeTakeFirstOrThrow();
    const removable = (approved: { name: string; remove: boolean }[]) =>
      approved
        .filter((row) => row.remove)
        .map((row) => row.name)
        .toSorted();
    expect(removable(begun.approved)).toEqual([attachment.id, data.id].toSorted());
    expect(removable(await books.change((tx) => approvedEstate(tx, office)))).toEqual([]);
  });

  it("is adopted by a request that is charged once: more under quota, less gives back", async () => {
    const before = await used();
    const more = web.wanted.flavour.memoryMib + 1024;
    await scan([memory(more), strange]);
    expect(await refusal(take(await idOf("strange")))).toMatchObject({ code: "rule-broken" });
    const id = await idOf("flavour.memoryMib");
    const raced = await Promise.allSettled([take(id), take(id)]);
    expect(raced.filter((one_) => one_.status === "fulfilled")).toHaveLength(1);
    expect(await used()).toEqual({ ...before, reserved: 1024 });
    const row = await opened.db.selectFrom("requests").selectAll().orderBy("id", "desc").limit(1).executeTakeFirstOrThrow();
    await books.decide(row);
    await books.apply(office);
    expect(await states()).toEqual(["web flavour.memoryMib adopted", "web strange open"]);
    expect((await resource("web")).applied).toMatchObject({ flavour: { memoryMib: more } });
    expect(await used()).toEqual({ ...before, used: before.used + 1024, reserved: 0 });
    await sound();
    await scan([{ ...memory(512), wanted: more }]);
    const { request } = await take(await idOf("flavour.memoryMib"));
    await books.decide(request);
    await books.apply(office);
    expect((await used()).used).toBe(before.used - web.wanted.flavour.memoryMib + 512);
    await sound();
  });

  it("is open again when its request is refused, and silent when it is left as it is, until it moves", async () => {
    await scan([memory(512)]);
    const id = await idOf("flavour.memoryMib");
    const { request } = await take(id);
    await books.appoint();
    const planned = await books.plan(request);
    const { reject } = await import("../../../control-plane/store/approving.ts");
    await books.change((tx) => reject(tx, books.act(books.approver.id), books.approver, planned.id, { planHash: planned.plan_hash!, reason: "no" }));
    await books.change((tx) => settleAdoptions(tx, books.act()));
    expect(await getDrift(opened.db, id)).toMatchObject({ state: "open", error: expect.any(String) });
    await books.change((tx) => accept(tx, books.act(one.id), one, id, { reason: "agreed by phone" }));
    await scan([memory(512)]);
    expect(await openDrift(opened.db)).toEqual([]);
    await scan([memory(256)]);
    expect(await openDrift(opened.db)).toEqual([{ kind: "host", n: 1 }]);
    expect(await states()).toEqual(["web flavour.memoryMib open"]);
  });
});
