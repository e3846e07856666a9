/** What of a running instance the server doesn't change. */
import type { HostSpec } from "../../spec.ts";
import type { RestartNeed } from "../driver.ts";
import { sizesOf } from "./actual.ts";
import type { LxdClient } from "./client.ts";
import type { Instance } from "./instances.ts";

const mebibyte = 1_048_576;
/** Most of `/1.0/metrics` that is read: some KiB an instance. */
const metricsBytes = 64 * mebibyte;

/** @param instance as it is there, running or not */
export async function restartNeed(client: LxdClient, instance: Instance & { type?: string }, spec: HostSpec): Promise<RestartNeed | undefined> {
  if (instance.status !== "Running" || spec.power === "stopped") return undefined;
  const before = sizesOf(instance);
  const { flavour, hostname, name } = spec;
  const why = instance.type === "virtual-machine" ? vmReason(before, flavour, await hotPlugs(client)) : await memoryReason(client, instance, before, flavour);
  return why === undefined ? undefined : { host: name, why: `${hostname} ${why}` };
}

type Sizes = ReturnType<typeof sizesOf>;

/** Pure. A virtual machine gives memory back while it runs, and takes no more than it was started with. @param hotPlug whether the server plugs CPUs in and out */
export function vmReason(before: Sizes, after: HostSpec["flavour"], hotPlug: boolean): string | undefined {
  const changes = [
    ...(before.vcpu !== after.vcpu && !hotPlug ? [`its CPUs (${before.vcpu ?? "all"} → ${after.vcpu})`] : []),
    ...((before.memoryMib ?? 0) < after.memoryMib ? [`its memory (${before.memoryMib ?? "all"} → ${after.memoryMib} MiB)`] : []),
    ...((before.diskGib ?? 0) < after.diskGib ? [`its disk (${before.diskGib ?? "all"} → ${after.diskGib} GiB)`] : []),
  ];
  return changes.length === 0 ? undefined : `is a virtual machine: ${changes.join(", ")} only with a restart.`;
}

async function hotPlugs(client: LxdClient): Promise<boolean> {
  return (await client.get<{ api_extensions: string[] }>("/1.0")).metadata.api_extensions.includes("cpu_hotplug");
}

/** The kernel takes no memory from processes that hold it. Asked for only where the limit goes down: metrics cost the server two processes a host. */
async function memoryReason(client: LxdClient, instance: Instance, before: Sizes, { memoryMib }: HostSpec["flavour"]): Promise<string | undefined> {
  if (before.memoryMib !== null && before.memoryMib <= memoryMib) return undefined;
  const metrics = await client.endOf("/1.0/metrics", metricsBytes, { query: { project: instance.project } });
  const heldMib = Math.ceil(heldBytes(metrics, instance) / mebibyte);
  return heldMib <= memoryMib ? undefined : `holds ${heldMib} MiB of memory: its limit becomes ${memoryMib} MiB only with a restart.`;
}

/** Pure. What an instance uses without the pages of files, from the server's metrics; 0: it is not in them. */
export function heldBytes(metrics: string, { name, project }: Pick<Instance, "name" | "project">): number {
  const counted = new Map<string, number>();
  for (const line of metrics.split("\n")) {
    const [, what, labels, value] = /^(?:lxd|incus)_memory_(\w+)_bytes\{(.*)\} (\S+)$/.exec(line) ?? [];
    if (what && labels?.includes(`name="${name}"`) && labels.includes(`project="${project}"`)) counted.set(what, Number(value));
  }
  const of = (what: string) => counted.get(what) ?? 0;
  return Math.max(0, of("MemTotal") - of("MemFree") - of("Active_file") - of("Inactive_file"));
}
