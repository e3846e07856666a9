/** state-bytes: what is written for the state of 1,000 resources, against what a bare up's file backend writes. */
import { readFileSync } from "node:fs";
import { sql } from "kysely";
import type { Db } from "../../control-plane/store/database.ts";
import type { Figure } from "./bench.ts";
import { expectSteps, onBothStores } from "./both-stores.ts";
import { newEstate } from "./specs.ts";

const hosts = 1000;

/** All that the database writes: its log, in which everything stands (rows, indexes, page images), and what its files have grown by. Bytes. */
async function writtenByDatabase(db: Db, work: () => Promise<void>): Promise<number> {
  const read = async () => {
    const { rows } = await sql<{ log: string; size: string }>`
      select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text as log, pg_database_size(current_database())::text as size`.execute(db);
    return { log: Number(rows[0]!.log), size: Number(rows[0]!.size) };
  };
  const before = await read();
  await work();
  const after = await read();
  return after.log - before.log + Math.max(0, after.size - before.size);
}

/** What this process and the ones that it waited for (the CLI is one) have written to files; sockets don't count. Bytes. */
function writtenToFiles(): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1] ?? Number.NaN);
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

export function stateBytesFigures(): Promise<Figure[]> {
  return onBothStores(async (planes, bare) => {
    const ours: number[] = [];
    for (const { db, up, pool } of planes) ours.push(await writtenByDatabase(db, async () => expectSteps(await up(newEstate(hosts, pool)), "create", hosts)));
    const before = writtenToFiles();
    expectSteps(await bare.up(newEstate(hosts, planes[0]!.pool)), "create", hosts);
    const theirs = writtenToFiles() - before;
    return planes.map(({ engine }, index) => ({
      name: `state-bytes-${engine}`,
      ratio: ours[index]! / theirs,
      goal: 0.02,
      unit: "× a bare up's bytes",
      detail: `${mebibytes(ours[index]!)} (log and growth of the database) against ${mebibytes(theirs)} of files, ${hosts} hosts`,
    }));
  });
}
