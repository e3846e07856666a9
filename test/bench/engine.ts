/**
 * The engine and the state: one operation on a department through the engine worker and our state service, against a bare `pulumi up`
 * with a file:// backend, on the same program and a provider whose handlers do nothing.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { departmentStack, ensureStack, loadKeys, settleUpdate, startStateService } from "../../control-plane/state/index.ts";
import { openDatabase } from "../../control-plane/store/database.ts";
import { newId } from "../../control-plane/store/ids.ts";
import { findEngine } from "../../infra/engine/engine.ts";
import type { DepartmentSpec } from "../../infra/spec.ts";
import { startEngine } from "../../infra/worker-client.ts";
import type { Engine } from "../setup/databases.ts";
import { startPostgres } from "../setup/postgres.ts";
import { type BareUp, openBareUp } from "./bare-up.ts";
import { type Figure, median, timed } from "./bench.ts";
import { loadDriver } from "./idle-driver.ts";

const [pool, application] = [newId("pol"), newId("app")];

/** A department of so many hosts. */
export function departmentOf(hosts: number): DepartmentSpec {
  return {
    department: newId("dep"),
    volumes: [],
    attachments: [],
    backupPolicies: [],
    hosts: Array.from({ length: hosts }, (_, index) => ({
      name: newId("hst"),
      hostname: `h${index}`,
      pool,
      image: "zhengyun-base-1",
      flavour: { vcpu: 2, memoryMib: 4096, diskGib: 40 },
      sshKeys: [],
      addresses: [],
      ports: [],
      power: "running" as const,
      application,
    })),
  };
}

/** A state service on a store, and the worker that runs engines against it. */
async function openOurs(engine: Engine) {
  const directory = mkdtempSync(join(tmpdir(), "zhengyun-bench-"));
  const postgres = engine === "postgres" ? await startPostgres() : undefined;
  const opened = await openDatabase({ directory: join(directory, "data"), url: postgres?.url });
  const state = await startStateService({ db: opened.db, keys: loadKeys({ directory }) });
  const drivers = new URL("idle-driver.ts", import.meta.url).href;
  const worker = await startEngine({ engineRoot: (await findEngine()).root, directory: join(directory, "engine"), slots: 1, drivers });
  let number = 0;

  async function up(spec: DepartmentSpec): Promise<void> {
    const stack = departmentStack(spec.department);
    await ensureStack(opened.db, stack);
    const token = state.issueOperationToken(stack, { scope: "up", fence: ++number });
    try {
      const pools = [{ pool, driver: "idle", endpoint: "" }];
      const outcome = await worker.run({ id: `op-${number}`, kind: "up", spec, pools, fence: number, state: { url: state.url, token, ...stack } });
      if (outcome.result !== "succeeded") throw new Error(`${outcome.result}: ${outcome.message ?? JSON.stringify(outcome.failures[0])}`);
    } finally {
      state.revokeOperationToken(token);
      await settleUpdate(opened.db, stack, "its engine is gone");
    }
  }
  /** Everything that the database made durable so far, in bytes of its write-ahead log. */
  const written = async () =>
    (await sql<{ bytes: number }>`select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as bytes`.execute(opened.db)).rows[0]!.bytes;
  const close = async () => {
    await worker.close();
    await state.close();
    await opened.close();
    await postgres?.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  return { up, written, db: opened.db, close };
}
type Ours = Awaited<ReturnType<typeof openOurs>>;

const stores: Engine[] = ["pglite", "postgres"];

/** All stores and the baseline, opened once for several figures. */
async function withAll<T>(work: (ours: { store: Engine; ours: Ours }[], bare: BareUp) => Promise<T>): Promise<T> {
  const opened: { store: Engine; ours: Ours }[] = [];
  const bare = await openBareUp(loadDriver);
  try {
    for (const store of stores) opened.push({ store, ours: await openOurs(store) });
    return await work(opened, bare);
  } finally {
    for (const { ours } of opened) await ours.close();
    await bare.close();
  }
}

/** @param runs rounds of each store and the baseline in turn; medians are compared */
async function against(
  name: string,
  goal: number,
  runs: number,
  ours: (one: Ours) => Promise<number>,
  baseline: (bare: BareUp) => Promise<number>,
): Promise<Figure[]> {
  return withAll(async (opened, bare) => {
    const times = new Map<Engine, number[]>(stores.map((store) => [store, []]));
    const bares: number[] = [];
    for (let run = 0; run < runs; run++) {
      for (const one of opened) times.get(one.store)!.push(await ours(one.ours));
      bares.push(await baseline(bare));
    }
    return opened.map(({ store }) => ({
      name: `${name}-${store}`,
      ratio: median(times.get(store)!) / median(bares),
      goal,
      unit: "× a bare up",
      detail: `${Math.round(median(times.get(store)!))} ms against ${Math.round(median(bares))} ms, median of ${runs}`,
    }));
  });
}

export const applyMany = (hosts: number, goal: number, runs: number): Promise<Figure[]> =>
  against(
    `apply-${hosts}`,
    goal,
    runs,
    (ours) => timed(() => ours.up(departmentOf(hosts))),
    (bare) => timed(() => bare.up(departmentOf(hosts))),
  );

export const applySkippingCheckpoints = (): Promise<Figure[]> =>
  against(
    "apply-1000-vs-skip-checkpoints",
    1.2,
    3,
    (ours) => timed(() => ours.up(departmentOf(1000))),
    (bare) => timed(() => bare.up(departmentOf(1000), { PULUMI_SKIP_CHECKPOINTS: "true", PULUMI_EXPERIMENTAL: "true" })),
  );

/** A forced `up` without changes. */
export async function noopEngine(hosts: number): Promise<Figure[]> {
  const specs = new Map<unknown, DepartmentSpec>();
  const again = async (one: { up(spec: DepartmentSpec): Promise<unknown> }) => {
    let spec = specs.get(one);
    if (!spec) {
      specs.set(one, (spec = departmentOf(hosts)));
      await one.up(spec);
    }
    return timed(() => one.up(spec));
  };
  return against(hosts === 10 ? "noop-engine" : `noop-engine-${hosts}`, 0.3, 5, again, again);
}

/** How the time grows with the size: 1 is linear. */
export async function applyGrowth(): Promise<Figure[]> {
  const [small, large] = [250, 4000];
  return withAll(async (opened) => {
    const figures: Figure[] = [];
    for (const { store, ours } of opened) {
      const few: number[] = [];
      for (let run = 0; run < 3; run++) few.push(await timed(() => ours.up(departmentOf(small))));
      const many = await timed(() => ours.up(departmentOf(large)));
      figures.push({
        name: `apply-growth-${store}`,
        ratio: Math.log(many / median(few)) / Math.log(large / small),
        goal: 1.1,
        unit: "exponent",
        detail: `${small}: ${Math.round(median(few))} ms, ${large}: ${Math.round(many)} ms`,
      });
    }
    return figures;
  });
}

/** What 1,000 hosts write: the database's log against what Pulumi writes to its files. */
export async function stateBytes(): Promise<Figure[]> {
  return withAll(async (opened, bare) => {
    const baseline = await bare.up(departmentOf(1000));
    const figures: Figure[] = [];
    for (const { store, ours } of opened) {
      const before = await ours.written();
      await ours.up(departmentOf(1000));
      const bytes = (await ours.written()) - before;
      const mib = (value: number) => `${(value / 1024 ** 2).toFixed(1)} MiB`;
      figures.push({
        name: `state-bytes-${store}`,
        ratio: bytes / baseline,
        goal: 0.02,
        unit: "× a bare up",
        detail: `${mib(bytes)} of write-ahead log against ${mib(baseline)} written`,
      });
    }
    return figures;
  });
}
