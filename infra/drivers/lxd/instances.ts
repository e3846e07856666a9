/** Instances as the server has them, and what of them is ours. */
import type { AttachmentSpec, HostSpec } from "../../spec.ts";
import { DriverError } from "../driver.ts";
import type { LxdClient } from "./client.ts";
import { isOurs, key, lxdName } from "./names.ts";

export interface Instance {
  name: string;
  project: string;
  status: string;
  location: string;
  architecture: string;
  description: string;
  ephemeral: boolean;
  profiles: string[];
  config: Record<string, string>;
  devices: Record<string, Record<string, string>>;
  /** With what its profiles give it. */
  expanded_config?: Record<string, string>;
  expanded_devices?: Record<string, Record<string, string>>;
  /** With a listing of recursion 2. */
  state?: {
    status: string;
    pid: number;
    cpu: { usage: number };
    memory: { usage: number };
    network: Record<string, { addresses: { family: string; address: string; scope: string }[] }> | null;
  } | null;
}

/** What is kept of a host on the server: everything but its user data, which lies in its own setting. */
export interface Kept {
  id: string;
  scope: string;
  spec: Omit<HostSpec, "userData">;
}
export interface StoredAttachment {
  id: string;
  scope: string;
  spec: AttachmentSpec;
}

const attachmentPrefix = key("attachment.");
export const attachmentKey = (name: string) => `${attachmentPrefix}${lxdName(name)}`;

/** undefined: an instance that is none of ours. */
export function keptOf({ config }: Instance): Kept | undefined {
  const kept = config[key("host")];
  return kept === undefined ? undefined : (JSON.parse(kept) as Kept);
}
export const attachmentsOf = ({ config }: Pick<Instance, "config">): StoredAttachment[] =>
  Object.entries(config)
    .filter(([name]) => name.startsWith(attachmentPrefix))
    .map(([, value]) => JSON.parse(value) as StoredAttachment);

/** A host that is being moved: whether it ran, and what the server knows its first start by. */
export interface Moving {
  ran: boolean;
  firstBoot?: string;
}
export const movingKey = key("moving");
export function movingOf({ config }: Instance): Moving | undefined {
  const moving = config[movingKey];
  return moving === undefined ? undefined : (JSON.parse(moving) as Moving);
}

/** Where something lies, for a reading; a server that is alone, and storage that is no member's own, name none. */
export const memberOf = (location: string): { member?: string } => (location === "" || location === "none" ? {} : { member: location });

export interface Listing {
  instances: Instance[];
  /** Instances on members that don't answer: the cluster knows their names only. */
  unreachable: Pick<Instance, "name" | "project" | "location">[];
}

/** Every instance of ours, or of one project. @param recursion 2: with what they use now */
export async function readInstances(client: LxdClient, project?: string, recursion: 1 | 2 = 1): Promise<Listing> {
  const { metadata } = await client.get<(Omit<Instance, "config"> & { config: Instance["config"] | null })[]>("/1.0/instances", {
    query: { recursion: String(recursion), ...(project === undefined ? { "all-projects": "true" } : {}) },
    ...(project === undefined ? {} : { project }),
  });
  const isRead = (one: (typeof metadata)[number]): one is Instance => one.config !== null;
  return {
    instances: metadata.filter(isRead).filter((one) => keptOf(one) !== undefined),
    unreachable: metadata.filter((one) => !isRead(one) && isOurs(one.project)),
  };
}

/**
 * The same for who must know all of them.
 * @throws DriverError unreachable when a member doesn't answer: what is there must not pass for gone
 */
export async function listInstances(client: LxdClient, project?: string): Promise<Instance[]> {
  const { instances, unreachable } = await readInstances(client, project);
  requireRead(unreachable);
  return instances;
}
export function requireRead(unreachable: Listing["unreachable"]): void {
  const [one] = unreachable;
  if (one) throw new DriverError("unreachable", `Member ${one.location} of the cluster does not answer; ${unreachable.length} hosts are on such members.`);
}

/** In whichever project. */
export async function findInstance(client: LxdClient, name: string): Promise<Instance | undefined> {
  const { metadata } = await client.get<Instance[]>("/1.0/instances", {
    query: { recursion: "1", "all-projects": "true", filter: `name eq ${lxdName(name)}` },
  });
  const found = metadata.find((one) => one.name === lxdName(name) && isOurs(one.project));
  if (found && found.config === null) throw new DriverError("unreachable", `Member ${found.location} of the cluster, which has ${name}, does not answer.`);
  return found && keptOf(found) ? found : undefined;
}
