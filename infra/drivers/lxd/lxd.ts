/** The LXD driver: hosts and volumes on an LXD (or Incus) server or cluster, which holds all of its truth. */
import type { AttachmentSpec, BackupPolicySpec, HostSpec, VolumeSpec } from "../../spec.ts";
import {
  type Actuals,
  type BackupReading,
  type Call,
  type Capabilities,
  type Change,
  consoleBytes,
  type Driver,
  type ForeignInstance,
  type HostReading,
  type ImageFile,
  type Made,
  type MemberReading,
  NotFound,
  NotRunning,
  type PoolReading,
  type RestartNeed,
  type Shell,
  type ShellAsk,
  type SnapshotReading,
} from "../driver.ts";
import { type Address, addressOf } from "./address.ts";
import { Adopted } from "./adopted.ts";
import { Backups } from "./backups.ts";
import { LxdClient, Refused } from "./client.ts";
import { execInside, type Inside } from "./exec.ts";
import { openShell, ownShell } from "./shell.ts";
import { Hosts } from "./hosts.ts";
import { IdMaps } from "./id-maps.ts";
import { Images } from "./images.ts";
import { attachmentsOf, findInstance, type Instance, keptOf, type Listing, listInstances, memberOf, readInstances, requireRead } from "./instances.ts";
import { Members } from "./members.ts";
import { Moves } from "./moves.ts";
import { nameOf, nameOfLxd, projectOf } from "./names.ts";
import { Passing, projectsOf } from "./passing.ts";
import { type Project, Projects } from "./projects.ts";
import { isShared, Elsewhere } from "./elsewhere.ts";
import { restartNeed } from "./restarts.ts";
import { readServer } from "./server.ts";
import { type StoredVolume, Volumes } from "./volumes.ts";

/** Storage drivers that keep a volume within its size. */
const bounded = ["btrfs", "zfs", "lvm", "ceph", "cephfs"];
/** Volumes that are asked at once what they use. */
const askedAtOnce = 8;

export class LxdDriver implements Driver {
  readonly kind = "lxd";
  readonly #address: Address;
  readonly #client: LxdClient;
  readonly #images: Images;
  readonly #projects: Projects;
  readonly #hosts: Hosts;
  readonly #volumes: Volumes;
  readonly #adopted: Adopted;
  readonly #backups: Backups;
  readonly #members: Members;
  readonly #passing: Passing;
  readonly #moves: Moves;
  readonly #elsewhere: Elsewhere;
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(endpoint: string) {
    this.#address = addressOf(endpoint);
    this.#client = new LxdClient(this.#address);
    this.#projects = new Projects(this.#client);
    this.#adopted = new Adopted(this.#client);
    this.#images = new Images(this.#client);
    this.#members = new Members(this.#client, this.#address);
    this.#volumes = new Volumes(this.#client, this.#address, this.#projects);
    this.#backups = new Backups(this.#address.backups, this.#volumes);
    this.#passing = new Passing(this.#client, this.#projects, this.#volumes, this.#backups);
    const idMaps = new IdMaps(this.#client);
    const parts = { images: this.#images, members: this.#members, projects: this.#projects, volumes: this.#volumes, idMaps };
    this.#hosts = new Hosts(this.#client, this.#address, parts, (project, id, signal) => this.#moves.finish(project, id, signal));
    this.#moves = new Moves(this.#client, { ...parts, hosts: this.#hosts });
    this.#elsewhere = new Elsewhere(this.#client, this.#address, { ...parts, moves: this.#moves });
  }

  async capabilities(): Promise<Capabilities> {
    const [{ metadata }, { members }, { kind, version, whyNoVm }] = await Promise.all([
      this.#client.get<{ driver: string }>(`/1.0/storage-pools/${this.#address.storage}`),
      this.#members.list(),
      readServer(this.#client),
    ]);
    const enforced = bounded.includes(metadata.driver);
    return {
      cpuLimit: "engine",
      memoryLimit: "engine",
      volumeSizeEnforced: enforced,
      liveAttach: true,
      vm: whyNoVm === undefined,
      moves: members.length > 1,
      sharedStorage: members.length > 1 && isShared(metadata.driver),
      namespaces: ["user", "pid", "mount", "net", "uts", "ipc", "cgroup"],
      notes: [
        `The server is ${kind === "incus" ? "Incus" : "LXD"} ${version}.`,
        ...(whyNoVm === undefined ? [] : [`Virtual machines cannot be made: ${whyNoVm}.`]),
        ...(enforced
          ? []
          : [`Volume sizes are recorded and charged, but not enforced: the storage pool ${this.#address.storage} is of the driver ${metadata.driver}.`]),
        ...(this.#address.network ? [] : ["The endpoint names no network: hosts have loopback only; addresses and ports are recorded."]),
      ],
    };
  }

  /** Volumes grow while they are shown. */
  async needsRestart({ kind, id, spec }: Change): Promise<RestartNeed | undefined> {
    if (kind === "volume") return undefined;
    const instance = await this.#instance(nameOf(id));
    if (!instance || keptOf(instance)?.id !== id) throw new NotFound(`There is no host ${id}.`);
    return restartNeed(this.#client, instance, spec);
  }

  createHost(spec: HostSpec, call: Call): Promise<Made> {
    return this.#change(spec.name, call, (project) => (spec.adopted ? this.#adopted.take(spec, call) : this.#hosts.create(project, spec, call)), spec);
  }
  updateHost(id: string, spec: HostSpec, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, (project) => (spec.adopted ? this.#adopted.update(id, spec, call) : this.#hosts.update(project, id, spec, call)));
  }
  deleteHost(id: string, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, async (project) => {
      if (await this.#hosts.get(project, nameOf(id))) return this.#hosts.delete(project, id);
      const adopted = await this.#adopted.get(nameOf(id));
      if (adopted?.kept.id === id) await this.#adopted.delete(adopted, call);
    });
  }

  foreign(): Promise<ForeignInstance[]> {
    return this.#adopted.foreign();
  }

  createVolume(spec: VolumeSpec, call: Call): Promise<Made> {
    const create = (project: string) => {
      const { backup } = spec;
      return this.#volumes.create(project, spec, call, backup && ((put) => this.#backups.pour(backup.name, put, backup.sha256)));
    };
    return this.#change(spec.name, call, create, spec);
  }
  updateVolume(id: string, spec: VolumeSpec, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, (project) => this.#volumes.update(project, id, spec));
  }
  deleteVolume(id: string, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, (project) => this.#volumes.delete(project, id));
  }

  attach(spec: AttachmentSpec, call: Call): Promise<Made> {
    return this.#change(spec.volume, call, async (project) => (await this.#volumes.holding(project, spec.volume)).attach(project, spec, call));
  }
  detach(id: string, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, (project) => this.#volumes.detach(project, id));
  }

  putBackupPolicy(spec: BackupPolicySpec, call: Call): Promise<Made> {
    const put = async (project: string) => {
      await this.#volumes.require(project, spec.volume);
      return this.#projects.putPolicy(project, spec, call.scope);
    };
    return this.#change(spec.name, call, put, { beside: spec.volume });
  }
  deleteBackupPolicy(id: string, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, (project) => this.#projects.deletePolicy(project, id));
  }

  backup(volume: string, name: string, pool: string, call: Call): Promise<BackupReading> {
    return this.#change(volume, call, (project) => this.#backups.make(project, volume, name, pool, call));
  }
  restore(backup: string, volume: string, call: Call): Promise<{ bytes: number; sha256: string }> {
    return this.#change(volume, call, (project) => this.#backups.restore(project, backup, volume));
  }
  deleteBackup(name: string, call: Call): Promise<void> {
    return this.#change(name, call, async () => this.#backups.remove(name));
  }

  members(): Promise<MemberReading[]> {
    return this.#members.all();
  }
  setMember(name: string, state: "online" | "evacuated"): Promise<void> {
    return this.#members.set(name, state);
  }
  removeMember(name: string): Promise<void> {
    return this.#members.remove(name);
  }
  moveHost(id: string, member: string, call: Call): Promise<{ restarted: boolean }> {
    return this.#change(nameOf(id), call, (project) => this.#moves.host(project, id, member, call));
  }
  restartHost(id: string, from: string, to: string, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, (project) => this.#elsewhere.host(project, id, { from, to }, call));
  }
  moveVolume(id: string, member: string, call: Call): Promise<void> {
    return this.#change(nameOf(id), call, async (project) => {
      await this.#members.require(member);
      await this.#volumes.move(project, id, member);
    });
  }

  snapshotVolume(volume: string, name: string, call: Call): Promise<SnapshotReading> {
    return this.#change(volume, call, (project) => this.#volumes.snapshot(project, volume, name, call.signal));
  }
  deleteSnapshot(volume: string, name: string, call: Call): Promise<void> {
    return this.#change(volume, call, (project) => this.#volumes.deleteSnapshot(project, volume, name));
  }
  revertVolume(volume: string, snapshot: string, call: Call): Promise<void> {
    return this.#change(volume, call, (project) => this.#volumes.revert(project, volume, snapshot));
  }

  async consoleLog(host: string): Promise<string> {
    const instance = await this.#instance(host);
    if (!instance) throw new NotFound(`There is no host ${host}.`);
    try {
      return await this.#client.endOf(`/1.0/instances/${instance.name}/console`, consoleBytes, { project: instance.project });
    } catch (error) {
      // So the server says that nothing was shown yet.
      if (error instanceof NotFound || (error instanceof Refused && error.message.startsWith("open :"))) return "";
      throw error;
    }
  }

  importImage(name: string, file: ImageFile): Promise<void> {
    return this.#images.import(name, file);
  }

  async find(kind: "host" | "volume" | "attachment" | "backup-policy", name: string): Promise<{ id: string; spec: unknown } | undefined> {
    const found =
      kind === "host"
        ? await this.#instance(name).then((instance) => instance && keptOf(instance))
        : kind === "volume"
          ? (await this.#volumes.all()).find((one) => one.spec.name === name)
          : kind === "attachment"
            ? (await listInstances(this.#client)).flatMap(attachmentsOf).find((one) => one.spec.name === name)
            : (await this.#projects.policies()).find((one) => one.spec.name === name);
    return found && { id: found.id, spec: found.spec };
  }

  async list(scope?: string): ReturnType<Driver["list"]> {
    const { instances, volumes, policies, unreachable } = await this.#read(scope);
    requireRead(unreachable);
    return this.#listed(instances, volumes, policies, scope);
  }

  async actual(scope?: string): Promise<Actuals> {
    const { instances, volumes, policies, unreachable } = await this.#read(scope);
    const things = [
      ...(await this.#hosts.actual(instances)),
      ...volumes.map((one) => this.#volumes.actual(one)),
      ...policies
        .filter((one) => scope === undefined || one.scope === scope)
        .map(({ id, spec }) => ({ kind: "backup-policy" as const, id, name: spec.name, spec: { ...spec }, strange: [] })),
    ];
    return { things, unreachable: unreachable.map((one) => nameOfLxd(one.name)) };
  }

  /** Of a department: of all projects in which it has something. The server asks only members that have something of these: one that is dead holds up nobody else. */
  async #read(scope: string | undefined): Promise<Listing & { volumes: StoredVolume[]; policies: Awaited<ReturnType<Projects["policies"]>> }> {
    const own = scope === undefined ? undefined : await this.#client.find<Project>(`/1.0/projects/${projectOf(scope)}`);
    if (scope !== undefined && !own) return { instances: [], unreachable: [], volumes: [], policies: [] };
    const projects = own ? projectsOf(own.metadata) : [undefined];
    const [listings, adopted, volumes, policies] = await Promise.all([
      Promise.all(projects.map((project) => readInstances(this.#client, project))),
      // Without a scope the listing of all projects has them.
      scope === undefined ? [] : this.#adopted.all(scope).then(({ found }) => found.map((one) => one.instance)),
      Promise.all(projects.map((project) => this.#volumes.all(project))),
      this.#projects.policies(),
    ]);
    const ours = (of: string | undefined) => scope === undefined || of === scope;
    return {
      instances: [...listings.flatMap((one) => one.instances), ...adopted].filter((one) => ours(keptOf(one)?.scope)),
      unreachable: listings.flatMap((one) => one.unreachable),
      volumes: volumes.flat().filter((one) => ours(one.scope)),
      policies,
    };
  }

  /** LXD 5.0 starts two processes for each host that is asked what it uses (40 ms of CPU time), and is asked for each volume apart. */
  async observe(before?: PoolReading): Promise<PoolReading> {
    const at = Date.now();
    const [{ instances, unreachable }, stored, members] = await Promise.all([
      readInstances(this.#client, undefined, before ? 1 : 2),
      this.#volumes.all(),
      before ? this.#members.list().then((all) => withSpace(all.members, before.members)) : this.members(),
    ]);
    const disk = sumOf(members.flatMap((one) => one.disk ?? []));
    const memory = sumOf(members.flatMap((one) => one.memory ?? []));
    const attached = new Map(instances.flatMap(attachmentsOf).map((one) => [one.spec.volume, one.spec.host]));
    const known = before && new Map(before.volumes.map((one) => [one.id, one.usedBytes]));
    const used = known ? stored.map((one) => known.get(one.id) ?? 0) : await usedBytes(stored, (one) => this.#volumes.usedBytes(one));
    const hosts = new Map(before?.hosts.map((one) => [one.id, one]));
    return {
      at,
      hosts: instances.flatMap((one) => this.#hosts.reading(one) ?? []).map((one) => withUsage(one, hosts.get(one.id))),
      volumes: stored.map(({ id, scope, spec, raw, snapshots }, index) => {
        const host = attached.get(spec.name);
        return {
          id,
          scope,
          name: spec.name,
          pool: spec.pool,
          sizeGib: spec.sizeGib,
          usedBytes: used[index]!,
          snapshots: snapshots.map(({ name, createdAt }) => ({ name, createdAt })),
          ...(host ? { attachedTo: host } : {}),
          ...memberOf(raw.location),
        };
      }),
      backups: this.#backups.all(),
      unreachable: unreachable.map((one) => nameOfLxd(one.name)),
      members,
      ...(disk ? { disk } : {}),
      ...(memory ? { memory } : {}),
    };
  }

  pass(application: string, names: readonly string[], from: Call, to: Call): Promise<void> {
    return this.#passing.pass(application, names, from, to);
  }

  async exec(host: string, argv: string[], options: Parameters<Driver["exec"]>[2] = {}): Promise<{ code: number; stdout: string; stderr: string }> {
    return execInside(this.#client, this.#address, await this.#running(host), argv, options);
  }

  async shell(host: string, { argv, cols, rows }: ShellAsk): Promise<Shell> {
    const running = await this.#running(host);
    return openShell(this.#client, this.#address, running, argv ?? (await ownShell(this.#client, this.#address, running)), { cols, rows });
  }

  async #running(host: string): Promise<Inside> {
    const instance = await this.#instance(host);
    if (!instance) throw new NotFound(`There is no host ${host}.`);
    if (instance.status !== "Running") throw new NotRunning(`Host ${keptOf(instance)!.spec.hostname} does not run.`);
    return { path: `/1.0/instances/${instance.name}`, project: instance.project };
  }

  async purge(scopes?: string[]): Promise<void> {
    const ours = (scope: string) => scopes === undefined || scopes.includes(scope);
    for (const { name, scope } of await this.#projects.all()) {
      if (!ours(scope)) continue;
      await Promise.all((await listInstances(this.#client, name)).map((one) => this.#hosts.delete(name, keptOf(one)!.id)));
      await this.#volumes.purge(name);
      await this.#projects.remove(name);
    }
    for (const one of (await this.#adopted.all()).found) if (ours(one.kept.scope)) await this.#adopted.delete(one, {});
    for (const { name, scope } of this.#backups.all()) if (ours(scope)) this.#backups.remove(name);
  }

  /** In a project of ours, or taken over where it is. */
  async #instance(name: string): Promise<Instance | undefined> {
    return (await findInstance(this.#client, name)) ?? (await this.#adopted.get(name))?.instance;
  }

  #listed(instances: Instance[], volumes: StoredVolume[], policies: Awaited<ReturnType<Projects["policies"]>>, scope?: string) {
    const all = [
      ...instances.flatMap((one) => keptOf(one) ?? []).map(({ id, scope: of, spec }) => ({ kind: "host" as const, id, name: spec.name, scope: of })),
      ...volumes.map(({ id, scope: of, spec }) => ({ kind: "volume" as const, id, name: spec.name, scope: of })),
      ...instances.flatMap(attachmentsOf).map(({ id, scope: of, spec }) => ({ kind: "attachment" as const, id, name: spec.name, scope: of })),
      ...policies.map(({ id, scope: of, spec }) => ({ kind: "backup-policy" as const, id, name: spec.name, scope: of })),
      ...this.#backups.all().map(({ id, name, scope: of }) => ({ kind: "backup" as const, id, name, scope: of })),
    ];
    return scope === undefined ? all : all.filter((one) => one.scope === scope);
  }

  /** Things of one name take turns within this process; across processes the server keeps names unique and the fence keeps older ones out. */
  async #change<T>(name: string, call: Call, work: (project: string) => Promise<T>, made?: { application?: string; beside?: string }): Promise<T> {
    const project = await this.#passing.whereIs(await this.#projects.enter(call), made?.beside ?? name, made?.application);
    const before = this.#turns.get(name);
    const turn = (async () => {
      await before?.catch(() => undefined);
      return work(project);
    })();
    this.#turns.set(name, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(name) === turn) this.#turns.delete(name);
    }
  }
}

/** With what a host used at an earlier reading. */
function withUsage(host: HostReading, before: HostReading | undefined): HostReading {
  if (!before || host.state !== "running") return host;
  return { ...before, ...host, ...(before.addresses.length > 0 ? { addresses: before.addresses } : {}) };
}

/** With what members had at an earlier reading, unless they have not answered since. */
function withSpace(members: readonly MemberReading[], before: readonly MemberReading[] = []): MemberReading[] {
  const known = new Map(before.map((one) => [one.name, one]));
  return members.map((one) => (one.state === "offline" ? one : { ...known.get(one.name), ...one }));
}

/** Of all members together; undefined where none answers. */
function sumOf(spaces: readonly { totalBytes: number; freeBytes: number }[]): { totalBytes: number; freeBytes: number } | undefined {
  if (spaces.length === 0) return undefined;
  return spaces.reduce((sum, one) => ({ totalBytes: sum.totalBytes + one.totalBytes, freeBytes: sum.freeBytes + one.freeBytes }));
}

/** In the order of the volumes, some at once. */
async function usedBytes(volumes: readonly StoredVolume[], ask: (one: StoredVolume) => Promise<number>): Promise<number[]> {
  const used: number[] = [];
  for (let from = 0; from < volumes.length; from += askedAtOnce) used.push(...(await Promise.all(volumes.slice(from, from + askedAtOnce).map(ask))));
  return used;
}
