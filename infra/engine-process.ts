/** One run of the Pulumi CLI: its arguments, its environment, its end. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { OperationKind } from "./operations.ts";
import { PACKAGE } from "./naming.ts";
import type { Watchdog } from "./watchdog.ts";

export interface EngineRun {
  kind: OperationKind;
  /** The engine is `engineRoot/bin/pulumi`. */
  engineRoot: string;
  /** This slot's own directory: PULUMI_HOME and work directories. No two runs at once share it. */
  slotDir: string;
  providerPort: number;
  /** Where the program and the ear for events are served. */
  hostAddress: string;
  state: { url: string; token: string; organization: string; project: string; stack: string };
  /** Operations at once within the run. */
  parallel: number;
  signal?: AbortSignal;
  /** Ends it when it makes no progress. */
  watchdog?: Watchdog;
  onStart?: (pid: number) => void;
}

export interface EngineExit {
  /** Exit code; undefined when a signal ended it. */
  code?: number;
  signal?: string;
  /** It made no progress and was killed for it. */
  hung: boolean;
  /** The last of what it wrote, both streams. */
  output: string;
}

/** How much of the engine's output is kept for an error outside any resource. */
const TAIL = 16_384;
/** After a cancel: how long steps that are under way may take before the engine is killed. */
const GRACE_MS = 20_000;

const ARGUMENTS: Record<OperationKind, string[]> = {
  up: ["up", "--yes", "--skip-preview", "--continue-on-error", "--suppress-progress", "--skip-plugin-pre-install"],
  preview: ["preview", "--suppress-progress", "--skip-plugin-pre-install"],
  // Interrupted creates stay in state until the next `up`, whose create takes over what they left.
  refresh: ["refresh", "--yes", "--skip-preview", "--skip-pending-creates", "--suppress-progress", "--skip-plugin-pre-install"],
  drift: ["refresh", "--preview-only", "--skip-pending-creates", "--suppress-progress", "--skip-plugin-pre-install"],
  destroy: ["destroy", "--yes", "--skip-preview", "--continue-on-error", "--suppress-progress", "--skip-plugin-pre-install"],
};

function environment(run: EngineRun, home: string): NodeJS.ProcessEnv {
  // Nothing is inherited: neither secrets of the control plane nor somebody's Pulumi settings.
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: home,
    TMPDIR: home,
    PULUMI_HOME: home,
    PULUMI_BACKEND_URL: run.state.url,
    PULUMI_ACCESS_TOKEN: run.state.token,
    PULUMI_DEBUG_PROVIDERS: `${PACKAGE}:${run.providerPort}`,
    PULUMI_DEBUG_COMMANDS: "true",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    PULUMI_DISABLE_REGISTRY_RESOLVE: "true",
    PULUMI_JOURNALING_BATCH_PERIOD: "10",
    PULUMI_SUPPRESS_NEO_LINK: "true",
    // A short process: less collecting costs some tens of MB and saved an eighth of its CPU time at 1,000 resources.
    GOGC: "400",
  };
}

/**
 * Starts a watcher that kills the engine when this process is gone, however it goes: it waits on a pipe that only we
 * hold. By itself an engine was seen to end some 20 ms after its worker, but only because its next call fails, and
 * not before it has written its own view of the failure; a killed one leaves what was under way marked as such.
 */
function tether(pid: number): () => void {
  const watcher = spawn("/bin/sh", ["-c", 'read -r _; kill -KILL "$1"', "engine-tether", String(pid)], { stdio: ["pipe", "ignore", "ignore"], env: {} });
  watcher.on("error", () => {});
  watcher.stdin.on("error", () => {});
  return () => watcher.kill("SIGKILL");
}

/** Runs the engine to its end. Resolves however it ends; rejects only when it cannot be started. */
export async function runEngine(run: EngineRun): Promise<EngineExit> {
  const home = path.join(run.slotDir, "home");
  await mkdir(home, { recursive: true, mode: 0o700 });
  // Where the engine wants a directory for its log: it goes on without one. What it logs (every call, in full, compressed
  // and sealed, whatever the verbosity) was a third of its CPU time, and nobody reads it.
  await writeFile(path.join(home, "logs"), "");
  const work = await mkdtemp(path.join(run.slotDir, "work-"));
  try {
    await writeFile(path.join(work, "Pulumi.yaml"), `name: ${run.state.project}\nruntime: nodejs\n`);
    return await spawnEngine(run, home, work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function spawnEngine(run: EngineRun, home: string, work: string): Promise<EngineExit> {
  const { organization, project, stack } = run.state;
  const child = spawn(
    path.join(run.engineRoot, "bin", "pulumi"),
    [
      ...ARGUMENTS[run.kind],
      "--non-interactive",
      "--color",
      "never",
      "--parallel",
      String(run.parallel),
      "--stack",
      `${organization}/${project}/${stack}`,
      "--exec-kind",
      "auto.inline",
      "--client",
      run.hostAddress,
      "--event-log",
      `tcp://${run.hostAddress}`,
    ],
    { cwd: work, env: environment(run, home), stdio: ["ignore", "pipe", "pipe"] },
  );

  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-TAIL);
    });
  }
  return new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new Error(`the Pulumi engine did not start: ${error.message}`, { cause: error })));
    if (child.pid === undefined) return;
    const untether = tether(child.pid);
    const uncancel = cancelOn(run.signal, (signal) => child.kill(signal));
    let hung = false;
    // No call is under way then, so that there is nothing to wait for; what was is settled as after any kill.
    run.watchdog?.start(() => {
      hung = true;
      child.kill("SIGKILL");
    });
    child.on("exit", untether);
    child.on("close", (code, signal) => {
      uncancel();
      run.watchdog?.stop();
      resolve({ code: code ?? undefined, signal: signal ?? undefined, hung, output });
    });
    run.onStart?.(child.pid);
  });
}

/** On abort asks the engine to stop, and insists after a while. Returns how to forget it. */
function cancelOn(signal: AbortSignal | undefined, kill: (signal: NodeJS.Signals) => void): () => void {
  if (!signal) return () => {};
  let timer: NodeJS.Timeout | undefined;
  const cancel = () => {
    kill("SIGINT");
    timer = setTimeout(() => kill("SIGKILL"), GRACE_MS);
  };
  if (signal.aborted) cancel();
  else signal.addEventListener("abort", cancel, { once: true });
  return () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", cancel);
  };
}
