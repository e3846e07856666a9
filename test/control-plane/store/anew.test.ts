import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Refusal } from "../../../control-plane/domain/refusal.ts";
import { approvedEstate } from "../../../control-plane/store/approvals.ts";
import { finishBackup, getBackup, requestBackup, requestRestore, surplusBackups } from "../../../control-plane/store/backups.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { reconcile } from "../../../control-plane/store/reconciliation.ts";
import type { HostSpec, VolumeSpec } from "../../../infra/spec.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, smallCity, volume } from "../../setup/small-city.ts";

const refusal = async (work: Promise<unknown>): Promise<Refusal> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof Refusal) return error;
  throw error ?? new Error("nothing was refused");
};
const sha256 = "a".repeat(64);

describe.each(engines)("what is made anew, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let office = "";
  beforeEach(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
    const city = smallCity();
    const application = city.applications.find((one) => one.code === "office-app")!;
    city.applications.push({ ...application, code: "secret-app", protectionLevel: 3, filingNumber: "备-3" });
    for (const pool of city.pools) pool.securityLevel = 3;
    await books.import(city);
    office = (await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow()).id;
  });
  afterEach(() => opened.close());

  const resource = (name: string) => opened.db.selectFrom("resources").selectAll().where("name", "=", name).executeTakeFirstOrThrow();
  /** Of which application the request is. */
  const ask = (items: unknown[], application = "office-app") => books.ask("office", items, undefined, { application });
  const made = async (items: unknown[], application?: string) => {
    const row = await books.decide(await ask(items, application));
    await books.apply(office);
    await books.observe();
    return row;
  };
  const backedUp = async (name: string, policy: string | null = null) => {
    const { id } = await resource(name);
    const row = await books.change((tx) => requestBackup(tx, books.act(), id, policy));
    await books.change((tx) => finishBackup(tx, books.act(), row.id, { sizeBytes: 1, sha256 }));
    return (await getBackup(opened.db, row.id))!;
  };
  const sound = async () => expect((await reconcile(opened.db, systemAct(new Date()))).findings).toEqual([]);

  it("charges a volume with a backup's content as any other, and binds the approval to that backup", async () => {
    await made([volume("data", 10)]);
    const backup = await backedUp("data");
    expect(backup).toMatchObject({ protection_level: 2, volume_gib: 10 });
    const spec = { name: "copy", sizeGib: 12, backup: backup.id };
    await made([{ action: "create", kind: "volume", spec }]);
    const copy = await resource("copy");
    expect(copy).toMatchObject({ phase: "live" });
    expect((copy.wanted as VolumeSpec).backup).toEqual({ name: backup.id, sha256 });
    const charged = await opened.db.selectFrom("quota_charges").selectAll().where("resource_id", "=", copy.id).execute();
    expect(charged.map((one) => [one.dimension, one.quantity, one.state])).toEqual([["storage_gib:standard", 12, "used"]]);
    expect(await opened.db.selectFrom("fund_charges").selectAll().where("resource_id", "=", copy.id).execute()).not.toEqual([]);
    await sound();
  });

  it("refuses less room, another department's backup, one that is not complete, and one of a higher protection level", async () => {
    await made([volume("data", 10)]);
    await made([volume("secret", 10)], "secret-app");
    const [backup, secret] = [await backedUp("data"), await backedUp("secret")];
    expect(secret.protection_level).toBe(3);
    const wish = (id: string, sizeGib = 10) => [{ action: "create", kind: "volume", spec: { name: "copy", sizeGib, backup: id } }];
    expect(await refusal(ask(wish(backup.id, 9)))).toMatchObject({ code: "invalid-body", errors: [{ pointer: "/items/0/spec/sizeGib" }] });
    expect(await refusal(ask(wish(secret.id)))).toMatchObject({
      code: "invalid-body",
      errors: [{ pointer: "/items/0/spec/backup", detail: expect.stringContaining("protection level 3") }],
    });
    expect(await refusal(books.ask("bureau", wish(backup.id)))).toMatchObject({ errors: [{ pointer: "/items/0/spec/backup" }] });
    // Upwards it may go; what is then a copy is protected as its application is.
    expect((await ask(wish(backup.id), "secret-app")).state).toBe("submitted");
    await opened.db.updateTable("backups").set({ state: "expired" }).where("id", "=", backup.id).execute();
    expect(await refusal(ask(wish(backup.id)))).toMatchObject({ errors: [{ detail: expect.stringContaining("expired") }] });
    // Nor over a volume that is there, of less protection or in a lower pool.
    const { id } = await resource("data");
    const restore = (volumeId: string) => books.change((tx) => requestRestore(tx, books.act(), secret, volumeId));
    expect(await refusal(restore(id))).toMatchObject({ code: "rule-broken" });
    await made([volume("other", 10)], "secret-app");
    const other = await resource("other");
    expect((await restore(other.id)).state).toBe("pending");
    await opened.db.updateTable("pools").set({ security_level: 2 }).where("code", "=", "storage").execute();
    expect(await refusal(restore(other.id))).toMatchObject({ code: "rule-broken" });
    expect((await restore(secret.volume_id)).state, "to where it comes from").toBe("pending");
    expect(await refusal(ask(wish(secret.id), "secret-app")), "no pool of its level is left").toMatchObject({ code: "invalid-body" });
  });

  it("keeps a backup that is asked for, whatever its policy keeps", async () => {
    await made([volume("data", 1), { action: "create", kind: "backup-policy", spec: { name: "nightly", volume: "data", keep: 1 } }]);
    const policy = (await resource("nightly")).id;
    const old = await backedUp("data", policy);
    await backedUp("data", policy);
    const surplus = async () => (await surplusBackups(opened.db, policy, 1)).map((one) => one.id);
    expect(await surplus()).toEqual([old.id]);
    const asked = await ask([{ action: "create", kind: "volume", spec: { name: "copy", sizeGib: 1, backup: old.id } }]);
    expect(await surplus()).toEqual([]);
    await books.decide(asked);
    await books.apply(office);
    expect(await surplus()).toEqual([old.id]);
  });

  it("makes a host anew by another generation: no charge, and done when it was seen to run", async () => {
    await made([host("web"), volume("data"), { action: "create", kind: "attachment", spec: { host: "web", volume: "data" } }]);
    const web = await resource("web");
    const attachment = await opened.db.selectFrom("resources").selectAll().where("kind", "=", "attachment").executeTakeFirstOrThrow();
    expect(await refusal(ask([{ action: "redeploy", kind: "host", id: web.id, spec: { image: "none-such" } }]))).toMatchObject({
      errors: [{ pointer: "/items/0/spec/image" }],
    });
    const row = await books.decide(await ask([{ action: "redeploy", kind: "host", id: web.id }]));
    // As the engine's preview says it: what hangs on the host goes and comes with it.
    const steps = [web.id, attachment.id].map((id) => ({ action: "replace", kind: "host", resource: id, name: "x", changes: [] }));
    await opened.db
      .updateTable("requests")
      .set({ plan: JSON.stringify({ ...(row.plan as object), steps }) })
      .where("id", "=", row.id)
      .execute();
    const removable = async () => (await books.change((tx) => approvedEstate(tx, office))).filter((one) => one.remove).map((one) => one.name);
    expect(await removable(), "approved, but not being applied").toEqual([]);
    await opened.db.updateTable("requests").set({ state: "applying" }).where("id", "=", row.id).execute();
    expect((await removable()).toSorted()).toEqual([web.id, attachment.id].toSorted());
    await books.apply(office);
    const item = () => opened.db.selectFrom("request_items").selectAll().where("request_id", "=", row.id).executeTakeFirstOrThrow();
    expect((await item()).state, "what was seen before says nothing of it").toBe("applying");
    await books.observe();
    expect((await item()).state).toBe("active");
    expect(await removable()).toEqual([]);
    expect(((await resource("web")).wanted as HostSpec).generation).toBe(1);
    await made([{ action: "redeploy", kind: "host", id: web.id }]);
    expect(((await resource("web")).wanted as HostSpec).generation).toBe(2);
    expect(await opened.db.selectFrom("quota_charges").selectAll().where("request_id", "=", row.id).execute()).toEqual([]);
    await sound();
  });

  it("makes nothing anew where its pool may not hold it any more, and keeps the old one wanted when it fails", async () => {
    await made([host("web")]);
    const web = await resource("web");
    const again = [{ action: "redeploy", kind: "host", id: web.id }];
    await opened.db.updateTable("pools").set({ state: "maintenance" }).where("code", "=", "compute").execute();
    expect(await refusal(ask(again))).toMatchObject({ errors: [{ pointer: "/items/0/id", detail: expect.stringContaining("maintenance") }] });
    await opened.db.updateTable("pools").set({ state: "open" }).where("code", "=", "compute").execute();
    const row = await books.decide(await ask(again));
    await books.apply(office, [web.id]);
    expect((await opened.db.selectFrom("requests").select("state").where("id", "=", row.id).executeTakeFirstOrThrow()).state).toBe("failed");
    expect(((await resource("web")).wanted as HostSpec).generation).toBeUndefined();
    await books.apply(office);
    await sound();
  });
});
