/** What instances and volumes really are, in the words of their specifications, and what is set on them that nobody of ours asked for. */
import type { HostSpec } from "../../spec.ts";
import type { Actual, HostState } from "../driver.ts";
import { attachmentsOf, type Instance, keptOf } from "./instances.ts";
import { key, lxdName, nameOfLxd } from "./names.ts";

type Settings = Readonly<Record<string, string>>;
type Devices = Readonly<Record<string, Settings>>;

/** What we would set on it, as its specification stands now. */
export interface Ours {
  config: Settings;
  devices: Devices;
}

const mebibyte = 1024 ** 2;
const gibibyte = 1024 ** 3;
const units: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: mebibyte,
  GiB: gibibyte,
  TiB: 1024 * gibibyte,
};

/** A size as LXD takes it, in bytes; undefined: none of these (a share of the machine). */
export function bytesOf(text: string): number | undefined {
  const [, number, unit = ""] = /^(\d+)\s*([A-Za-z]*)$/.exec(text.trim()) ?? [];
  const factor = units[unit];
  return number === undefined || factor === undefined ? undefined : Number(number) * factor;
}

/** Threads that `limits.cpu` gives: a number, or a list of threads (`0-3,8`). */
export function threadsOf(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  const parts = text.split(",").map((part) => /^(\d+)(?:-(\d+))?$/.exec(part.trim()));
  if (parts.some((part) => !part)) return undefined;
  return parts.reduce((sum, part) => sum + Number(part![2] ?? part![1]) - Number(part![1]) + 1, 0);
}

/** To two places, so that a size in other units is shown as people can read it. */
const rounded = (value: number | undefined) => (value === undefined ? null : Math.round(value * 100) / 100);

export const rootOf = (instance: Pick<Instance, "devices" | "expanded_devices">): [string, Settings] | undefined =>
  Object.entries(instance.expanded_devices ?? instance.devices).find(([, device]) => device["type"] === "disk" && device["path"] === "/");

/** vCPU, MiB and GiB as they are set; null: no limit. */
export function sizesOf(instance: Pick<Instance, "config" | "devices" | "expanded_config" | "expanded_devices">) {
  const config = instance.expanded_config ?? instance.config;
  const [cpu, memory, size] = [config["limits.cpu"], config["limits.memory"], rootOf(instance)?.[1]["size"]];
  const memoryBytes = memory === undefined ? undefined : bytesOf(memory);
  const diskBytes = size === undefined ? undefined : bytesOf(size);
  return {
    vcpu: cpu === undefined || cpu === "" ? null : (threadsOf(cpu) ?? null),
    memoryMib: rounded(memoryBytes === undefined ? undefined : memoryBytes / mebibyte),
    diskGib: rounded(diskBytes === undefined ? undefined : diskBytes / gibibyte),
  };
}

/** Settings that a property of the specification tells. */
const told = new Set(["limits.cpu", "limits.memory", "cloud-init.user-data"]);
const ownKey = key("");
/** What the server writes itself, or what only describes. */
const isServers = (name: string) => name.startsWith("volatile.") || name.startsWith("image.");

/** A setting as people read it: neither long texts nor secrets. */
const short = (value: string | undefined) =>
  value === undefined ? "nothing" : value.length > 60 || /user-data|vendor-data/.test(value) ? "other text" : value;
const valueOf = (name: string, value: string | undefined) => (name.startsWith("cloud-init.") && value !== undefined ? "other text" : short(value));

/** What is set otherwise than we would set it, and no property of the specification tells. @param whole: what isn't ours counts too */
function strangeOf(instance: Instance, ours: Ours, whole: boolean): string[] {
  const [config, devices] = [instance.expanded_config ?? instance.config, instance.expanded_devices ?? instance.devices];
  const names = new Set([...Object.keys(ours.config), ...(whole ? Object.keys(config) : [])]);
  const settings = [...names]
    .filter((name) => !told.has(name) && !isServers(name) && !name.startsWith(ownKey) && config[name] !== ours.config[name])
    .map((name) => `${name} = ${valueOf(name, config[name])}${name in ours.config ? `, not ${valueOf(name, ours.config[name])}` : ""}`);
  const attached = new Set(attachmentsOf(instance).map(({ spec }) => lxdName(spec.name)));
  const pieces = new Set([...Object.keys(ours.devices), ...(whole ? Object.keys(devices) : [])]);
  const changed = [...pieces].flatMap((name) => {
    if (attached.has(name)) return [];
    const [is, should] = [devices[name], ours.devices[name]];
    if (!is) return [`device ${name} is gone`];
    if (!should) return [`device ${name} (${is["type"]}${is["path"] ? ` at ${is["path"]}` : is["network"] ? ` on ${is["network"]}` : ""})`];
    const sized = should["path"] === "/" && is["path"] === "/";
    return [...new Set([...Object.keys(is), ...Object.keys(should)])]
      .filter((property) => !(sized && property === "size") && is[property] !== should[property])
      .map((property) => `device ${name} ${property} = ${short(is[property])}${property in should ? `, not ${short(should[property])}` : ""}`);
  });
  return [...settings, ...changed].toSorted();
}

/** A host and what is attached to it. @param ours what we would set */
export function actualOf(instance: Instance, ours: Ours, state: HostState): Actual[] {
  const { id, spec } = keptOf(instance)!;
  const config = instance.expanded_config ?? instance.config;
  const keys = config[key("keys")];
  const real: Partial<Record<keyof HostSpec, unknown>> = {
    ...spec,
    flavour: { ...spec.flavour, ...sizesOf(instance) },
    ...(keys === undefined ? {} : { sshKeys: keys.split("\n").filter(Boolean) }),
    ...(config[key("hostname")] === undefined ? {} : { hostname: config[key("hostname")] }),
  };
  // It may be moved: where it was made says nothing of what it is.
  delete real.member;
  const devices = instance.expanded_devices ?? instance.devices;
  const attachments = attachmentsOf(instance).flatMap((stored): Actual[] => {
    const device = devices[lxdName(stored.spec.name)];
    if (!device) return [];
    const shown = nameOfLxd((device["source"] ?? "").replace(/-r\d+$/, ""));
    return [
      {
        kind: "attachment",
        id: stored.id,
        name: stored.spec.name,
        spec: { ...stored.spec, path: device["path"] ?? "", volume: shown },
        strange: device["readonly"] === "true" ? ["readonly = true"] : [],
      },
    ];
  });
  return [{ kind: "host", id, name: spec.name, spec: real, strange: strangeOf(instance, ours, spec.adopted === undefined), state }, ...attachments];
}
