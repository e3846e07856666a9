/**
 * The embedded driver: one machine, no daemon. Its truth is the file system below the endpoint and the kernel's processes;
 * any number of instances in any process see the same.
 */
import { mkdirSync, statfsSync } from "node:fs";
import { availableParallelism, freemem, totalmem } from "node:os";
import { basename } from "node:path";
import type { AttachmentSpec, BackupPolicySpec, HostSpec, VolumeSpec } from "../../spec.ts";
import {
  type Actual,
  type Actuals,
  type BackupReading,
  type Call,
  type Capabilities,
  type Change,
  type Driver,
  type Made,
  type MemberReading,
  NotFound,
  NotRunning,
  type PoolReading,
  type RestartNeed,
  type Shell,
  type ShellAsk,
  type SnapshotReading,
  Unsupported,
  type VolumeReading,
} from "../driver.ts";
import { baseImage } from "../base-image.ts";
import { Backups } from "./backups.ts";
import { type Cgroups, findCgroups } from "./cgroups.ts";
import { checkFence } from "./fences.ts";
import { namesIn, readRecord, removeTree, writeRecord } from "../files.ts";
import { runInside } from "./guest.ts";
import { Hosts } from "./hosts.ts";
import { withLock } from "./lock.ts";
import { openShell } from "./shell.ts";
import { kinds, nameOf, type Paths, pathsOf } from "./paths.ts";
import { Snapshots } from "./snapshots.ts";
import { growsMounted, removeProbe } from "./storage.ts";
import { Records, type Stored, Volumes } from "./volumes.ts";

/** What this machine is called as a member. */
const onlyMember = "local";
const oneMachine = "The embedded driver has this one machine only: there is no other member to move to.";

const pause = () => new Promise<void>((resolve) => setImmediate(resolve));

export class EmbeddedDriver implements Driver {
  readonly kind = "embedded";
  readonly #paths: Paths;
  readonly #cgroups: Cgroups;
  readonly #hosts: Hosts;
  readonly #volumes: Volumes;
  readonly #policies: Records<"backup-policy">;
  readonly #backups: Backups;
  readonly #snapshots: Snapshots;
  readonly #root = process.getuid?.() === 0;

  constructor(endpoint: string) {
    mkdirSync(endpoint, { recursive: true, mode: 0o700 });
    this.#paths = pathsOf(endpoint);
    this.#cgroups = findCgroups(this.#paths.key);
    this.#volumes = new Volumes(this.#paths, this.#root);
    this.#hosts = new Hosts(this.#paths, this.#cgroups, (host) => this.#volumes.of(host));
    this.#volumes.serve(this.#hosts);
    this.#policies = new Records(this.#paths, "backup-policy");
    this.#backups = new Backups(this.#paths, this.#volumes);
    this.#snapshots = new Snapshots(this.#paths, this.#volumes);
  }

  async capabilities(): Promise<Capabilities> {
    const { version, reason } = this.#cgroups;
    const unbounded = await this.#volumes.whyUnbounded();
    const notes = [
      ...(version === "absent" ? [`CPU and memory limits are not enforced: ${reason}.`] : []),
      ...(unbounded === undefined ? [] : [`Volume sizes are recorded and charged, but not enforced: ${unbounded}.`]),
      ...(unbounded === undefined && !growsMounted()
        ? ["Growing a volume restarts the host that shows it: without CAP_SYS_RESOURCE ext4 doesn't grow while it is mounted."]
        : []),
      ...(this.#root ? [] : ["Attaching restarts the host: without root the kernel doesn't let us mount into a running one."]),
      "Hosts are process trees of this machine: no virtual machines, no limits of disk or network throughput.",
      "User ids inside hosts are those of this machine: no isolation fit for hostile tenants.",
    ];
    return {
      cpuLimit: version,
      memoryLimit: version,
      volumeSizeEnforced: unbounded === undefined,
      liveAttach: this.#root,
      vm: false,
      moves: false,
      sharedStorage: false,
      namespaces: ["user", "pid", "mount", "net", "uts", "ipc"],
      notes,
    };
  }

  async needsRestart({ kind, id, spec }: Change): Promise<RestartNeed | undefined> {
    return kind === "host" ? this.#hosts.needsRestart(id, spec) : this.#volumes.needsRestart(id, spec);
  }

  createHost(spec: HostSpec, call: Call): Promise<Made> {
    return this.#change(spec.name, call, () => this.#hosts.create(spec, call));
  }
  updateHost(id: string, spec: HostSpec, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, () => this.#hosts.update(id, spec, call));
  }
  deleteHost(id: string, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, async () => {
      if (this.#hosts.get(nameOf(id))?.id !== id) return;
      for (const one of this.#volumes.attachments.all()) if (one.spec.host === nameOf(id)) await this.#volumes.detach(one.id);
      await this.#hosts.delete(id);
    });
  }

  createVolume(spec: VolumeSpec, call: Call): Promise<Made> {
    return this.#change(spec.name, call, () => {
      const { backup } = spec;
      return this.#volumes.create(spec, call, backup && ((put) => this.#backups.pour(backup.name, put, backup.sha256)));
    });
  }
  updateVolume(id: string, spec: VolumeSpec, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, () => this.#volumes.update(id, spec, call));
  }
  deleteVolume(id: string, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, () => this.#volumes.delete(id));
  }

  attach(spec: AttachmentSpec, call: Call): Promise<Made> {
    // The host is what must not be started, stopped or deleted meanwhile.
    return this.#change(spec.host, call, () => this.#volumes.attach(spec, call));
  }
  detach(id: string, call: Call): Promise<void> {
    const host = this.#volumes.attachments.get(nameOf(id))?.spec.host ?? nameOf(id);
    return this.#change(host, call, () => this.#volumes.detach(id));
  }

  putBackupPolicy(spec: BackupPolicySpec, call: Call): Promise<Made> {
    return this.#change(spec.name, call, async () => {
      if (!this.#volumes.records.get(spec.volume)) throw new NotFound(`There is no volume ${spec.volume}.`);
      return this.#policies.put(spec, call.scope);
    });
  }
  deleteBackupPolicy(id: string, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, async () => void this.#policies.remove(id));
  }

  backup(volume: string, name: string, pool: string, call: Call): Promise<BackupReading> {
    return this.#change(volume, call, () => this.#backups.make(volume, name, pool, call));
  }
  restore(backup: string, volume: string, call: Call): Promise<{ bytes: number; sha256: string }> {
    return this.#change(volume, call, () => this.#backups.restore(backup, volume));
  }
  deleteBackup(name: string, call: Call): Promise<void> {
    return this.#change(name, call, async () => this.#backups.remove(name));
  }

  async members(): Promise<MemberReading[]> {
    const { disk, memory } = this.#space();
    return [{ name: onlyMember, state: "online", groups: [], message: "", vcpu: availableParallelism(), disk, memory }];
  }
  async removeMember(): Promise<void> {
    throw new Unsupported(oneMachine);
  }
  async setMember(): Promise<void> {
    throw new Unsupported(oneMachine);
  }
  async moveHost(): Promise<{ restarted: boolean }> {
    throw new Unsupported(oneMachine);
  }
  async restartHost(): Promise<void> {
    throw new Unsupported(oneMachine);
  }
  async moveVolume(): Promise<void> {
    throw new Unsupported(oneMachine);
  }

  snapshotVolume(volume: string, name: string, call: Call): Promise<SnapshotReading> {
    return this.#change(volume, call, () => this.#snapshots.make(volume, name));
  }
  deleteSnapshot(volume: string, name: string, call: Call): Promise<void> {
    return this.#change(volume, call, async () => this.#snapshots.remove(volume, name));
  }
  revertVolume(volume: string, snapshot: string, call: Call): Promise<void> {
    return this.#change(volume, call, () => this.#snapshots.revert(volume, snapshot));
  }

  async consoleLog(host: string): Promise<string> {
    if (!this.#hosts.get(host)) throw new NotFound(`There is no host ${host}.`);
    return this.#hosts.log(host);
  }

  async find(kind: "host" | "volume" | "attachment" | "backup-policy", name: string): Promise<{ id: string; spec: unknown } | undefined> {
    const found = kind === "host" ? this.#hosts.get(name) : this.#records(kind).get(name);
    return found && { id: found.id, spec: found.spec };
  }

  async list(scope?: string): ReturnType<Driver["list"]> {
    const all = [
      ...this.#hosts.all().map(({ id, spec, scope: of }) => ({ kind: "host" as const, id, name: spec.name, scope: of })),
      ...(["volume", "attachment", "backup-policy"] as const).flatMap((kind) =>
        this.#records(kind)
          .all()
          .map(({ id, spec, scope: of }) => ({ kind, id, name: spec.name, scope: of })),
      ),
      ...this.#backups.all().map(({ id, name, scope: of }) => ({ kind: "backup" as const, id, name, scope: of })),
    ];
    return scope === undefined ? all : all.filter((one) => one.scope === scope);
  }

  async actual(scope?: string): Promise<Actuals> {
    const of = <T extends { scope: string }>(all: T[]) => all.filter((one) => scope === undefined || one.scope === scope);
    const volumes = await Promise.all(of(this.#volumes.records.all()).map((one) => this.#volumes.actual(one)));
    const stored = (["attachment", "backup-policy"] as const).flatMap((kind) =>
      of<Stored<AttachmentSpec | BackupPolicySpec>>(this.#records(kind).all() as Stored<AttachmentSpec | BackupPolicySpec>[]).map(({ id, spec }): Actual => ({
        kind,
        id,
        name: spec.name,
        spec: { ...spec },
        strange: [],
      })),
    );
    return { things: [...of(this.#hosts.all()).map((one) => this.#hosts.actual(one)), ...volumes.flatMap((one) => one ?? []), ...stored], unreachable: [] };
  }

  async observe(): Promise<PoolReading> {
    const at = Date.now();
    const hosts = [];
    for (const [index, record] of this.#hosts.all().entries()) {
      hosts.push(this.#hosts.reading(record));
      // Many hosts must not hold up the requests of people.
      if (index % 100 === 99) await pause();
    }
    const attached = new Map(this.#volumes.attachments.all().map((one) => [one.spec.volume, one.spec.host]));
    const volumes: VolumeReading[] = [];
    for (const { id, scope, spec } of this.#volumes.records.all()) {
      const host = attached.get(spec.name);
      const usedBytes = await (await this.#volumes.storage(spec.name)).usedBytes();
      volumes.push({
        id,
        scope,
        name: spec.name,
        pool: spec.pool,
        sizeGib: spec.sizeGib,
        usedBytes,
        snapshots: this.#snapshots.of(spec.name),
        ...(host ? { attachedTo: host } : {}),
      });
    }
    return { at, hosts, volumes, backups: this.#backups.all(), members: await this.members(), ...this.#space() };
  }

  async importImage(name: string): Promise<void> {
    throw new Unsupported(`The embedded driver's hosts have the image ${baseImage} only, not ${name}.`);
  }

  async pass(_application: string, names: readonly string[], from: Call, to: Call): Promise<void> {
    await checkFence(this.#paths.endpoint, from);
    for (const name of names)
      await this.#change(name, to, async () => {
        for (const kind of kinds) {
          const path = this.#paths.record(kind, name);
          const record = readRecord<{ scope: string }>(path);
          if (record && record.scope !== to.scope) writeRecord(path, { ...record, scope: to.scope });
        }
      });
  }

  async exec(host: string, argv: string[], options: Parameters<Driver["exec"]>[2] = {}): Promise<{ code: number; stdout: string; stderr: string }> {
    return runInside(this.#pidOf(host), argv, options);
  }

  async shell(host: string, { argv = ["/bin/sh"], cols, rows }: ShellAsk): Promise<Shell> {
    return openShell(this.#pidOf(host), argv, { cols, rows });
  }

  async purge(scopes?: string[]): Promise<void> {
    const ours = (scope: string) => scopes === undefined || scopes.includes(scope);
    await Promise.all(
      this.#hosts
        .all()
        .filter((one) => ours(one.scope))
        .map((one) => this.#hosts.delete(one.id)),
    );
    for (const one of this.#volumes.records.all()) if (ours(one.scope)) await this.#volumes.remove(one.spec.name);
    // A kill may have left one without a record.
    if (scopes === undefined) {
      await removeProbe(this.#paths.endpoint);
      for (const name of namesIn(this.#paths.kind("volume"))) await this.#volumes.remove(name);
    }
    for (const one of await this.list()) if (ours(one.scope)) removeTree(this.#paths.of(one.kind, one.name));
    if (scopes === undefined) for (const kind of kinds) removeTree(this.#paths.kind(kind));
  }

  /** Of the host's init. */
  #pidOf(host: string): number {
    const record = this.#hosts.get(host);
    if (!record) throw new NotFound(`There is no host ${host}.`);
    const running = this.#hosts.running(record, { search: true });
    if (!running) throw new NotRunning(`Host ${record.spec.hostname} does not run.`);
    return running.pid;
  }

  #space() {
    const disk = statfsSync(this.#paths.endpoint);
    return {
      disk: { totalBytes: disk.blocks * disk.bsize, freeBytes: disk.bavail * disk.bsize },
      memory: { totalBytes: totalmem(), freeBytes: freemem() },
    };
  }

  #records(kind: "volume" | "attachment" | "backup-policy") {
    return kind === "volume" ? this.#volumes.records : kind === "attachment" ? this.#volumes.attachments : this.#policies;
  }

  async #change<T>(name: string, call: Call, work: () => Promise<T>): Promise<T> {
    await checkFence(this.#paths.endpoint, call);
    return withLock(this.#paths.locks, basename(name), work);
  }
}
