import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sql } from "kysely";
import { fiscalYearOf } from "../../../control-plane/domain/time.ts";
import { digestOf } from "../../../control-plane/domain/digest.ts";
import { heldOf } from "../../../control-plane/store/role-bindings.ts";
import { findTokens } from "../../../control-plane/store/tokens.ts";
import { migrationNames, type OpenDatabase, openDatabase } from "../../../control-plane/store/database.ts";
import { restoreMark } from "../../../control-plane/store/restored.ts";
import { writeArchive } from "../../../control-plane/system/archive.ts";
import { manifestText, parseManifest } from "../../../control-plane/system/manifest.ts";
import { refuseHalfRestored, refuseHalfRestoredDatabase, restoreArchive } from "../../../control-plane/system/restore.ts";
import { migrationsOf } from "../../../control-plane/system/tables.ts";
import { migrationFault } from "../../../control-plane/system/verify.ts";
import { engines, makeDatabase } from "../../setup/databases.ts";
import { host, openBooks } from "../../setup/small-city.ts";
import { chainerOf, verified } from "../audit/support.ts";

const main = resolve(import.meta.dirname, "../../../control-plane/cli/main.ts");

/** This version's code cannot write an older schema: three departments with a project each, as they were written then. */
const olderCity = [
  `insert into departments (id, parent_id, code, name_zh, name_en, level, created_at, updated_at) values
    ('dep_0000000000000000000000000a', null, 'city', '部门0', 'city', 'city', now(), now()),
    ('dep_0000000000000000000000000b', 'dep_0000000000000000000000000a', 'bureau', '部门1', 'bureau', 'city', now(), now()),
    ('dep_0000000000000000000000000c', 'dep_0000000000000000000000000b', 'office', '部门2', 'office', 'city', now(), now())`,
  `insert into department_ancestors select d.id, a.id, ascii(right(d.id, 1)) - ascii(right(a.id, 1)) from departments d join departments a on a.id <= d.id`,
  `insert into quota_accounts (department_id, dimension) select id, unnest(array['hosts', 'vcpu', 'memory_mib', 'storage_gib:standard', 'backup_gib']) from departments`,
  `insert into projects (id, department_id, code, name, fiscal_year, budget_fen, stage, created_at, updated_at)
    select 'prj' || substr(id, 4), id, 'p', 'Project', ${fiscalYearOf(new Date())}, 123456, 'approved', now(), now() from departments`,
];

describe.each(engines)("a restore on %s", (engine) => {
  let directory: string;
  let url: string | undefined;
  let drop = async () => {};
  const file = () => join(directory, "a.tar");
  const data = () => join(directory, "data");
  const options = (replace = false) => ({ file: file(), data: data(), databaseUrl: url, replace, environment: {}, now: new Date() });
  const opened = async <T>(work: (database: OpenDatabase) => Promise<T>): Promise<T> => {
    const database = await openDatabase({ directory: data(), url });
    try {
      return await work(database);
    } finally {
      await database.close();
    }
  };

  /** A copy of a small city, as the version of a migration would have made it. */
  async function archive(migrateTo?: string): Promise<void> {
    const source = await openDatabase({ directory: "memory", migrateTo });
    if (migrateTo === undefined) {
      await openBooks(source.db).import();
      await openBooks(source.db).ask("office", [host("web")]);
    } else for (const statement of olderCity) await sql.raw(statement).execute(source.db);
    await writeArchive(source.db, file(), { now: new Date("2026-11-23T00:00:00Z"), version: "test" });
    await source.close();
  }

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "zy-restore-"));
    if (engine === "postgres") ({ url, drop } = await makeDatabase({ migrated: false }));
  });
  afterEach(async () => {
    await drop();
    rmSync(directory, { recursive: true, force: true });
  });

  it("brings a copy of an older version to the schema of this one, and leaves an operator's token and the mark", async () => {
    await archive("0004_submitted_by");
    const { tokenFile } = await restoreArchive(options());
    expect(statSync(tokenFile!).mode & 0o777).toBe(0o600);
    await opened(async ({ db }) => {
      expect(await migrationsOf(db)).toEqual(migrationNames);
      expect(await db.selectFrom("departments").selectAll().execute()).toHaveLength(3);
      // What was approved before there were funds has its budget as the fund of its year.
      const funds = await db.selectFrom("project_funds").select(["kind", "amount_fen"]).execute();
      expect(funds).toEqual(Array.from({ length: 3 }, () => ({ kind: "construction", amount_fen: 123_456 })));
      await openBooks(db).import();
      await openBooks(db).ask("office", [host("web")]);
      expect(await restoreMark(db)).toMatchObject({ archivedAt: "2026-11-23T00:00:00.000Z", acknowledgedAt: null, comparedAt: null });
      const [token] = await findTokens(db, [readFileSync(tokenFile!, "utf8").trim()]);
      expect(token).toMatchObject({ revoked_at: null });
      expect(heldOf(token!.held).map(({ role }) => role)).toEqual(["operations", "system-admin"]);
      await refuseHalfRestoredDatabase(db);
    });
    refuseHalfRestored(data());
  });

  it("brings the audit's chain along whole, linked or not, and it goes on from there", async () => {
    const source = await openDatabase({ directory: "memory" });
    await openBooks(source.db).import();
    await chainerOf(source.db).close();
    const before = await verified(source.db);
    await openBooks(source.db).ask("office", [host("web")]);
    await writeArchive(source.db, file(), { now: new Date("2026-11-23T00:00:00Z"), version: "test" });
    await source.close();
    await restoreArchive(options());
    await opened(async ({ db }) => {
      expect(await verified(db)).toMatchObject({ last: before.last, signedUpTo: before.last, keys: before.keys, fault: undefined });
      await chainerOf(db).close();
      const after = await verified(db);
      expect(after).toMatchObject({ signedUpTo: after.last, keys: before.keys, unlinked: 0, fault: undefined });
      expect(after.last).toBeGreaterThan(before.last);
      await expect(db.deleteFrom("audit_entries").execute(), "the triggers are back").rejects.toThrow("never changed or removed");
    });
  });

  it("is refused where there is something, and leaves it as it is", async () => {
    await archive();
    await opened(({ db }) => openBooks(db).import());
    await expect(restoreArchive(options())).rejects.toThrow(/already|not empty/);
    await opened(async ({ db }) => {
      expect(await db.selectFrom("requests").selectAll().execute()).toEqual([]);
      await refuseHalfRestoredDatabase(db);
    });
    if (engine === "postgres") await expect(restoreArchive(options(true))).rejects.toThrow("nothing is replaced");
    else {
      const { movedTo } = await restoreArchive(options(true));
      expect(existsSync(join(movedTo!, "PG_VERSION"))).toBe(true);
      await opened(async ({ db }) => expect(await db.selectFrom("requests").selectAll().execute()).toHaveLength(1));
    }
  });

  it("that was killed before its end is noticed, and done anew", async () => {
    await archive();
    if (engine === "pglite") {
      // A stage that was left, and a database that a careless start would have made.
      await opened(async () => {});
      writeFileSync(join(data(), "restore.json"), "{}");
      await openDatabase({ directory: join(data(), "restoring") }).then((one) => one.close());
      expect(() => refuseHalfRestored(data())).toThrow("interrupted");
    } else {
      // Its rows are in already.
      const env = { ...process.env, ZHENGYUN_DATA: data(), DATABASE_URL: url!, ZHENGYUN_FAULT: "restore.loaded" };
      expect(spawnSync(process.execPath, [main, "system", "restore", file()], { env }).signal).toBe("SIGKILL");
      await opened(({ db }) => expect(refuseHalfRestoredDatabase(db)).rejects.toThrow("interrupted"));
    }
    await restoreArchive(options());
    refuseHalfRestored(data());
    await opened(async ({ db }) => {
      await refuseHalfRestoredDatabase(db);
      expect(await db.selectFrom("requests").selectAll().execute()).toHaveLength(1);
      expect(await db.selectFrom("departments").selectAll().execute()).toHaveLength(3);
    });
  });
});

describe("a manifest", () => {
  const sealed = {
    kind: "zhengyun-archive",
    format: 1,
    createdAt: "2026-11-23T00:00:00Z",
    version: "1",
    migrations: [],
    masterKey: null,
    tables: [],
    sequences: [],
  };
  const text = (manifest: object) => manifestText({ ...manifest, digest: digestOf(manifest) } as never);

  it("of a newer format or schema is refused with what to do", () => {
    expect(parseManifest(text(sealed)).version).toBe("1");
    expect(() => parseManifest(text({ ...sealed, format: 2 }))).toThrow("Use a newer one");
    expect(migrationFault({ migrations: [...migrationNames, "9999_future"] })).toContain("9999_future");
    expect(migrationFault({ migrations: migrationNames.slice(0, 2) })).toBeUndefined();
  });
});
