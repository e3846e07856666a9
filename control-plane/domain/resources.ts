/** What resources count for, and how their wanted state is written. Pure. */
import type { Dimension } from "../contract/common.ts";
import { type AttachmentSpec, type BackupPolicySpec, DepartmentSpec, type HostSpec, normaliseSpec, type SpecKind, type VolumeSpec } from "../../infra/spec.ts";

export interface Quantity {
  dimension: Dimension;
  quantity: number;
}
export type AnySpec = HostSpec | VolumeSpec | AttachmentSpec | BackupPolicySpec;

/**
 * What a resource counts for in quotas, pool capacity and allocations: hosts in pieces, vCPU, MiB, and GiB of its tier (a host's system disk is standard storage).
 * @param volumeGib of a backup policy: size of the volume that it protects
 */
export function metersOf(kind: SpecKind, spec: AnySpec, volumeGib = 0): Quantity[] {
  if (kind === "host") {
    const { flavour } = spec as HostSpec;
    return [
      { dimension: "hosts", quantity: 1 },
      { dimension: "vcpu", quantity: flavour.vcpu },
      { dimension: "memory_mib", quantity: flavour.memoryMib },
      { dimension: "storage_gib:standard", quantity: flavour.diskGib },
    ];
  }
  if (kind === "volume") return [{ dimension: `storage_gib:${(spec as VolumeSpec).tier}`, quantity: (spec as VolumeSpec).sizeGib }];
  if (kind === "backup-policy" && volumeGib > 0) return [{ dimension: "backup_gib", quantity: volumeGib }];
  return [];
}

/** Sums quantities by dimension; dimensions that come to nothing are left out. */
export function sumByDimension(quantities: readonly Quantity[]): Quantity[] {
  const sums = new Map<Dimension, number>();
  for (const { dimension, quantity } of quantities) sums.set(dimension, (sums.get(dimension) ?? 0) + quantity);
  return [...sums].filter(([, quantity]) => quantity !== 0).map(([dimension, quantity]) => ({ dimension, quantity }));
}

/** A department's estate from its resources, in one order, so that equal estates have equal JSON. */
export function estateOf(department: string, resources: readonly { kind: SpecKind; wanted: unknown }[]): DepartmentSpec {
  const of = (kind: SpecKind) => resources.filter((one) => one.kind === kind).map((one) => one.wanted);
  return normaliseSpec(
    DepartmentSpec.parse({ department, hosts: of("host"), volumes: of("volume"), attachments: of("attachment"), backupPolicies: of("backup-policy") }),
  );
}
