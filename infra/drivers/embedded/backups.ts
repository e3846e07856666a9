/** Recovery points: a tar stream of a volume, compressed, with its SHA-256 in a record that is written last. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, mkdirSync, openSync, closeSync, fsyncSync, statSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdCompress, createZstdDecompress } from "node:zlib";
import { type BackupReading, type Call, Corrupt, NotFound } from "../driver.ts";
import { fault } from "../fault.ts";
import { undoing } from "../undo.ts";
import { readRecord, recordsIn, removeTree, writeRecord } from "../files.ts";
import { guest } from "./guest.ts";
import type { Paths } from "./paths.ts";
import type { Volumes } from "./volumes.ts";

export class Backups {
  readonly #paths: Paths;
  readonly #volumes: Volumes;
  constructor(paths: Paths, volumes: Volumes) {
    this.#paths = paths;
    this.#volumes = volumes;
  }

  get(name: string): BackupReading | undefined {
    return readRecord(this.#paths.record("backup", name));
  }
  all(): BackupReading[] {
    return recordsIn(this.#paths.kind("backup"));
  }

  async make(volume: string, name: string, pool: string, call: Call): Promise<BackupReading> {
    const there = this.get(name);
    if (there) return there;
    if (!this.#volumes.records.get(volume)) throw new NotFound(`There is no volume ${volume}.`);
    const directory = this.#paths.of("backup", name);
    return undoing(async (undo) => {
      // A kill may have left half a file under this name.
      removeTree(directory);
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      undo.add(() => removeTree(directory));
      const file = this.#file(name);
      const hash = createHash("sha256");
      const tar = new PassThrough();
      const hashing = new Transform({ transform: (chunk: Buffer, _, done) => (hash.update(chunk), done(null, chunk)) });
      await Promise.all([
        guest(["archive", await this.#volumes.data(volume)], { output: tar }),
        pipeline(tar, createZstdCompress(), hashing, createWriteStream(file, { mode: 0o600, ...(call.signal ? { signal: call.signal } : {}) })),
      ]);
      const handle = openSync(file, "r");
      fsyncSync(handle);
      closeSync(handle);
      fault("backup.make:data");
      const record: BackupReading = {
        id: `${name}.1`,
        name,
        scope: call.scope,
        volume,
        pool,
        sizeBytes: statSync(file).size,
        sha256: hash.digest("hex"),
        createdAt: Date.now(),
      };
      writeRecord(this.#paths.record("backup", name), record);
      return record;
    });
  }

  async restore(name: string, volume: string): Promise<{ bytes: number; sha256: string }> {
    if (!this.get(name)) throw new NotFound(`There is no backup ${name}.`);
    if (!this.#volumes.records.get(volume)) throw new NotFound(`There is no volume ${volume}.`);
    return this.pour(name, (tar) => this.#volumes.restore(volume, tar));
  }

  /** Hands the content to `put`, when it is what was stored and, where that is given, what was asked for. @throws NotFound @throws Corrupt */
  async pour(name: string, put: (tar: Readable) => Promise<void>, expected?: string): Promise<{ bytes: number; sha256: string }> {
    const record = this.get(name);
    if (!record) throw new NotFound(`There is no backup ${name}.`);
    const file = this.#file(name);
    const hash = createHash("sha256");
    await pipeline(createReadStream(file), hash);
    const sha256 = hash.digest("hex");
    if (sha256 !== record.sha256 || (expected !== undefined && sha256 !== expected))
      throw new Corrupt(`Backup ${name} does not hold what was stored (SHA-256 ${sha256}, expected ${expected ?? record.sha256}); the volume was not touched.`);
    let bytes = 0;
    const counting = new Transform({ transform: (chunk: Buffer, _, done) => ((bytes += chunk.length), done(null, chunk)) });
    const tar = createZstdDecompress();
    const flowing = pipeline(createReadStream(file), tar, counting);
    flowing.catch(() => undefined);
    await put(counting);
    await flowing;
    return { bytes, sha256 };
  }

  remove(name: string): void {
    removeTree(this.#paths.of("backup", name));
  }

  #file(name: string): string {
    return join(this.#paths.of("backup", name), "data.tar.zst");
  }
}
