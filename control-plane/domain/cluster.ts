/** What lies where on a cluster, and where a host or volume may go: filter, then score, with reasons. Pure. */
import { type Owner, type Protection, whyNotIn } from "./levels.ts";

export interface ClusterMember {
  name: string;
  state: "online" | "evacuated" | "offline";
  groups: readonly string[];
  /** Absent while it does not answer. */
  vcpu?: number | undefined;
  memoryMib?: number | undefined;
  freeDiskBytes?: number | undefined;
}
export interface ClusterPool extends Protection {
  id: string;
  code: string;
  tier: string;
  state: "open" | "maintenance" | "closed";
  overcommitPercent: number;
  /** Only members of this cluster group; left out: all. */
  group?: string | undefined;
  /** The server's storage that it lies in, where that has a name. */
  storage?: string | undefined;
  /** Whether the members share it, as far as that was read. */
  shared?: boolean | undefined;
}
/** A host or volume of a department. */
export interface Thing {
  id: string;
  kind: "host" | "volume";
  name: string;
  department: string;
  application: string;
  owner: Owner;
  /** Of a host: a virtual machine. */
  vm: boolean;
  /** Whether no other host of its application may be on its member. */
  apart: "preferred" | "required";
  pool: ClusterPool;
  /** Undefined: not known now, or its storage is no single member's. */
  member: string | undefined;
  runs: boolean;
  vcpu: number;
  memoryMib: number;
  /** At most so many are copied with it: a host's disk, whole, and what its volumes use. */
  bytes: number;
  /** Of these, what is known to be used: a host's disk is mostly empty, and nobody says how far. */
  usedBytes: number;
  /** Of a volume: the host that it moves with. */
  attachedTo?: string | undefined;
  /** Of a host on a member that doesn't answer: why it cannot be had on another one. */
  bound?: string | undefined;
}
export interface Cluster {
  members: readonly ClusterMember[];
  things: readonly Thing[];
  /** What is there and isn't known to be a department's: by name. */
  strangers: readonly { name: string; member: string | undefined }[];
}

interface Load {
  vcpu: number;
  memoryMib: number;
  /** That moves will bring, less what they take away. */
  bytes: number;
  /** Hosts by application. */
  applications: Map<string, number>;
}

/** A cluster on which moves are tried before they are proposed. */
export class Bench {
  readonly members: ReadonlyMap<string, ClusterMember>;
  readonly #loads: Map<string, Load>;
  readonly #where = new Map<string, string>();

  constructor(cluster: Cluster) {
    this.members = new Map(cluster.members.map((one) => [one.name, one]));
    this.#loads = new Map(cluster.members.map((one) => [one.name, { vcpu: 0, memoryMib: 0, bytes: 0, applications: new Map<string, number>() }]));
    for (const one of cluster.things) {
      if (one.member === undefined) continue;
      this.#where.set(one.id, one.member);
      this.#count(one, one.member, 1, false);
    }
  }

  memberOf = (thing: Thing): string | undefined => this.#where.get(thing.id);

  move(thing: Thing, to: string): void {
    const from = this.#where.get(thing.id);
    if (from !== undefined) this.#count(thing, from, -1, true);
    this.#count(thing, to, 1, true);
    this.#where.set(thing.id, to);
  }

  /** The larger share of vCPU and memory that hosts on a member have been given, 1 = all that it has. */
  share(member: string, more?: Thing, sign: 1 | -1 = 1): number {
    const { vcpu = 0, memoryMib = 0 } = this.members.get(member)!;
    const load = this.#loads.get(member)!;
    const [cpu, memory] = [load.vcpu + sign * (more?.vcpu ?? 0), load.memoryMib + sign * (more?.memoryMib ?? 0)];
    return Math.max(cpu / Math.max(1, vcpu), memory / Math.max(1, memoryMib));
  }

  /** Hosts of its application there, itself not counted. */
  companions(thing: Thing, member: string): number {
    const all = this.#loads.get(member)?.applications.get(thing.application) ?? 0;
    return thing.kind === "host" && this.#where.get(thing.id) === member ? all - 1 : all;
  }

  /** Why it may not go there; undefined: it may. @param pool that it is in then */
  whyNot(thing: Thing, member: string, pool: ClusterPool = thing.pool): string | undefined {
    const there = this.members.get(member);
    if (!there) return `there is no member ${member}`;
    if (there.state !== "online") return `${member} is ${there.state}`;
    const wrongPool = whyNotInPool(thing, pool);
    if (wrongPool) return wrongPool;
    if (pool.group !== undefined && !there.groups.includes(pool.group)) return `${member} is not of the group ${pool.group} of pool ${pool.code}`;
    const load = this.#loads.get(member)!;
    if (thing.kind === "host") {
      if (thing.apart === "required" && this.companions(thing, member) > 0) return `${member} has another host of its application, and they must be apart`;
      if (there.vcpu === undefined || there.memoryMib === undefined) return `what ${member} has is not known`;
      const cpu = (there.vcpu * pool.overcommitPercent) / 100;
      if (load.vcpu + thing.vcpu > cpu) return `${member} has ${Math.max(0, Math.floor(cpu - load.vcpu))} vCPU left, ${thing.vcpu} needed`;
      if (load.memoryMib + thing.memoryMib > there.memoryMib)
        return `${member} has ${Math.max(0, Math.floor(there.memoryMib - load.memoryMib))} MiB of memory left, ${thing.memoryMib} needed`;
    }
    if (there.freeDiskBytes !== undefined && load.bytes + thing.usedBytes > there.freeDiskBytes) return `${member} has too little disk left`;
    return undefined;
  }

  /** The best member for it besides those named: fewest hosts of its application, then the least share taken. */
  choose(thing: Thing, { but, pool = thing.pool, first }: { but?: string | undefined; pool?: ClusterPool; first?: string | undefined }): Choice {
    const refused: string[] = [];
    const can = [...this.members.keys()].filter((member) => {
      if (member === but) return false;
      const why = this.whyNot(thing, member, pool);
      if (why) refused.push(why);
      return !why;
    });
    if (first !== undefined && can.includes(first)) return { member: first, reason: `${first} takes over` };
    const best = can.toSorted(
      (a, b) => this.companions(thing, a) - this.companions(thing, b) || this.share(a, thing) - this.share(b, thing) || (a < b ? -1 : 1),
    )[0];
    if (best === undefined) return { member: undefined, reason: [...new Set(refused)].join("; ") || "there is no other member" };
    const beside = this.companions(thing, best);
    const reason = `best of ${can.length}: ${percent(this.share(best, thing))} taken then${beside > 0 ? `, beside ${beside} of its application` : ""}`;
    return { member: best, reason };
  }

  #count(thing: Thing, member: string, sign: 1 | -1, moved: boolean): void {
    const load = this.#loads.get(member);
    if (!load) return;
    if (moved) load.bytes += sign * thing.usedBytes;
    if (thing.kind !== "host") return;
    load.vcpu += sign * thing.vcpu;
    load.memoryMib += sign * thing.memoryMib;
    load.applications.set(thing.application, (load.applications.get(thing.application) ?? 0) + sign);
  }
}
export type Choice = { member: string; reason: string } | { member: undefined; reason: string };

export const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** The rules of placement that hold for a pool, wherever in it. */
export function whyNotInPool(thing: Pick<Thing, "owner" | "vm">, pool: ClusterPool): string | undefined {
  const why = whyNotIn(thing.owner, pool, { vm: thing.vm });
  return why && `pool ${pool.code}: ${why}`;
}

/** What the machines of an endpoint said last, as far as it is shown. */
export interface ClusterReading {
  at: number;
  members?: readonly {
    name: string;
    state: ClusterMember["state"];
    groups: readonly string[];
    message: string;
    vcpu?: number | undefined;
    memory?: { totalBytes: number; freeBytes: number } | undefined;
    disk?: { totalBytes: number; freeBytes: number } | undefined;
  }[];
  hosts: readonly { name: string; member?: string | undefined; state: string }[];
  volumes: readonly { name: string; member?: string | undefined }[];
}
