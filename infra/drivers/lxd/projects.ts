/** A project for each department: its own limits on the server, the highest fencing token seen, and its backup policies. */
import type { Allowance, BackupPolicySpec } from "../../spec.ts";
import { type Call, type Made, StaleFence } from "../driver.ts";
import { hasMoved, type LxdClient, Refused } from "./client.ts";
import { SharedReading } from "./shared-reading.ts";
import { key, lxdName, nameOf, newId, projectOf } from "./names.ts";

export interface Project {
  name: string;
  description: string;
  config: Record<string, string>;
}
export interface StoredPolicy {
  id: string;
  scope: string;
  spec: BackupPolicySpec;
}

const lowLevel = "restricted.containers.lowlevel";
/** The server's own names. */
const limits: Record<string, keyof Allowance> = {
  "limits.instances": "hosts",
  "limits.cpu": "vcpu",
  "limits.memory": "memoryMib",
  "limits.disk": "storageGib",
};
const units: Partial<Record<keyof Allowance, string>> = { memoryMib: "MiB", storageGib: "GiB" };
/** What the server itself refuses to go beyond. It takes no limit of nothing for memory and disk. */
const limitsOf = (allowance: Allowance | undefined): Record<string, string> =>
  allowance === undefined
    ? {}
    : Object.fromEntries(
        Object.entries(limits).map(([name, of]) => [name, units[of] === undefined ? String(allowance[of]) : `${Math.max(1, allowance[of])}${units[of]}`]),
      );
/** `11GiB` and 2 → `13GiB` */
const plus = (value: string, more: number) => value.replace(/^\d+/, (number) => String(Number(number) + more));
const policyKey = (name: string) => key(`policy.${lxdName(name)}`);
const policiesOf = ({ config }: Pick<Project, "config">): StoredPolicy[] =>
  Object.entries(config)
    .filter(([name]) => name.startsWith(key("policy.")))
    .map(([, value]) => JSON.parse(value) as StoredPolicy);
/** Of a project that holds what has passed to other departments: its own department's limits would count theirs. */
const shared = key("shared");
/** Containers are unprivileged with id maps of their own, nothing of the server's is passed through. */
const restricted = {
  restricted: "true",
  "restricted.containers.privilege": "isolated",
  "restricted.devices.disk": "managed",
  "restricted.devices.nic": "managed",
  "restricted.backups": "allow",
  "restricted.snapshots": "allow",
  "features.images": "false",
  "features.profiles": "true",
  "features.storage.volumes": "true",
  "features.networks": "false",
};

export class Projects {
  readonly #client: LxdClient;
  /** By department, token and limits: many calls of one run come at about the same time. */
  readonly #entries = new Map<string, SharedReading<Project>>();
  constructor(client: LxdClient) {
    this.#client = client;
  }

  /** Makes the department's project and notes the fencing token. @throws StaleFence before any effect */
  async enter({ scope, fence, signal, allowance }: Call): Promise<Project> {
    signal?.throwIfAborted();
    const call = JSON.stringify([scope, fence, allowance]);
    const entry = this.#entries.get(call) ?? new SharedReading(() => this.#enter(scope, fence, allowance));
    this.#entries.set(call, entry);
    try {
      return await entry.take();
    } finally {
      if (entry.idle) this.#entries.delete(call);
      signal?.throwIfAborted();
    }
  }

  async #enter(scope: string, fence: number, allowance: Allowance | undefined): Promise<Project> {
    const name = projectOf(scope);
    for (;;) {
      const there = await this.#client.find<Project>(`/1.0/projects/${name}`);
      if (!there) {
        await this.#make(name, scope, fence);
        continue;
      }
      const highest = Number(there.metadata.config[key("fence")] ?? -1);
      if (fence < highest) throw new StaleFence(`The lease of ${scope} has passed on: token ${fence} is older than ${highest}.`);
      const wanted = {
        ...(fence === highest ? {} : { [key("fence")]: String(fence), [lowLevel]: undefined }),
        ...(there.metadata.config[shared] === undefined ? limitsOf(allowance) : {}),
      };
      if (Object.entries(wanted).every(([setting, value]) => there.metadata.config[setting] === value) || (await this.#limit(there, wanted)))
        return there.metadata;
    }
  }

  /** The server keeps what its project holds already within its limits: where that is more, the old ones stay until it is less. */
  async #limit(there: { metadata: Project; etag: string }, wanted: Record<string, string | undefined>): Promise<boolean> {
    try {
      return await this.#put(there, wanted);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const others = Object.fromEntries(Object.entries(wanted).filter(([name]) => !name.startsWith("limits.")));
      return Object.keys(others).length === 0 || this.#put(there, others);
    }
  }

  /** Room for copies beside the things themselves, which hold no more for their owner. What was set meanwhile stays. */
  async withRoom<T>(project: string, room: Partial<Allowance>, work: () => Promise<T>): Promise<T> {
    const change = async (to: (now: Record<string, string>) => Record<string, string>): Promise<Record<string, string>> => {
      for (;;) {
        const there = await this.#client.get<Project>(`/1.0/projects/${project}`);
        const now = Object.fromEntries(Object.entries(there.metadata.config).filter(([name]) => name in limits));
        const next = to(now);
        if (Object.keys(next).length === 0 || (await this.#limit(there, next))) return now;
      }
    };
    const more = (now: Record<string, string>) => Object.fromEntries(Object.entries(now).map(([name, value]) => [name, plus(value, room[limits[name]!] ?? 0)]));
    const before = await change(more);
    const raised = more(before);
    try {
      return await work();
    } finally {
      await change((now) => Object.fromEntries(Object.entries(before).filter(([name, value]) => now[name] === raised[name] && now[name] !== value)));
    }
  }

  /** Does what the server refuses in a restricted project: a change of what it keeps of an instance itself. Put back afterwards, or by the next who enters. */
  async unrestricted<T>(project: string, work: () => Promise<T>): Promise<T> {
    const restrict = async (allow: boolean) => {
      while (!(await this.#put(await this.#client.get<Project>(`/1.0/projects/${project}`), { [lowLevel]: allow ? "allow" : undefined })));
    };
    for (let attempt = 1; ; attempt++) {
      await restrict(true);
      try {
        return await work();
      } catch (error) {
        // Another one that did the same has put it back meanwhile.
        if (attempt === 10 || !(error instanceof Refused && error.message.includes("is forbidden"))) throw error;
      } finally {
        await restrict(false);
      }
    }
  }

  /** Projects of ours. */
  async all(): Promise<(Project & { scope: string })[]> {
    const { metadata } = await this.#client.get<Project[]>("/1.0/projects", { query: { recursion: "1" } });
    return metadata.flatMap((one) => {
      const scope = one.config[key("scope")];
      return scope === undefined ? [] : [{ ...one, scope }];
    });
  }

  async policies(): Promise<StoredPolicy[]> {
    return (await this.all()).flatMap(policiesOf);
  }

  async policiesIn(project: string): Promise<StoredPolicy[]> {
    return policiesOf((await this.#client.get<Project>(`/1.0/projects/${project}`)).metadata);
  }

  /** It holds another department's things from now on: no limits of one department are kept there any more. */
  async share(project: string): Promise<void> {
    for (;;) {
      const there = await this.#client.get<Project>(`/1.0/projects/${project}`);
      const none = Object.fromEntries(Object.keys(limits).map((name) => [name, undefined]));
      if (there.metadata.config[shared] !== undefined || (await this.#put(there, { ...none, [shared]: "true" }))) return;
    }
  }

  /** One of our settings of a project; undefined takes it away. */
  async note(project: string, name: string, value: string | undefined): Promise<void> {
    for (;;) {
      const there = await this.#client.get<Project>(`/1.0/projects/${project}`);
      if (there.metadata.config[name] === value || (await this.#put(there, { [name]: value }))) return;
    }
  }

  /** Policies that are called another department's from now on. */
  async passPolicies(project: string, names: ReadonlySet<string>, scope: string): Promise<void> {
    for (;;) {
      const there = await this.#client.get<Project>(`/1.0/projects/${project}`);
      const changed = policiesOf(there.metadata)
        .filter((one) => names.has(one.spec.name) && one.scope !== scope)
        .map((one) => [policyKey(one.spec.name), JSON.stringify({ ...one, scope })] as const);
      if (changed.length === 0 || (await this.#put(there, Object.fromEntries(changed)))) return;
    }
  }

  async putPolicy(project: string, spec: BackupPolicySpec, scope: string): Promise<Made> {
    for (;;) {
      const there = await this.#client.get<Project>(`/1.0/projects/${project}`);
      const kept = there.metadata.config[policyKey(spec.name)];
      const id = kept === undefined ? newId(spec.name) : (JSON.parse(kept) as StoredPolicy).id;
      const policy: StoredPolicy = { id, scope, spec };
      if (await this.#put(there, { [policyKey(spec.name)]: JSON.stringify(policy) })) return { id, adopted: kept !== undefined };
    }
  }

  /** Of another generation nothing is deleted. */
  async deletePolicy(project: string, id: string): Promise<void> {
    for (;;) {
      const there = await this.#client.get<Project>(`/1.0/projects/${project}`);
      const kept = there.metadata.config[policyKey(nameOf(id))];
      if (kept === undefined || (JSON.parse(kept) as StoredPolicy).id !== id || (await this.#put(there, { [policyKey(nameOf(id))]: undefined }))) return;
    }
  }

  async remove(name: string): Promise<void> {
    await this.#client.change("DELETE", `/1.0/projects/${name}`);
  }

  async #make(name: string, scope: string, fence: number): Promise<void> {
    const config = { ...restricted, [key("scope")]: scope, [key("fence")]: String(fence) };
    try {
      await this.#client.change("POST", "/1.0/projects", { body: { name, description: "Zhengyun", config } });
    } catch (error) {
      // Somebody else made it at the same moment.
      if (!(await this.#client.find(`/1.0/projects/${name}`))) throw error;
    }
  }

  /** False: it was changed meanwhile. */
  async #put({ metadata, etag }: { metadata: Project; etag: string }, change: Record<string, string | undefined>): Promise<boolean> {
    const config = Object.fromEntries(Object.entries({ ...metadata.config, ...change }).filter(([, value]) => value !== undefined));
    try {
      await this.#client.change("PUT", `/1.0/projects/${metadata.name}`, { body: { description: metadata.description, config }, etag });
      return true;
    } catch (error) {
      if (hasMoved(error)) return false;
      throw error;
    }
  }
}
