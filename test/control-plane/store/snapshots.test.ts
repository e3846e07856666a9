import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { requestRestore, getBackup } from "../../../control-plane/store/backups.ts";
import { type Act, systemAct } from "../../../control-plane/store/act.ts";
import type { OpenDatabase, Tx } from "../../../control-plane/store/database.ts";
import { bind } from "../../../control-plane/store/role-bindings.ts";
import { snapshotPolicy, setSnapshotPolicy } from "../../../control-plane/store/snapshot-policy.ts";
import { askRevert, cancelRevert, confirmRevert, finishRevert, getRevert, lapseReverts, startRevert } from "../../../control-plane/store/snapshot-reverts.ts";
import {
  deleteSnapshot,
  endSnapshotsOf,
  expireSnapshots,
  finishSnapshot,
  getSnapshot,
  listSnapshots,
  settleDeletion,
  startSnapshot,
  takeSnapshot,
  volumesWithWork,
  workOn,
} from "../../../control-plane/store/snapshots.ts";
import { makeToken } from "../../../control-plane/store/tokens.ts";
import { buildWorld, type World } from "../../rules/world.ts";
import { engines, openEmpty } from "../../setup/databases.ts";

const everywhere = { nodes: null };
const any = () => undefined;

describe.each(engines)("snapshots, on %s", (engine) => {
  let opened: OpenDatabase;
  let world: World;
  let asker: string;
  let second: string;
  const start = new Date("2026-11-24T00:00:00Z");
  const inTransaction = <T>(work: (tx: Tx) => Promise<T>) => opened.db.transaction().execute(work);
  const as = (actor: string, hours = 0): Act => ({ ...systemAct(new Date(start.getTime() + hours * 3_600_000)), actor, role: "applicant" });
  const person = (role: "applicant" | "approver" | "operations", departmentId: string | null) =>
    inTransaction(async (tx) => {
      const { token } = await makeToken(tx, systemAct(start), { name: role, expiresAt: null });
      const term = { valid_from: start, valid_until: null, period_from: null, period_to: null };
      await bind(tx, systemAct(start), { subject_id: token.id, role, department_id: departmentId, kind: "standing", ...term, reason: "test" });
      return token.id;
    });

  beforeEach(async () => {
    opened = await openEmpty(engine);
    world = await buildWorld(opened.db);
    asker = await person("applicant", world.owner);
    second = await person("approver", world.owner);
  });
  afterEach(() => opened.close());

  const take = (name: string, expiresHours?: number) =>
    inTransaction((tx) =>
      takeSnapshot(tx, as(asker), everywhere, {
        volume: world.ids.volume,
        name,
        note: "N",
        expiresAt: expiresHours === undefined ? null : as(asker, expiresHours).now,
      }),
    );
  const taken = async (name: string, expiresHours?: number) => {
    const { id } = await take(name, expiresHours);
    await inTransaction((tx) => startSnapshot(tx, systemAct(start), id));
    await inTransaction((tx) => finishSnapshot(tx, systemAct(start), id, { takenAt: start, sizeBytes: 7 }));
    return id;
  };
  const ask = (snapshot: string, by = asker) => inTransaction((tx) => askRevert(tx, as(by), everywhere, { snapshot, volumeName: "volume", reason: "R" }));
  const confirm = (id: string, by = second, hours = 0, volumeName = "volume") =>
    inTransaction((tx) => confirmRevert(tx, as(by, hours), everywhere, id, { volumeName, reason: "" }, any));
  const remove = (id: string) => inTransaction((tx) => deleteSnapshot(tx, as(asker), everywhere, id, any));
  const state = async (id: string) => (await getSnapshot(opened.db, everywhere, id)).state;
  const revertState = async (id: string) => (await getRevert(opened.db, everywhere, id)).state;

  it("are taken up to the policy's number, also by many at once; a name is a volume's own until its snapshot is gone", async () => {
    expect((await snapshotPolicy(opened.db)).perVolume).toBe(8);
    await inTransaction((tx) => setSnapshotPolicy(tx, systemAct(start), { perVolume: 3 }, any));
    await expect(take("before")).rejects.toMatchObject({ code: "conflict" });
    const all = await Promise.allSettled(Array.from({ length: 6 }, (_, index) => take(`s${index}`)));
    expect(
      all.filter((one) => one.status === "fulfilled"),
      "beside the one that the world has",
    ).toHaveLength(2);
    const refused = all.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
    expect(refused[0]).toMatchObject({ code: "rule-broken", remedy: expect.stringContaining("before") });
    await remove(world.ids.snapshot);
    await expect(take("before"), "it is there until the driver says that it is gone").rejects.toMatchObject({ code: "conflict" });
    await inTransaction((tx) => settleDeletion(tx, systemAct(start), world.ids.snapshot, null));
    await take("before");
    const { items } = await listSnapshots(opened.db, { volume: world.ids.volume });
    expect(items.map((one) => one.state)).toEqual(["pending", "pending", "pending"]);
  });

  it("one that fails is told so, and frees its place and name", async () => {
    const { id } = await take("s");
    await inTransaction((tx) => finishSnapshot(tx, systemAct(start), id, { error: "no space" }));
    expect(await getSnapshot(opened.db, everywhere, id)).toMatchObject({ state: "failed", error: "no space" });
    await inTransaction((tx) => finishSnapshot(tx, systemAct(start), id, { takenAt: start, sizeBytes: 1 }));
    expect(await state(id), "once").toBe("failed");
    await take("s");
  });

  it("a revert is agreed to by somebody else of the department, with the volume's name", async () => {
    const id = await taken("s");
    await expect(inTransaction((tx) => askRevert(tx, as(asker), everywhere, { snapshot: id, volumeName: "other", reason: "R" }))).rejects.toMatchObject({
      code: "invalid-body",
    });
    const { id: revert } = await ask(id);
    await expect(ask(world.ids.snapshot), "one at a time").rejects.toMatchObject({ code: "conflict" });
    await expect(remove(id), "it is needed").rejects.toMatchObject({ code: "conflict" });
    await expect(confirm(revert, asker)).rejects.toMatchObject({ code: "self-approval" });
    await expect(confirm(revert, await person("approver", world.stranger))).rejects.toMatchObject({ code: "forbidden" });
    await expect(confirm(revert, await person("operations", null))).rejects.toMatchObject({ code: "forbidden" });
    await expect(confirm(revert, second, 0, "volum")).rejects.toMatchObject({ code: "invalid-body" });
    await confirm(revert);
    await expect(confirm(revert)).rejects.toMatchObject({ code: "conflict" });
    expect(await workOn(opened.db, world.ids.volume)).toMatchObject([{ kind: "revert", id: revert, begun: false }]);
    await inTransaction((tx) => startRevert(tx, systemAct(start), revert));
    expect(await workOn(opened.db, world.ids.volume)).toMatchObject([{ begun: true }]);
    await inTransaction((tx) => finishRevert(tx, systemAct(start), revert, null));
    expect(await revertState(revert)).toBe("complete");
    expect(await inTransaction((tx) => startRevert(tx, systemAct(start), revert)), "not again").toBeUndefined();
    await remove(id);
  });

  it("the database itself refuses a revert that one person decides", async () => {
    const { id } = await ask(world.ids.snapshot);
    const set = (decided_by: string | null) =>
      opened.db.updateTable("snapshot_reverts").set({ state: "pending", decided_by, decided_at: start }).where("id", "=", id).execute();
    await expect(set(asker)).rejects.toThrow("check");
    await expect(set(null)).rejects.toThrow("check");
    await set(second);
  });

  it("an ask is withdrawn by whoever asked, refused by the owner's people, and lapses", async () => {
    const first = await ask(world.ids.snapshot);
    const stranger = await person("approver", world.stranger);
    await expect(inTransaction((tx) => cancelRevert(tx, as(stranger), everywhere, first.id, "R", any))).rejects.toMatchObject({ code: "forbidden" });
    await inTransaction((tx) => cancelRevert(tx, as(asker), everywhere, first.id, "R", any));
    expect(await revertState(first.id)).toBe("withdrawn");
    const two = await ask(world.ids.snapshot);
    await inTransaction((tx) => cancelRevert(tx, as(second), everywhere, two.id, "R", any));
    expect(await revertState(two.id)).toBe("refused");
    const late = await ask(world.ids.snapshot);
    await expect(confirm(late.id, second, 7 * 24 + 1)).rejects.toMatchObject({ code: "conflict" });
    await inTransaction((tx) => lapseReverts(tx, systemAct(as(asker, 7 * 24).now)));
    expect(await revertState(late.id)).toBe("asked");
    await inTransaction((tx) => lapseReverts(tx, systemAct(as(asker, 7 * 24 + 1).now)));
    expect(await revertState(late.id)).toBe("lapsed");
  });

  it("expire when their time is over, but none while a revert of the volume is open", async () => {
    const [soon, other] = [await taken("soon", 1), await taken("other")];
    const expire = (hours: number) => inTransaction((tx) => expireSnapshots(tx, systemAct(as(asker, hours).now)));
    expect(await expire(0.9)).toEqual([]);
    const revert = await ask(other);
    expect(await expire(2)).toEqual([]);
    await confirm(revert.id);
    await inTransaction((tx) => startRevert(tx, systemAct(start), revert.id));
    expect(await expire(2)).toEqual([]);
    await inTransaction((tx) => finishRevert(tx, systemAct(start), revert.id, "broken"));
    expect((await expire(2)).map((one) => one.id)).toEqual([soon]);
    expect(await volumesWithWork(opened.db)).toEqual([{ id: world.ids.volume, department_id: world.owner }]);
    await inTransaction((tx) => settleDeletion(tx, systemAct(start), soon, "the storage is read-only"));
    expect(await getSnapshot(opened.db, everywhere, soon), "there as before").toMatchObject({ state: "complete", error: "the storage is read-only" });
    expect(
      (await expire(2)).map((one) => one.id),
      "and tried again",
    ).toEqual([soon]);
    await inTransaction((tx) => settleDeletion(tx, systemAct(start), soon, null));
    expect(await getSnapshot(opened.db, everywhere, soon)).toMatchObject({ state: "deleted", end_reason: "expired" });
    expect(await workOn(opened.db, world.ids.volume)).toEqual([]);
  });

  it("a restore would end them: it is refused, as a snapshot is while one is under way", async () => {
    const backup = (await getBackup(opened.db, world.ids.backup))!;
    await expect(inTransaction((tx) => requestRestore(tx, as(asker), backup))).rejects.toMatchObject({
      code: "conflict",
      detail: expect.stringContaining("before"),
    });
    await remove(world.ids.snapshot);
    await inTransaction((tx) => settleDeletion(tx, systemAct(start), world.ids.snapshot, null));
    await inTransaction((tx) => requestRestore(tx, as(asker), backup));
    await expect(take("s")).rejects.toMatchObject({ code: "conflict", detail: expect.stringContaining("restored") });
  });

  it("go with their volume, and are there for nobody who may not see it", async () => {
    await expect(getSnapshot(opened.db, { nodes: [world.stranger] }, world.ids.snapshot)).rejects.toMatchObject({ code: "not-found" });
    await expect(
      inTransaction((tx) => takeSnapshot(tx, as(asker), { nodes: [world.stranger] }, { volume: world.ids.volume, name: "s", note: "", expiresAt: null })),
    ).rejects.toMatchObject({ code: "not-found" });
    await inTransaction((tx) => endSnapshotsOf(tx, systemAct(start), [world.ids.volume]));
    expect(await getSnapshot(opened.db, everywhere, world.ids.snapshot)).toMatchObject({ state: "deleted", end_reason: "volume-gone" });
    await opened.db.updateTable("resources").set({ phase: "gone" }).where("id", "=", world.ids.volume).execute();
    await expect(take("s")).rejects.toMatchObject({ code: "conflict" });
    await expect(ask(world.ids.snapshot)).rejects.toMatchObject({ code: "conflict" });
  });
});
