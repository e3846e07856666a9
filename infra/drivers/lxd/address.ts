/** How an LXD (or Incus) server is reached, as a pool's endpoint says it. */
import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";

/**
 * `unix:/var/lib/lxd/unix.socket?storage=default&backups=/srv/backups`, or
 * `https://10.0.0.1:8443?certificate=client.crt&key=client.key&server=server.crt&storage=…&backups=…`
 */
export interface Address {
  socketPath?: string;
  host?: string;
  port?: number;
  /** Client certificate, and the one certificate that the server must show. */
  tls?: Pick<ConnectionOptions, "cert" | "key" | "ca" | "checkServerIdentity">;
  /** The storage pool of hosts and volumes. */
  storage: string;
  /** A directory of this machine (a shared one, with several control planes) that recovery points are kept in: away from the cluster. */
  backups: string;
  /** A managed network that hosts get an interface on; without it they have loopback only. */
  network?: string;
  /** The group of a cluster's members that hosts are made on; without it all members. */
  group?: string;
}

/** @throws Error that says what of the endpoint is missing or cannot be read */
export function addressOf(endpoint: string): Address {
  if (!URL.canParse(endpoint))
    throw new Error(`An LXD endpoint is a URL such as unix:/var/lib/lxd/unix.socket?storage=default&backups=/srv/backups, not ${endpoint}.`);
  const url = new URL(endpoint);
  const value = (name: string) => url.searchParams.get(name) ?? undefined;
  const need = (name: string) => {
    const found = value(name);
    if (!found) throw new Error(`The LXD endpoint ${endpoint} names no ${name}.`);
    return found;
  };
  const network = value("network");
  const group = value("group");
  const common = { storage: need("storage"), backups: need("backups"), ...(network ? { network } : {}), ...(group ? { group } : {}) };
  if (url.protocol === "unix:") return { socketPath: decodeURIComponent(url.pathname), ...common };
  if (url.protocol !== "https:") throw new Error(`An LXD endpoint begins with unix: or https:, not ${url.protocol}`);
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(url.port || 8443),
    tls: {
      cert: readFileSync(need("certificate")),
      key: readFileSync(need("key")),
      // Pinned: this very certificate, whatever name stands in it.
      ca: readFileSync(need("server")),
      checkServerIdentity: () => undefined,
    },
    ...common,
  };
}
