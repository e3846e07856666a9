/** Snapshots: a volume's content at a moment, compressed, beside the volume itself and lost with it; a record that is written last says that one is whole. */
import { createReadStream, createWriteStream, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdCompress, createZstdDecompress } from "node:zlib";
import { NotFound, type SnapshotReading } from "../driver.ts";
import { fault } from "../fault.ts";
import { readRecord, recordsIn, removeTree, writeRecord } from "../files.ts";
import { undoing } from "../undo.ts";
import { guest } from "./guest.ts";
import type { Paths } from "./paths.ts";
import type { Volumes } from "./volumes.ts";

export class Snapshots {
  readonly #paths: Paths;
  readonly #volumes: Volumes;
  constructor(paths: Paths, volumes: Volumes) {
    this.#paths = paths;
    this.#volumes = volumes;
  }

  /** Of one volume, oldest first. */
  of(volume: string): SnapshotReading[] {
    return recordsIn<SnapshotReading>(this.#directory(volume)).toSorted((a, b) => a.createdAt - b.createdAt);
  }

  async make(volume: string, name: string): Promise<SnapshotReading> {
    this.#require(volume);
    const there = readRecord<SnapshotReading>(join(this.#at(volume, name), "record.json"));
    if (there) return there;
    const directory = this.#at(volume, name);
    return undoing(async (undo) => {
      // A kill may have left half a one under this name.
      removeTree(directory);
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      undo.add(() => removeTree(directory));
      const tar = new PassThrough();
      await Promise.all([
        guest(["archive", await this.#volumes.data(volume)], { output: tar }),
        pipeline(tar, createZstdCompress(), createWriteStream(this.#file(volume, name), { mode: 0o600, flush: true })),
      ]);
      fault("volume.snapshot:data");
      const record: SnapshotReading = { name, createdAt: Date.now(), sizeBytes: statSync(this.#file(volume, name)).size };
      writeRecord(join(directory, "record.json"), record);
      return record;
    });
  }

  /** One that isn't there is gone already. */
  remove(volume: string, name: string): void {
    removeTree(this.#at(volume, name));
  }

  async revert(volume: string, name: string): Promise<void> {
    this.#require(volume);
    if (!this.of(volume).some((one) => one.name === name)) throw new NotFound(`Volume ${volume} has no snapshot ${name}.`);
    const tar = createZstdDecompress();
    const flowing = pipeline(createReadStream(this.#file(volume, name)), tar);
    flowing.catch(() => undefined);
    await this.#volumes.restore(volume, tar);
    await flowing;
  }

  #require(volume: string): void {
    if (!this.#volumes.records.get(volume)) throw new NotFound(`There is no volume ${volume}.`);
  }
  #directory(volume: string): string {
    return join(this.#paths.of("volume", volume), "snapshots");
  }
  #at(volume: string, name: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw new Error(`not a name: ${JSON.stringify(name)}`);
    return join(this.#directory(volume), name);
  }
  #file(volume: string, name: string): string {
    return join(this.#at(volume, name), "data.tar.zst");
  }
}
