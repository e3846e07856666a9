import type { Driver, HostReading, PoolReading, VolumeReading } from "../drivers/driver.ts";

/** What a driver has, from two bulk calls: answers any number of reads. */
export interface Listing {
  /** Whether this very generation is there. */
  has(id: string): boolean;
  host(id: string): HostReading | undefined;
  volume(id: string): VolumeReading | undefined;
}

function byId<T extends { id: string }>(list: T[]): Map<string, T> {
  return new Map(list.map((item) => [item.id, item]));
}

/** Reads a driver once for a whole refresh. All of it: what is just passing from another department is there under that one's name. */
export async function readListing(driver: Driver): Promise<Listing> {
  const [things, reading] = await Promise.all([driver.list(), driver.observe()]);
  const ids = new Set(things.map((thing) => thing.id));
  const { hosts, volumes }: PoolReading = reading;
  const hostsById = byId(hosts);
  const volumesById = byId(volumes);
  return {
    has: (id) => ids.has(id),
    host: (id) => hostsById.get(id),
    volume: (id) => volumesById.get(id),
  };
}
