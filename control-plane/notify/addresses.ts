/**
 * Where a webhook may go. A control plane stands inside the network and asks in its own name: its own services, and what clouds
 * answer on link-local addresses, are refused unless the configuration names them. Private networks are where receivers are.
 */
import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { networkInterfaces } from "node:os";
import { inNetworks } from "../domain/client-address.ts";

/** An address that a webhook may not go to. */
export class AddressRefused extends Error {
  override readonly name = "AddressRefused";
  constructor(address: string) {
    super(`${address} is an address of this machine, or link-local, or a group's: it must be named in ZHENGYUN_WEBHOOK_ALLOW.`);
  }
}

/** This machine, link-local (cloud metadata too), groups; translated and tunnelled addresses, behind which any of them may be. */
const never = inNetworks([
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/3",
  "100.100.100.200",
  "::",
  "::1",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
  "fd00:ec2::254",
  "64:ff9b::/96",
  "64:ff9b:1::/48",
  "2002::/16",
  "2001::/32",
]);

export type Allows = (address: string) => boolean;

/** @param networks addresses and networks that are allowed all the same */
export function allowedAddresses(networks: readonly string[]): Allows {
  const named = inNetworks(networks);
  return (address) => {
    if (isIP(address) === 0) return false;
    return named(address) || !(never(address) || isOwn(address));
  };
}

/** Asked each time: interfaces come and go. */
function isOwn(address: string): boolean {
  const own = new BlockList();
  for (const one of Object.values(networkInterfaces()).flat()) if (one) own.addAddress(one.address.split("%")[0]!, one.family === "IPv6" ? "ipv6" : "ipv4");
  return own.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/**
 * For `http.request`: what a name stands for at the moment of the connection is what is looked at and connected to, so that a name that
 * changes its address between the two gains nothing.
 */
export function guardedLookup(allows: Allows, resolve: typeof lookup = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, "", 0);
      const refused = addresses.find(({ address }) => !allows(address));
      if (refused) return callback(new AddressRefused(refused.address), "", 0);
      if (options.all) return callback(null, addresses);
      const first = addresses[0];
      if (!first) return callback(new Error(`${hostname} has no address`), "", 0);
      callback(null, first.address, first.family);
    });
  };
}

/** `lookup` is not asked about what is an address already. @throws AddressRefused */
export function requireAllowed(url: URL, allows: Allows): void {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) !== 0 && !allows(host)) throw new AddressRefused(host);
}
