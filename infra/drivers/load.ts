/** The only table from a driver's name to the driver. */
import { resolve } from "node:path";
import { type Circuit, type Guarded, withCircuit } from "./circuit.ts";
import type { Driver } from "./driver.ts";
import { EmbeddedDriver } from "./embedded/embedded.ts";
import { LxdDriver } from "./lxd/lxd.ts";

/** What is on this very machine answers as long as we run. */
const alwaysThere = (driver: Driver): Guarded => ({ driver, circuit: () => ({ state: "closed", since: null, error: null }) });
/** Without what stands behind the question mark: names of files. */
const told = (endpoint: string) => endpoint.split("?")[0]!;

const drivers: Record<string, (endpoint: string) => Guarded> = {
  embedded: (endpoint) => alwaysThere(new EmbeddedDriver(resolve(endpoint))),
  lxd: (endpoint) => withCircuit(`LXD at ${told(endpoint)}`, new LxdDriver(endpoint)),
};

const loaded = new Map<string, Guarded>();

/**
 * The driver of a name at an endpoint; one instance a process.
 * @throws Error that lists the known names
 */
export function loadDriver(name: string, endpoint: string): Driver {
  return load(name, endpoint).driver;
}

/** Whether an endpoint is asked now. Each process finds out by itself. @throws Error as loadDriver */
export function circuitOf(name: string, endpoint: string): Circuit {
  return load(name, endpoint).circuit();
}

function load(name: string, endpoint: string): Guarded {
  const make = drivers[name];
  if (!make) throw new Error(`There is no driver ${name}; there are: ${Object.keys(drivers).join(", ")}.`);
  const key = `${name} ${endpoint}`;
  const driver = loaded.get(key) ?? make(endpoint);
  loaded.set(key, driver);
  return driver;
}
