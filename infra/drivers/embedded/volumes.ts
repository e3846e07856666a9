/** Volumes are directories; attachments show them inside hosts; policies are records. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { AttachmentSpec, BackupPolicySpec, VolumeSpec } from "../../spec.ts";
import { type Call, DriverError, InUse, type Made, NotFound, Unsupported } from "../driver.ts";
import { fault } from "../fault.ts";
import { undoing } from "../undo.ts";
import { readRecord, recordsIn, removeTree, writeRecord } from "./files.ts";
import { guest } from "./guest.ts";
import type { Hosts } from "./hosts.ts";
import { nameOf, newId, type Paths } from "./paths.ts";

export interface Stored<T> {
  id: string;
  scope: string;
  spec: T;
}
type Small = { volume: VolumeSpec; attachment: AttachmentSpec; "backup-policy": BackupPolicySpec };

/** Records of one kind: get-or-create, and deletion that names id and generation. */
export class Records<K extends keyof Small> {
  readonly #paths: Paths;
  readonly #kind: K;
  constructor(paths: Paths, kind: K) {
    this.#paths = paths;
    this.#kind = kind;
  }
  get(name: string): Stored<Small[K]> | undefined {
    return readRecord(this.#paths.record(this.#kind, name));
  }
  all(): Stored<Small[K]>[] {
    return recordsIn(this.#paths.kind(this.#kind));
  }
  /** The record of exactly this id. @throws NotFound */
  require(id: string): Stored<Small[K]> {
    const record = this.get(nameOf(id));
    if (record?.id !== id) throw new NotFound(`There is no ${this.#kind} ${id}.`);
    return record;
  }
  put(spec: Small[K], scope: string): Made {
    const there = this.get(spec.name);
    const id = there?.id ?? newId(spec.name);
    writeRecord(this.#paths.record(this.#kind, spec.name), { id, scope, spec });
    return { id, adopted: there !== undefined };
  }
  /** False when it was gone, or is of another generation. */
  remove(id: string): boolean {
    if (this.get(nameOf(id))?.id !== id) return false;
    removeTree(this.#paths.of(this.#kind, nameOf(id)));
    return true;
  }
}

export class Volumes {
  readonly records: Records<"volume">;
  readonly attachments: Records<"attachment">;
  readonly #paths: Paths;
  #hosts: Hosts | undefined;
  readonly #liveAttach: boolean;

  constructor(paths: Paths, liveAttach: boolean) {
    this.#paths = paths;
    this.#liveAttach = liveAttach;
    this.records = new Records(paths, "volume");
    this.attachments = new Records(paths, "attachment");
  }

  /** Hosts need to know their volumes, and attaching needs the hosts. */
  serve(hosts: Hosts): void {
    this.#hosts = hosts;
  }

  data(name: string): string {
    return join(this.#paths.of("volume", name), "data");
  }

  /** What a host shows when it starts. */
  of(host: string): { source: string; target: string }[] {
    return this.attachments
      .all()
      .filter((one) => one.spec.host === host)
      .map((one) => ({ source: this.data(one.spec.volume), target: one.spec.path }));
  }

  async create(spec: VolumeSpec, call: Call): Promise<Made> {
    return undoing(async (undo) => {
      const fresh = this.records.get(spec.name) === undefined;
      fault("volume.create:files");
      mkdirSync(this.data(spec.name), { recursive: true, mode: 0o755 });
      if (fresh) undo.add(() => removeTree(this.#paths.of("volume", spec.name)));
      fault("volume.create:record");
      return this.records.put(spec, call.scope);
    });
  }

  update(id: string, spec: VolumeSpec): void {
    const record = this.records.require(id);
    if (spec.sizeGib < record.spec.sizeGib)
      throw new Unsupported(`Volume ${spec.name} has ${record.spec.sizeGib} GiB and cannot shrink to ${spec.sizeGib} GiB.`);
    this.records.put(spec, record.scope);
  }

  delete(id: string): void {
    const users = this.attachments.all().filter((one) => one.spec.volume === nameOf(id));
    if (users.length > 0 && this.records.get(nameOf(id))?.id === id)
      throw new InUse(`Volume ${nameOf(id)} is attached to ${users.map((one) => one.spec.host).join(", ")}.`);
    this.records.remove(id);
  }

  async attach(spec: AttachmentSpec, call: Call): Promise<Made> {
    const host = this.#hosts?.get(spec.host);
    if (!host) throw new NotFound(`There is no host ${spec.host}.`);
    if (!this.records.get(spec.volume)) throw new NotFound(`There is no volume ${spec.volume}.`);
    const clash = this.attachments
      .all()
      .find((one) => one.spec.name !== spec.name && (one.spec.volume === spec.volume || (one.spec.host === spec.host && one.spec.path === spec.path)));
    if (clash)
      throw new InUse(
        clash.spec.volume === spec.volume
          ? `Volume ${spec.volume} is attached to ${clash.spec.host} already.`
          : `${spec.path} of ${spec.host} shows ${clash.spec.volume} already.`,
      );
    return undoing(async (undo) => {
      const made = this.attachments.put(spec, call.scope);
      if (!made.adopted) undo.add(() => void this.attachments.remove(made.id));
      fault("attachment.create:record");
      const running = this.#hosts?.running(host, { search: true });
      if (running && this.#liveAttach) await guest(["attach", String(running.pid), this.data(spec.volume), spec.path]);
      else if (running && !made.adopted) await this.#hosts?.restart(spec.host);
      return made;
    });
  }

  async detach(id: string): Promise<void> {
    const record = this.attachments.get(nameOf(id));
    if (record?.id !== id) return;
    const host = this.#hosts?.get(record.spec.host);
    const running = host && this.#hosts?.running(host, { search: true });
    if (running && this.#liveAttach) {
      try {
        await guest(["detach", String(running.pid), record.spec.path]);
      } catch (error) {
        if (error instanceof DriverError && /busy/.test(error.message))
          throw new InUse(`${record.spec.path} of ${record.spec.host} is in use inside the host.`, { cause: error });
        throw error;
      }
    }
    fault("attachment.delete:unmounted");
    this.attachments.remove(id);
    if (running && !this.#liveAttach) await this.#hosts?.restart(record.spec.host);
  }
}
