/** Which server it is, and what it can. */
import type { LxdClient } from "./client.ts";

interface Root {
  environment: {
    /** "lxd" or "incus": the one is the other's fork. */
    server: string;
    server_version: string;
    /** "lxc", or "lxc | qemu" */
    driver: string;
  };
}
interface Warning {
  type: string;
  last_message: string;
}

export interface Server {
  kind: "lxd" | "incus";
  version: string;
  /** Why it makes no virtual machines; undefined: it does. */
  whyNoVm?: string;
}

export async function readServer(client: LxdClient): Promise<Server> {
  const { metadata } = await client.get<Root>("/1.0");
  const server = serverOf(metadata, []);
  if (server.whyNoVm === undefined) return server;
  // The server notes at its start what keeps it from making them; not everybody may read that.
  const warnings = await client.find<Warning[]>("/1.0/warnings", { query: { recursion: "1" } }).catch(() => undefined);
  return serverOf(metadata, warnings?.metadata ?? []);
}

/** Pure. Never from device files of the machine: /dev/kvm may be there and not work. */
export function serverOf({ environment }: Root, warnings: readonly Warning[]): Server {
  const kind = environment.server === "incus" ? "incus" : "lxd";
  const vm = environment.driver.split(" | ").includes("qemu");
  const told = warnings.find((one) => one.type === "Instance type not operational")?.last_message;
  return { kind, version: environment.server_version, ...(vm ? {} : { whyNoVm: told ?? "it names no QEMU" }) };
}

/** A header of the server's own, by the name that each of the two knows it by. */
export const ownHeader = (name: string, value: string): Record<string, string> => ({ [`x-lxd-${name}`]: value, [`x-incus-${name}`]: value });
