/** Reads every endpoint in bulk every few seconds; transitions are stored, the newest reading is kept for the metrics. */
import type { Logger } from "pino";
import type { Driver, HostReading, PoolReading, VolumeReading } from "../../infra/drivers/driver.ts";
import { type UsageReading, usageRestMs } from "../domain/observing.ts";
import { systemAct } from "../store/act.ts";
import type { Db } from "../store/database.ts";
import { notifyEvents } from "../store/events.ts";
import { hasLosses, recordLosses } from "../store/losses.ts";
import { membersMoved, recordMembers } from "../store/members.ts";
import { recordAbilities } from "../store/pools.ts";
import { lockReadings, recordTransitions, transitionsOf } from "../store/readings.ts";

export interface ObserverOptions {
  db: Db;
  log: Logger;
  now: () => Date;
  driver(name: string, endpoint: string): Driver;
  everyMs: number;
  /** Whether what is seen is written down; of several control planes one does. Default: always. */
  leads?: () => boolean;
  /** A slow endpoint is unknown after this long, and holds up no other. */
  timeoutMs?: number;
}

interface Endpoint {
  key: string;
  driver: string;
  endpoint: string;
  pools: string[];
}

/** What an endpoint can changes with its software only. */
const capabilitiesEveryMs = 600_000;
const runningIn = (reading: PoolReading | undefined) => reading?.hosts.filter((one) => one.state === "running").length ?? 0;
const keyOf = (driver: string, endpoint: string) => `${driver} ${endpoint}`;

export class Observer {
  readonly #options: ObserverOptions;
  readonly #readings = new Map<string, PoolReading>();
  /** When what things use was read last, by endpoint, in the time of performance.now(). */
  readonly #usage = new Map<string, UsageReading & { until: number }>();
  readonly #running = new Map<string, Promise<void>>();
  /** When each endpoint was asked last what it can. */
  readonly #asked = new Map<string, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  /** The newest reading of each endpoint that could be read. */
  get readings(): readonly PoolReading[] {
    return [...this.#readings.values()];
  }
  /** The newest reading of an endpoint; undefined when it could not be read. */
  of(driver: string, endpoint: string): PoolReading | undefined {
    return this.#readings.get(keyOf(driver, endpoint));
  }
  hosts(): Map<string, HostReading> {
    return new Map(this.readings.flatMap((reading) => reading.hosts.map((host) => [host.name, host])));
  }
  volumes(): Map<string, VolumeReading> {
    return new Map(this.readings.flatMap((reading) => reading.volumes.map((volume) => [volume.name, volume])));
  }

  start(): void {
    const round = async () => {
      await this.observe().catch((error: unknown) => this.#options.log.error({ error }, "a round of observation failed"));
      if (!this.#stopped) this.#timer = setTimeout(() => void round(), this.#options.everyMs);
    };
    void round();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await Promise.allSettled(this.#running.values());
  }

  /** Reads the endpoints of these pools (all: undefined) now. A reading that is under way doesn't count: it may have begun before what is asked for. */
  async observe(poolIds?: readonly string[]): Promise<void> {
    const rows = await this.#options.db.selectFrom("pools").select(["id", "driver", "endpoint"]).execute();
    const endpoints = new Map<string, Endpoint>();
    for (const { id, driver, endpoint } of rows) {
      const key = keyOf(driver, endpoint);
      const one = endpoints.get(key) ?? { key, driver, endpoint, pools: [] };
      one.pools.push(id);
      endpoints.set(key, one);
    }
    for (const key of this.#readings.keys()) if (!endpoints.has(key)) this.#readings.delete(key);
    const asked = [...endpoints.values()].filter((one) => poolIds === undefined || one.pools.some((pool) => poolIds.includes(pool)));
    await Promise.all(asked.map((one) => this.#inTurn(one, poolIds !== undefined)));
  }

  /** One reading of an endpoint after the other, so that an old one never overwrites a newer. */
  async #inTurn(endpoint: Endpoint, asked: boolean): Promise<void> {
    const before = this.#running.get(endpoint.key);
    const turn = (async () => {
      await before?.catch(() => undefined);
      await this.#read(endpoint, asked);
    })();
    this.#running.set(endpoint.key, turn);
    try {
      await turn;
    } finally {
      if (this.#running.get(endpoint.key) === turn) this.#running.delete(endpoint.key);
    }
  }

  #usageRests(key: string, now: number): boolean {
    const last = this.#usage.get(key);
    return last !== undefined && now < last.until + usageRestMs(last, runningIn(this.#readings.get(key)));
  }

  /** @param asked for by a job, which waits for states only, and for their being written down in any case */
  async #read({ key, driver, endpoint, pools }: Endpoint, asked: boolean): Promise<void> {
    const { db, log, now, timeoutMs = 20_000 } = this.#options;
    let reading: PoolReading | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const began = performance.now();
    const before = asked || this.#usageRests(key, began) ? this.#readings.get(key) : undefined;
    try {
      const late = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new Error(`no reading within ${timeoutMs} ms`)), timeoutMs)));
      reading = await Promise.race([this.#options.driver(driver, endpoint).observe(before), late]);
      const until = performance.now();
      if (!before) this.#usage.set(key, { until, tookMs: until - began, running: runningIn(reading) });
      this.#readings.set(key, reading);
    } catch (error) {
      this.#readings.delete(key);
      log.warn({ driver, pools, error: String(error) }, "an endpoint could not be read");
    } finally {
      clearTimeout(timer);
    }
    const seen = reading
      ? [
          ...reading.hosts.map((one) => ({ name: one.name, state: one.state, physicalId: one.id, member: one.member })),
          ...reading.volumes.map((one) => ({ name: one.name, state: "present", physicalId: one.id, member: one.member })),
          ...(reading.unreachable ?? []).map((name) => ({ name, state: "unknown", unreachable: true })),
        ]
      : "unreadable";
    if (!asked && !(this.#options.leads?.() ?? true)) return;
    const members = reading?.members ?? [];
    if (await hasLosses(db, { driver, endpoint }, members))
      await db.transaction().execute(async (tx) => {
        await lockReadings(tx);
        await recordLosses(tx, systemAct(now()), { driver, endpoint }, members);
      });
    if (reading) await this.#recordMembers({ key, driver, endpoint, pools }, reading);
    if ((await transitionsOf(db, pools, seen)).length === 0) return;
    await db.transaction().execute(async (tx) => {
      await lockReadings(tx);
      await recordTransitions(tx, systemAct(now()), await transitionsOf(tx, pools, seen));
    });
    notifyEvents();
  }

  /** Which machines there are, and whether they can make virtual machines: what placement goes by. */
  async #recordMembers({ key, driver, endpoint, pools }: Endpoint, reading: PoolReading): Promise<void> {
    const { db, now, log } = this.#options;
    const { members = [] } = reading;
    if (await membersMoved(db, pools, members, now()))
      await db.transaction().execute(async (tx) => {
        await lockReadings(tx);
        await recordMembers(tx, pools, members, now());
      });
    if ((this.#asked.get(key) ?? 0) > now().getTime() - capabilitiesEveryMs) return;
    this.#asked.set(key, now().getTime());
    try {
      await recordAbilities(db, pools, await this.#options.driver(driver, endpoint).capabilities());
    } catch (error) {
      this.#asked.delete(key);
      log.warn({ driver, pools, error: String(error) }, "an endpoint does not say what it can");
    }
  }
}
