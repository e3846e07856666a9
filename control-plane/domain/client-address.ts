/** Where a call came from, also through reverse proxies: their word counts only where they are named in the configuration. */
import { BlockList, isIP } from "node:net";

const family = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4");
/** An IPv4 address that came in on an IPv6 socket is the same address. */
const plain = (address: string) => address.trim().replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");

export type TrustsProxy = (address: string) => boolean;

/** @param networks addresses and CIDR networks of reverse proxies @throws RangeError for one that is neither, naming it */
export const trustedProxies = (networks: readonly string[]): TrustsProxy => inNetworks(networks);

/**
 * @param networks addresses and CIDR networks
 * @throws RangeError for one that is neither, naming it
 */
export function inNetworks(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits, ...rest] = network.split("/");
    const most = isIP(address) === 6 ? 128 : 32;
    const wrong = isIP(address) === 0 || rest.length > 0 || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most));
    if (wrong) throw new RangeError(`"${network}" is no address and no network such as 10.0.0.0/8`);
    if (bits === undefined) list.addAddress(address, family(address));
    else list.addSubnet(address, Number(bits), family(address));
  }
  return (address) => isIP(plain(address)) !== 0 && list.check(plain(address), family(plain(address)));
}

/**
 * The nearest address that is no trusted proxy's: X-Forwarded-For is read from its end, for anybody can write its beginning.
 * @param remote the other end of the connection
 * @param forwarded the X-Forwarded-For header
 */
export function clientAddress(remote: string, forwarded: string | undefined, trusts: TrustsProxy): string {
  let address = plain(remote);
  for (const hop of (forwarded ?? "").split(",").toReversed()) {
    if (!trusts(address)) break;
    const next = plain(hop.replace(/^\s*\[(.*)\](:\d+)?\s*$/, "$1").replace(/^(\s*\d+\.\d+\.\d+\.\d+):\d+\s*$/, "$1"));
    // What is no address was made up by nobody we trust: the proxy's own is the last that is known.
    if (isIP(next) === 0) break;
    address = next;
  }
  return address;
}
