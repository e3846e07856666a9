/** The members of a cluster; a server that is alone is its only one. */
import { createHash } from "node:crypto";
import { DriverError, InUse, type MemberReading, NotFound, Unsupported } from "../driver.ts";
import type { Address } from "./address.ts";
import { hasMoved, type LxdClient } from "./client.ts";
import { key } from "./names.ts";

interface RawMember {
  server_name: string;
  status: string;
  message: string;
  roles: string[];
  failure_domain: string;
  description: string;
  groups: string[] | null;
  config: Record<string, string> | null;
}
interface Resources {
  cpu: { total: number };
  memory: Space;
}
interface Space {
  used: number;
  total: number;
}

const rememberedMs = 1000;
const alone = "The server is alone: there is no other member that could take its hosts.";
/** Who gets instances without being named: `manual` is nobody. */
const scheduler = "scheduler.instance";
/** By whom it is out of use: us, and what its scheduler's setting was before (may be empty). Without it `manual` may be somebody else's way to run a cluster. */
const evacuated = key("evacuated");

export class Members {
  readonly #client: LxdClient;
  readonly #address: Address;
  #read: { at: number; list: ReturnType<Members["list"]> } | undefined;
  constructor(client: LxdClient, address: Address) {
    this.#client = client;
    this.#address = address;
  }

  /** With what each has: two calls for each that answers. */
  async all(): Promise<MemberReading[]> {
    const { clustered, members } = await this.list();
    return Promise.all(
      members.map(async (member) => {
        if (member.state === "offline") return member;
        const query: { query?: Record<string, string> } = clustered ? { query: { target: member.name } } : {};
        const [resources, storage] = await Promise.all([
          this.#client.find<Resources>("/1.0/resources", query).catch(() => undefined),
          this.#client.find<{ space: Space }>(`/1.0/storage-pools/${this.#address.storage}/resources`, query).catch(() => undefined),
        ]);
        return {
          ...member,
          ...(resources ? { vcpu: resources.metadata.cpu.total, memory: freeOf(resources.metadata.memory) } : {}),
          ...(storage ? { disk: freeOf(storage.metadata.space) } : {}),
        };
      }),
    );
  }

  /** Their names and states: one call, and one that asks whether it is a cluster. */
  async list(): Promise<{ clustered: boolean; members: MemberReading[] }> {
    const { server_clustered: clustered, server_name: name } = await this.#environment();
    if (!clustered) return { clustered, members: [{ name, state: "online", groups: [], message: "" }] };
    const { metadata } = await this.#client.get<RawMember[]>("/1.0/cluster/members", { query: { recursion: "1" } });
    const members = metadata.map((one) => ({
      name: one.server_name,
      state: stateOf(one),
      groups: one.groups ?? [],
      message: one.status === "Online" ? "" : one.message,
    }));
    return { clustered, members };
  }

  /** One that hosts can be brought to. @throws NotFound @throws Unsupported where there is one machine only @throws DriverError unreachable */
  async require(name: string): Promise<MemberReading> {
    const { clustered, members } = await this.list();
    if (!clustered) throw new Unsupported(alone);
    const member = members.find((one) => one.name === name);
    if (!member) throw new NotFound(`There is no member ${name}; there are: ${members.map((one) => one.name).join(", ")}.`);
    if (member.state === "offline") throw new DriverError("unreachable", `Member ${name} of the cluster does not answer: ${member.message}`);
    return member;
  }

  /**
   * Where a new instance is made: on the member that was chosen while that takes hosts, else on one that its name falls to. The server's own choice is not
   * asked for: LXD 5.0.2 looks at the limits of a project only where a member is named.
   * @param except members on which it could not be made
   * @returns undefined for a server that is alone
   */
  async targetFor(name: string, chosen: string | undefined, except: readonly string[] = []): Promise<string | undefined> {
    const { clustered, members } = await this.#lately();
    if (!clustered) return undefined;
    const { group } = this.#address;
    const open = members
      .filter((one) => one.state === "online" && (group === undefined || one.groups.includes(group)) && !except.includes(one.name))
      .map((one) => one.name);
    if (open.length === 0)
      throw new DriverError("no-member", `No member of the cluster${group === undefined ? "" : ` in the group ${group}`} takes hosts now.`);
    return chosen !== undefined && open.includes(chosen) ? chosen : fallsTo(name, open);
  }

  /** Many hosts that are made at once ask once. */
  #lately(): ReturnType<Members["list"]> {
    if (!this.#read || Date.now() - this.#read.at > rememberedMs) {
      const list = this.list();
      this.#read = { at: Date.now(), list };
      list.catch(() => (this.#read = undefined));
    }
    return this.#read.list;
  }

  async set(name: string, state: "online" | "evacuated"): Promise<void> {
    if (!(await this.#environment()).server_clustered) throw new Unsupported(alone);
    const path = `/1.0/cluster/members/${name}`;
    for (;;) {
      const there = await this.#client.find<RawMember>(path);
      if (!there) throw new NotFound(`There is no member ${name}.`);
      // Somebody evacuated it by the server's own means: only those bring it back.
      if (state === "online" && there.metadata.status === "Evacuated") {
        await this.#client.change("POST", `${path}/state`, { body: { action: "restore" } });
        continue;
      }
      const config = settingsFor(state, there.metadata.config ?? {});
      if (!config) return;
      const { roles, failure_domain, description, groups } = there.metadata;
      try {
        await this.#client.change("PUT", path, { etag: there.etag, body: { roles, failure_domain, description, groups, config } });
        return;
      } catch (error) {
        if (!hasMoved(error)) throw error;
      }
    }
  }

  /** By force: the server's own way to forget a member, with every instance and volume that it says are on it. */
  async remove(name: string): Promise<void> {
    const { clustered, members } = await this.list();
    if (!clustered) throw new Unsupported("The server is alone: it cannot be given up.");
    const there = members.find((one) => one.name === name);
    if (!there) return;
    if (there.state !== "offline") throw new InUse(`Member ${name} answers: drain it instead.`);
    await this.#client.change("DELETE", `/1.0/cluster/members/${name}`, { query: { force: "1" } });
  }

  async #environment(): Promise<{ server_clustered: boolean; server_name: string }> {
    const { metadata } = await this.#client.get<{ environment: { server_clustered: boolean; server_name: string } }>("/1.0");
    return metadata.environment;
  }
}

/**
 * Pure: a member's settings for a state; undefined: they are so already. The server's own evacuation would move everything at once and in an order of its own;
 * ours only keeps new instances away, and lies in the cluster's database as that does.
 */
export function settingsFor(state: "online" | "evacuated", config: Record<string, string>): Record<string, string> | undefined {
  const mark = config[evacuated];
  if ((mark !== undefined) === (state === "evacuated")) return undefined;
  if (state === "evacuated") return { ...config, [evacuated]: config[scheduler] ?? "all", [scheduler]: "manual" };
  const { [evacuated]: _mark, ...others } = config;
  return { ...others, [scheduler]: mark! };
}

/** Pure: names spread evenly, and one always falls to the same member as long as that is there (rendezvous hashing). */
export function fallsTo(name: string, members: readonly string[]): string {
  const weight = (member: string) => createHash("sha256").update(`${name} ${member}`).digest("hex");
  return members.reduce((best, one) => (weight(one) > weight(best) ? one : best));
}

/** One that doesn't answer is that first: nothing else can be done with it. */
function stateOf({ status, config }: RawMember): MemberReading["state"] {
  if (status !== "Online" && status !== "Evacuated") return "offline";
  return status === "Evacuated" || config?.[evacuated] !== undefined ? "evacuated" : "online";
}

const freeOf = ({ used, total }: Space) => ({ totalBytes: total, freeBytes: total - used });
