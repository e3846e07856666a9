import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { setImmediate } from "node:timers/promises";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { attachEvidence } from "../../../control-plane/store/evidence.ts";
import { appendEvent } from "../../../control-plane/store/events.ts";
import { writeArchive } from "../../../control-plane/system/archive.ts";
import { loadArchive } from "../../../control-plane/system/load.ts";
import { openArchive } from "../../../control-plane/system/reader.ts";
import { sequencesOf, tablesOf } from "../../../control-plane/system/tables.ts";
import { verifyArchive } from "../../../control-plane/system/verify.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, volume } from "../../setup/small-city.ts";

let directory: string;
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), "zy-archive-"))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Everything in a database, for comparison. */
async function contentOf({ db }: OpenDatabase) {
  const content: Record<string, unknown> = {};
  for (const { name } of await tablesOf(db)) {
    const { rows } = await sql<{ row: string }>`select t::text as row from ${sql.table(name)} t order by 1`.execute(db);
    content[name] = rows.map((one) => one.row);
  }
  return { content, sequences: await sequencesOf(db) };
}

async function fill({ db }: OpenDatabase): Promise<void> {
  const books = openBooks(db);
  await books.import();
  const request = await books.decide(await books.ask("office", [host("web"), volume("data")]));
  await books.apply(request.department_id);
  await books.observe();
  const evidence = { name: "bytes.pdf", type: "application/pdf" as const, content: Buffer.concat([Buffer.from("%PDF-"), Buffer.from([0, 255, 10, 92])]) };
  await books.change((tx) => attachEvidence(tx, books.act(), request, evidence));
  // What a careless copy would change: JSON's null beside SQL's, microseconds, large numbers, every kind of line end, NUL as an escape.
  await books.change(async (tx) => {
    const at = new Date();
    await appendEvent(tx, { at, departmentId: null, requestId: null, type: "odd", subjectId: '政云 \u2028\u2029 \n \r\n \\ "', data: { a: "\n\u2028" } });
    await sql`insert into events (at, type, data) values ('2026-11-23 01:02:03.123456+08', 'null', 'null'::jsonb)`.execute(tx);
    await sql`insert into settings (key, value) values ('large', '{"n": 12345678901234567890.123, "z": 1.50}'::jsonb)`.execute(tx);
    await sql`insert into state_stacks (id, organization, project, name, version, created_at) values ('s1', 'o', 'p', 'n', 1, now())`.execute(tx);
    const deployment = { manifest: { magic: "", time: "", version: "" }, resources: [] };
    await sql`insert into state_snapshots (stack_id, version, schema_version, deployment, resources, created_at)
      values ('s1', 1, 3, ${JSON.stringify({ ...deployment, text: "\u0000" })}, 0, now())`.execute(tx);
  });
}

const options = { now: new Date("2026-11-23T00:00:00Z"), version: "test" };

describe.each(engines)("an archive made on %s", (engine) => {
  let database: OpenDatabase;
  beforeEach(async () => {
    database = await openEmpty(engine);
    await fill(database);
  });
  afterEach(() => database.close());

  it.each(engines)("is the same database when it is loaded on %s", async (other) => {
    const file = join(directory, "a.tar");
    await writeArchive(database.db, file, options);
    expect(await verifyArchive(file)).toMatchObject({ faults: [], snapshots: 1 });
    const second = await openEmpty(other);
    try {
      const archive = await openArchive(file);
      await second.db.transaction().execute((tx) => loadArchive(tx, archive));
      expect(await contentOf(second)).toEqual(await contentOf(database));
      // Numbers go on where they were, and the rules hold again.
      const books = openBooks(second.db);
      expect(
        (await books.ask("bureau", [host("next")])).number > (await database.db.selectFrom("requests").select("number").executeTakeFirstOrThrow()).number,
      ).toBe(true);
      await expect(
        sql`insert into applications select 'app_x', 'nowhere', project_id, 'x', name, contact, 1, null, zone, 1, now(), now() from applications limit 1`.execute(
          second.db,
        ),
      ).rejects.toThrow(/foreign key/);
    } finally {
      await second.close();
    }
  });

  it("is of one moment, whatever is written meanwhile", { timeout: 240_000 }, async () => {
    const books = openBooks(database.db);
    const file = join(directory, "a.tar");
    const stop = new AbortController();
    const writing = (async () => {
      for (let n = 0; !stop.signal.aborted; n++, await setImmediate()) await books.ask("office", [volume(`v${n}`)]).catch(() => undefined);
    })();
    for (let round = 0; round < 2; round++) {
      await writeArchive(database.db, file, options);
      const archive = await openArchive(file);
      const count = (name: string) => archive.manifest.tables.find((one) => one.name === name)!.rows;
      // A request comes with its one item in one transaction; the first of all has two.
      expect(count("request_items")).toBe(count("requests") + 1);
    }
    stop.abort();
    await writing;
  });

  it("leaves nothing half made beside it, is its owner's alone, and opens with tar and zstd", async () => {
    const file = join(directory, "a.tar");
    const { manifest, bytes } = await writeArchive(database.db, file, options);
    expect(execFileSync("ls", ["-A", directory], { encoding: "utf8" }).trim()).toBe("a.tar");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(file).size).toBe(bytes);
    execFileSync("tar", ["-xf", file, "-C", directory]);
    const departments = execFileSync("zstd", ["-dc", join(directory, "tables/departments.jsonl.zst")], { encoding: "utf8" });
    expect(departments.trim().split("\n")).toHaveLength(manifest.tables.find((one) => one.name === "departments")!.rows);
  });
});

describe("verify", () => {
  it("finds any changed byte and any cut, and says where", { timeout: 240_000 }, async () => {
    const database = await openEmpty("pglite");
    await fill(database);
    const file = join(directory, "a.tar");
    await writeArchive(database.db, file, options);
    await database.close();
    const good = readFileSync(file);
    const bad = join(directory, "bad.tar");
    const { manifest } = await openArchive(file);
    for (let at = 0; at < good.length; at += 251) {
      const bytes = Buffer.from(good);
      bytes[at]! ^= 1;
      writeFileSync(bad, bytes);
      const { faults } = await verifyArchive(bad);
      expect(faults.length, `byte ${at}`).toBeGreaterThan(0);
    }
    // Within a table it is that table which is named.
    const table = manifest.tables.find((one) => one.name === "requests")!;
    // The first place of the name is in the manifest: the header is the last one.
    const header = good.lastIndexOf(table.file);
    const bytes = Buffer.from(good);
    bytes[header + 512 + Math.floor(table.bytes / 2)]! ^= 0x80;
    writeFileSync(bad, bytes);
    const { faults } = await verifyArchive(bad);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain("tables/requests.jsonl.zst");
    for (const length of [0, 100, 512, 5000, good.length - 1, good.length - 512]) {
      writeFileSync(bad, good.subarray(0, length));
      expect((await verifyArchive(bad)).faults, `cut at ${length}`).toHaveLength(1);
    }
    copyFileSync(file, bad);
    expect((await verifyArchive(bad)).faults).toEqual([]);
  });

  it("refuses a Pulumi state that is not sound, and a stack without its current one", async () => {
    const database = await openEmpty("pglite");
    await fill(database);
    const resource = { urn: "urn:pulumi:s::p::t::n", type: "t", custom: false, parent: "urn:pulumi:s::p::t::gone" };
    await sql`update state_snapshots set deployment = ${JSON.stringify({ manifest: { magic: "", time: "", version: "" }, resources: [resource] })}`.execute(
      database.db,
    );
    await sql`update state_stacks set version = 2`.execute(database.db);
    const file = join(directory, "a.tar");
    await writeArchive(database.db, file, options);
    await database.close();
    const { faults } = await verifyArchive(file);
    expect(faults).toEqual([
      expect.stringMatching(/state_snapshots.*row 1: the state of stack s1, version 1: .*gone/),
      expect.stringMatching(/stack s1 has no state of its version 2/),
    ]);
  });
});
