import { createHash } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import fc from "fast-check";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ChainedEntry, genesis, hashOf } from "../../../control-plane/audit/chain.ts";
import type { Chainer } from "../../../control-plane/audit/index.ts";
import { verifyExport } from "../../../control-plane/audit/verify.ts";
import { chainFigures, takeChain } from "../../../control-plane/store/audit-chain.ts";
import type { Db, OpenDatabase } from "../../../control-plane/store/database.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { append, appendMany, behindTheBack, chainerOf, linesOf, undone, verified } from "./support.ts";

describe("an entry's hash", () => {
  const content = {
    id: 7,
    at: "2026-11-24T08:00:00.000Z",
    actor: "tok_1",
    role: "operations",
    source: "10.0.0.1",
    action: "quota.set",
    subjectKind: "quota",
    subject: "dep_1/hosts",
    department: null,
    result: "done",
    before: null,
    after: { limit: 10, 名称: "é" },
    correlationId: "c-1",
  };

  it("is over the text that docs/audit-chain.md shows, for SHA-256 and SM3", () => {
    for (const algorithm of ["sha256", "sm3"] as const) {
      const text = `{"action":"quota.set","actor":"tok_1","after":{"limit":10,"名称":"é"},"algorithm":"${algorithm}","at":"2026-11-24T08:00:00.000Z","before":null,"correlationId":"c-1","department":null,"format":"zhengyun-audit-1","id":7,"previous":"${genesis}","result":"done","role":"operations","sequence":1,"source":"10.0.0.1","subject":"dep_1/hosts","subjectKind":"quota"}`;
      expect(hashOf(content, { sequence: 1, algorithm, previous: genesis })).toBe(createHash(algorithm).update(text).digest("hex"));
    }
  });

  it("changes with every field", () => {
    const link = { sequence: 1, algorithm: "sha256", previous: genesis } as const;
    const hash = hashOf(content, link);
    for (const field of Object.keys(content)) expect(hashOf({ ...content, [field]: "other" }, link), field).not.toBe(hash);
    for (const other of [{ sequence: 2 }, { algorithm: "sm3" as const }, { previous: hash }]) expect(hashOf(content, { ...link, ...other })).not.toBe(hash);
  });
});

describe.each(engines)("the chain, on %s", (engine) => {
  let opened: OpenDatabase;
  let db: Db;
  let chainer: Chainer;
  beforeEach(async () => {
    opened = await openEmpty(engine);
    db = opened.db;
    chainer = chainerOf(db);
  });
  afterEach(async () => {
    await chainer.close();
    await opened.close();
  });
  const settled = async () => {
    await chainer.close();
    return verified(db);
  };

  it("links within a second, by itself, and signs what was linked", async () => {
    await appendMany(db, 25);
    await wait(1000);
    expect(await db.selectFrom("audit_entries").select("id").where("sequence", "is", null).execute()).toEqual([]);
    expect(await verified(db)).toMatchObject({ first: 1, last: 25, entries: 25, signedUpTo: 25, checkpoints: 1, fault: undefined });
    await appendMany(db, 3);
    await chainer.round();
    expect(await verified(db)).toMatchObject({ entries: 28, signedUpTo: 25, checkpoints: 1, fault: undefined });
    expect(await settled()).toMatchObject({ entries: 28, signedUpTo: 28, checkpoints: 2, unlinked: 0, fault: undefined });
    expect(await db.selectFrom("audit_keys").select("id").execute()).toHaveLength(1);
  });

  it("signs a few entries when they have waited long enough", async () => {
    await chainer.close();
    let clock = new Date();
    chainer = chainerOf(db, { now: () => clock, checkpointSeconds: 60 });
    await appendMany(db, 2);
    await chainer.round();
    expect(await verified(db)).toMatchObject({ entries: 2, signedUpTo: 0 });
    clock = new Date(clock.getTime() + 59_000);
    await chainer.round();
    expect((await chainFigures(db, clock)).unsignedAge).toBe(59);
    clock = new Date(clock.getTime() + 1_000);
    await chainer.round();
    expect(await verified(db)).toMatchObject({ entries: 2, signedUpTo: 2 });
    expect(await chainFigures(db, clock)).toEqual({ linked: 2, unlinked: 0, unlinkedAge: null, unsignedAge: null, checkpointAge: 0 });
  });

  it("goes on with another algorithm where one was changed for another", async () => {
    await appendMany(db, 12);
    await chainer.close();
    chainer = chainerOf(db, { algorithm: "sm3" });
    await appendMany(db, 12);
    expect(await settled()).toMatchObject({ entries: 24, signedUpTo: 24, fault: undefined });
    const algorithms = await db.selectFrom("audit_entries").select("algorithm").orderBy("sequence").execute();
    expect([algorithms[11]?.algorithm, algorithms[12]?.algorithm]).toEqual(["sha256", "sm3"]);
  });

  it("exports a stretch from checkpoint to checkpoint, which can be verified by itself", async () => {
    for (let part = 0; part < 5; part++) {
      await appendMany(db, 10);
      await chainer.round();
    }
    expect(await verified(db, { first: 23, last: 27 })).toMatchObject({ first: 21, last: 30, entries: 10, checkpoints: 2, fault: undefined });
    const { at } = await db.selectFrom("audit_entries").select("at").where("sequence", "=", 45).executeTakeFirstOrThrow();
    expect(await verified(db, { from: at })).toMatchObject({ last: 50, signedUpTo: 50, fault: undefined });
    expect(await verified(db, { to: new Date(0) })).toMatchObject({ entries: 0, fault: undefined });
    expect(await verified(db, { first: 51 })).toMatchObject({ entries: 0, fault: undefined });
    await undone(db, async (tx) => {
      await behindTheBack(tx, "update audit_entries set actor = 'nobody' where sequence = 21");
      expect((await verified(tx, { first: 23, last: 27 })).fault).toMatchObject({ what: "altered", sequence: 21 });
      expect((await verified(tx, { first: 31 })).fault).toBeUndefined();
    });
  });

  it("refuses, in the database itself, to change or remove what was written", async () => {
    await appendMany(db, 3);
    await chainer.close();
    await append(db as never);
    const refused = async (statement: string) => expect(sql.raw(statement).execute(db), statement).rejects.toThrow(/never changed or removed/);
    await refused("update audit_entries set actor = 'nobody' where sequence = 1");
    await refused("update audit_entries set sequence = null, algorithm = null, previous = null, hash = null where sequence = 1");
    await refused("update audit_entries set actor = 'nobody' where sequence is null");
    await refused("update audit_entries set sequence = 9, algorithm = 'sha256', previous = '', hash = '', before = '{}' where sequence is null");
    await refused("delete from audit_entries where sequence = 1");
    await refused("delete from audit_entries where sequence is null");
    await refused("truncate audit_entries");
    await refused("update audit_checkpoints set hash = ''");
    await refused("delete from audit_checkpoints");
    await refused("truncate audit_checkpoints");
    chainer = chainerOf(db);
    expect(await settled()).toMatchObject({ entries: 4, fault: undefined });
  });

  it("has every committed entry once and none twice, whatever commits in whichever order beside two chainers", { timeout: 180_000 }, async () => {
    await chainer.close();
    const writer = fc.record({
      entries: fc.integer({ min: 1, max: 5 }),
      before: fc.integer({ min: 0, max: 15 }),
      open: fc.integer({ min: 0, max: 40 }),
      commits: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(writer, { minLength: 5, maxLength: engine === "pglite" ? 15 : 8 }), async (writers) => {
        const chainers = [chainerOf(db), chainerOf(db)];
        const done = new AbortController();
        const linking = chainers.map(async (one) => {
          while (!done.signal.aborted) {
            await one.round();
            await wait(1);
          }
        });
        await Promise.all(
          writers.map(async ({ entries, before, open, commits }) => {
            await wait(before);
            await db
              .transaction()
              .execute(async (tx) => {
                for (let one = 0; one < entries; one++) await append(tx);
                // On PostgreSQL others with greater ids are committed and linked meanwhile.
                await wait(open);
                if (!commits) throw new Error("rolled back");
              })
              .catch((error: unknown) => expect(String(error)).toContain("rolled back"));
          }),
        );
        done.abort();
        await Promise.all(linking);
        await Promise.all(chainers.map((one) => one.close()));
        const { rows } = await sql<{ written: number; places: number; last: number }>`
          select count(*)::int as written, count(distinct sequence)::int as places, coalesce(max(sequence), 0)::int as last from audit_entries`.execute(db);
        expect(rows[0]!.places).toBe(rows[0]!.written);
        expect(rows[0]!.last).toBe(rows[0]!.written);
        expect(await verified(db)).toMatchObject({ entries: rows[0]!.written, signedUpTo: rows[0]!.written, unlinked: 0, fault: undefined });
      }),
      { numRuns: 15, endOnFailure: true },
    );
    if (engine === "postgres") {
      const { rows } = await sql<{ late: number }>`
        select count(*)::int as late from (select id, max(id) over (order by sequence rows between unbounded preceding and 1 preceding) as seen from audit_entries) x where id < seen`.execute(
        db,
      );
      expect(rows[0]!.late, "some came late, else this has shown nothing").toBeGreaterThan(0);
    }
  });

  it.runIf(engine === "postgres")("takes the chain away from a linker that stopped with it in its hands", { timeout: 30_000 }, async () => {
    await appendMany(db, 2);
    await chainer.close();
    await appendMany(db, 2);
    const paused = db
      .transaction()
      .execute(async (tx) => {
        expect(await takeChain(tx)).toBeDefined();
        await wait(8_000);
        await sql`select 1`.execute(tx);
      })
      .then(
        () => "went on",
        () => "lost it",
      );
    await wait(200);
    const other = chainerOf(db);
    await other.round();
    expect(await verified(db)).toMatchObject({ entries: 2, unlinked: 2 });
    await wait(6_500);
    expect(await verified(db)).toMatchObject({ entries: 4, unlinked: 0, fault: undefined });
    expect(await paused).toBe("lost it");
    await other.close();
  });
});

describe.each(engines)("what was done behind the back of the audit is found, on %s", (engine) => {
  let opened: OpenDatabase;
  let db: Db;
  beforeAll(async () => {
    opened = await openEmpty(engine);
    db = opened.db;
    await appendMany(db, 35);
    await chainerOf(db).close();
    for (let part = 0; part < 3; part++) {
      await appendMany(db, 1);
      await chainerOf(db).close();
    }
  });
  afterAll(() => opened.close());
  const after = (...statements: string[]) =>
    undone(db, async (tx) => {
      await behindTheBack(tx, ...statements);
      return (await verified(tx)).fault;
    });

  it.each([
    "actor = 'nobody'",
    "role = 'auditor'",
    "source = '10.0.0.9'",
    "at = at - interval '1 s'",
    "result = 'denied'",
    "before = null",
    `after = '{"done": false}'`,
    "department_id = 'dep_1'",
    "correlation_id = 'other'",
  ])("an entry that was altered: %s", async (change) => {
    expect(await after(`update audit_entries set ${change} where sequence = 17`)).toMatchObject({ what: "altered", sequence: 17 });
  });

  it("an entry that was removed, also the last", async () => {
    expect(await after("delete from audit_entries where sequence = 17")).toMatchObject({ what: "missing", sequence: 17 });
    expect(await after("delete from audit_entries where sequence = 12")).toMatchObject({ what: "missing", sequence: 12 });
    expect(await after("delete from audit_entries where sequence < 12")).toMatchObject({ what: "missing", sequence: 1 });
  });

  it("the end cut off, even where the chain's own row says so too", async () => {
    expect(await after("delete from audit_entries where sequence > 30")).toMatchObject({ what: "missing", sequence: 31 });
    const put = "update audit_chain set sequence = 30, hash = (select hash from audit_entries where sequence = 30)";
    expect(await after("delete from audit_entries where sequence > 30", put)).toMatchObject({ what: "missing", sequence: 31 });
  });

  it("two entries that changed places", async () => {
    const swap = "update audit_entries set sequence = case sequence when -1 then 20 else 10 end where sequence in (-1, -2)";
    const fault = await after("update audit_entries set sequence = -1 where sequence = 10", "update audit_entries set sequence = -2 where sequence = 20", swap);
    expect(fault).toMatchObject({ what: "reordered", sequence: 10 });
  });

  it("two entries whose contents changed places", async () => {
    const fault = await after(
      `update audit_entries a set subject_id = b.subject_id, before = b.before, after = b.after from audit_entries b
       where (a.sequence, b.sequence) in ((10, 20), (20, 10))`,
    );
    expect(fault).toMatchObject({ what: "altered", sequence: 10 });
  });

  /** Changes an entry and links everything after it anew, as somebody would who knows the format. */
  async function forgery(sequence: number): Promise<string[]> {
    const entries: ChainedEntry[] = [];
    for await (const line of linesOf(db)) if (line.kind === "entry") entries.push(line);
    let previous = entries[sequence - 2]?.hash ?? genesis;
    const statements = entries.slice(sequence - 1).map((entry) => {
      const content = entry.sequence === sequence ? { ...entry, actor: "nobody" } : entry;
      const hash = hashOf(content, { ...entry, previous });
      const statement = `update audit_entries set actor = '${content.actor}', previous = '${previous}', hash = '${hash}' where sequence = ${entry.sequence}`;
      previous = hash;
      return statement;
    });
    return [...statements, `update audit_chain set hash = '${previous}'`];
  }

  it("a chain that was written anew, by its signatures", async () => {
    expect(await after(...(await forgery(17)))).toMatchObject({ what: "checkpoint", sequence: 1 });
    expect(await after(...(await forgery(37)))).toMatchObject({ what: "checkpoint", sequence: 37 });
  });

  it("a checkpoint that was changed or taken out", async () => {
    expect(await after("update audit_checkpoints set at = at + interval '1 s' where number = 2")).toMatchObject({ what: "checkpoint", sequence: 36 });
    expect(await after("delete from audit_checkpoints where number = 2")).toMatchObject({ what: "checkpoint", sequence: 37 });
  });

  it("a key that isn't the one that was noted", async () => {
    const { keys } = await verified(db);
    expect((await verifyExport(linesOf(db), keys)).fault).toBeUndefined();
    expect((await verifyExport(linesOf(db), ["0".repeat(32)])).fault).toMatchObject({ what: "checkpoint" });
    expect(await after("update audit_keys set public_key = 'MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE='")).toMatchObject({
      what: "checkpoint",
    });
  });

  it("an export that was cut off", async () => {
    async function* cut() {
      let count = 0;
      for await (const line of linesOf(db)) if (count++ < 20) yield line;
    }
    expect((await verifyExport(cut())).fault).toMatchObject({ what: "incomplete" });
  });
});
