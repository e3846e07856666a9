/**
 * Writes a copy of the whole database while it runs: what one moment's snapshot holds, as JSON lines a table, compressed.
 * The copy is logical: one of PGlite is restored into PostgreSQL, and the other way round.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createZstdCompress } from "node:zlib";
import { sql } from "kysely";
import type { Db, Tx } from "../store/database.ts";
import { archiveFormat, type Manifest, manifestName, manifestText, sealManifest } from "./manifest.ts";
import { migrationsOf, sequencesOf, type Table, tablesOf } from "./tables.ts";
import { type Part, writeTar } from "./tar.ts";

/** How much text is read from the database at once, characters: rows of stacks' states are large, others small. */
const batchCharacters = 4_000_000;
const mostRows = 2000;

export interface ArchiveOptions {
  now: Date;
  /** The control plane's version. */
  version: string;
}

/**
 * Makes the archive; `file` is there when it is whole, and durable, or not at all. Secrets in it stay sealed; the master key is not in it.
 * On PGlite, which has one connection, everybody else's statements wait until the rows are read.
 */
export async function writeArchive(db: Db, file: string, options: ArchiveOptions): Promise<{ manifest: Manifest; bytes: number; sha256: string }> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const parts = `${file}.parts`;
  const aside = `${file}.new`;
  await rm(parts, { recursive: true, force: true });
  await mkdir(parts, { mode: 0o700 });
  try {
    const manifest = sealManifest(await readAll(db, parts, options));
    const content: Part[] = [
      { name: manifestName, bytes: Buffer.from(manifestText(manifest)) },
      ...manifest.tables.map((one) => ({ name: one.file, path: join(parts, basename(one.file)), size: one.bytes })),
    ];
    await writeTar(aside, content, Math.floor(options.now.getTime() / 1000));
    const { bytes, sha256 } = await digestFile(aside);
    await rename(aside, file);
    return { manifest, bytes, sha256 };
  } finally {
    await rm(parts, { recursive: true, force: true });
    await rm(aside, { force: true });
  }
}

async function digestFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  return { bytes, sha256: hash.digest("hex") };
}

function readAll(db: Db, directory: string, { now, version }: ArchiveOptions): Promise<Omit<Manifest, "digest">> {
  return db.transaction().execute(async (tx) => {
    // As a statement: Kysely's PGlite driver has no settings of transactions.
    await sql`set transaction isolation level repeatable read, read only`.execute(tx);
    await sql`set local timezone to 'UTC'`.execute(tx);
    const key = await tx.selectFrom("state_master_key").select("fingerprint").executeTakeFirst();
    const migrations = await migrationsOf(tx);
    const tables = [];
    for (const table of await tablesOf(tx)) tables.push(await writeTable(tx, table, directory));
    // Counters are no part of a snapshot: read last, none is behind the rows.
    const sequences = await sequencesOf(tx);
    return {
      kind: "zhengyun-archive",
      format: archiveFormat,
      createdAt: now.toISOString(),
      version,
      migrations,
      masterKey: key?.fingerprint ?? null,
      tables,
      sequences,
    };
  });
}

async function writeTable(tx: Tx, table: Table, directory: string): Promise<Manifest["tables"][number]> {
  const path = join(directory, `${table.name}.jsonl.zst`);
  const hash = createHash("sha256");
  let rows = 0;
  let bytes = 0;
  const lines = async function* () {
    for await (const batch of readRows(tx, table)) {
      rows += batch.length;
      yield Buffer.from(batch.map((line) => `${line}\n`).join(""));
    }
  };
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  const compress = createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } });
  await pipeline(Readable.from(lines()), compress, count, createWriteStream(path, { mode: 0o600 }));
  return { name: table.name, file: `tables/${table.name}.jsonl.zst`, columns: table.columns.map((one) => one.name), rows, bytes, sha256: hash.digest("hex") };
}

/** Rows as JSON objects. What is jsonb goes as its text: JSON's null and SQL's would be one otherwise. */
async function* readRows(tx: Tx, table: Table): AsyncGenerator<string[]> {
  const columns = sql.join(table.columns.map(({ name, type }) => (type === "jsonb" ? sql`${sql.ref(name)}::text as ${sql.ref(name)}` : sql.ref(name))));
  await sql`declare archived no scroll cursor for select row_to_json(r)::text as line from (select ${columns} from ${sql.table(table.name)}) r`.execute(tx);
  for (let count = 20; ;) {
    const { rows } = await sql<{ line: string }>`fetch forward ${sql.lit(count)} from archived`.execute(tx);
    if (rows.length === 0) break;
    yield rows.map((row) => row.line);
    const average = rows.reduce((sum, row) => sum + row.line.length, 0) / rows.length;
    count = Math.max(1, Math.min(mostRows, Math.floor(batchCharacters / average)));
  }
  await sql`close archived`.execute(tx);
}
