/** The only table from a driver's name to the driver. */
import { resolve } from "node:path";
import type { Driver } from "./driver.ts";
import { EmbeddedDriver } from "./embedded/embedded.ts";
import { LxdDriver } from "./lxd/lxd.ts";

const drivers: Record<string, (endpoint: string) => Driver> = {
  embedded: (endpoint) => new EmbeddedDriver(resolve(endpoint)),
  lxd: (endpoint) => new LxdDriver(endpoint),
};

const loaded = new Map<string, Driver>();

/**
 * The driver of a name at an endpoint; one instance a process.
 * @throws Error that lists the known names
 */
export function loadDriver(name: string, endpoint: string): Driver {
  const make = drivers[name];
  if (!make) throw new Error(`There is no driver ${name}; there are: ${Object.keys(drivers).join(", ")}.`);
  const key = `${name} ${endpoint}`;
  const driver = loaded.get(key) ?? make(endpoint);
  loaded.set(key, driver);
  return driver;
}
