/** Hosts: detached, sandboxed process trees. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { HostSpec } from "../../spec.ts";
import { type Actual, type Call, consoleBytes, type HostReading, type Made, NeedsRestart, NotFound, type RestartNeed } from "../driver.ts";
import { fault } from "../fault.ts";
import { undoing } from "../undo.ts";
import type { Cgroups } from "./cgroups.ts";
import { endOf, readRecord, recordsIn, removeTree, writeRecord } from "../files.ts";
import { guest, guestProgram } from "./guest.ts";
import { imageDirectory, writeOwnFiles } from "./image.ts";
import { nameOf, newId, type Paths } from "./paths.ts";
import { endProcess, findByMarker, identify, type Identity, isAlive, readProcess } from "./process.ts";

/** What lies in hosts/<name>/record.json. `userData` is kept apart, in a file of its own. */
export interface HostRecord {
  id: string;
  scope: string;
  spec: Omit<HostSpec, "userData">;
  process?: Identity & { startedAt: number };
}

/** A volume that a host shows, as attachments.ts knows it. */
export type VolumesOf = (host: string) => Promise<{ source: string; target: string }[]>;

export class Hosts {
  readonly #paths: Paths;
  readonly #cgroups: Cgroups;
  readonly #volumesOf: VolumesOf;

  constructor(paths: Paths, cgroups: Cgroups, volumesOf: VolumesOf) {
    this.#paths = paths;
    this.#cgroups = cgroups;
    this.#volumesOf = volumesOf;
  }

  get(name: string): HostRecord | undefined {
    return readRecord<HostRecord>(this.#paths.record("host", name));
  }

  all(): HostRecord[] {
    return recordsIn<HostRecord>(this.#paths.kind("host"));
  }

  /** The host's process when it runs; one that was started but never recorded is found by its marker. */
  running(record: HostRecord, { search = false } = {}): Identity | undefined {
    if (record.process && isAlive(record.process)) return record.process;
    return search ? findByMarker(this.#marker(record.id)) : undefined;
  }

  async create(spec: HostSpec, call: Call): Promise<Made> {
    const there = this.get(spec.name);
    if (there) {
      await this.#converge(there, spec);
      return { id: there.id, adopted: true };
    }
    imageDirectory(this.#paths.endpoint, spec.image, await guestProgram());
    const directory = this.#paths.of("host", spec.name);
    return undoing(async (undo) => {
      const record: HostRecord = { id: newId(spec.name), scope: call.scope, spec: withoutSecrets(spec) };
      fault("host.create:record");
      writeRecord(this.#paths.record("host", spec.name), record);
      undo.add(() => removeTree(directory));
      fault("host.create:files");
      await this.#converge(record, spec, () => undo.add(() => this.#end(record)));
      fault("host.create:done");
      return { id: record.id, adopted: false };
    });
  }

  async update(id: string, spec: HostSpec, call: Pick<Call, "restart">): Promise<void> {
    const record = this.#require(id);
    const need = this.needsRestart(id, spec) ?? this.#refusedLimit(record, spec);
    if (!need) return this.#converge(record, spec);
    if (!call.restart) throw new NeedsRestart(need.why);
    const before = structuredClone(record);
    await this.#end(record);
    fault("host.update:stopped");
    try {
      await this.#converge(record, spec);
    } catch (error) {
      // It doesn't start so: it goes on as it was.
      await this.#converge(before, { ...spec, flavour: before.spec.flavour }).catch(() => undefined);
      throw error;
    }
  }

  /** The kernel takes no memory from processes that hold it: version 1 of cgroups refuses a limit below that, version 2 ends them. */
  needsRestart(id: string, spec: HostSpec): RestartNeed | undefined {
    const record = this.#require(id);
    if (spec.power === "stopped" || !this.running(record, { search: true })) return undefined;
    const heldMib = Math.ceil(this.#cgroups.heldBytes(spec.name) / 1_048_576);
    if (heldMib <= spec.flavour.memoryMib) return undefined;
    return tooMuchHeld(spec, `${heldMib} MiB of memory`);
  }

  /** It may have taken more since it was looked at: then the kernel says so. */
  #refusedLimit(record: HostRecord, spec: HostSpec): RestartNeed | undefined {
    if (!this.running(record, { search: true })) return undefined;
    try {
      this.#cgroups.make(spec.name, spec.flavour);
      return undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
      this.#cgroups.make(spec.name, record.spec.flavour);
      return tooMuchHeld(spec, "more memory");
    }
  }

  #require(id: string): HostRecord {
    const record = this.get(nameOf(id));
    if (record?.id !== id) throw new NotFound(`There is no host ${id}.`);
    return record;
  }

  /** Of an older generation there is nothing to delete. */
  async delete(id: string): Promise<void> {
    const record = this.get(nameOf(id));
    if (!record || record.id !== id) return;
    fault("host.delete:end");
    await this.#end(record);
    fault("host.delete:remove");
    removeTree(this.#paths.of("host", record.spec.name));
  }

  /** Stops and starts a host that runs, so that it sees its volumes anew. @param meanwhile done in any case */
  async restart(name: string, meanwhile: () => Promise<void> = async () => undefined): Promise<void> {
    const record = this.get(name);
    const running = record && this.running(record, { search: true });
    if (!record || !running) return meanwhile();
    await endProcess(running);
    try {
      await meanwhile();
    } finally {
      await this.#start(record);
    }
  }

  /** What it really is: its limits as the kernel has them, its own files. */
  actual(record: HostRecord): Actual {
    const { id, spec } = record;
    const limits = this.#cgroups.limits(spec.name);
    const keys = readText(join(this.#paths.of("host", spec.name), "etc/ssh/authorized_keys"));
    const sshKeys = keys === undefined ? {} : { sshKeys: keys.split("\n").filter(Boolean) };
    const real: Partial<Record<keyof HostSpec, unknown>> = { ...spec, ...sshKeys, flavour: { ...spec.flavour, ...limits } };
    // Where it was made says nothing of what it is.
    delete real.member;
    return { kind: "host", id, name: spec.name, spec: real, strange: [], state: this.reading(record).state };
  }

  /** The last of what its processes wrote. */
  log(name: string): string {
    return endOf(join(this.#paths.of("host", name), "log"), consoleBytes);
  }

  reading(record: HostRecord): HostReading {
    const alive = record.process && readProcess(record.process);
    const used = alive ? { ...alive, ...definedOnly(this.#cgroups.read(record.spec.name)) } : undefined;
    return {
      id: record.id,
      name: record.spec.name,
      scope: record.scope,
      hostname: record.spec.hostname,
      pool: record.spec.pool,
      addresses: record.spec.addresses,
      state: alive ? "running" : record.spec.power === "stopped" ? "stopped" : "crashed",
      ...(alive && record.process ? { startedAt: record.process.startedAt, pid: record.process.pid, ...used } : {}),
    };
  }

  /** Brings files, limits and power to what is wanted. */
  async #converge(record: HostRecord, spec: HostSpec, started?: () => void): Promise<void> {
    const directory = this.#paths.of("host", spec.name);
    writeOwnFiles(directory, spec.hostname, spec.sshKeys);
    if (spec.userData === undefined) rmSync(join(directory, "user-data"), { force: true });
    else writeFileSync(join(directory, "user-data"), spec.userData, { mode: 0o600 });
    record.spec = withoutSecrets(spec);
    writeRecord(this.#paths.record("host", spec.name), record);
    this.#cgroups.make(spec.name, spec.flavour);
    const running = this.running(record, { search: true });
    if (spec.power === "running") {
      if (!running) await this.#start(record, started);
      else if (running.pid !== record.process?.pid) this.#remember(record, running);
    } else if (running) {
      await endProcess(running);
    }
  }

  async #start(record: HostRecord, started?: () => void): Promise<void> {
    const directory = this.#paths.of("host", record.spec.name);
    writeFileSync(join(directory, "log"), "", { flag: "a", mode: 0o600 });
    mkdirSync(join(directory, "root"), { recursive: true });
    const pid = await guest(["launch"], {
      text: JSON.stringify({
        marker: this.#marker(record.id),
        hostname: record.spec.hostname,
        directory,
        log: join(directory, "log"),
        image: imageDirectory(this.#paths.endpoint, record.spec.image, await guestProgram()),
        cgroups: this.#cgroups.make(record.spec.name, record.spec.flavour),
        volumes: await this.#volumesOf(record.spec.name),
      }),
    });
    started?.();
    fault("host.start:launched");
    const identity = identify(Number(pid));
    if (!identity) throw new Error(`the host ${record.spec.name} ended at once`);
    this.#remember(record, identity);
  }

  #remember(record: HostRecord, identity: Identity): void {
    record.process = { ...identity, startedAt: Date.now() };
    writeRecord(this.#paths.record("host", record.spec.name), record);
  }

  async #end(record: HostRecord): Promise<void> {
    const running = this.running(record, { search: true });
    if (running) await endProcess(running);
    this.#cgroups.remove(record.spec.name);
  }

  #marker(id: string): string {
    return `zhengyun-host=${id}@${this.#paths.key}`;
  }
}

const tooMuchHeld = ({ name, hostname, flavour }: HostSpec, held: string): RestartNeed => ({
  host: name,
  why: `${hostname} holds ${held}: its limit becomes ${flavour.memoryMib} MiB only with a restart.`,
});

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function withoutSecrets({ userData: _secret, ...spec }: HostSpec): Omit<HostSpec, "userData"> {
  return spec;
}

const definedOnly = <T extends object>(value: T) => Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined && !Number.isNaN(one)));
