/** What is said to the server of a host. Pure. */
import type { Flavour, HostSpec } from "../../spec.ts";
import type { Address } from "./address.ts";
import type { Instance, Kept } from "./instances.ts";
import { key, lxdName } from "./names.ts";
import type { Server } from "./server.ts";

type Devices = Instance["devices"];
type Place = Pick<Address, "storage" | "network">;

/** For its creation. A container's user ids are its own; a virtual machine's are not the server's at all. */
export function bodyOf(kept: Kept, spec: HostSpec, fingerprint: string, place: Place & Pick<Server, "kind">) {
  const vm = spec.type === "vm";
  return {
    name: lxdName(spec.name),
    type: vm ? "virtual-machine" : "container",
    source: { type: "image", fingerprint },
    profiles: [],
    config: settings(kept, spec, place.kind),
    devices: devicesOf(spec, place),
  };
}

/** What of a host is written into the instance's settings. */
export function settings(kept: Kept, spec: HostSpec, server: Server["kind"]): Record<string, string> {
  const vm = spec.type === "vm";
  return {
    ...(vm ? {} : { "security.idmap.isolated": "true" }),
    "limits.cpu": String(spec.flavour.vcpu),
    "limits.memory": `${spec.flavour.memoryMib}MiB`,
    // A virtual machine's memory is its own. Incus lets nobody change a container's swap in a restricted project.
    ...(vm || server === "incus" ? {} : { "limits.memory.swap": "false" }),
    // JSON is YAML: names and keys of people never become other settings.
    "cloud-init.vendor-data": `#cloud-config\n${JSON.stringify({ hostname: spec.hostname, ssh_authorized_keys: spec.sshKeys })}`,
    ...(spec.userData === undefined ? {} : { "cloud-init.user-data": spec.userData }),
    [key("host")]: JSON.stringify(kept),
    [key("hostname")]: spec.hostname,
    [key("keys")]: spec.sshKeys.join("\n"),
  };
}

/** Without the volumes that are attached to it. */
export function devicesOf(spec: HostSpec, { storage, network }: Place): Devices {
  const { flavour } = spec;
  const [address] = spec.addresses;
  return {
    root: { type: "disk", pool: storage, path: "/", size: `${flavour.diskGib}GiB`, ...diskLimits(flavour) },
    ...(network ? { eth0: { ...nicOf(network, address), ...nicLimits(flavour) } } : {}),
  };
}

/** An interface from which nobody speaks with another one's hardware address, or, where it has an address of its own, with another one's. */
function nicOf(network: string, address: string | undefined): Record<string, string> {
  const family = address?.includes(":") ? "ipv6" : "ipv4";
  const fixed = address === undefined ? {} : { [`${family}.address`]: address, [`security.${family}_filtering`]: "true" };
  return { type: "nic", network, "security.mac_filtering": "true", ...fixed };
}

const diskSettings = ["limits.read", "limits.write"];
/** Each of a host's disks has them: the server's storage may be one device of the machine or several. */
export function diskLimits({ diskMibPerSecond: most }: Flavour): Record<string, string> {
  return most === undefined ? {} : Object.fromEntries(diskSettings.map((name) => [name, `${most}MiB`]));
}
function nicLimits({ networkMbps: most }: Flavour): Record<string, string> {
  return most === undefined ? {} : { "limits.ingress": `${most}Mbit`, "limits.egress": `${most}Mbit` };
}

/** Attached volumes follow the host's limits, and lose them with it. */
export function limited(devices: Devices, flavour: Flavour): Devices {
  const others = (device: Record<string, string>) => Object.fromEntries(Object.entries(device).filter(([name]) => !diskSettings.includes(name)));
  return Object.fromEntries(
    Object.entries(devices).map(([name, device]) => [name, device["type"] === "disk" ? { ...others(device), ...diskLimits(flavour) } : device]),
  );
}

export function withoutSecrets({ userData: _secret, ...spec }: HostSpec): Omit<HostSpec, "userData"> {
  return spec;
}
