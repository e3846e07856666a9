/** Recovery points: a volume as the server exports it, compressed, with its SHA-256, in a directory away from the cluster. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, mkdirSync, openSync, closeSync, fsyncSync, statSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdCompress, createZstdDecompress } from "node:zlib";
import { type BackupReading, type Call, Corrupt, NotFound } from "../driver.ts";
import { fault } from "../fault.ts";
import { readRecord, recordsIn, removeTree, writeRecord } from "../files.ts";
import { undoing } from "../undo.ts";
import type { Volumes } from "./volumes.ts";

export class Backups {
  readonly #directory: string;
  readonly #volumes: Volumes;
  constructor(directory: string, volumes: Volumes) {
    this.#directory = directory;
    this.#volumes = volumes;
  }

  get(name: string): BackupReading | undefined {
    return readRecord(join(this.#of(name), "record.json"));
  }
  all(): BackupReading[] {
    return recordsIn(this.#directory);
  }

  async make(project: string, volume: string, name: string, pool: string, call: Call): Promise<BackupReading> {
    const there = this.get(name);
    if (there) return there;
    const directory = this.#of(name);
    return undoing(async (undo) => {
      const { tar, done } = await this.#volumes.export(project, volume, name.replace("_", "-"));
      undo.add(done);
      // A kill may have left half a file under this name.
      removeTree(directory);
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      undo.add(() => removeTree(directory));
      const file = this.#file(name);
      const hash = createHash("sha256");
      const hashing = new Transform({ transform: (chunk: Buffer, _, next) => (hash.update(chunk), next(null, chunk)) });
      await pipeline(tar, createZstdCompress(), hashing, createWriteStream(file, { mode: 0o600 }), call.signal ? { signal: call.signal } : {});
      const handle = openSync(file, "r");
      fsyncSync(handle);
      closeSync(handle);
      fault("lxd.backup.make:data");
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
      writeRecord(join(directory, "record.json"), record);
      await done();
      return record;
    });
  }

  restore(project: string, name: string, volume: string): Promise<{ bytes: number; sha256: string }> {
    return this.pour(name, (tar) => this.#volumes.replace(project, volume, tar));
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
    const counting = new Transform({ transform: (chunk: Buffer, _, next) => ((bytes += chunk.length), next(null, chunk)) });
    const tar = new PassThrough();
    const flowing = pipeline(createReadStream(file), createZstdDecompress(), counting, tar);
    flowing.catch(() => undefined);
    await put(tar);
    await flowing;
    return { bytes, sha256 };
  }

  /** It is called another department's from now on, where it is here. */
  pass(name: string, scope: string): void {
    const there = this.get(name);
    if (there && there.scope !== scope) writeRecord(join(this.#of(name), "record.json"), { ...there, scope });
  }

  remove(name: string): void {
    removeTree(this.#of(name));
  }

  #of(name: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw new Error(`not a name: ${JSON.stringify(name)}`);
    return join(this.#directory, name);
  }
  #file(name: string): string {
    return join(this.#of(name), "data.tar.zst");
  }
}
