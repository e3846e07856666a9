import { type Approval, specDigest } from "../approval.ts";
import { DriverError, type Call, type Driver } from "../drivers/driver.ts";
import { parseUrn } from "../naming.ts";
import type { PoolEndpoint, SpecKind } from "../spec.ts";
import { readListing, type Listing } from "./listing.ts";

/** What one running operation lends to the provider. Never an input of a resource: a fence would be a change each time. */
export interface ScopeOptions {
  project: string;
  stack: string;
  /** The department: the driver's scope. */
  department: string;
  fence: number;
  pools: readonly PoolEndpoint[];
  /** What may be created, changed and deleted; undefined: everything. */
  approved?: readonly Approval[] | undefined;
  signal: AbortSignal;
}

/** Finds a driver by its name and endpoint. */
export type LoadDriver = (pool: PoolEndpoint) => Promise<Driver>;

/** One operation's view of the drivers. */
export class Scope {
  readonly call: Call;
  readonly #pools: Map<string, PoolEndpoint>;
  readonly #approved: ReadonlyMap<string, Approval> | undefined;
  readonly #load: LoadDriver;
  readonly #listings = new Map<Driver, Promise<Listing>>();

  constructor(options: ScopeOptions, load: LoadDriver) {
    this.call = { scope: options.department, fence: options.fence, signal: options.signal };
    this.#pools = new Map(options.pools.map((pool) => [pool.pool, pool]));
    this.#approved = options.approved && new Map(options.approved.map((one) => [one.name, one]));
    this.#load = load;
  }

  /** @throws DriverError not-approved for a specification that nobody approved */
  requireApproved(kind: SpecKind, inputs: { name: string }): void {
    if (this.#approved === undefined || this.#approved.get(inputs.name)?.digest === specDigest(kind, inputs)) return;
    throw new DriverError("not-approved", `${inputs.name} is not as it was approved: nothing was done`);
  }

  /** @throws DriverError not-approved */
  requireRemovable(name: string): void {
    if (this.#approved === undefined || this.#approved.get(name)?.remove) return;
    throw new DriverError("not-approved", `the deletion of ${name} was not approved: nothing was done`);
  }

  /** @throws DriverError unknown-pool */
  driver(pool: string): Promise<Driver> {
    const endpoint = this.#pools.get(pool);
    if (!endpoint)
      throw new DriverError(
        "unknown-pool",
        `pool: no resource pool ${pool || "(none)"} is known here; it may have been removed, or the resource refers to something outside its department`,
      );
    return this.#load(endpoint);
  }

  /** One bulk reading of a pool's driver, made at the first read of the operation. */
  async listing(pool: string): Promise<Listing> {
    const driver = await this.driver(pool);
    let listing = this.#listings.get(driver);
    if (!listing) this.#listings.set(driver, (listing = readListing(driver, this.call.scope)));
    return listing;
  }
}

/** Several pools may have one driver: loaded once, however many ask at the same time. A failed load is tried again. */
function once(load: LoadDriver): LoadDriver {
  const drivers = new Map<string, Promise<Driver>>();
  return (pool) => {
    const key = JSON.stringify([pool.driver, pool.endpoint]);
    let driver = drivers.get(key);
    if (!driver) {
      drivers.set(key, (driver = load(pool)));
      driver.catch(() => drivers.delete(key));
    }
    return driver;
  };
}

/** The operations that run now, by stack: how one provider serves many engines. */
export class Scopes {
  readonly #open = new Map<string, Scope>();
  readonly #load: LoadDriver;

  constructor(load: LoadDriver) {
    this.#load = once(load);
  }

  /** Lets the provider act for a stack until the returned function is called. */
  open(options: ScopeOptions): () => void {
    const key = `${options.project}/${options.stack}`;
    if (this.#open.has(key)) throw new Error(`an operation on ${key} is already running here`);
    this.#open.set(key, new Scope(options, this.#load));
    return () => void this.#open.delete(key);
  }

  /** @throws DriverError no-operation, for an engine that nobody here started */
  of(urn: string): Scope {
    const address = parseUrn(urn);
    const scope = address && this.#open.get(`${address.project}/${address.stack}`);
    if (!scope) throw new DriverError("no-operation", `no operation is running for ${urn}`);
    return scope;
  }
}
