/** Hosts: containers of their own id maps, in their department's project. */
import { setTimeout as pause } from "node:timers/promises";
import type { HostSpec } from "../../spec.ts";
import { type Actual, type Call, DriverError, type HostReading, type HostState, type Made, NeedsRestart, NotFound, Unsupported } from "../driver.ts";
import { fault } from "../fault.ts";
import { undoing } from "../undo.ts";
import type { Address } from "./address.ts";
import { bodyOf, devicesOf, limited, settings, withoutSecrets } from "./bodies.ts";
import { hasMoved, type LxdClient, Refused } from "./client.ts";
import type { IdMaps } from "./id-maps.ts";
import type { Images } from "./images.ts";
import { actualOf } from "./actual.ts";
import { attachmentsOf, type Instance, type Kept, keptOf, memberOf, movingOf } from "./instances.ts";
import { writeKeys } from "./keys.ts";
import type { Members } from "./members.ts";
import { key, lxdName, nameOf, newId } from "./names.ts";
import { restartNeed } from "./restarts.ts";
import { readServer, type Server } from "./server.ts";

/** How long a host may take to stop by itself before it is ended, seconds. */
const stopSeconds = 30;
const startSeconds = 60;
/** How often an instance is made anew that got ids of others. */
const makeAttempts = 20;

type FinishMove = (project: string, id: string, signal: AbortSignal | undefined) => Promise<void>;

interface Found {
  instance: Instance;
  kept: Kept;
  etag: string;
}

export class Hosts {
  readonly #client: LxdClient;
  readonly #address: Address;
  readonly #images: Images;
  readonly #idMaps: IdMaps;
  #server: Promise<Server["kind"]> | undefined;
  readonly #members: Members;
  /** Ends a move that somebody left unfinished. */
  readonly #finishMove: FinishMove;
  constructor(client: LxdClient, address: Address, parts: { images: Images; idMaps: IdMaps; members: Members }, finishMove: FinishMove) {
    this.#client = client;
    this.#address = address;
    this.#images = parts.images;
    this.#idMaps = parts.idMaps;
    this.#members = parts.members;
    this.#finishMove = finishMove;
  }

  /** undefined: not there, or none of ours. */
  async get(project: string, name: string): Promise<Found | undefined> {
    const found = await this.#client.find<Instance>(this.#path(name), { project });
    const kept = found && keptOf(found.metadata);
    return kept && { instance: found.metadata, kept, etag: found.etag };
  }

  /** @throws NotFound when it is not there in exactly this generation */
  async require(project: string, id: string): Promise<Found> {
    const found = await this.get(project, nameOf(id));
    if (found?.kept.id !== id) throw new NotFound(`There is no host ${id}.`);
    return found;
  }

  async create(project: string, spec: HostSpec, call: Call): Promise<Made> {
    const there = await this.get(project, spec.name);
    if (there) return this.#adopt(project, there, spec, call);
    if (spec.type === "vm") await this.#requireVm(spec);
    const [fingerprint, kind] = await Promise.all([this.#images.require(spec.image), this.#kind()]);
    return undoing(async (undo) => {
      const kept: Kept = { id: newId(spec.name), scope: call.scope, spec: withoutSecrets(spec) };
      fault("lxd.host.create:asked");
      const body = bodyOf(kept, spec, fingerprint, { ...this.#address, kind });
      undo.add(() => this.#remove(project, kept.id));
      try {
        await this.#makeSomewhere(project, body, spec, call);
      } catch (error) {
        // Asked twice at the same moment, or taken though the answer came too late or never.
        const late = error instanceof DriverError && error.code === "unreachable" && !call.signal?.aborted;
        const made = late || error instanceof Refused ? await this.#late(project, spec.name, late, call.signal) : undefined;
        if (!made) throw error;
        undo.success();
        return this.#adopt(project, made, spec, call);
      }
      fault("lxd.host.create:made");
      if (spec.power === "running") await this.power(project, spec.name, "start", call.signal);
      fault("lxd.host.create:started");
      return { id: kept.id, adopted: false };
    });
  }

  async update(project: string, id: string, spec: HostSpec, call: Call): Promise<void> {
    const found = await this.require(project, id);
    const need = movingOf(found.instance) ? undefined : await restartNeed(this.#client, found.instance, spec);
    if (!need) {
      try {
        return await this.#converge(project, found, spec, call);
      } catch (error) {
        // It has taken more memory since it was looked at.
        if (!(error instanceof Refused) || !/setting cgroup item/i.test(error.message)) throw error;
        throw new NeedsRestart(`${spec.hostname} holds more memory than it is to have: that takes a restart.`, { cause: error });
      }
    }
    if (!call.restart) throw new NeedsRestart(need.why);
    await this.power(project, spec.name, "stop", call.signal);
    fault("lxd.host.update:stopped");
    try {
      await this.#converge(project, await this.require(project, id), spec, call);
    } catch (error) {
      // Refused, or it doesn't start so: it goes on as it was.
      const before: HostSpec = { ...spec, flavour: found.kept.spec.flavour };
      if (!call.signal?.aborted) await this.#converge(project, await this.require(project, id), before, call).catch(() => undefined);
      throw error;
    }
  }

  /** Of another generation there is nothing to delete. */
  async delete(project: string, id: string): Promise<void> {
    const there = await this.get(project, nameOf(id));
    if (there?.kept.id !== id) return;
    await this.#remove(project, id);
  }

  /** What they really are, and what is attached to them. */
  async actual(instances: readonly Instance[]): Promise<Actual[]> {
    const kind = await this.#kind();
    return instances.flatMap((instance) => {
      const kept = keptOf(instance)!;
      // What was there before us is as it is.
      const state = hostStateOf(instance, kept);
      if (kept.spec.adopted) return actualOf(instance, { config: {}, devices: {} }, state);
      const config = Object.fromEntries(Object.entries(settings(kept, kept.spec, kind)).filter(([name]) => name !== "cloud-init.user-data"));
      return actualOf(instance, { config, devices: devicesOf(kept.spec, this.#address) }, state);
    });
  }

  /** @param at of a listing with recursion 2 */
  reading(instance: Instance): HostReading | undefined {
    const kept = keptOf(instance);
    if (!kept) return undefined;
    const { id, scope, spec } = kept;
    const state = hostStateOf(instance, kept);
    const now = instance.state;
    const addresses = Object.values(now?.network ?? {}).flatMap(({ addresses: all }) => all.filter((one) => one.scope === "global").map((one) => one.address));
    const started = Date.parse(instance.config[key("started")] ?? "");
    return {
      id,
      scope,
      name: spec.name,
      hostname: spec.hostname,
      pool: spec.pool,
      state,
      addresses: addresses.length > 0 ? addresses : spec.addresses,
      ...memberOf(instance.location),
      ...(state === "running" && now
        ? {
            pid: now.pid,
            cpuSeconds: Math.max(0, now.cpu.usage) / 1e9,
            memoryBytes: Math.max(0, now.memory.usage),
            ...(Number.isNaN(started) ? {} : { startedAt: started }),
          }
        : {}),
    };
  }

  /** A server is the one or the other as long as it stands. */
  async #kind(): Promise<Server["kind"]> {
    this.#server ??= readServer(this.#client).then(({ kind }) => kind);
    this.#server.catch(() => (this.#server = undefined));
    return this.#server;
  }

  async #requireVm(spec: HostSpec): Promise<void> {
    const { whyNoVm } = await readServer(this.#client);
    if (whyNoVm !== undefined) throw new Unsupported(`Host ${spec.hostname} is to be a virtual machine, but the server makes none: ${whyNoVm}.`);
  }

  /** Makes an instance, anew until it has ids of its own. */
  async #make(project: string, body: { name: string }, target: string | undefined, { signal }: Call): Promise<void> {
    for (let attempt = 1; attempt <= makeAttempts; attempt++) {
      if (await this.#idMaps.create(project, body, target, signal)) return;
      await this.#idMaps.remove(project, body.name);
      await pause(Math.random() * 100 * attempt, undefined, signal ? { signal } : {});
    }
    throw new DriverError("id-maps", `The server gave ${body.name} user ids that others have, ${makeAttempts} times.`);
  }

  /**
   * Where a creation was under way when the cluster lost the member that served it, LXD 5.0.2 keeps the record of a volume that is none any more, and nobody
   * can remove it: of that name nothing is made on that member again, so it is made on another one.
   */
  async #makeSomewhere(project: string, body: { name: string }, spec: HostSpec, call: Call): Promise<void> {
    for (const except: string[] = []; ;) {
      const target = await this.#members.targetFor(spec.name, spec.member, except);
      try {
        return await this.#make(project, body, target, call);
      } catch (error) {
        const haunted = error instanceof Refused && /Error inserting volume .* into database/s.test(error.message);
        const others = target === undefined ? undefined : await this.#members.targetFor(spec.name, spec.member, [...except, target]).catch(() => undefined);
        if (!haunted || others === undefined) throw error;
        except.push(target!);
      }
    }
  }

  /** What there is after a creation that seems to have failed. @param late its answer did not come: the server may still be at it */
  async #late(project: string, name: string, late: boolean, signal?: AbortSignal): Promise<Found | undefined> {
    if (late) await this.settled(project, name, signal).catch(() => undefined);
    return this.get(project, name).catch(() => undefined);
  }

  async #adopt(project: string, there: Found, spec: HostSpec, call: Call): Promise<Made> {
    await this.settled(project, spec.name, call.signal);
    const now = await this.get(project, spec.name);
    if (!now) throw new DriverError("vanished", `Host ${spec.name} was being made and is gone: its creation failed.`);
    const anew = async () => {
      await this.#remove(project, now.kept.id);
      return this.create(project, spec, call);
    };
    const fresh = wasNeverStarted(now.instance);
    // Made by one who was killed before its ids were looked at.
    if (fresh && !(await this.#idMaps.isAlone(project, now.instance.name))) return anew();
    try {
      await this.#converge(project, now, spec, call);
    } catch (error) {
      // A member that dies in the middle leaves an instance without its storage: it holds nothing, and never will.
      if (fresh && error instanceof Refused) return anew();
      throw error;
    }
    return { id: now.kept.id, adopted: true };
  }

  /** Brings settings, devices and power to what is wanted. */
  async #converge(project: string, { instance, kept, etag }: Found, spec: HostSpec, call: Call): Promise<void> {
    const { signal } = call;
    if (movingOf(instance)) {
      await this.#finishMove(project, kept.id, signal);
      return this.#converge(project, await this.require(project, kept.id), spec, call);
    }
    // Before they are noted: who is killed in between writes them again. What was never started gets them by cloud-init.
    if (spec.sshKeys.join("\n") !== kept.spec.sshKeys.join("\n") && !wasNeverStarted(instance))
      await writeKeys(this.#client, { path: this.#path(spec.name), project }, kept.spec.sshKeys, spec.sshKeys);
    const wanted = { ...kept, spec: withoutSecrets(spec) };
    const kind = await this.#kind();
    const { exact = false } = call;
    const config = { ...(exact ? serversOf(instance.config) : dropUnset(instance.config, settings(kept, kept.spec, kind))), ...settings(wanted, spec, kind) };
    const devices = limited({ ...(exact ? attachedOf(instance) : instance.devices), ...devicesOf(spec, this.#address) }, spec.flavour);
    const profiles = exact ? [] : instance.profiles;
    if (!sameRecord(config, instance.config) || !sameDevices(devices, instance.devices) || profiles.length !== instance.profiles.length) {
      const { architecture, description, ephemeral } = instance;
      try {
        await this.#client.change("PUT", this.#path(spec.name), {
          project,
          etag,
          signal,
          body: { architecture, description, ephemeral, profiles, config, devices },
        });
      } catch (error) {
        if (!hasMoved(error)) throw error;
        // The server itself writes into an instance that has just stopped.
        return this.#converge(project, await this.require(project, kept.id), spec, call);
      }
    }
    const runs = instance.status === "Running";
    if (spec.power === "running" && !runs) await this.power(project, spec.name, "start", signal);
    else if (spec.power === "stopped" && runs) await this.power(project, spec.name, "stop", signal);
  }

  /** Starts or stops it; one that doesn't stop by itself is ended. */
  async power(project: string, name: string, action: "start" | "stop", signal?: AbortSignal): Promise<void> {
    const ask = (force: boolean, timeout: number) =>
      this.#client.change("PUT", `${this.#path(name)}/state`, { project, signal, body: { action, timeout, force } });
    try {
      await ask(false, action === "start" ? startSeconds : stopSeconds);
    } catch (error) {
      const now = await this.get(project, name);
      if (now?.instance.status === (action === "start" ? "Running" : "Stopped")) return;
      if (action === "start" || signal?.aborted) throw error;
      // It did not stop by itself in time.
      await ask(true, stopSeconds);
    }
  }

  /** Waits for what the server is still doing with it: of one who was killed in the middle. */
  async settled(project: string, name: string, signal?: AbortSignal): Promise<void> {
    const { metadata } = await this.#client.get<Record<string, { id: string; status_code: number; resources: Record<string, string[]> | null }[]>>(
      "/1.0/operations",
      {
        project,
        query: { recursion: "1" },
        signal,
      },
    );
    const own = Object.values(metadata)
      .flat()
      .filter(
        (one) => one.status_code < 200 && Object.values(one.resources ?? {}).some((paths) => paths.some((path) => path.split(/[/?]/).includes(lxdName(name)))),
      );
    for (const one of own) await this.#client.operations.wait(one.id, signal);
  }

  async #remove(project: string, id: string): Promise<void> {
    const name = nameOf(id);
    await this.settled(project, name);
    const there = await this.get(project, name);
    if (there?.kept.id !== id) return;
    if (there.instance.status !== "Stopped")
      await this.#client
        .change("PUT", `${this.#path(name)}/state`, { project, body: { action: "stop", timeout: stopSeconds, force: true } })
        .catch(() => undefined);
    fault("lxd.host.delete:stopped");
    await this.#client.change("DELETE", this.#path(name), { project });
  }

  #path(name: string): string {
    return `/1.0/instances/${lxdName(name)}`;
  }
}

/** Without the settings that we made before, so that those that are wanted no more go. */
function dropUnset(config: Record<string, string>, before: Record<string, string>): Record<string, string> {
  const ours = new Set([...Object.keys(before), "cloud-init.user-data"]);
  return Object.fromEntries(Object.entries(config).filter(([name]) => !ours.has(name)));
}

/** What of the settings is the server's own or the label of something attached: all else is ours to say. */
const serversOf = (config: Record<string, string>) =>
  Object.fromEntries(Object.entries(config).filter(([name]) => name.startsWith("volatile.") || name.startsWith("image.") || name.startsWith(key(""))));
const attachedOf = (instance: Instance) => {
  const attached = new Set(attachmentsOf(instance).map(({ spec }) => lxdName(spec.name)));
  return Object.fromEntries(Object.entries(instance.devices).filter(([name]) => attached.has(name)));
};

const sameRecord = (a: Record<string, string>, b: Record<string, string>) =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([name, value]) => b[name] === value);
const sameDevices = (a: Instance["devices"], b: Instance["devices"]) =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([name, device]) => b[name] !== undefined && sameRecord(device, b[name]));

/** The server notes the power at the first start. */
const wasNeverStarted = ({ config }: Instance) => config["volatile.last_state.power"] === undefined;

const hostStateOf = (instance: Instance, { spec }: Kept): HostState => stateOf(instance, movingOf(instance) ? "stopped" : spec.power);

/** A host that should run and doesn't has crashed; of one whose member doesn't answer nothing is known. */
function stateOf({ status }: Instance, power: HostSpec["power"]): HostState {
  if (status === "Running") return "running";
  if (status === "Error" || status === "") return "unknown";
  return power === "stopped" ? "stopped" : "crashed";
}
