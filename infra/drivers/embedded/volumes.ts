/** Volumes; attachments, which show them inside hosts; and the records of both and of backup policies. */
import type { Readable } from "node:stream";
import type { AttachmentSpec, BackupPolicySpec, VolumeSpec } from "../../spec.ts";
import { type Actual, type Call, DriverError, InUse, type Made, NeedsRestart, NotFound, type RestartNeed, Unsupported } from "../driver.ts";
import { fault } from "../fault.ts";
import { undoing } from "../undo.ts";
import { readRecord, recordsIn, removeTree, writeRecord } from "../files.ts";
import { guest } from "./guest.ts";
import type { Hosts } from "./hosts.ts";
import { withLock } from "./lock.ts";
import { growsMounted, type Storage, storageAt, type Viewers, whyNoImages } from "./storage.ts";
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
  #unbounded: Promise<string | undefined> | undefined;

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

  /** Why the sizes of new volumes are not enforced here; undefined: they are. */
  whyUnbounded(): Promise<string | undefined> {
    this.#unbounded ??= whyNoImages(this.#paths);
    return this.#unbounded;
  }

  async storage(name: string): Promise<Storage> {
    return storageAt(this.#paths.of("volume", name), (await this.whyUnbounded()) === undefined);
  }

  /** The directory with a volume's content, mounted. */
  async data(name: string): Promise<string> {
    return (await this.storage(name)).ready();
  }

  /** What a host shows when it starts. */
  async of(host: string): Promise<{ source: string; target: string }[]> {
    const shown = this.attachments.all().filter((one) => one.spec.host === host);
    return Promise.all(shown.map(async (one) => ({ source: await this.data(one.spec.volume), target: one.spec.path })));
  }

  /** @param fill puts the content in, where the volume is not to be empty. Without a record it isn't there: what a kill left half full is made anew */
  async create(spec: VolumeSpec, call: Call, fill?: (put: (tar: Readable) => Promise<void>) => Promise<unknown>): Promise<Made> {
    return undoing(async (undo) => {
      const there = this.records.get(spec.name);
      if (there) {
        await this.update(there.id, { ...spec, sizeGib: Math.max(spec.sizeGib, there.spec.sizeGib) }, call);
        return { id: there.id, adopted: true };
      }
      fault("volume.create:files");
      undo.add(() => this.remove(spec.name));
      await (await this.storage(spec.name)).make(spec.sizeGib);
      if (fill) await fill(async (tar) => (await this.storage(spec.name)).replace(tar, spec.sizeGib, this.#viewers(spec.name)));
      fault("volume.create:record");
      return this.records.put(spec, call.scope);
    });
  }

  /** What it really is; undefined: its content is gone. */
  async actual({ id, spec }: Stored<VolumeSpec>): Promise<Actual | undefined> {
    const size = (await this.storage(spec.name)).sizeGib();
    return size === null ? undefined : { kind: "volume", id, name: spec.name, spec: { ...spec, sizeGib: size ?? spec.sizeGib }, strange: [] };
  }

  /** Where ext4 doesn't grow while it is mounted, whoever shows it is stopped meanwhile. */
  async needsRestart(id: string, spec: VolumeSpec): Promise<RestartNeed | undefined> {
    const record = this.records.require(id);
    const size = (await this.storage(spec.name)).sizeGib();
    const grows = spec.sizeGib > (size ?? record.spec.sizeGib);
    // A directory has no size of its own.
    if (!grows || size === undefined || growsMounted()) return undefined;
    const shown = this.attachments.all().find((one) => one.spec.volume === spec.name && this.#pidOf(one.spec.host) !== undefined);
    if (!shown) return undefined;
    const { hostname } = this.#hosts!.get(shown.spec.host)!.spec;
    return {
      host: shown.spec.host,
      why: `${hostname} shows the volume: without CAP_SYS_RESOURCE a mounted ext4 does not grow, so it grows only with a restart of the host.`,
    };
  }

  async update(id: string, spec: VolumeSpec, call: Pick<Call, "restart">): Promise<void> {
    const record = this.records.require(id);
    const need = call.restart ? undefined : await this.needsRestart(id, spec);
    if (need) throw new NeedsRestart(need.why);
    const size = (await this.storage(spec.name)).sizeGib() ?? record.spec.sizeGib;
    if (spec.sizeGib < size) throw new Unsupported(`Volume ${spec.name} has ${size} GiB and cannot shrink to ${spec.sizeGib} GiB.`);
    if (spec.sizeGib > size) await (await this.storage(spec.name)).grow(spec.sizeGib, this.#viewers(spec.name));
    this.records.put(spec, record.scope);
  }

  async restore(name: string, tar: Readable): Promise<void> {
    const record = this.records.get(name);
    if (!record) throw new NotFound(`There is no volume ${name}.`);
    await (await this.storage(name)).replace(tar, record.spec.sizeGib, this.#viewers(name));
  }

  /** Files and all, whatever its record says. */
  async remove(name: string): Promise<void> {
    await (await this.storage(name)).release();
    removeTree(this.#paths.of("volume", name));
  }

  async delete(id: string): Promise<void> {
    if (this.records.get(nameOf(id))?.id !== id) return;
    const users = this.attachments.all().filter((one) => one.spec.volume === nameOf(id));
    if (users.length > 0) throw new InUse(`Volume ${nameOf(id)} is attached to ${users.map((one) => one.spec.host).join(", ")}.`);
    await this.remove(nameOf(id));
  }

  /** Hosts that run and show a volume: each is locked while something is done to it. */
  #viewers(volume: string): Viewers {
    const shown = () => this.attachments.all().filter((one) => one.spec.volume === volume);
    const each = async (on: (host: string, path: string, work: () => Promise<void>) => Promise<void>, work: () => Promise<void>) => {
      // A volume has one host at most; should there be more, each waits for the next.
      const nested = shown().reduceRight(
        (inner, { spec }) =>
          () =>
            withLock(this.#paths.locks, spec.host, () => on(spec.host, spec.path, inner)),
        work,
      );
      await nested();
    };
    return {
      hidden: (work) =>
        each(async (host, path, inner) => {
          const pid = this.#pidOf(host);
          if (pid !== undefined) await guest(["detach", String(pid), path, "lazy"]);
          await inner();
          if (pid !== undefined) await guest(["attach", String(pid), await this.data(volume), path]);
        }, work),
      stopped: (work) => each((host, _path, inner) => this.#hosts!.restart(host, inner), work),
    };
  }

  #pidOf(host: string): number | undefined {
    const record = this.#hosts?.get(host);
    return record && this.#hosts?.running(record, { search: true })?.pid;
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
      if (running && this.#liveAttach) await guest(["attach", String(running.pid), await this.data(spec.volume), spec.path]);
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
