/**
 * Volumes: custom storage volumes. A restore makes a new one beside the old and switches over, so that one name may for a moment stand for two:
 * the newest that is whole counts, and `settle` removes the rest.
 */
import type { Readable } from "node:stream";
import type { AttachmentSpec, Flavour, VolumeSpec } from "../../spec.ts";
import { type Actual, type Call, InUse, type Made, NotFound, type SnapshotReading, Unsupported } from "../driver.ts";
import { fault } from "../fault.ts";
import { undoing } from "../undo.ts";
import { bytesOf } from "./actual.ts";
import type { Address } from "./address.ts";
import { hasMoved, type LxdClient, Refused } from "./client.ts";
import { diskLimits } from "./bodies.ts";
import { attachmentKey, attachmentsOf, type Instance, keptOf, listInstances, memberOf, type StoredAttachment } from "./instances.ts";
import { key, lxdName, nameOf, nameOfLxd, newId } from "./names.ts";
import type { Projects } from "./projects.ts";
import { ownHeader } from "./server.ts";

interface RawVolume {
  name: string;
  project: string;
  type: string;
  content_type: string;
  description: string;
  location: string;
  config: Record<string, string>;
}
/** What is kept of a volume in its settings. `is` is the volume's own name: a copy that an import brought along doesn't count. */
interface Kept {
  id: string;
  scope: string;
  spec: VolumeSpec;
  is: string;
}
export interface StoredVolume extends Kept {
  raw: RawVolume;
  snapshots: RawSnapshot[];
}
interface RawSnapshot extends SnapshotReading {
  /** What it is called on the server. */
  is: string;
  config: Record<string, string>;
}

/** `vol-01j…`, and after a restore `vol-01j…-r1` */
const copyOf = (name: string, number: number) => (number === 0 ? lxdName(name) : `${lxdName(name)}-r${number}`);
const numberOf = (lxd: string) => Number(/-r(\d+)$/.exec(lxd)?.[1] ?? 0);

function storedOf(raw: RawVolume, all: readonly RawVolume[]): StoredVolume | undefined {
  const text = raw.config[key("volume")];
  const kept = text === undefined ? undefined : (JSON.parse(text) as Kept);
  if (kept?.is !== raw.name) return undefined;
  const own = all.filter((one) => one.project === raw.project && one.name.startsWith(`${raw.name}/`));
  return { ...kept, raw, snapshots: own.flatMap((one) => snapshotOf(one) ?? []).toSorted((a, b) => a.createdAt - b.createdAt) };
}

/** `vol-01j…/snp-01j….1764331200000`: the server keeps no time of it that we could rely on, so that its name says when. */
const snapshotNamed = (name: string, createdAt: number) => `${lxdName(name)}.${createdAt}`;
function snapshotOf({ name, config }: RawVolume): RawSnapshot | undefined {
  const [, is, own, createdAt] = /\/((.+)\.(\d+))$/.exec(name) ?? [];
  return is === undefined ? undefined : { is, config, name: nameOfLxd(own!), createdAt: Number(createdAt) };
}

export class Volumes {
  readonly #client: LxdClient;
  readonly #storage: string;
  readonly #projects: Projects;
  constructor(client: LxdClient, { storage }: Pick<Address, "storage">, projects: Projects) {
    this.#client = client;
    this.#projects = projects;
    this.#storage = storage;
  }

  /** The volumes of the storage pool where a volume is: pools of one server serve each other, each with a storage pool of its own. These here where none has it. */
  async holding(project: string, name: string): Promise<Volumes> {
    if (await this.get(project, name)) return this;
    for (const other of await this.#others()) if (await other.get(project, name)) return other;
    return this;
  }
  async #others(): Promise<Volumes[]> {
    const { metadata } = await this.#client.get<string[]>("/1.0/storage-pools");
    const names = metadata.map((path) => decodeURIComponent(path.split("/").at(-1)!));
    return names.filter((storage) => storage !== this.#storage).map((storage) => new Volumes(this.#client, { storage }, this.#projects));
  }

  /** Of one project, or of all of ours: the one that counts of each name. */
  async all(project?: string): Promise<StoredVolume[]> {
    const all = await this.#list(project);
    const whole = all.flatMap((raw) => storedOf(raw, all) ?? []);
    return [...Map.groupBy(whole, (one) => one.spec.name).values()].map((copies) =>
      copies.reduce((best, one) => (numberOf(one.is) > numberOf(best.is) ? one : best)),
    );
  }

  async get(project: string, name: string): Promise<StoredVolume | undefined> {
    return (await this.all(project)).find((one) => one.spec.name === name);
  }

  /** @throws NotFound */
  async require(project: string, name: string): Promise<StoredVolume> {
    const found = await this.get(project, name);
    if (!found) throw new NotFound(`There is no volume ${name}.`);
    return found;
  }

  /** @param fill puts an export's content in, where the volume is not to be empty. Without its settings it isn't there: what a kill left is removed */
  async create(project: string, spec: VolumeSpec, call: Call, fill?: (put: (tar: Readable) => Promise<void>) => Promise<unknown>): Promise<Made> {
    const there = await this.settle(project, spec.name);
    if (there) {
      await this.#resize(project, there, { ...spec, sizeGib: Math.max(spec.sizeGib, there.spec.sizeGib) });
      return { id: there.id, adopted: true };
    }
    return undoing(async (undo) => {
      const is = copyOf(spec.name, 0);
      const kept: Kept = { id: newId(spec.name), scope: call.scope, spec, is };
      undo.add(() => this.remove(project, is));
      fault("lxd.volume.create:asked");
      try {
        if (fill) await fill((tar) => this.#import(project, kept, "", tar));
        else
          await this.#client.change("POST", this.#path(), {
            project,
            signal: call.signal,
            body: { name: is, content_type: "filesystem", config: configOf(kept) },
          });
      } catch (error) {
        const made = error instanceof Refused ? await this.get(project, spec.name) : undefined;
        if (!made) throw error;
        undo.success();
        return { id: made.id, adopted: true };
      }
      fault("lxd.volume.create:made");
      return { id: kept.id, adopted: false };
    });
  }

  /** What it really is. */
  actual({ id, spec, raw }: StoredVolume): Actual {
    return { kind: "volume", id, name: spec.name, spec: { ...spec, sizeGib: sizeOf(raw) ?? null }, strange: [] };
  }

  async update(project: string, id: string, spec: VolumeSpec): Promise<void> {
    const there = await this.settle(project, nameOf(id));
    if (there?.id !== id) throw new NotFound(`There is no volume ${id}.`);
    const size = sizeOf(there.raw) ?? there.spec.sizeGib;
    if (spec.sizeGib < size) throw new Unsupported(`Volume ${spec.name} has ${size} GiB and cannot shrink to ${spec.sizeGib} GiB.`);
    await this.#resize(project, there, spec);
  }

  async delete(project: string, id: string): Promise<void> {
    const there = await this.settle(project, nameOf(id));
    if (there?.id !== id) return;
    const users = (await this.#users(project, there.spec.name)).map(({ stored }) => stored.spec.host);
    if (users.length > 0) throw new InUse(`Volume ${nameOf(id)} is attached to ${users.join(", ")}.`);
    await this.remove(project, there.is);
  }

  async attach(project: string, spec: AttachmentSpec, call: Call): Promise<Made> {
    const volume = await this.whole(project, spec.volume);
    const instances = await listInstances(this.#client, project);
    const clash = instances
      .flatMap(attachmentsOf)
      .find((one) => one.spec.name !== spec.name && (one.spec.volume === spec.volume || (one.spec.host === spec.host && one.spec.path === spec.path)));
    if (clash)
      throw new InUse(
        clash.spec.volume === spec.volume
          ? `Volume ${spec.volume} is attached to ${clash.spec.host} already.`
          : `${spec.path} of ${spec.host} shows ${clash.spec.volume} already.`,
      );
    fault("lxd.attachment.create:asked");
    const host = instances.find((one) => one.name === lxdName(spec.host));
    // On a cluster whose storage is each member's own, the volume comes to where its host is.
    const attaching = async () => {
      const shown = (host && (await this.bring(project, volume, host.location))) ?? volume.is;
      const made = await this.changeHost(project, spec.host, (instance) => {
        const there = attachmentsOf(instance).find((one) => one.spec.name === spec.name);
        const stored: StoredAttachment = { id: there?.id ?? newId(spec.name), scope: call.scope, spec };
        instance.config[attachmentKey(spec.name)] = JSON.stringify(stored);
        instance.devices[lxdName(spec.name)] = this.deviceOf(stored, shown, keptOf(instance)!.spec.flavour);
        return { id: stored.id, adopted: there !== undefined };
      });
      if (shown !== volume.is) await this.settle(project, spec.volume);
      return made;
    };
    const moves = host !== undefined && host.location !== volume.raw.location;
    return moves ? this.#projects.withRoom(project, { storageGib: volume.spec.sizeGib }, attaching) : attaching();
  }

  /** How a host shows a copy of a volume. */
  deviceOf({ spec }: StoredAttachment, is: string, flavour: Flavour): Record<string, string> {
    return { type: "disk", pool: this.#storage, source: is, path: spec.path, ...diskLimits(flavour) };
  }

  async detach(project: string, id: string): Promise<void> {
    const found = (await listInstances(this.#client, project)).flatMap(attachmentsOf).find((one) => one.id === id);
    if (!found) return;
    await this.changeHost(project, found.spec.host, (instance) => {
      delete instance.config[attachmentKey(found.spec.name)];
      delete instance.devices[lxdName(found.spec.name)];
    });
  }

  /** The volume's content as a tar, as the server exports it. */
  async export(project: string, name: string, label: string): Promise<{ tar: Readable; done: () => Promise<void> }> {
    const { is } = await this.require(project, name);
    const path = `${this.#path(is)}/backups`;
    const remove = () => this.#client.change("DELETE", `${path}/${label}`, { project }).catch(() => undefined);
    // A kill may have left half a one under this name.
    await remove();
    await this.#client.change("POST", path, { project, body: { name: label, volume_only: true, compression_algorithm: "none", optimized_storage: false } });
    return { tar: await this.#client.stream(`${path}/${label}/export`, { project }), done: async () => void (await remove()) };
  }

  /** Puts an export's content in place of what there is: all or nothing, by switching to a new volume. */
  async replace(project: string, name: string, tar: Readable): Promise<void> {
    const old = await this.whole(project, name);
    await this.#exchange(project, old, (kept) => this.#import(project, kept, old.raw.location, tar));
  }

  /** Twice makes one. */
  async snapshot(project: string, name: string, label: string, signal: AbortSignal | undefined): Promise<SnapshotReading> {
    let there = await this.whole(project, name);
    // A caller that was killed leaves the server at work: what it has noted already may not be whole yet, or may go again.
    if (there.snapshots.some((one) => one.name === label) && (await this.#finishOn(project, there.is, signal))) there = await this.whole(project, name);
    const made = there.snapshots.find((one) => one.name === label);
    if (made) return { name: label, createdAt: made.createdAt };
    const createdAt = Date.now();
    await this.#client.change("POST", `${this.#path(there.is)}/snapshots`, { project, signal, body: { name: snapshotNamed(label, createdAt) } });
    return { name: label, createdAt };
  }

  /** Waits for what the server does with a volume, whoever asked for it. @returns whether there was anything */
  async #finishOn(project: string, is: string, signal: AbortSignal | undefined): Promise<boolean> {
    const { metadata } = await this.#client.get<Record<string, { id: string; status_code: number; resources: Record<string, string[]> | null }[]>>(
      "/1.0/operations",
      { project, query: { recursion: "1" } },
    );
    // As `/1.0/storage_volumes/NAME`, or by the whole path.
    const about = new RegExp(`/${is}([/?]|$)`);
    const running = Object.values(metadata)
      .flat()
      .filter(({ status_code, resources }) => status_code < 200 && Object.values(resources ?? {}).some((urls) => urls.some((url) => about.test(url))));
    for (const { id } of running) await this.#client.operations.wait(id, signal);
    return running.length > 0;
  }

  async deleteSnapshot(project: string, name: string, label: string): Promise<void> {
    const there = await this.settle(project, name);
    for (const one of there?.snapshots ?? [])
      if (one.name === label) await this.#client.change("DELETE", `${this.#path(there!.is)}/snapshots/${one.is}`, { project });
  }

  /** The server puts no volume back that a running host shows: a copy is put back, and hosts are switched to it. */
  async revert(project: string, name: string, label: string): Promise<void> {
    const old = await this.whole(project, name);
    const snapshot = old.snapshots.find((one) => one.name === label);
    if (!snapshot) throw new NotFound(`Volume ${name} has no snapshot ${label}.`);
    await this.#exchange(project, old, async (kept) => {
      await this.#copy(project, old, kept.is, old.raw.location);
      await this.#client.change("PUT", this.#path(kept.is), { project, body: { restore: snapshot.is } });
      // Whose ids the files have now.
      await this.#keep(project, kept, idsOf(snapshot.config));
    });
  }

  /** To another member; hosts are not switched to it yet. Where all members share the storage there is nothing to bring. @returns the copy that goes again when the whole fails */
  async bring(project: string, volume: StoredVolume, member: string): Promise<string | undefined> {
    const { location } = volume.raw;
    if (location === member || memberOf(location).member === undefined) return undefined;
    return this.#beside(project, volume, async (kept) => {
      await this.#copy(project, volume, kept.is, member);
      fault("lxd.volume.move:copied");
      await this.#keep(project, kept);
    });
  }

  async move(project: string, id: string, member: string): Promise<void> {
    const there = await this.settle(project, nameOf(id));
    if (there?.id !== id) throw new NotFound(`There is no volume ${id}.`);
    const [user] = await this.#users(project, there.spec.name);
    if (user) throw new InUse(`Volume ${nameOf(id)} is attached to ${user.stored.spec.host}: it moves with its host.`);
    await this.#projects.withRoom(project, { storageGib: there.spec.sizeGib }, async () => {
      await this.bring(project, there, member);
      await this.settle(project, there.spec.name);
    });
  }

  /** A new copy takes the old one's place, in hosts too. */
  async #exchange(project: string, old: StoredVolume, make: (kept: Kept) => Promise<void>): Promise<void> {
    await this.#projects.withRoom(project, { storageGib: old.spec.sizeGib }, async () => {
      await this.#beside(project, old, make);
      await this.settle(project, old.spec.name);
    });
  }

  /** A new copy, of the same name and id, which counts from when it is whole. */
  async #beside(project: string, { id, scope, spec, is: old }: StoredVolume, make: (kept: Kept) => Promise<void>): Promise<string> {
    const is = copyOf(spec.name, numberOf(old) + 1);
    await undoing(async (undo) => {
      undo.add(() => this.remove(project, is));
      await make({ id, scope, spec, is });
    });
    fault("lxd.volume.restore:whole");
    return is;
  }

  /** With its snapshots. The copy doesn't count yet: its settings still name the old one. */
  async #copy(project: string, { is, raw }: StoredVolume, to: string, location: string): Promise<void> {
    const common = { name: to, type: "custom", content_type: raw.content_type, config: raw.config };
    if (location === raw.location) {
      const source = { type: "copy", name: is, pool: this.#storage, project, volume_only: false };
      await this.#client.change("POST", this.#path(), { project, body: { ...common, source }, ...at(location) });
      return;
    }
    const [{ metadata: server }, { metadata: from }] = await Promise.all([
      this.#client.get<{ environment: { certificate: string } }>("/1.0"),
      this.#client.get<{ url: string }>(`/1.0/cluster/members/${raw.location}`),
    ]);
    const sending = await this.#client.begin<Record<string, string>>(this.#path(is), {
      project,
      body: { name: is, pool: this.#storage, migration: true },
      ...at(raw.location),
    });
    const source = {
      type: "migration",
      mode: "pull",
      operation: `${from.url}/1.0/operations/${sending.id}`,
      secrets: sending.metadata,
      certificate: server.environment.certificate,
      volume_only: false,
    };
    await this.#client.change("POST", this.#path(), { project, body: { ...common, source }, ...at(location) });
  }

  /** Says of a copy what it is. */
  async #keep(project: string, kept: Kept, more: Record<string, string> = {}): Promise<void> {
    const path = this.#path(kept.is);
    const { metadata, etag } = await this.#client.get<RawVolume>(path, { project });
    await this.#client.change("PUT", path, { project, etag, body: { description: "", config: { ...metadata.config, ...configOf(kept), ...more } } });
  }

  /** A volume of an export's content, which counts from when its settings say what it is. */
  async #import(project: string, kept: Kept, location: string, tar: Readable): Promise<void> {
    await this.#client.change("POST", this.#path(), {
      project,
      raw: tar,
      headers: { "content-type": "application/octet-stream", ...ownHeader("name", kept.is) },
      ...at(location),
    });
    fault("lxd.volume.restore:imported");
    await this.#keep(project, kept);
  }

  /** Bytes that a volume really uses; 0 where the storage cannot tell. */
  async usedBytes({ raw }: StoredVolume): Promise<number> {
    const state = await this.#client
      .find<{ usage: { used: number } | null } | null>(`${this.#path(raw.name)}/state`, { project: raw.project })
      .catch(() => undefined);
    return Math.max(0, state?.metadata?.usage?.used ?? 0);
  }

  /** Volumes of a project that are called another department's from now on. */
  async pass(project: string, names: ReadonlySet<string>, scope: string): Promise<void> {
    for (const one of await this.all(project)) if (names.has(one.spec.name) && one.scope !== scope) await this.#resize(project, { ...one, scope }, one.spec);
  }

  /** Everything of a project, whole or not, in whichever storage pool. */
  async purge(project: string): Promise<void> {
    for (const one of [this, ...(await this.#others())])
      for (const raw of await one.#list(project)) if (!raw.name.includes("/")) await one.remove(project, raw.name);
  }

  /** Makes hosts show the copy that counts, and removes the others. @returns the one that counts */
  async settle(project: string, name: string): Promise<StoredVolume | undefined> {
    const all = await this.#list(project);
    const copies = all.filter((raw) => !raw.name.includes("/") && (raw.name === copyOf(name, 0) || raw.name.startsWith(`${lxdName(name)}-r`)));
    const current = copies.flatMap((raw) => storedOf(raw, all) ?? []).toSorted((a, b) => numberOf(b.is) - numberOf(a.is))[0];
    if (current && copies.length > 1)
      for (const { instance, stored } of await this.#users(project, name))
        // A host that is being moved shows none.
        if ((instance.devices[lxdName(stored.spec.name)]?.["source"] ?? current.is) !== current.is)
          await this.changeHost(project, stored.spec.host, ({ devices }) => {
            devices[lxdName(stored.spec.name)]!["source"] = current.is;
          });
    for (const raw of copies) if (raw.name !== current?.is) await this.remove(project, raw.name);
    return current;
  }

  /** @throws NotFound */
  async whole(project: string, name: string): Promise<StoredVolume> {
    const current = await this.settle(project, name);
    if (!current) throw new NotFound(`There is no volume ${name}.`);
    return current;
  }

  async #users(project: string, volume: string): Promise<{ instance: Instance; stored: StoredAttachment }[]> {
    const all = await listInstances(this.#client, project);
    return all.flatMap((instance) =>
      attachmentsOf(instance)
        .filter((stored) => stored.spec.volume === volume)
        .map((stored) => ({ instance, stored })),
    );
  }

  /** Changes a host's settings and devices as nobody else does at the same moment. */
  async changeHost<T>(project: string, host: string, change: (instance: Instance) => T): Promise<T> {
    const path = `/1.0/instances/${lxdName(host)}`;
    for (;;) {
      const there = await this.#client.find<Instance>(path, { project });
      if (!there) throw new NotFound(`There is no host ${host}.`);
      const instance = structuredClone(there.metadata);
      const result = change(instance);
      const { architecture, description, ephemeral, profiles, config, devices } = instance;
      try {
        await this.#client.change("PUT", path, { project, etag: there.etag, body: { architecture, description, ephemeral, profiles, config, devices } });
        return result;
      } catch (error) {
        if (!hasMoved(error)) throw error;
      }
    }
  }

  async #resize(project: string, { raw, id, scope, is }: StoredVolume, spec: VolumeSpec): Promise<void> {
    const config = { ...raw.config, ...configOf({ id, scope, spec, is }) };
    if (config["size"] === raw.config["size"] && config[key("volume")] === raw.config[key("volume")]) return;
    await this.#client.change("PUT", this.#path(is), { project, body: { description: raw.description, config } });
  }

  async remove(project: string, is: string): Promise<void> {
    if (await this.#client.find(this.#path(is), { project })) await this.#client.change("DELETE", this.#path(is), { project });
  }

  async #list(project?: string): Promise<RawVolume[]> {
    const { metadata } = await this.#client.get<RawVolume[]>(this.#path(), {
      query: { recursion: "1", ...(project === undefined ? { "all-projects": "true" } : {}) },
      ...(project === undefined ? {} : { project }),
    });
    return metadata.filter((one) => one.config[key("volume")] !== undefined);
  }

  #path(is?: string): string {
    return `/1.0/storage-pools/${this.#storage}/volumes/custom${is === undefined ? "" : `/${is}`}`;
  }
}

/** GiB that it is bounded to; undefined: it isn't. */
function sizeOf({ config }: RawVolume): number | undefined {
  const bytes = config["size"] === undefined ? undefined : bytesOf(config["size"]);
  return bytes === undefined ? undefined : Math.round((bytes / 1024 ** 3) * 100) / 100;
}

/** Where in a cluster; a server that is alone has no members to name. */
const at = (location: string) => (memberOf(location).member === undefined ? {} : { query: { target: location } });
/** The server's notes of the user ids that a volume's files have. */
const idsOf = (config: Record<string, string>) => Object.fromEntries(Object.entries(config).filter(([name]) => name === "volatile.idmap.last"));
const configOf = (kept: Kept) => ({ size: `${kept.spec.sizeGib}GiB`, [key("volume")]: JSON.stringify(kept) });
