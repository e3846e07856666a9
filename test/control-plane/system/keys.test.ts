import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { escrow, makeEscrowPair, openEscrow } from "../../../control-plane/state/escrow.ts";
import { type Keys, keysFrom, loadKeys } from "../../../control-plane/state/keys.ts";
import { adoptMasterKey, masterKeyFingerprint, secretsOf } from "../../../control-plane/state/secrets.ts";
import { type Db, openDatabase } from "../../../control-plane/store/database.ts";
import { wantedSpec } from "../../../control-plane/store/estates.ts";
import { rotateMasterKey } from "../../../control-plane/system/rotate.ts";
import { openApp, type TestApp, testKeys } from "../../setup/app.ts";
import { engines, makeDatabase } from "../../setup/databases.ts";
import { host, openBooks } from "../../setup/small-city.ts";
import { chainerOf, verified } from "../audit/support.ts";

const main = resolve(import.meta.dirname, "../../../control-plane/cli/main.ts");

describe.each(engines)("rotation of the master key on %s", (engine) => {
  let data: string;
  let url: string | undefined;
  let drop = async () => {};
  let department: string;
  let ciphertext: Buffer;

  /** Opens as a start does. */
  async function started<T>(work: (db: Db, keys: Keys) => Promise<T>): Promise<T> {
    const opened = await openDatabase({ directory: data, url });
    try {
      const keys = loadKeys({ directory: data, environment: {}, fingerprint: await masterKeyFingerprint(opened.db) });
      await adoptMasterKey(opened.db, keys);
      return await work(opened.db, keys);
    } finally {
      await opened.close();
    }
  }

  /** Every secret opens: of a stack, of a resource, of a request that is not decided, of a second factor. */
  const expectSecrets = () =>
    started(async (db, keys) => {
      const [plain] = await secretsOf(db, keys)("stack").decrypt([ciphertext]);
      expect(plain!.toString()).toBe("stack secret");
      const { hosts } = await wantedSpec(db, department, keys.unseal);
      expect(hosts.map((one) => one.userData)).toEqual(["resource secret"]);
      const items = await db.selectFrom("request_items").selectAll().execute();
      const opened = items.map((item) => {
        const kept = item.spec as { item: { spec: { userData: string } }; wanted?: { userData?: string } };
        const wanted = kept.wanted?.userData;
        return [keys.unseal(`${item.request_id}/${item.position}`, kept.item.spec.userData), wanted && keys.unseal(item.resource_id, wanted)];
      });
      expect(opened.length).toBe(2);
      for (const texts of opened) for (const text of texts) expect(text ?? "resource secret").toBe("resource secret");
      const hook = await db.selectFrom("webhooks").selectAll().executeTakeFirstOrThrow();
      expect([hook.secret_sealed, hook.old_secret_sealed!].map((sealed) => keys.unseal(`webhook/${hook.id}`, sealed))).toEqual(["NEW", "OLD"]);
      const { id, totp_sealed } = await db.selectFrom("accounts").select(["id", "totp_sealed"]).executeTakeFirstOrThrow();
      expect(keys.unseal(`totp/${id}`, totp_sealed!)).toBe("FACTOR");
      // The audit goes on under the signing key that it has.
      await chainerOf(db, { sealer: keys }).close();
      const chain = await verified(db);
      expect(chain).toMatchObject({ fault: undefined, signedUpTo: chain.last });
      expect(chain.keys).toHaveLength(1);
    });

  beforeEach(async () => {
    data = mkdtempSync(join(tmpdir(), "zy-rotate-"));
    if (engine === "postgres") ({ url, drop } = await makeDatabase());
    else url = undefined;
    await started(async (db, keys) => {
      const books = openBooks(db);
      await books.import();
      const secret = (name: string) => ({ ...host(name), spec: { ...host(name).spec, userData: "resource secret" } });
      const request = await books.decide(await books.ask("office", [secret("web")], keys.seal));
      department = request.department_id;
      await books.ask("office", [secret("later")], keys.seal);
      await chainerOf(db, { sealer: keys }).close();
      const [id, at] = ["acc_00000000000000000000000000", new Date()];
      const person = { id, name: "p", display_name: "P", kind: "person" as const, created_at: at, updated_at: at };
      await db
        .insertInto("accounts")
        .values({ ...person, totp_sealed: keys.seal(`totp/${id}`, "FACTOR") })
        .execute();
      const hook = { id: "whk_00000000000000000000000000", name: "W", url: "https://example.com/", kinds: "[]", state: "active" as const, created_by: id };
      const [secret_sealed, old_secret_sealed] = [keys.seal(`webhook/${hook.id}`, "NEW"), keys.seal(`webhook/${hook.id}`, "OLD")];
      const times = { old_secret_until: at, created_at: at, updated_at: at };
      await db
        .insertInto("webhooks")
        .values({ ...hook, department_id: null, secret_sealed, old_secret_sealed, ...times })
        .execute();
      await db.insertInto("state_stacks").values({ id: "stack", organization: "o", project: "p", name: "n", tags: "{}", created_at: new Date() }).execute();
      [ciphertext] = (await secretsOf(db, keys)("stack").encrypt([Buffer.from("stack secret")])) as [Buffer];
    });
  });
  afterEach(async () => {
    await drop();
    rmSync(data, { recursive: true, force: true });
  });

  it("seals everything anew, keeps the old key, and may be repeated", async () => {
    const options = { data, databaseUrl: url, environment: {}, now: new Date() };
    const first = await rotateMasterKey(options);
    expect(first.sealed).toBeGreaterThanOrEqual(4);
    await expectSecrets();
    const second = await rotateMasterKey(options);
    expect(second.from).toBe(first.to);
    await expectSecrets();
    expect(readdirSync(join(data, "keys")).toSorted()).toEqual(["master.key", `master.key.${first.from}`, `master.key.${first.to}`].toSorted());
    // The old key opens nothing any more.
    const old = keysFrom(Buffer.from(readFileSync(join(data, "keys", `master.key.${first.from}`), "utf8"), "base64"));
    await started(async (db) => {
      const rows = await db.selectFrom("state_data_keys").selectAll().orderBy("version").execute();
      expect(
        rows.map((one) => one.version),
        "each rotation adds a data key",
      ).toEqual([1, 2, 3]);
      const row = rows[0]!;
      expect(() => old.unseal("stack stack data key 1", row.wrapped)).toThrow("doesn't open");
      expect(await db.selectFrom("audit_entries").select("action").where("action", "=", "system.rotate-key").execute()).toHaveLength(2);
    });
  });

  it.each(["rotate.written", "rotate.sealed", "rotate.kept"])("killed at %s: a start finds its key, and the next rotation ends it", async (point) => {
    const child = spawn(process.execPath, [main, "system", "keys", "rotate"], {
      env: { ...process.env, ZHENGYUN_DATA: data, DATABASE_URL: url ?? "", ZHENGYUN_FAULT: point },
      stdio: "ignore",
    });
    expect(await new Promise((done) => child.once("exit", (_code, signal) => done(signal)))).toBe("SIGKILL");
    await expectSecrets();
    await rotateMasterKey({ data, databaseUrl: url, environment: {}, now: new Date() });
    await expectSecrets();
    expect(readdirSync(join(data, "keys"))).not.toContain("master.key.next");
  });

  it("is refused while somebody else has the database", async () => {
    const opened = await openDatabase({ directory: data, url });
    try {
      await opened.db.selectFrom("settings").select("key").execute();
      await expect(rotateMasterKey({ data, databaseUrl: url, environment: {}, now: new Date() })).rejects.toThrow(/in use by process|stop every control plane/);
    } finally {
      await opened.close();
    }
  });
});

describe("the master key in escrow", () => {
  let api: TestApp;
  let clock: Date;
  const path = "/api/v1/system/key-escrows";
  beforeEach(async () => {
    clock = new Date();
    api = await openApp("pglite", { now: () => clock });
  });
  afterEach(() => api.close());

  it("takes two people, a day at most, once; only the private key opens it, and the audit has both", async () => {
    const [asker, approver] = [await api.token("system-admin"), await api.token("security-admin")];
    const pair = makeEscrowPair();
    const asked = await api.call(asker, "POST", path, { body: { publicKey: pair.publicKey, reason: "Vault of the city" } });
    expect(asked).toMatchObject({ status: 201, body: { approvedBy: null, fingerprint: testKeys.fingerprint } });
    const approve = (secret: string, id: string = asked.body.id) => api.call(secret, "POST", `${path}/${id}/approve`);
    expect((await approve(asker)).body).toMatchObject({ status: 403, code: "self-approval" });
    const done = await approve(approver);
    expect(done.status).toBe(200);
    expect(Buffer.from(openEscrow(done.body.sealedKey, pair.privateKey), "base64")).toEqual(Buffer.alloc(32, 7));
    expect(() => openEscrow(done.body.sealedKey, makeEscrowPair().privateKey)).toThrow("does not open");
    expect((await approve(approver)).body).toMatchObject({ status: 409 });
    const late = await api.call(asker, "POST", path, { body: { publicKey: pair.publicKey, reason: "Again" } });
    clock = new Date(clock.getTime() + 24 * 3_600_000);
    expect((await approve(approver, late.body.id)).body).toMatchObject({ status: 409, detail: expect.stringContaining("24 hours") });
    const audit = await api.database.db.selectFrom("audit_entries").select(["action", "actor"]).where("action", "like", "key-escrow.%").orderBy("id").execute();
    expect(audit.map((one) => one.action)).toEqual(["key-escrow.request", "key-escrow.approve", "key-escrow.request"]);
    expect(new Set(audit.slice(0, 2).map((one) => one.actor)).size).toBe(2);
    const kept = JSON.stringify(await api.database.db.selectFrom("idempotency_keys").selectAll().execute());
    expect(kept).not.toContain("zhengyun-escrow-v1");
  });

  it("refuses what can't be encrypted to", async () => {
    const asker = await api.token("system-admin");
    for (const publicKey of ["", "short", Buffer.alloc(32).toString("base64")]) {
      const answer = await api.call(asker, "POST", path, { body: { publicKey, reason: "x" } });
      expect(answer.status).toBe(422);
    }
  });

  it("does not open with any byte changed", () => {
    const pair = makeEscrowPair();
    const master = randomBytes(32);
    const text = escrow(master, "f".repeat(16), pair.publicKey);
    const [format, fingerprint, body] = text.split(".") as [string, string, string];
    const bytes = Buffer.from(body, "base64url");
    for (let at = 0; at < bytes.length; at++) {
      // X25519 leaves out the top bit of a public key; it is bound by the key's derivation all the same.
      const changed = Buffer.from(bytes);
      changed[at]! ^= 0x80;
      expect(() => openEscrow(`${format}.${fingerprint}.${changed.toString("base64url")}`, pair.privateKey), `byte ${at}`).toThrow("does not open");
    }
    expect(() => openEscrow(`${format}.${"0".repeat(16)}.${body}`, pair.privateKey)).toThrow("does not open");
    expect(openEscrow(text, pair.privateKey)).toBe(master.toString("base64"));
  });
});
