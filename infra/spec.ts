/**
 * The desired state of one department, as plain data: what `program.ts` turns into Pulumi resources.
 * Knows nothing of people, requests or money. Names here are immutable resource ids of the control plane
 * (`hst_…`, `vol_…`), never codes or titles that people may change: they become Pulumi names and physical names.
 */
import { z } from "zod";

/** An immutable id made by the control plane: three letters, an underscore, 26 characters of base32 (time-ordered). */
export const ResourceName = z.string().regex(/^[a-z]{3}_[0-9a-z]{26}$/, "an id such as hst_01jd…");

/** What a host is given. vCPU, MiB, GiB; the limits are those of one machine of today. */
export const Flavour = z.object({
  vcpu: z.int().min(1).max(256),
  memoryMib: z.int().min(64).max(4_194_304),
  diskGib: z.int().min(1).max(65_536),
  /** Most that the host's disks may read and write, MiB a second each way; left out: no limit. */
  diskMibPerSecond: z.int().min(1).max(1_000_000).optional(),
  /** Most that its interface may send and receive, Mbit a second each way; left out: no limit. */
  networkMbps: z.int().min(1).max(1_000_000).optional(),
});
export type Flavour = z.infer<typeof Flavour>;

/** A TCP or UDP port that the host is meant to be reached at. */
export const Port = z.object({ protocol: z.enum(["tcp", "udp"]), port: z.int().min(1).max(65_535) });
export type Port = z.infer<typeof Port>;

export const HostSpec = z.object({
  name: ResourceName,
  /** What people call it; becomes the host name inside. RFC 1123 label. */
  hostname: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/),
  pool: ResourceName,
  /** Left out: a container. A virtual machine only where the endpoint says that it can. */
  type: z.enum(["container", "vm"]).optional(),
  /** The member that placement chose for its creation. It may be moved later, so it is no property to converge on; one that takes no hosts then is passed over. */
  member: z.string().min(1).max(63).optional(),
  image: z.string().min(1).max(128),
  flavour: Flavour,
  /** Public keys, OpenSSH's one-line form. Public, so not secret. */
  sshKeys: z.array(z.string()).default([]),
  /** Wanted addresses (IPv4 or IPv6, no prefix length). */
  addresses: z.array(z.string()).default([]),
  ports: z.array(Port).default([]),
  /** First-boot user data. A secret: encrypted in state, never logged. */
  userData: z.string().max(65_536).optional(),
  power: z.enum(["running", "stopped"]).default("running"),
  application: ResourceName,
  /** An instance that was there before us and was taken over as it is: where it really is, for life. It is never made, renamed or moved to another project. */
  adopted: z.object({ project: z.string().min(1).max(63), instance: z.string().min(1).max(63) }).optional(),
  /** How often it was made anew from its image, under its name and with its volumes; left out: never. */
  generation: z.int().min(1).optional(),
});
export type HostSpec = z.infer<typeof HostSpec>;

export const VolumeSpec = z.object({
  name: ResourceName,
  pool: ResourceName,
  tier: z.enum(["performance", "standard", "capacity"]),
  sizeGib: z.int().min(1).max(65_536),
  application: ResourceName,
  /** The recovery point whose content it is made with, and the SHA-256 that it must have; left out: it is made empty. */
  backup: z.object({ name: ResourceName, sha256: z.string().regex(/^[0-9a-f]{64}$/) }).optional(),
});
export type VolumeSpec = z.infer<typeof VolumeSpec>;

export const AttachmentSpec = z.object({
  name: ResourceName,
  host: ResourceName,
  volume: ResourceName,
  /** Where the volume appears inside the host. Absolute, below /mnt or /srv or /data. */
  path: z.string().regex(/^\/(mnt|srv|data)(\/[A-Za-z0-9._-]+)*$/),
});
export type AttachmentSpec = z.infer<typeof AttachmentSpec>;

export const BackupPolicySpec = z.object({
  name: ResourceName,
  volume: ResourceName,
  /** The backup pool that recovery points are kept in. */
  pool: ResourceName,
  /** Five-field cron, in `timezone`. */
  schedule: z.string().max(100),
  timezone: z.string().default("Asia/Shanghai"),
  /** How many recovery points are kept, 1 to 1000. */
  keep: z.int().min(1).max(1000),
});
export type BackupPolicySpec = z.infer<typeof BackupPolicySpec>;

/** One department's whole estate. Arrays are sorted by name before hashing (see `normaliseSpec`). */
export const DepartmentSpec = z.object({
  department: ResourceName,
  hosts: z.array(HostSpec).default([]),
  volumes: z.array(VolumeSpec).default([]),
  attachments: z.array(AttachmentSpec).default([]),
  backupPolicies: z.array(BackupPolicySpec).default([]),
});
export type DepartmentSpec = z.infer<typeof DepartmentSpec>;

/** The most that one department may hold, as its quota account has it: engines refuse what is above it, whoever asks. */
export const Allowance = z.object({
  hosts: z.int().min(0),
  vcpu: z.int().min(0),
  memoryMib: z.int().min(0),
  /** Volumes and the hosts' own disks. */
  storageGib: z.int().min(0),
});
export type Allowance = z.infer<typeof Allowance>;

/** Where a pool's driver is and what it needs to be reached. Given to the worker, never part of a department's spec. */
export const PoolEndpoint = z.object({
  pool: ResourceName,
  /** A name that `drivers/load.ts` knows: embedded, later lxd, incus, openstack. */
  driver: z.string(),
  /** For `embedded` an absolute directory; for others a URL. */
  endpoint: z.string(),
});
export type PoolEndpoint = z.infer<typeof PoolEndpoint>;

/**
 * The server or cluster behind an endpoint, without what stands behind the question mark (storage pool, cluster group, network, files): pools of one
 * server serve each other. It is to be named alike in all of them.
 */
export const serverOf = ({ driver, endpoint }: Pick<PoolEndpoint, "driver" | "endpoint">): string => `${driver} ${endpoint.split("?")[0]}`;

/** The cluster group whose members take a pool's hosts; undefined: all members do. */
export const groupOf = ({ endpoint }: Pick<PoolEndpoint, "endpoint">): string | undefined => settingOf(endpoint, "group");
/** The directory that a pool's driver keeps recovery points in, where its endpoint names one. */
export const backupsOf = ({ endpoint }: Pick<PoolEndpoint, "endpoint">): string | undefined => settingOf(endpoint, "backups");
const settingOf = (endpoint: string, name: string) => new URLSearchParams(endpoint.split("?")[1] ?? "").get(name) ?? undefined;

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

/** The same estate with its lists in one order, so that equal estates have equal JSON (canonical form and hash build on it). */
export function normaliseSpec(spec: DepartmentSpec): DepartmentSpec {
  return {
    department: spec.department,
    hosts: spec.hosts.toSorted(byName),
    volumes: spec.volumes.toSorted(byName),
    attachments: spec.attachments.toSorted(byName),
    backupPolicies: spec.backupPolicies.toSorted(byName),
  };
}

/** An output of things on which something is set that nobody of ours asked for. */
export const strangeKey = "strange";

export type SpecKind = "host" | "volume" | "attachment" | "backup-policy";
