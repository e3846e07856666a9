import { type Approval, specDigest } from "../approval.ts";
import { DriverError, type Call, type Driver } from "../drivers/driver.ts";
import { parseUrn } from "../naming.ts";
import type { Allowance, PoolEndpoint, SpecKind } from "../spec.ts";
import type { Watchdog } from "../watchdog.ts";
import { readListing, type Listing } from "./listing.ts";

/** What one running operation lends to the provider. Never an input of a resource: a fence would be a change each time. */
export interface ScopeOptions {
  project: string;
  stack: string;
  /** The department: the driver's scope. */
  department: string;
  fence: number;
  allowance?: Allowance;
  pools: readonly PoolEndpoint[];
  /** What may be created, changed and deleted; undefined: everything. */
  approved?: readonly Approval[] | undefined;
  /** What is brought back to what is wanted though its state knows no difference. */
  putBack?: readonly { name: string; anew: boolean }[] | undefined;
  /** Names of what may restart a host when it is changed: that was agreed to. */
  restarts?: readonly string[] | undefined;
  signal: AbortSignal;
  /** Is told of the calls. */
  watchdog?: Watchdog;
}

/** Finds a driver by its name and endpoint. */
export type LoadDriver = (pool: PoolEndpoint) => Promise<Driver>;

/** What all calls of one operation have in common. */
interface Common {
  readonly pools: ReadonlyMap<string, PoolEndpoint>;
  readonly approved: ReadonlyMap<string, Approval> | undefined;
  readonly putBack: ReadonlyMap<string, "update" | "anew">;
  readonly restarts: ReadonlySet<string>;
  readonly load: LoadDriver;
  readonly listings: Map<Driver, Listing>;
  readonly watchdog: Watchdog | undefined;
  readonly callMs: number;
}

/** One operation's view of the drivers. */
export class Scope {
  readonly call: Call;
  readonly #common: Common;

  private constructor(call: Call, common: Common) {
    this.call = call;
    this.#common = common;
  }

  static open(options: ScopeOptions, load: LoadDriver, callMs: number): Scope {
    const { department, fence, signal, allowance } = options;
    const call: Call = { scope: department, fence, signal, ...(allowance ? { allowance } : {}) };
    return new Scope(call, {
      pools: new Map(options.pools.map((pool) => [pool.pool, pool])),
      approved: options.approved && new Map(options.approved.map((one) => [one.name, one])),
      putBack: new Map((options.putBack ?? []).map((one) => [one.name, one.anew ? "anew" : "update"])),
      restarts: new Set(options.restarts),
      load,
      listings: new Map(),
      watchdog: options.watchdog,
      callMs,
    });
  }

  /**
   * Runs one call of the provider. A driver that doesn't answer in time is told so by its signal and is not waited for: that one resource fails,
   * and what the driver made of it all the same is found by its name later.
   * @throws DriverError no-answer
   */
  async during<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
    const { callMs, watchdog } = this.#common;
    const late = Promise.withResolvers<never>();
    const abort = new AbortController();
    const timer = setTimeout(() => {
      const error = new DriverError("no-answer", `the driver has not answered within ${callMs / 1000} s`);
      late.reject(error);
      abort.abort(error);
    }, callMs);
    const signal = this.call.signal ? AbortSignal.any([this.call.signal, abort.signal]) : abort.signal;
    const answer = () => Promise.race([work(new Scope({ ...this.call, signal }, this.#common)), late.promise]);
    try {
      return await (watchdog ? watchdog.during(answer) : answer());
    } finally {
      clearTimeout(timer);
    }
  }

  /** @throws DriverError not-approved for a specification that nobody approved */
  requireApproved(kind: SpecKind, inputs: { name: string }): void {
    if (this.#common.approved === undefined || this.#common.approved.get(inputs.name)?.digest === specDigest(kind, inputs)) return;
    throw new DriverError("not-approved", `${inputs.name} is not as it was approved: nothing was done`);
  }

  /** @throws DriverError not-approved */
  requireRemovable(name: string): void {
    if (this.#common.approved === undefined || this.#common.approved.get(name)?.remove) return;
    throw new DriverError("not-approved", `the deletion of ${name} was not approved: nothing was done`);
  }

  /** Whether the end of a thing was asked for: else what was there before us is let go of. */
  ends(name: string): boolean {
    return this.#common.approved?.get(name)?.end === true;
  }

  /** Whether a thing is put back by decision: changed in place, or made anew since it is gone. */
  putsBack(name: string): "update" | "anew" | undefined {
    return this.#common.putBack.get(name);
  }

  /** What an update of a thing is called with. */
  updating(name: string): Call {
    return { ...this.call, ...(this.putsBack(name) ? { exact: true } : {}), ...(this.#common.restarts.has(name) ? { restart: true } : {}) };
  }

  /** @throws DriverError unknown-pool */
  driver(pool: string): Promise<Driver> {
    const endpoint = this.#common.pools.get(pool);
    if (!endpoint)
      throw new DriverError(
        "unknown-pool",
        `pool: no resource pool ${pool || "(none)"} is known here; it may have been removed, or the resource refers to something outside its department`,
      );
    return this.#common.load(endpoint);
  }

  /** One bulk reading of a pool's driver, made at the first read of the operation. */
  async listing(pool: string): Promise<Listing> {
    const driver = await this.driver(pool);
    let listing = this.#common.listings.get(driver);
    if (!listing) this.#common.listings.set(driver, (listing = readListing(driver, this.call.scope)));
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
  readonly #callMs: number;

  /** @param callMs how long a driver may take for one call */
  constructor(load: LoadDriver, callMs = 900_000) {
    this.#load = once(load);
    this.#callMs = callMs;
  }

  /** Lets the provider act for a stack until the returned function is called. */
  open(options: ScopeOptions): () => void {
    const key = `${options.project}/${options.stack}`;
    if (this.#open.has(key)) throw new Error(`an operation on ${key} is already running here`);
    this.#open.set(key, Scope.open(options, this.#load, this.#callMs));
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
