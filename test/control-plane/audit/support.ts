/** A chain to test with: entries, chainers, and its export verified. */
import { sql } from "kysely";
import { startChainer, type Chainer } from "../../../control-plane/audit/index.ts";
import type { ChainStep, ChainerOptions } from "../../../control-plane/audit/chainer.ts";
import { exportLines, rangeOf } from "../../../control-plane/audit/export.ts";
import { type ExportLine, type Verified, verifyExport } from "../../../control-plane/audit/verify.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import { appendAudit } from "../../../control-plane/store/audit.ts";
import type { Db, Tx } from "../../../control-plane/store/database.ts";
import { keysFrom } from "../../../control-plane/state/keys.ts";

const keys = keysFrom(Buffer.alloc(32, 7));

export const chainerOf = (db: Db, options: Partial<ChainerOptions> = {}): Chainer =>
  startChainer({
    db,
    sealer: keys,
    now: () => new Date(),
    by: "test",
    algorithm: "sha256",
    checkpointEntries: 10,
    checkpointSeconds: 3600,
    log: { info: () => {}, warn: () => {} },
    ...options,
  });

export type { ChainStep };

let count = 0;
/** One entry with something of everything that JSON has. */
export const append = (tx: Tx, subject = `thing-${++count}`): Promise<void> =>
  appendAudit(tx, systemAct(new Date()), {
    action: "test.act",
    subjectKind: "thing",
    subjectId: subject,
    departmentId: null,
    before: { count, half: 0.5, big: 1e21, 名称: "政云\u2028", nested: [null, true, { b: 1, a: [] }] },
    after: count % 2 === 0 ? null : { done: true },
  });

export const appendMany = (db: Db, number: number): Promise<void> =>
  db.transaction().execute(async (tx) => {
    for (let one = 0; one < number; one++) await append(tx);
  });

/** The export as it would arrive: through JSON. */
export async function* linesOf(db: Db, ask: Parameters<typeof rangeOf>[1] = {}): AsyncGenerator<ExportLine> {
  for await (const line of exportLines(db, await rangeOf(db, ask))) yield JSON.parse(JSON.stringify(line)) as ExportLine;
}
export const verified = (db: Db, ask?: Parameters<typeof rangeOf>[1]): Promise<Verified> => verifyExport(linesOf(db, ask));

/** Does what only somebody with the database's own rights can, and whom no trigger stops. */
export async function behindTheBack(tx: Tx, ...statements: string[]): Promise<void> {
  for (const table of ["audit_entries", "audit_checkpoints"]) await sql`alter table ${sql.table(table)} disable trigger user`.execute(tx);
  for (const statement of statements) await sql.raw(statement).execute(tx);
  for (const table of ["audit_entries", "audit_checkpoints"]) await sql`alter table ${sql.table(table)} enable trigger user`.execute(tx);
}

/** A transaction that is taken back. */
export async function undone<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  const enough = new Error("enough");
  let result: T | undefined;
  await db
    .transaction()
    .execute(async (tx) => {
      result = await work(tx);
      throw enough;
    })
    .catch((error: unknown) => {
      if (error !== enough) throw error;
    });
  return result!;
}
