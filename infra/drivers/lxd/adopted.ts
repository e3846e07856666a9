/**
 * Instances that were there before us: taken over where they are, in whichever project, and let go of again. Taking one over writes labels and limits, nothing
 * else: it is neither restarted nor renamed nor moved, and what is in it stays as it is.
 */
import type { HostSpec } from "../../spec.ts";
import { type Call, DriverError, type ForeignInstance, InUse, type Made, NeedsRestart, NotFound } from "../driver.ts";
import { fault } from "../fault.ts";
import { rootOf, sizesOf } from "./actual.ts";
import { hasMoved, type LxdClient } from "./client.ts";
import { type Instance, type Kept, keptOf, memberOf } from "./instances.ts";
import { isOurs, key, newId } from "./names.ts";
import { restartNeed } from "./restarts.ts";

/** How long one may take to stop by itself before it is ended, seconds. */
const stopSeconds = 30;

type Listed = Omit<Instance, "config"> & { config: Instance["config"] | null; type?: string };
interface Found {
  instance: Instance;
  kept: Kept;
}

export class Adopted {
  readonly #client: LxdClient;
  constructor(client: LxdClient) {
    this.#client = client;
  }

  /** All of ours that were taken over, with those on members that don't answer (of which nothing else is known). */
  async all(scope?: string): Promise<{ found: Found[]; unreachable: Listed[] }> {
    // Project by project: the server asks only members that have something there, and none of ours matters.
    const { metadata: projects } = await this.#client.get<string[]>("/1.0/projects");
    const foreign = projects.map((path) => decodeURIComponent(path.split("/").at(-1)!)).filter((project) => !isOurs(project));
    const listed = (await Promise.all(foreign.map((project) => this.#listedIn(project)))).flat();
    const found = listed.flatMap((one) => {
      const kept = one.config === null ? undefined : keptOf(one as Instance);
      return kept && (scope === undefined || kept.scope === scope) ? [{ instance: one as Instance, kept }] : [];
    });
    return { found, unreachable: listed.filter((one) => one.config === null) };
  }

  /** By the name of its host. @throws DriverError unreachable when it may be on a member that doesn't answer */
  async get(name: string): Promise<Found | undefined> {
    const { found, unreachable } = await this.all();
    const one = found.find(({ kept }) => kept.spec.name === name);
    if (!one && unreachable.length > 0)
      throw new DriverError("unreachable", `${unreachable.length} instances are on members of the cluster that do not answer: ${name} may be one of them.`);
    return one;
  }

  /** @throws NotFound, InUse when it is another host already */
  async take(spec: HostSpec, call: Call): Promise<Made> {
    const there = await this.#read(spec);
    const before = keptOf(there.metadata);
    if (before && before.spec.name !== spec.name) throw new InUse(`${there.metadata.name} is the host ${before.spec.name} already.`);
    if (before) return { id: before.id, adopted: true };
    const kept: Kept = { id: newId(spec.name), scope: call.scope, spec };
    if (!(await this.#put(there, kept))) return this.take(spec, call);
    fault("lxd.host.adopt:labelled");
    return { id: kept.id, adopted: false };
  }

  /** Limits and power as they are wanted; all else stays. @throws NotFound */
  async update(id: string, spec: HostSpec, call: Call): Promise<void> {
    const there = await this.#read(spec);
    const kept = keptOf(there.metadata);
    if (kept?.id !== id) throw new NotFound(`There is no host ${id}.`);
    const need = await restartNeed(this.#client, there.metadata, spec);
    if (need && !call.restart) throw new NeedsRestart(need.why);
    if (need) {
      await this.#power(there.metadata, "stop", call.signal);
      return this.update(id, spec, call);
    }
    if (!(await this.#put(there, { ...kept, spec }))) return this.update(id, spec, call);
    const runs = there.metadata.status === "Running";
    if (runs !== (spec.power === "running")) await this.#power(there.metadata, spec.power === "running" ? "start" : "stop", call.signal);
  }

  /** Ends it where that was asked for; else it is let go of: as it is, without our labels. */
  async delete({ instance, kept }: Found, { end = false, signal }: Pick<Call, "end" | "signal">): Promise<void> {
    if (!end) return this.#release(kept.spec.adopted!);
    if (instance.status !== "Stopped") await this.#power(instance, "stop", signal);
    await this.#client.change("DELETE", pathOf(instance), { project: instance.project });
  }

  /** What is on the server and belongs to nobody of ours. */
  async foreign(): Promise<ForeignInstance[]> {
    const { metadata: projects } = await this.#client.get<{ name: string; config: Record<string, string> }[]>("/1.0/projects", { query: { recursion: "1" } });
    const restricted = new Set(projects.filter((one) => one.config["restricted"] === "true").map((one) => one.name));
    return (await this.#listed(2)).flatMap((one) => {
      if (one.config === null || isOurs(one.project) || keptOf(one as Instance)) return [];
      return [foreignOf(one as Instance & { type?: string }, restricted.has(one.project))];
    });
  }

  async #listed(recursion: 1 | 2 = 1): Promise<Listed[]> {
    return (await this.#client.get<Listed[]>("/1.0/instances", { query: { recursion: String(recursion), "all-projects": "true" } })).metadata;
  }

  async #listedIn(project: string): Promise<Listed[]> {
    return (await this.#client.get<Listed[]>("/1.0/instances", { project, query: { recursion: "1" } })).metadata;
  }

  async #read({ adopted }: Pick<HostSpec, "adopted">) {
    const { project, instance } = adopted!;
    const there = await this.#client.find<Instance>(pathOf({ name: instance }), { project });
    if (!there) throw new NotFound(`There is no instance ${instance} in the project ${project} of the server.`);
    return there;
  }

  /** False: somebody changed it meanwhile. */
  async #put({ metadata: instance, etag }: { metadata: Instance; etag: string }, kept: Kept): Promise<boolean> {
    const { flavour, hostname } = kept.spec;
    const sizes = sizesOf(instance);
    const root = rootOf(instance);
    const config = {
      ...instance.config,
      ...(sizes.vcpu === flavour.vcpu ? {} : { "limits.cpu": String(flavour.vcpu) }),
      ...(sizes.memoryMib === flavour.memoryMib ? {} : { "limits.memory": `${flavour.memoryMib}MiB` }),
      [key("host")]: JSON.stringify(kept),
      [key("hostname")]: hostname,
    };
    const devices =
      root && sizes.diskGib !== flavour.diskGib ? { ...instance.devices, [root[0]]: { ...root[1], size: `${flavour.diskGib}GiB` } } : instance.devices;
    return this.#change(instance, etag, { config, devices });
  }

  async #release(adopted: NonNullable<HostSpec["adopted"]>): Promise<void> {
    const there = await this.#client.find<Instance>(pathOf({ name: adopted.instance }), { project: adopted.project });
    if (!there || !keptOf(there.metadata)) return;
    const config = Object.fromEntries(Object.entries(there.metadata.config).filter(([name]) => !name.startsWith(key(""))));
    if (!(await this.#change(there.metadata, there.etag, { config, devices: there.metadata.devices }))) return this.#release(adopted);
  }

  async #change(instance: Instance, etag: string, change: Pick<Instance, "config" | "devices">): Promise<boolean> {
    const { architecture, description, ephemeral, profiles, project } = instance;
    try {
      await this.#client.change("PUT", pathOf(instance), { project, etag, body: { architecture, description, ephemeral, profiles, ...change } });
      return true;
    } catch (error) {
      if (hasMoved(error)) return false;
      throw error;
    }
  }

  async #power(instance: Instance, action: "start" | "stop", signal?: AbortSignal): Promise<void> {
    const ask = (force: boolean) =>
      this.#client.change("PUT", `${pathOf(instance)}/state`, { project: instance.project, signal, body: { action, timeout: stopSeconds, force } });
    try {
      await ask(false);
    } catch (error) {
      const now = await this.#client.find<Instance>(pathOf(instance), { project: instance.project });
      if (now?.metadata.status === (action === "start" ? "Running" : "Stopped")) return;
      if (action === "start" || signal?.aborted) throw error;
      // It did not stop by itself in time.
      await ask(true);
    }
  }
}

const pathOf = ({ name }: { name: string }) => `/1.0/instances/${name}`;

function foreignOf(instance: Instance & { type?: string }, restricted: boolean): ForeignInstance {
  const config = instance.expanded_config ?? instance.config;
  const devices = Object.entries(instance.expanded_devices ?? instance.devices);
  const vm = instance.type === "virtual-machine";
  const addresses = Object.values(instance.state?.network ?? {}).flatMap((one) =>
    one.addresses.filter(({ scope }) => scope === "global").map(({ address }) => address),
  );
  const weaknesses = [
    ...(config["security.privileged"] === "true" ? ["privileged"] : []),
    ...(!vm && config["security.idmap.isolated"] !== "true" ? ["no user ids of its own"] : []),
    ...(config["security.nesting"] === "true" ? ["may nest others"] : []),
    ...(Object.keys(config).some((name) => name.startsWith("raw.")) ? ["raw settings"] : []),
    ...devices.flatMap(([name, device]) =>
      (device["type"] === "disk" && device["pool"] === undefined) || /^(unix-|gpu|usb|pci|infiniband|tpm|proxy)/.test(device["type"] ?? "")
        ? [`device ${name} of the machine`]
        : [],
    ),
    ...(restricted ? [] : ["in a project without restrictions"]),
  ];
  const { vcpu, memoryMib, diskGib } = sizesOf(instance);
  return {
    project: instance.project,
    instance: instance.name,
    ...memberOf(instance.location),
    type: vm ? "vm" : "container",
    vcpu,
    memoryMib,
    diskGib,
    image: config["image.description"] ?? config["volatile.base_image"]?.slice(0, 12) ?? "unknown",
    state: instance.status === "Running" ? "running" : "stopped",
    ephemeral: instance.ephemeral,
    memoryUsedBytes: Math.max(0, instance.state?.memory?.usage ?? 0),
    addresses,
    volumes: devices.flatMap(([, device]) => (device["type"] === "disk" && device["path"] !== "/" && device["source"] ? [device["source"]] : [])),
    weaknesses,
  };
}
