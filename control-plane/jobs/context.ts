/** What jobs are given. */
import type { Logger } from "pino";
import type { Driver } from "../../infra/drivers/driver.ts";
import type { Engine } from "../../infra/operations.ts";
import type { Keys, StateService } from "../state/index.ts";
import { type Act, systemAct } from "../store/act.ts";
import type { Db, Tx } from "../store/database.ts";
import { notifyEvents } from "../store/events.ts";
import type { Queue } from "./queue.ts";

export interface JobContext {
  db: Db;
  queue: Queue;
  engine: Engine;
  state: StateService;
  keys: Keys;
  log: Logger;
  now: () => Date;
  /** Where archives of the whole system are kept. */
  archives: string;
  /** Where image files are kept, by their SHA-256. */
  images: string;
  /** The control plane's version, as archives name it. */
  version: string;
  /** How often a department is looked at for drift, ms; 0: only when it is asked for. */
  driftMs: number;
  driver(name: string, endpoint: string): Driver;
  /** Reads these pools at once and records what changed. */
  observe(poolIds: readonly string[]): Promise<void>;
}

/** One transaction as the system; pages are told after its commit. */
export async function change<T>(context: JobContext, work: (tx: Tx, act: Act) => Promise<T>): Promise<T> {
  const result = await context.db.transaction().execute((tx) => work(tx, systemAct(context.now())));
  notifyEvents();
  return result;
}
