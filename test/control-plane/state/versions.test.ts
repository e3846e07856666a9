import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { emptyDeployment } from "../../../control-plane/state/deployment.ts";
import { currentDeployment, departmentStack, ensureStack, exportDeployment } from "../../../control-plane/state/index.ts";
import { readVersion, writeVersion } from "../../../control-plane/state/snapshots.ts";
import { getStack } from "../../../control-plane/state/stacks.ts";
import { createUpdate, startUpdate } from "../../../control-plane/state/updates.ts";
import { daysKept, forgettable, forgetVersions, type KeptVersion, newestKept } from "../../../control-plane/state/versions.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { engines, openEmpty } from "../../setup/databases.ts";

const now = new Date("2026-11-23T12:00:00Z");
const hoursAgo = (hours: number) => new Date(now.getTime() - hours * 3_600_000);
/** Versions 1..count, this many hours apart, the last of them now. */
const every = (hours: number, count: number): KeptVersion[] =>
  Array.from({ length: count }, (_, index) => ({ version: index + 1, at: hoursAgo((count - 1 - index) * hours) }));

describe("the versions that are kept", () => {
  it("are the newest, however old", () => {
    expect(forgettable(every(24 * 365, newestKept), new Set(), now)).toEqual([]);
    expect(forgettable(every(24 * 365, newestKept + 2), new Set(), now)).toEqual([2, 1]);
  });

  it("and the last one of each day", () => {
    // Six a day for twenty days.
    const versions = every(4, 120);
    const gone = new Set(forgettable(versions, new Set(), now));
    const kept = versions.filter(({ version }) => !gone.has(version));
    const older = kept.slice(0, -newestKept);
    expect(kept.slice(-newestKept)).toEqual(versions.slice(-newestKept));
    const days = older.map(({ at }) => at.toISOString().slice(0, 10));
    expect(new Set(days).size).toBe(days.length);
    expect(days.length).toBeGreaterThan(10);
    for (const one of older) expect(versions.findLast(({ at }) => at.toISOString().slice(0, 10) === one.at.toISOString().slice(0, 10))).toEqual(one);
  });

  it(`for ${daysKept} days, and what is needed for ever`, () => {
    const versions = every(24, 200);
    const gone = forgettable(versions, new Set([7]), now);
    expect(gone).not.toContain(7);
    expect(gone).toContain(6);
    expect(versions.length - gone.length).toBe(daysKept + 2);
  });

  it("stay the same when the rule is applied again", () => {
    const versions = every(5, 400);
    const gone = new Set(forgettable(versions, new Set(), now));
    expect(
      forgettable(
        versions.filter(({ version }) => !gone.has(version)),
        new Set(),
        now,
      ),
    ).toEqual([]);
  });
});

describe.each(engines)("forgetting versions on %s", (store) => {
  let opened: OpenDatabase;
  beforeAll(async () => {
    opened = await openEmpty(store);
  });
  afterAll(() => opened.close());

  it("keeps the current one and what a running update is based on, and tells them apart by stack", async () => {
    const count = newestKept + 10;
    const made = async (id: string) => {
      await ensureStack(opened.db, departmentStack(id));
      const stack = await getStack(opened.db, departmentStack(id));
      const state = (version: number) => ({ version: 3, deployment: { ...emptyDeployment(), metadata: { version, id } } });
      return { stack, write: (version: number) => opened.db.transaction().execute((trx) => writeVersion(trx, stack.id, version, state(version))) };
    };
    const busy = await made(`dep_${randomBytes(4).toString("hex")}`);
    const quiet = await made(`dep_${randomBytes(4).toString("hex")}`);
    await busy.write(1);
    await quiet.write(1);
    const stack = await getStack(opened.db, busy.stack);
    const update = await createUpdate(opened.db, stack, { kind: "update", fence: 0, message: "", environment: {} });
    await startUpdate(opened.db, stack, update);
    for (let version = 2; version <= count; version++) await busy.write(version);
    await opened.db
      .updateTable("state_snapshots")
      .set({ created_at: hoursAgo(24 * 100) })
      .where("stack_id", "=", stack.id)
      .execute();

    expect(await forgetVersions(opened.db, now)).toBe(count - newestKept - 1);
    const left = await opened.db.selectFrom("state_snapshots").select("version").where("stack_id", "=", stack.id).orderBy("version").execute();
    expect(left.map(({ version }) => version)).toEqual([1, ...Array.from({ length: newestKept }, (_, index) => count - newestKept + 1 + index)]);
    expect((await readVersion(opened.db, stack.id, 1)).deployment.metadata).toMatchObject({ version: 1 });
    expect((await currentDeployment(opened.db, stack)).deployment.metadata).toMatchObject({ version: count });
    expect((await exportDeployment(opened.db, quiet.stack, { version: 1 })).deployment.metadata).toMatchObject({ version: 1 });
    expect(await forgetVersions(opened.db, now)).toBe(0);
  });
});
