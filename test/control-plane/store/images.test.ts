import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemAct } from "../../../control-plane/store/act.ts";
import type { OpenDatabase, Tx } from "../../../control-plane/store/database.ts";
import { getImage, missingCopies, putImage, recordCopy, withdrawImage } from "../../../control-plane/store/images.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { openBooks } from "../../setup/small-city.ts";

describe.each(engines)("images, on %s", (engine) => {
  let opened: OpenDatabase;
  const now = new Date("2026-11-24T00:00:00Z");
  beforeEach(async () => {
    opened = await openEmpty(engine);
    await openBooks(opened.db).import();
  });
  afterEach(() => opened.close());

  const act = (later = 0) => systemAct(new Date(now.getTime() + later));
  const inTransaction = <T>(work: (tx: Tx) => Promise<T>) => opened.db.transaction().execute(work);
  const image = (code: string) => ({ code, name: code, sha256: randomUUID().replaceAll("-", "").repeat(2), sizeBytes: 10 });
  const offered = async () =>
    (await opened.db.selectFrom("catalogue").select("code").where("kind", "=", "image").orderBy("code").execute()).map((row) => row.code);
  const audited = async () =>
    (await opened.db.selectFrom("audit_entries").select("action").where("subject_kind", "=", "image").orderBy("id").execute()).map((row) => row.action);

  it("may be asked for from their import to their withdrawal, and their names never stand for anything else", async () => {
    const debian = image("debian");
    expect(await inTransaction((tx) => putImage(tx, act(), debian))).toEqual({ made: true });
    expect(await inTransaction((tx) => putImage(tx, act(), debian))).toEqual({ made: false });
    expect(await offered()).toEqual(["debian", "zhengyun-base-1"]);
    await expect(inTransaction((tx) => putImage(tx, act(), image("debian")))).rejects.toMatchObject({ code: "conflict" });
    await inTransaction((tx) => withdrawImage(tx, act(1), "debian"));
    await inTransaction((tx) => withdrawImage(tx, act(2), "debian"));
    expect(await offered()).toEqual(["zhengyun-base-1"]);
    await expect(inTransaction((tx) => putImage(tx, act(), debian))).rejects.toMatchObject({ code: "conflict" });
    await expect(inTransaction((tx) => withdrawImage(tx, act(), "nothing"))).rejects.toMatchObject({ code: "not-found" });
    expect(await audited()).toEqual(["image.import", "image.withdraw"]);
  });

  it("are brought to each endpoint once; what failed is tried again after a while, what is withdrawn isn't", async () => {
    await inTransaction((tx) => putImage(tx, act(), image("debian")));
    const missing = (later: number) => missingCopies(opened.db, new Date(now.getTime() + later));
    const [copy] = await missing(0);
    const endpoint = { driver: copy!.driver, endpoint: copy!.endpoint };
    expect((await getImage(opened.db, "debian")).pools).toEqual([{ pool: "compute", state: "pending", error: null }]);
    await inTransaction((tx) => recordCopy(tx, act(), "debian", endpoint, "failed", "no space"));
    expect(await missing(0)).toEqual([]);
    expect(await missing(1)).toHaveLength(1);
    // Said once.
    await inTransaction((tx) => recordCopy(tx, act(2), "debian", endpoint, "failed", "no space"));
    await inTransaction((tx) => recordCopy(tx, act(3), "debian", endpoint, "imported", null));
    expect(await missing(1000)).toEqual([]);
    expect((await getImage(opened.db, "debian")).pools).toEqual([{ pool: "compute", state: "imported", error: null }]);
    expect(await audited()).toEqual(["image.import", "image.copy", "image.copy"]);
    await inTransaction((tx) => putImage(tx, act(), image("other")));
    await inTransaction((tx) => withdrawImage(tx, act(), "other"));
    expect(await missing(1000)).toEqual([]);
  });

  it("are kept once when they are imported twice at the same moment", async () => {
    const debian = image("debian");
    const made = await Promise.all(Array.from({ length: 5 }, () => inTransaction((tx) => putImage(tx, act(), debian))));
    expect(made.filter((one) => one.made)).toHaveLength(1);
  });
});
