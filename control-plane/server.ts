/** Puts the control plane together, and takes it apart in order. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { serve } from "@hono/node-server";
import pino from "pino";
import { fault, faultOf } from "../infra/drivers/fault.ts";
import { circuitOf, loadDriver } from "../infra/drivers/load.ts";
import { findEngine } from "../infra/engine/engine.ts";
import { startEngine } from "../infra/worker-client.ts";
import { createApp } from "./api/app.ts";
import { createDenials, startChainer } from "./audit/index.ts";
import type { Config } from "./config.ts";
import { trustedProxies } from "./domain/client-address.ts";
import type { JobContext } from "./jobs/context.ts";
import { startJobs } from "./jobs/jobs.ts";
import { createQueue, openBoss } from "./jobs/queue.ts";
import { createMetrics } from "./metrics.ts";
import { startDeliverer } from "./notify/index.ts";
import { Observer } from "./observe/observer.ts";
import { type Replicas, startReplicas } from "./jobs/replicas.ts";
import { startSchedules } from "./schedules/schedules.ts";
import { abandonedStacks, escrow, loadKeys, masterKeyFingerprint, settleAll, startOperatorService, startStateService, thisProcess } from "./state/index.ts";
import { linkPath, makeBootstrapLink } from "./store/account-links.ts";
import { releaseTaken } from "./store/deliveries.ts";
import { notifyEvents } from "./store/events.ts";
import { type Db, openDatabase } from "./store/database.ts";
import { processStart } from "./store/lock.ts";
import { replicaName } from "./store/replicas.ts";
import { bootstrapToken } from "./store/tokens.ts";
import { refuseHalfRestored, refuseHalfRestoredDatabase } from "./system/index.ts";

export type ControlPlane = Awaited<ReturnType<typeof startControlPlane>>;

/**
 * Starts everything; what a kill left under way is settled and goes on.
 * @throws DirectoryInUse, EngineMissing, MasterKeyError, and EADDRINUSE for a port that is taken
 */
export async function startControlPlane(config: Config) {
  mkdirSync(config.data, { recursive: true, mode: 0o700 });
  const log = pino({ level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime });
  const now = () => new Date();
  const closers: (() => Promise<unknown> | void)[] = [];
  /** In reverse order of the start; one that fails doesn't stop the others. */
  const close = async () => {
    for (const step of closers.splice(0).toReversed())
      await Promise.resolve(step()).catch((error: unknown) => log.warn({ error }, "a part did not close cleanly"));
  };
  try {
    const { root: engineRoot } = await findEngine();
    refuseHalfRestored(config.data);
    const opened = await openDatabase({ directory: config.data, url: config.databaseUrl, name: replicaName(thisProcess.owner_replica) });
    closers.push(() => opened.close());
    const { db } = opened;
    await refuseHalfRestoredDatabase(db);
    const archives = join(config.data, "archives");
    const keys = loadKeys({
      directory: config.data,
      environment: { ...process.env, ...(config.masterKey ? { ZHENGYUN_MASTER_KEY: config.masterKey } : {}) },
      fingerprint: await masterKeyFingerprint(db),
    });
    let entries = 0;
    let workerPid = (): number | undefined => undefined;
    const state = await startStateService({
      db,
      keys,
      entryKept: () => {
        fault(`journal:${++entries}`);
        faultOf(`worker-at-journal:${entries}`, workerPid());
      },
    });
    closers.push(() => state.close());
    // Not before the state service has seen that this is the right master key; early, and so ended late: what others do at their end is linked too.
    const chainer = startChainer({ db, sealer: keys, now, by: thisProcess.owner_replica, ...config.audit, log, onStep: fault });
    closers.push(() => chainer.close());
    const denials = createDenials({ db, log });
    closers.push(() => denials.close());
    if (config.stateListen) {
      const operators = await startOperatorService(config.stateListen, { db, now, denials, log: (message, error) => log.error({ error }, message) });
      closers.push(() => operators.close());
      log.info(`operators' pulumi may log in at ${operators.url}`);
    }
    // On PostgreSQL another control plane of this machine may be running an engine that is recorded: only those whose own is gone are ended.
    const abandoned = opened.engine === "pglite" ? undefined : (await abandonedStacks(db)).map((one) => one.stack);
    await endLeftEngines(db, log, abandoned);
    for (const left of await settleAll(db, { everything: opened.engine === "pglite" }))
      log.info({ stack: left.stack, version: left.version, interrupted: left.interrupted.length }, "settled an update that a kill left");

    const engine = await startEngine({
      engineRoot,
      directory: join(config.data, "engine"),
      slots: config.engineSlots,
      silentMs: config.engineSilentMs,
      callMs: config.driverCallMs,
      onNote: (note) => log.warn(note),
    });
    workerPid = () => engine.processes().worker;
    closers.push(() => engine.close());
    let replicas: Replicas | undefined;
    const observer = new Observer({ db, leads: () => replicas?.leads() ?? true, log, now, driver: loadDriver, everyMs: config.observeMs });
    const metrics = createMetrics(db, observer, now, circuitOf);
    if (opened.engine === "pglite") await releaseTaken(db);
    const deliverer = startDeliverer({
      db,
      unseal: keys.unseal,
      now,
      allow: config.webhookAllow,
      mail: config.mail,
      log,
      attempted: metrics.delivery,
      onStep: fault,
    });
    closers.push(() => deliverer.close());
    const boss = await openBoss(opened, (error) => log.error({ error }, "the queue complains"), replicaName(thisProcess.owner_replica));
    closers.push(() => boss.stop({ graceful: true, timeout: 10_000 }));
    const queue = createQueue(boss);
    const context: JobContext = {
      db,
      queue,
      engine,
      state,
      keys,
      log,
      now,
      archives,
      images: config.images,
      driftMs: config.driftMs,
      version,
      driver: loadDriver,
      observe: (poolIds) => observer.observe(poolIds),
    };
    replicas = await startReplicas(context, thisProcess.owner_replica);
    closers.push(() => replicas?.close());
    await startJobs(boss, context, { slots: config.engineSlots, replica: thisProcess.owner_replica, metrics });
    observer.start();
    closers.push(() => observer.stop());
    closers.push(
      await startSchedules(
        (name) => queue.tick(name),
        (error) => log.error({ error }, "a tick could not be enqueued"),
      ),
    );

    const tokenFile = join(config.data, "operator.token");
    let firstStart = false;
    await bootstrapToken(db, now(), (secret) => {
      writeFileSync(`${tokenFile}.new`, `${secret}\n`, { mode: 0o600, flush: true });
      renameSync(`${tokenFile}.new`, tokenFile);
      firstStart = true;
    });
    const bootstrap = await makeBootstrapLink(db, now());
    const ready = async () => {
      const database = await db
        .selectFrom("settings")
        .select("key")
        .limit(1)
        .execute()
        .then(
          () => "ok",
          (error: unknown) => String(error),
        );
      const worker = engine.processes().worker === undefined ? "starting" : "ok";
      return { ok: database === "ok" && worker === "ok", checks: { database, worker } };
    };
    const app = createApp({
      db,
      queue,
      now,
      log,
      metrics,
      denials,
      trustsProxy: trustedProxies(config.trustedProxies),
      ready,
      seal: keys.seal,
      unseal: keys.unseal,
      masterKey: { fingerprint: keys.fingerprint, escrowTo: (publicKey) => keys.export((master) => escrow(master, keys.fingerprint, publicKey)) },
      archives,
      images: config.images,
      mailConfigured: config.mail !== undefined,
      publicUrl: config.publicUrl,
      oidcLoopback: config.oidcLoopback,
      circuitOf,
      read: (driver, endpoint) => observer.of(driver, endpoint),
      defaultEndpoint: join(config.data, "embedded"),
      consoleDirectory: join(import.meta.dirname, "../console/dist"),
      usedBytes: () => new Map([...observer.volumes()].map(([id, volume]) => [id, volume.usedBytes])),
      exposeMetrics: { contentType: metrics.contentType, expose: () => metrics.expose(), public: config.metricsPublic || isLoopback(config.host) },
    });
    const listening = Promise.withResolvers<AddressInfo>();
    const server = serve({ fetch: app.fetch, hostname: config.host, port: config.port }, listening.resolve);
    server.once("error", listening.reject);
    const { port } = await listening.promise;
    closers.push(
      () =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          // Streams of events never end by themselves.
          notifyEvents();
          if ("closeAllConnections" in server) setTimeout(() => server.closeAllConnections(), 200).unref();
        }),
    );
    const host = config.host.includes(":") ? `[${config.host}]` : config.host;
    return { url: `http://${host}:${port}`, db, engine, observer, tokenFile, firstStart, bootstrapPath: bootstrap && linkPath(bootstrap), close };
  } catch (error) {
    await close();
    throw error;
  }
}

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../package.json"), "utf8")) as { version: string };

const isLoopback = (host: string) => host === "localhost" || host === "::1" || host.startsWith("127.");

/**
 * An engine that outlived its control plane is ended before its update is settled: known by PID and start time.
 * @param departments whose engines may be ended; undefined: all
 */
async function endLeftEngines(db: Db, log: pino.Logger, departments?: readonly string[]): Promise<void> {
  const recorded = await db.selectFrom("estates").select(["department_id", "engine_pid", "engine_started"]).where("engine_pid", "is not", null).execute();
  const left = recorded.filter((one) => departments?.includes(one.department_id) ?? true);
  for (const { department_id, engine_pid, engine_started } of left) {
    if (engine_pid !== null && engine_started && processStart(engine_pid) === engine_started) {
      process.kill(engine_pid, "SIGKILL");
      log.warn({ department: department_id, pid: engine_pid }, "ended an engine that had outlived its control plane");
    }
    await db.updateTable("estates").set({ engine_pid: null, engine_started: null, operation_id: null }).where("department_id", "=", department_id).execute();
  }
}
