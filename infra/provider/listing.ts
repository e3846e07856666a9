import type { Actual, Driver, HostReading, PoolReading } from "../drivers/driver.ts";

/** What a driver has, from two bulk calls: answers any number of reads. */
export interface Listing {
  /** This very generation as it really is; undefined: it is gone. */
  actual(id: string): Actual | undefined;
  host(id: string): HostReading | undefined;
}

function byId<T extends { id: string }>(list: T[]): Map<string, T> {
  return new Map(list.map((item) => [item.id, item]));
}

/** Reads a driver once for a whole refresh. All of it: what is just passing from another department is there under that one's name. */
export async function readListing(driver: Driver): Promise<Listing> {
  // Nobody asks what they use.
  const [things, reading] = await Promise.all([driver.actual(), driver.observe({ at: 0, hosts: [], volumes: [], backups: [] })]);
  const { hosts }: PoolReading = reading;
  const [all, hostsById] = [byId(things), byId(hosts)];
  return { actual: (id) => all.get(id), host: (id) => hostsById.get(id) };
}

/** Inputs as a reading says them: objects go together property by property, and what is null there (no limit) is not there. */
export function overlaid(inputs: Readonly<Record<string, unknown>>, seen: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const isObject = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === "object" && !Array.isArray(value);
  const merged = Object.entries(seen).map(([key, value]) => {
    const before = inputs[key];
    return [key, isObject(value) && isObject(before) ? overlaid(before, value) : value] as const;
  });
  return Object.fromEntries(Object.entries({ ...inputs, ...Object.fromEntries(merged) }).filter(([, value]) => value !== null));
}
