/**
 * The members (machines) of the servers behind pools, and which of them takes a new host. Each pool's members are kept in the order in which its strategy
 * takes them, so that one that fits is found without looking at all, and every choice counts at once for the next. No clock, no I/O.
 */
export interface MemberView {
  /** See `serverOf`: pools of one server share its members. */
  server: string;
  name: string;
  state: "online" | "evacuated" | "offline";
  groups: readonly string[];
  /** Hardware threads and memory; null: never read. */
  vcpu: number | null;
  memoryMib: number | null;
  /** By the hosts that are there, and those that are to be made there. */
  taken: { vcpu: number; memoryMib: number };
}
/** How many hosts of an application a member has. */
export interface Company {
  server: string;
  member: string;
  application: string;
  hosts: number;
}
/** What of a pool matters here. */
export interface MemberPool {
  id: string;
  server: string;
  group: string | undefined;
  strategy: "spread" | "pack";
  overcommitPercent: number;
}
export interface HostNeed {
  application: string;
  vcpu: number;
  memoryMib: number;
  /** preferred: on another member than the application's other hosts where one fits · required: nowhere else */
  apart: "preferred" | "required";
}
export interface Consideration {
  member: string;
  why: string;
}
export type Chosen =
  /** No member: there is only one, whose capacity is the pool's. */
  { member: string | undefined; reason: string | undefined; considered: Consideration[] } | { member: null; reason: string; considered: Consideration[] };

/** Others that a choice tells of, and why not them; of the rest only how many. */
const toldMost = 4;

interface Entry {
  view: MemberView;
  share: number;
}

export class Members {
  readonly #servers = new Map<string, Map<string, MemberView>>();
  readonly #orders = new Map<string, { pool: MemberPool; entries: Entry[]; of: Map<string, Entry>; away: Consideration[] }>();
  /** By server and application. */
  readonly #company = new Map<string, { of: Map<string, number>; membersWith: Map<number, number> }>();

  constructor(members: readonly MemberView[] = [], company: readonly Company[] = []) {
    for (const one of members) {
      const server = this.#servers.get(one.server) ?? new Map<string, MemberView>();
      this.#servers.set(one.server, server.set(one.name, { ...one, taken: { ...one.taken } }));
    }
    for (const one of company) this.#count(one.server, one.application, one.member, one.hosts);
  }

  /** Whose share is how large, for those who look at it. */
  list(pool: MemberPool): readonly { member: string; share: number }[] {
    return this.#order(pool).entries.map(({ view, share }) => ({ member: view.name, share }));
  }

  /** The member that takes it, by the pool's strategy; takes nothing yet. */
  choose(pool: MemberPool, need: HostNeed): Chosen {
    const { entries, away } = this.#order(pool);
    if (entries.length === 0 && (away.length > 0 || (this.#servers.get(pool.server)?.size ?? 0) > 0))
      return {
        member: null,
        reason: away.length > 0 ? "none of its members takes hosts now" : `no member is in the group ${pool.group}`,
        considered: away.slice(0, toldMost),
      };
    const alone = entries.length + away.length <= 1;
    const company = this.#company.get(`${pool.server} ${need.application}`);
    if (alone) {
      const there = [...(company?.of.values() ?? [])].reduce((sum, one) => sum + one, 0);
      if (need.apart === "preferred" || there === 0) return { member: undefined, reason: undefined, considered: [] };
      return { member: null, reason: "has one member only, and the application's hosts must be on different ones", considered: [] };
    }
    const least = company === undefined || company.of.size < entries.length ? 0 : Math.min(...company.membersWith.keys());
    let best: Entry | undefined;
    let bestCompany = Number.POSITIVE_INFINITY;
    const considered: Consideration[] = [];
    let more = 0;
    const tell = (entry: Entry, why: () => string) => {
      if (considered.length < toldMost) considered.push({ member: entry.view.name, why: why() });
      else more++;
    };
    let looked = 0;
    for (const entry of entries) {
      looked++;
      const hosts = company?.of.get(entry.view.name) ?? 0;
      const short = shortOf(entry.view, pool, need);
      if (short) tell(entry, () => short());
      else if (hosts > 0 && need.apart === "required") tell(entry, () => `has ${hosts} of the application's hosts`);
      else if (hosts >= bestCompany) tell(entry, () => `has ${hosts} of the application's hosts`);
      else {
        const second = best;
        if (second) tell(second, () => `has ${bestCompany} of the application's hosts, more than ${entry.view.name}`);
        [best, bestCompany] = [entry, hosts];
        if (hosts <= least) break;
      }
    }
    for (const one of away) {
      if (considered.length < toldMost) considered.push(one);
      else more++;
    }
    if (more > 0) considered.push({ member: `+${more}`, why: "no better" });
    if (!best)
      return {
        member: null,
        reason: `none of its ${entries.length} members that take hosts has room: ${need.vcpu} vCPU and ${need.memoryMib} MiB are needed`,
        considered,
      };
    const next = entries[looked];
    if (next && considered.length < toldMost) considered.push({ member: next.view.name, why: `comes after it: ${percent(next.share)} taken` });
    const how = pool.strategy === "spread" ? "least taken" : "most taken that has room";
    const beside = bestCompany > 0 ? `, beside ${bestCompany} of the application's hosts` : "";
    return { member: best.view.name, reason: `${how} of ${entries.length} members (${percent(best.share)})${beside}`, considered };
  }

  /** A choice counts from now on. @param member "": the only one @param sign -1: it doesn't any more */
  take(pool: MemberPool, member: string, need: Pick<HostNeed, "application" | "vcpu" | "memoryMib">, sign: 1 | -1 = 1): void {
    const view = this.#servers.get(pool.server)?.get(member);
    this.#count(pool.server, need.application, member, sign);
    if (!view) return;
    const orders = [...this.#orders.values()].filter((order) => order.of.has(member) && order.of.get(member)!.view === view);
    const places = orders.map((order) => ({ order, entry: order.of.get(member)!, at: placeOf(order, order.of.get(member)!) }));
    for (const { order, at } of places) order.entries.splice(at, 1);
    view.taken.vcpu += sign * need.vcpu;
    view.taken.memoryMib += sign * need.memoryMib;
    for (const { order, entry } of places) {
      entry.share = shareOf(view, order.pool);
      order.entries.splice(placeOf(order, entry), 0, entry);
    }
  }

  #count(server: string, application: string, member: string, more: number): void {
    const key = `${server} ${application}`;
    const company = this.#company.get(key) ?? { of: new Map<string, number>(), membersWith: new Map<number, number>() };
    this.#company.set(key, company);
    const before = company.of.get(member) ?? 0;
    const after = before + more;
    const bump = (hosts: number, by: number) => {
      if (hosts === 0) return;
      const now = (company.membersWith.get(hosts) ?? 0) + by;
      if (now === 0) company.membersWith.delete(hosts);
      else company.membersWith.set(hosts, now);
    };
    bump(before, -1);
    bump(after, 1);
    if (after === 0) company.of.delete(member);
    else company.of.set(member, after);
  }

  #order(pool: MemberPool) {
    const known = this.#orders.get(pool.id);
    if (known) return known;
    const all = [...(this.#servers.get(pool.server)?.values() ?? [])].filter((one) => pool.group === undefined || one.groups.includes(pool.group));
    const entries = all.filter((one) => one.state === "online").map((view) => ({ view, share: shareOf(view, pool) }));
    const order = {
      pool,
      entries,
      of: new Map(entries.map((entry) => [entry.view.name, entry])),
      away: all.filter((one) => one.state !== "online").map((one) => ({ member: one.name, why: `is ${one.state}` })),
    };
    entries.sort((a, b) => compare(order, a, b));
    this.#orders.set(pool.id, order);
    return order;
  }
}

const compare = ({ pool }: { pool: MemberPool }, a: Entry, b: Entry): number =>
  (pool.strategy === "spread" ? a.share - b.share : b.share - a.share) || (a.view.name < b.view.name ? -1 : a.view.name > b.view.name ? 1 : 0);

/** Where an entry stands, or would stand, in its order. */
function placeOf(order: { pool: MemberPool; entries: Entry[] }, entry: Entry): number {
  let [from, to] = [0, order.entries.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (compare(order, order.entries[middle]!, entry) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}

const offered = (vcpu: number, pool: MemberPool) => Math.floor((vcpu * pool.overcommitPercent) / 100);
/** What was never read holds nobody back. */
const shareOf = ({ vcpu, memoryMib, taken }: MemberView, pool: MemberPool): number =>
  Math.max(vcpu === null ? 0 : taken.vcpu / Math.max(1, offered(vcpu, pool)), memoryMib === null ? 0 : taken.memoryMib / Math.max(1, memoryMib));
function shortOf({ vcpu, memoryMib, taken }: MemberView, pool: MemberPool, need: HostNeed): (() => string) | undefined {
  if (vcpu !== null && taken.vcpu + need.vcpu > offered(vcpu, pool)) return () => `has ${Math.max(0, offered(vcpu, pool) - taken.vcpu)} vCPU left`;
  if (memoryMib !== null && taken.memoryMib + need.memoryMib > memoryMib) return () => `has ${Math.max(0, memoryMib - taken.memoryMib)} MiB left`;
  return undefined;
}
const percent = (share: number) => `${Math.round(share * 100)} %`;
