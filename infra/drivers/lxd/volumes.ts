/**
 * Volumes: custom storage volumes. A restore makes a new one beside the old and switches over, so that one name may for a moment stand for two:
 * the newest that is whole counts, and `settle` removes the rest.
 */
import type { Readable } from "node:stream";
import type { AttachmentSpec, VolumeSpec } from "../../spec.ts";
import { type Call, InUse, type Made, NotFound, Unsupported } from "../driver.ts";
import { fault } from "../fault.ts";
import { undoing } from "../undo.ts";
import type { Address } from "./address.ts";
import { hasMoved, type LxdClient, Refused } from "./client.ts";
import { attachmentKey, attachmentsOf, type Instance, listInstances, type StoredAttachment } from "./instances.ts";
import { key, lxdName, nameOf, newId } from "./names.ts";

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
}

/** `vol-01j…`, and after a restore `vol-01j…-r1` */
const copyOf = (name: string, number: number) => (number === 0 ? lxdName(name) : `${lxdName(name)}-r${number}`);
const numberOf = (lxd: string) => Number(/-r(\d+)$/.exec(lxd)?.[1] ?? 0);

function storedOf(raw: RawVolume): StoredVolume | undefined {
  const text = raw.config[key("volume")];
  const kept = text === undefined ? undefined : (JSON.parse(text) as Kept);
  return kept?.is === raw.name ? { ...kept, raw } : undefined;
}

export class Volumes {
  readonly #client: LxdClient;
  readonly #storage: string;
  constructor(client: LxdClient, address: Address) {
    this.#client = client;
    this.#storage = address.storage;
  }

  /** Of one project, or of all of ours: the one that counts of each name. */
  async all(project?: string): Promise<StoredVolume[]> {
    const whole = (await this.#list(project)).flatMap((raw) => storedOf(raw) ?? []);
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
      undo.add(() => this.#remove(project, is));
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

  async update(project: string, id: string, spec: VolumeSpec): Promise<void> {
    const there = await this.settle(project, nameOf(id));
    if (there?.id !== id) throw new NotFound(`There is no volume ${id}.`);
    if (spec.sizeGib < there.spec.sizeGib) throw new Unsupported(`Volume ${spec.name} has ${there.spec.sizeGib} GiB and cannot shrink to ${spec.sizeGib} GiB.`);
    await this.#resize(project, there, spec);
  }

  async delete(project: string, id: string): Promise<void> {
    const there = await this.settle(project, nameOf(id));
    if (there?.id !== id) return;
    const users = (await this.#users(project, there.spec.name)).map(({ stored }) => stored.spec.host);
    if (users.length > 0) throw new InUse(`Volume ${nameOf(id)} is attached to ${users.join(", ")}.`);
    await this.#remove(project, there.is);
  }

  async attach(project: string, spec: AttachmentSpec, call: Call): Promise<Made> {
    const volume = await this.settle(project, spec.volume);
    if (!volume) throw new NotFound(`There is no volume ${spec.volume}.`);
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
    const shown = host && host.location !== volume.raw.location && volume.raw.location !== "" ? await this.#moveTo(project, volume, host.location) : volume;
    return this.#changeHost(project, spec.host, (instance) => {
      const there = attachmentsOf(instance).find((one) => one.spec.name === spec.name);
      const stored: StoredAttachment = { id: there?.id ?? newId(spec.name), scope: call.scope, spec };
      instance.config[attachmentKey(spec.name)] = JSON.stringify(stored);
      instance.devices[lxdName(spec.name)] = { type: "disk", pool: this.#storage, source: shown.is, path: spec.path };
      return { id: stored.id, adopted: there !== undefined };
    });
  }

  async detach(project: string, id: string): Promise<void> {
    const found = (await listInstances(this.#client, project)).flatMap(attachmentsOf).find((one) => one.id === id);
    if (!found) return;
    await this.#changeHost(project, found.spec.host, (instance) => {
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
    const old = await this.settle(project, name);
    if (!old) throw new NotFound(`There is no volume ${name}.`);
    await this.#switchTo(project, old, tar, old.raw.location);
  }

  /** To another member of the cluster. @returns the copy that counts from now on */
  async #moveTo(project: string, volume: StoredVolume, location: string): Promise<StoredVolume> {
    const { name } = volume.spec;
    const { tar, done } = await this.export(project, name, "move");
    try {
      await this.#switchTo(project, volume, tar, location);
    } finally {
      await done();
    }
    return this.require(project, name);
  }

  /** A new copy, of the same name and id, with an export's content; the old one goes when the new one is whole. */
  async #switchTo(project: string, old: StoredVolume, tar: Readable, location: string): Promise<void> {
    const { name } = old.spec;
    const is = copyOf(name, numberOf(old.is) + 1);
    await undoing(async (undo) => {
      undo.add(() => this.#remove(project, is));
      const { id, scope, spec } = old;
      await this.#import(project, { id, scope, spec, is }, location, tar);
    });
    fault("lxd.volume.restore:whole");
    await this.settle(project, name);
  }

  /** A volume of an export's content, which counts from when its settings say what it is. */
  async #import(project: string, kept: Kept, location: string, tar: Readable): Promise<void> {
    const path = this.#path(kept.is);
    await this.#client.change("POST", this.#path(), {
      project,
      raw: tar,
      headers: { "content-type": "application/octet-stream", "x-lxd-name": kept.is },
      ...at(location),
    });
    fault("lxd.volume.restore:imported");
    const { metadata, etag } = await this.#client.get<RawVolume>(path, { project });
    await this.#client.change("PUT", path, { project, etag, body: { description: "", config: { ...metadata.config, ...configOf(kept) } } });
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
    for (const one of await this.all(project))
      if (names.has(one.spec.name) && one.scope !== scope) await this.#resize(project, { ...one, scope }, one.spec);
  }

  /** Everything of a project, whole or not. */
  async purge(project: string): Promise<void> {
    for (const raw of await this.#list(project)) await this.#remove(project, raw.name);
  }

  /** Makes hosts show the copy that counts, and removes the others. @returns the one that counts */
  async settle(project: string, name: string): Promise<StoredVolume | undefined> {
    const copies = (await this.#list(project)).filter((raw) => raw.name === copyOf(name, 0) || raw.name.startsWith(`${lxdName(name)}-r`));
    const current = copies.flatMap((raw) => storedOf(raw) ?? []).toSorted((a, b) => numberOf(b.is) - numberOf(a.is))[0];
    if (current && copies.length > 1)
      for (const { instance, stored } of await this.#users(project, name))
        if (instance.devices[lxdName(stored.spec.name)]?.["source"] !== current.is)
          await this.#changeHost(project, stored.spec.host, ({ devices }) => {
            devices[lxdName(stored.spec.name)]!["source"] = current.is;
          });
    for (const raw of copies) if (raw.name !== current?.is) await this.#remove(project, raw.name);
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
  async #changeHost<T>(project: string, host: string, change: (instance: Instance) => T): Promise<T> {
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

  async #remove(project: string, is: string): Promise<void> {
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

/** Where in a cluster; a server that is alone has no members to name. */
const at = (location: string) => (location === "" || location === "none" ? {} : { query: { target: location } });
const configOf = (kept: Kept) => ({ size: `${kept.spec.sizeGib}GiB`, [key("volume")]: JSON.stringify(kept) });
