/** CPU and memory limits by cgroups, version 1 or 2, where they are writable. */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Flavour } from "../../spec.ts";

const base = "/sys/fs/cgroup";

export interface Cgroups {
  version: "cgroup1" | "cgroup2" | "absent";
  reason?: string;
  /** Makes a host's groups with its limits; the directories whose cgroup.procs its init joins. */
  make(host: string, flavour: Flavour): string[];
  remove(host: string): void;
  /** The limits as they are set; null: none. Where there is no group of it, or no hierarchy, nothing is said. */
  limits(host: string): { vcpu?: number | null; memoryMib?: number | null };
  read(host: string): { cpuSeconds?: number; memoryBytes?: number };
  /** Bytes that the kernel cannot take back from a host while it runs: its memory without the pages of files. 0: nothing, or there is no group of it. */
  heldBytes(host: string): number;
}

const writable = (path: string) => {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

const period = 100_000;
const quota = (flavour: Flavour) => Math.round(flavour.vcpu * period);
const mebibyte = 1_048_576;
const memory = (flavour: Flavour) => flavour.memoryMib * mebibyte;
const places = (value: number) => Math.round(value * 100) / 100;

/** What this machine lets us do, for one endpoint (its name keeps two endpoints apart). */
export function findCgroups(endpoint: string): Cgroups {
  if (writable(join(base, "cpu")) && writable(join(base, "memory")) && existsSync(join(base, "memory/memory.limit_in_bytes"))) return version1(endpoint);
  if (writable(join(base, "cgroup.subtree_control")) && /cpu.*memory|memory.*cpu/.test(readFileSync(join(base, "cgroup.controllers"), "utf8")))
    return version2(endpoint);
  return {
    version: "absent",
    reason: `no writable cgroup hierarchy with the cpu and memory controllers under ${base}`,
    make: () => [],
    remove: () => undefined,
    limits: () => ({}),
    read: () => ({}),
    heldBytes: () => 0,
  };
}

const group = (controller: string, endpoint: string, host: string) => join(base, controller, "zhengyun", endpoint, host);

function makeGroup(path: string, limits: Record<string, number | string>): string {
  mkdirSync(path, { recursive: true });
  for (const [file, value] of Object.entries(limits)) writeFileSync(join(path, file), String(value));
  return path;
}

function removeGroup(path: string): void {
  try {
    rmdirSync(path);
    rmdirSync(dirname(path));
  } catch {
    // Gone already, or others of this endpoint are in there still.
  }
}

const readNumber = (path: string): number | undefined => {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
};

/** Without what can be read from its file again. @param names of the counters of file pages in memory.stat */
function withoutFiles(used: number | undefined, stat: string, names: readonly string[]): number {
  if (used === undefined) return 0;
  const lines = readFileSync(stat, "utf8").split("\n");
  const counted = new Map(lines.map((line) => line.split(" ") as [string, string]));
  return Math.max(0, used - names.reduce((sum, name) => sum + Number(counted.get(name) ?? 0), 0));
}

function version1(endpoint: string): Cgroups {
  const accounting = existsSync(join(base, "cpuacct")) ? ["cpuacct"] : [];
  return {
    version: "cgroup1",
    make: (host, flavour) => [
      makeGroup(group("cpu", endpoint, host), { "cpu.cfs_period_us": period, "cpu.cfs_quota_us": quota(flavour) }),
      makeGroup(group("memory", endpoint, host), { "memory.limit_in_bytes": memory(flavour) }),
      ...accounting.map((controller) => makeGroup(group(controller, endpoint, host), {})),
    ],
    remove: (host) => ["cpu", "memory", ...accounting].forEach((controller) => removeGroup(group(controller, endpoint, host))),
    limits: (host) => {
      const quota = readNumber(join(group("cpu", endpoint, host), "cpu.cfs_quota_us"));
      const length = readNumber(join(group("cpu", endpoint, host), "cpu.cfs_period_us"));
      const bytes = readNumber(join(group("memory", endpoint, host), "memory.limit_in_bytes"));
      return {
        ...(quota === undefined || !length ? {} : { vcpu: quota < 0 ? null : places(quota / length) }),
        // Without a limit version 1 says the largest multiple of a page below 2^63.
        ...(bytes === undefined ? {} : { memoryMib: bytes > 2 ** 62 ? null : places(bytes / mebibyte) }),
      };
    },
    read: (host) => {
      const nanoseconds = readNumber(join(group("cpuacct", endpoint, host), "cpuacct.usage"));
      return {
        cpuSeconds: nanoseconds === undefined ? undefined : nanoseconds / 1e9,
        memoryBytes: readNumber(join(group("memory", endpoint, host), "memory.usage_in_bytes")),
      };
    },
    heldBytes: (host) => {
      const own = group("memory", endpoint, host);
      return withoutFiles(readNumber(join(own, "memory.usage_in_bytes")), join(own, "memory.stat"), ["total_active_file", "total_inactive_file"]);
    },
  };
}

function version2(endpoint: string): Cgroups {
  const path = (host: string) => group("", endpoint, host);
  return {
    version: "cgroup2",
    make: (host, flavour) => {
      for (const above of [base, dirname(dirname(path(host))), dirname(path(host))]) {
        mkdirSync(above, { recursive: true });
        writeFileSync(join(above, "cgroup.subtree_control"), "+cpu +memory");
      }
      return [makeGroup(path(host), { "cpu.max": `${quota(flavour)} ${period}`, "memory.max": memory(flavour) })];
    },
    remove: (host) => removeGroup(path(host)),
    limits: (host) => {
      const text = (file: string) => {
        try {
          return readFileSync(join(path(host), file), "utf8").trim();
        } catch {
          return undefined;
        }
      };
      const [cpu, bytes] = [text("cpu.max")?.split(" "), text("memory.max")];
      return {
        ...(cpu === undefined ? {} : { vcpu: cpu[0] === "max" ? null : places(Number(cpu[0]) / Number(cpu[1])) }),
        ...(bytes === undefined ? {} : { memoryMib: bytes === "max" ? null : places(Number(bytes) / mebibyte) }),
      };
    },
    read: (host) => {
      try {
        const microseconds = /usage_usec (\d+)/.exec(readFileSync(join(path(host), "cpu.stat"), "utf8"))?.[1];
        return { cpuSeconds: Number(microseconds) / 1e6, memoryBytes: readNumber(join(path(host), "memory.current")) };
      } catch {
        return {};
      }
    },
    heldBytes: (host) => withoutFiles(readNumber(join(path(host), "memory.current")), join(path(host), "memory.stat"), ["active_file", "inactive_file"]),
  };
}
