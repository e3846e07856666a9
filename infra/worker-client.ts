/** The engine as the control plane sees it: a supervised child process that is started anew when it dies. */
import { fork, type ChildProcess } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Engine, Operation, Outcome, Progress } from "./operations.ts";
import { FromWorker, type ToWorker, type WorkerOptions } from "./worker-messages.ts";

export interface EngineOptions {
  /** The engine is `engineRoot/bin/pulumi` (`findEngine().root`). */
  engineRoot: string;
  /** A directory of the worker's own; emptied at each start. */
  directory: string;
  /** Engines at once; default `ZHENGYUN_ENGINE_SLOTS` or 2. */
  slots?: number;
  /** Default 2 minutes: an engine that makes no progress for as long is ended, and the operation fails. */
  silentMs?: number;
  /** Default 15 minutes: a resource whose driver takes longer for one call fails. */
  callMs?: number;
  /** Default 1 s; a worker that is silent for 30 times as long is ended and started anew. */
  heartbeatMs?: number;
  /** URL of the module that loads drivers; default `drivers/load.ts`. */
  drivers?: string;
  /** What operations staff should know: restarts and why. */
  onNote?: (note: string) => void;
}

/** The worker died under an operation, which is safe to run again: creates take over what is there. */
export class WorkerDied extends Error {
  override readonly name = "WorkerDied";
  readonly code = "worker-died";
  readonly operation: string;
  constructor(operation: string, how: string) {
    super(`the engine worker ended (${how}) while it ran operation ${operation}; run it again`);
    this.operation = operation;
  }
}

/** The engine could not run the operation at all. */
export class EngineUnusable extends Error {
  override readonly name = "EngineUnusable";
  readonly code = "engine-unusable";
}

const MISSED_BEATS = 30;
const BACKOFF_MS = [0, 100, 500, 2_000, 5_000, 15_000];
/** A worker that lived as long as this starts the backoff anew. */
const HEALTHY_MS = 30_000;
const START_MS = 60_000;
const FAREWELL_MS = 8_000;

interface Flight {
  operation: Operation;
  sent: boolean;
  enginePid?: number;
  /** The engine's start time, so that a reused PID is never killed. */
  engineBorn?: Promise<string | undefined>;
  onProgress?: (progress: Progress) => void;
  resolve(outcome: Outcome): void;
  reject(error: Error): void;
}

/** Starts the worker. Resolves when it is ready to run operations. @throws when the first start fails */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const client = new WorkerClient(options);
  await client.start();
  return client;
}

class WorkerClient implements Engine {
  readonly #options: EngineOptions;
  readonly #settings: WorkerOptions;
  readonly #flights = new Map<string, Flight>();
  #child: ChildProcess | undefined;
  #ready = false;
  #failures = 0;
  #closing = false;
  #watchdog: NodeJS.Timeout | undefined;
  #restart: NodeJS.Timeout | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    const slots = options.slots ?? Number(process.env["ZHENGYUN_ENGINE_SLOTS"] ?? 2);
    this.#settings = {
      engineRoot: options.engineRoot,
      directory: options.directory,
      slots,
      heartbeatMs: options.heartbeatMs ?? 1_000,
      silentMs: options.silentMs ?? 120_000,
      callMs: options.callMs ?? 900_000,
      drivers: options.drivers ?? new URL("drivers/load.ts", import.meta.url).href,
    };
  }

  async start(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#spawn(resolve, (error) => {
      this.#closing = true;
      reject(error);
    });
    await promise;
  }

  run(operation: Operation, onProgress?: (progress: Progress) => void): Promise<Outcome> {
    if (this.#closing) return Promise.reject(new EngineUnusable("the engine worker is being closed"));
    if (this.#flights.has(operation.id)) return Promise.reject(new EngineUnusable(`operation ${operation.id} is running already`));
    return new Promise((resolve, reject) => {
      const flight: Flight = { operation, sent: false, onProgress, resolve, reject };
      this.#flights.set(operation.id, flight);
      if (this.#ready) this.#send(flight);
    });
  }

  async cancel(operation: string): Promise<void> {
    const flight = this.#flights.get(operation);
    if (!flight) return;
    if (flight.sent) return void this.#child?.send({ type: "cancel", operation } satisfies ToWorker);
    this.#flights.delete(operation);
    flight.resolve({ operation, result: "cancelled", steps: [], failures: [], message: "cancelled before it began", durationMs: 0 });
  }

  processes() {
    const engines = [...this.#flights.values()].flatMap(({ operation, enginePid }) =>
      enginePid === undefined ? [] : [{ operation: operation.id, pid: enginePid }],
    );
    return { worker: this.#child?.pid, engines };
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    // Closing the channel is the request: the worker cancels its engines, waits for them and exits.
    if (child.connected) child.disconnect();
    const insist = setTimeout(() => child.kill("SIGKILL"), FAREWELL_MS);
    await gone;
    clearTimeout(insist);
  }

  #spawn(onReady: () => void, onFailure: (error: Error) => void) {
    const born = Date.now();
    const child = fork(fileURLToPath(new URL("worker.ts", import.meta.url)), [JSON.stringify(this.#settings)], {
      // None of the control plane's secrets; no inspector or test runner's flags.
      env: this.#environment(),
      execArgv: [],
      stdio: ["ignore", "inherit", "pipe", "ipc"],
      serialization: "json",
    });
    this.#child = child;
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-4_000);
    });
    this.#beat(START_MS);
    child.on("error", () => {});
    child.on("message", (raw) => {
      const message = FromWorker.parse(raw);
      this.#beat(this.#settings.heartbeatMs * MISSED_BEATS);
      if (message.type === "ready") {
        this.#ready = true;
        for (const flight of this.#flights.values()) this.#send(flight);
        onReady();
      } else this.#receive(message);
    });
    // The channel closes after its last message was read. Not "close": a host may hold the worker's stderr for years.
    let how: string | undefined;
    const ended = () => {
      if (how === undefined || child.connected) return;
      clearTimeout(this.#watchdog);
      const was = this.#ready;
      this.#ready = false;
      this.#failures = Date.now() - born > HEALTHY_MS ? 0 : this.#failures + 1;
      this.#mourn(how);
      if (!was) {
        const error = new EngineUnusable(`the engine worker did not start (${how})${stderr ? `: ${stderr.trim()}` : ""}`);
        for (const flight of this.#flights.values()) this.#take(flight.operation.id)?.reject(error);
        onFailure(error);
      }
      if (!this.#closing) this.#again(how);
    };
    child.on("disconnect", ended);
    child.on("exit", (code, signal) => {
      how = signal ?? `code ${code}`;
      ended();
    });
  }

  #environment(): NodeJS.ProcessEnv {
    const names = ["PATH", "HOME", "TMPDIR", "LANG", "XDG_CACHE_HOME", "ZHENGYUN_CACHE"];
    // A fault that tests asked for strikes once: the worker that comes after it must get through.
    if (this.#failures === 0) names.push("ZHENGYUN_FAULT");
    return Object.fromEntries(names.map((name) => [name, process.env[name]]));
  }

  #again(how: string) {
    const wait = BACKOFF_MS[Math.min(this.#failures - 1, BACKOFF_MS.length - 1)] ?? 0;
    this.#options.onNote?.(`the engine worker ended (${how}); it is started anew in ${wait} ms`);
    this.#restart = setTimeout(() => this.#spawn(ignore, ignore), wait);
  }

  #beat(limitMs: number) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#options.onNote?.(`the engine worker was silent for ${limitMs} ms and is ended`);
      this.#child?.kill("SIGKILL");
    }, limitMs);
  }

  #send(flight: Flight) {
    if (flight.sent) return;
    flight.sent = true;
    this.#child?.send({ type: "run", operation: flight.operation } satisfies ToWorker);
  }

  #receive(message: Exclude<FromWorker, { type: "ready" }>) {
    if (message.type === "progress") {
      const { progress } = message;
      const flight = this.#flights.get(progress.operation);
      if (flight && progress.type === "started" && progress.enginePid !== undefined) {
        flight.enginePid = progress.enginePid;
        flight.engineBorn = startTime(progress.enginePid);
      }
      flight?.onProgress?.(progress);
    } else if (message.type === "outcome") {
      this.#take(message.outcome.operation)?.resolve(message.outcome);
    } else if (message.type === "error") {
      this.#take(message.operation)?.reject(new EngineUnusable(message.message));
    }
  }

  #take(operation: string): Flight | undefined {
    const flight = this.#flights.get(operation);
    this.#flights.delete(operation);
    return flight;
  }

  /** The worker is gone: what it ran is over. Its engines' tethers end them; this makes sure of it before anybody retries. */
  #mourn(how: string) {
    for (const flight of [...this.#flights.values()].filter(({ sent }) => sent)) {
      this.#flights.delete(flight.operation.id);
      void endEngine(flight).then(() => flight.reject(new WorkerDied(flight.operation.id, how)));
    }
  }
}

const ignore = () => {};

/** Kernel's start time of a process, in clock ticks since boot; undefined when it is gone. */
async function startTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? undefined : fields[19];
}

/** Kills an engine that outlived its worker and waits until it is gone. */
async function endEngine({ enginePid, engineBorn }: Flight): Promise<void> {
  const born = await engineBorn;
  if (enginePid === undefined || born === undefined) return;
  while ((await startTime(enginePid)) === born) {
    try {
      process.kill(enginePid, "SIGKILL");
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
