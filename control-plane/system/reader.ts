/** Opens an archive: its manifest, and the rows of each table, every byte held to what the manifest says. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createZstdDecompress } from "node:zlib";
import { type Manifest, manifestName, parseManifest } from "./manifest.ts";
import { ArchiveInvalid, type Entry, readTar } from "./tar.ts";

export type ArchivedTable = Manifest["tables"][number];

export interface Archive {
  path: string;
  manifest: Manifest;
  /** Every row of a table, a line of JSON each. @throws ArchiveInvalid at its end at the latest, when its checksum or count doesn't hold */
  rows(table: ArchivedTable): AsyncGenerator<string>;
}

/** @throws ArchiveInvalid, or ENOENT */
export async function openArchive(path: string): Promise<Archive> {
  const [first, ...entries] = await readTar(path);
  if (first?.name !== manifestName) throw new ArchiveInvalid(`${path} is no archive of ours: it does not begin with ${manifestName}.`);
  const manifest = parseManifest((await readWhole(path, first)).toString());
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  for (const [index, table] of manifest.tables.entries())
    if (entries[index]?.name !== table.file || entries[index]?.size !== table.bytes)
      throw new ArchiveInvalid(`${table.file} is missing, or not as long as it was.`);
  if (byName.size !== manifest.tables.length) throw new ArchiveInvalid("The archive has files that its manifest doesn't name.");
  return { path, manifest, rows: (table) => readRows(path, byName.get(table.file)!, table) };
}

async function readWhole(path: string, { offset, size }: Entry): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const bytes = Buffer.alloc(size);
    await file.read(bytes, 0, size, offset);
    return bytes;
  } finally {
    await file.close();
  }
}

async function* readRows(path: string, { offset, size }: Entry, table: ArchivedTable): AsyncGenerator<string> {
  const place = `${table.file} (bytes ${offset} to ${offset + size})`;
  const raw = () => createReadStream(path, { start: offset, end: offset + size - 1 });
  // Before a row of it is used: compressed it is small, so that reading it twice costs little.
  const hash = createHash("sha256");
  for await (const chunk of raw()) hash.update(chunk as Buffer);
  if (hash.digest("hex") !== table.sha256) throw new ArchiveInvalid(`${place} does not have its SHA-256: it is damaged.`);
  let rows = 0;
  const source = raw();
  const plain = createZstdDecompress();
  source.once("error", (error) => plain.destroy(error));
  try {
    for await (const line of linesOf(source.pipe(plain))) {
      rows++;
      yield line;
    }
  } finally {
    source.destroy();
    plain.destroy();
  }
  if (rows !== table.rows) throw new ArchiveInvalid(`${place} has ${rows} rows, the manifest says ${table.rows}.`);
}

/** Node's readline would break lines at U+2028 too, which JSON text may hold. */
async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      yield Buffer.concat([...parts, chunk.subarray(from, end)]).toString();
      parts = [];
      from = end + 1;
    }
    if (from < chunk.length) parts.push(chunk.subarray(from));
  }
  if (parts.length > 0) yield Buffer.concat(parts).toString();
}
