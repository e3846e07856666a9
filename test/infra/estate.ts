/** Specs for the engine's tests: short to write, always valid. */
import type { AttachmentSpec, BackupPolicySpec, DepartmentSpec, HostSpec, VolumeSpec } from "../../infra/spec.ts";

export const id = (prefix: string, n: number) => `${prefix}_${String(n).padStart(26, "0")}`;
export const pool = id("pol", 1);
export const department = id("dep", 1);
const application = id("app", 1);

export const host = (n: number, more: Partial<HostSpec> = {}): HostSpec => ({
  name: id("hst", n),
  hostname: `host-${n}`,
  pool,
  image: "base",
  flavour: { vcpu: 1, memoryMib: 64, diskGib: 1 },
  sshKeys: [],
  addresses: [],
  ports: [],
  power: "running",
  application,
  ...more,
});
export const volume = (n: number, more: Partial<VolumeSpec> = {}): VolumeSpec => ({
  name: id("vol", n),
  pool,
  tier: "standard",
  sizeGib: 1,
  application,
  ...more,
});
export const attachment = (n: number, onHost: number, ofVolume: number, more: Partial<AttachmentSpec> = {}): AttachmentSpec => ({
  name: id("att", n),
  host: id("hst", onHost),
  volume: id("vol", ofVolume),
  path: `/data/${n}`,
  ...more,
});
export const policy = (n: number, ofVolume: number, more: Partial<BackupPolicySpec> = {}): BackupPolicySpec => ({
  name: id("pcy", n),
  volume: id("vol", ofVolume),
  pool,
  schedule: "0 2 * * *",
  timezone: "Asia/Shanghai",
  keep: 7,
  ...more,
});
export const estate = (more: Partial<DepartmentSpec> = {}): DepartmentSpec => ({
  department,
  hosts: [],
  volumes: [],
  attachments: [],
  backupPolicies: [],
  ...more,
});
