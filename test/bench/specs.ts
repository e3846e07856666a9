/** Estates of many small hosts. */
import { newId } from "../../control-plane/store/ids.ts";
import type { DepartmentSpec } from "../../infra/spec.ts";

/** A department of its own with these hosts, all wanted running. */
export function hostsOf(department: string, names: readonly string[], pool: string, application: string): DepartmentSpec {
  return {
    department,
    volumes: [],
    attachments: [],
    backupPolicies: [],
    hosts: names.map((name, index) => ({
      name,
      hostname: `h${index}`,
      pool,
      image: "zhengyun-base-1",
      flavour: { vcpu: 2, memoryMib: 4096, diskGib: 40 },
      sshKeys: [],
      addresses: [],
      ports: [],
      power: "running",
      application,
    })),
  };
}

/** A new department of so many new hosts in a pool. */
export const newEstate = (hosts: number, pool: string): DepartmentSpec =>
  hostsOf(
    newId("dep"),
    Array.from({ length: hosts }, () => newId("hst")),
    pool,
    newId("app"),
  );
