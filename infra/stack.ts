/** One operation on one department's stack: one engine process, from its start to an Outcome in our own words. */
import { EngineLog } from "./engine-events.ts";
import { runEngine, type EngineExit } from "./engine-process.ts";
import type { Operation, Outcome, Progress } from "./operations.ts";
import { departmentProgram } from "./program.ts";
import { serveProgram } from "./program-host.ts";
import { scrubber, secretsOf } from "./scrub.ts";
import type { Watchdog } from "./watchdog.ts";

export interface RunOptions {
  /** Where `bin/pulumi` is. */
  engineRoot: string;
  /** A directory that no other operation uses at the same time. */
  slotDir: string;
  /** Where the provider is served on 127.0.0.1. */
  providerPort: number;
  /** Resource operations at once; default 32, which the state service's journal likes best. */
  parallel?: number;
  /** Cancels: what is under way is finished or undone, nothing more is begun. */
  signal?: AbortSignal;
  /** Ends an engine that makes no progress; the provider tells it of its calls. */
  watchdog?: Watchdog;
  onProgress?: (progress: Progress) => void;
}

/**
 * Previews, applies, refreshes or destroys a department. The stack must be known to the state service already.
 * Resolves with what happened, also when resources failed.
 * @throws when the engine cannot be started at all
 */
export async function runOperation(operation: Operation, options: RunOptions): Promise<Outcome> {
  const began = performance.now();
  const report = (progress: object) => options.onProgress?.({ operation: operation.id, at: Date.now(), ...progress } as Progress);
  const clean = scrubber(secretsOf(operation));
  const log = new EngineLog(clean, report);
  const host = await serveProgram(departmentProgram(operation.spec), (event) => {
    options.watchdog?.touch();
    log.accept(event);
  });
  try {
    const exit = await runEngine({
      kind: operation.kind,
      engineRoot: options.engineRoot,
      slotDir: options.slotDir,
      providerPort: options.providerPort,
      hostAddress: host.address,
      state: operation.state,
      parallel: options.parallel ?? 32,
      signal: options.signal,
      watchdog: options.watchdog,
      onStart: (enginePid) => report({ type: "started", enginePid }),
    });
    // One that was killed has not come to everything: what failed until then is told, but nothing follows for the others.
    const whole = exit.signal === undefined;
    if (whole && exit.code !== 0 && operation.kind === "up") noteSkipped(operation, log);
    const message = exit.code === 0 ? undefined : explain(exit, log, clean, options.watchdog);
    if (exit.hung) report({ type: "note", severity: "error", message });
    return {
      operation: operation.id,
      result: exit.code === 0 ? "succeeded" : options.signal?.aborted ? "cancelled" : "failed",
      steps: log.steps,
      failures: whole ? log.failures : [],
      message,
      durationMs: Math.round(performance.now() - began),
    };
  } finally {
    host.close();
  }
}

/** The engine passes silently over what depends on a failed resource: say so, that no item is without a result. */
function noteSkipped({ spec }: Operation, log: EngineLog) {
  const failed = new Set(log.failures.map((failure) => failure.name));
  const seen = new Set(log.steps.map((step) => step.name));
  const dependents = [
    ...spec.attachments.map((item) => ({ kind: "attachment", name: item.name, on: [item.host, item.volume] })),
    ...spec.backupPolicies.map((item) => ({ kind: "backup-policy", name: item.name, on: [item.volume] })),
  ];
  for (const { kind, name, on } of dependents) {
    const cause = on.find((dependency) => failed.has(dependency));
    if (cause !== undefined && !seen.has(name)) log.fail({ kind, name, code: "dependency-failed", message: `not attempted, because ${cause} failed` });
  }
}

/** What went wrong outside any one resource; undefined when the resources' own failures say it all. */
function explain(exit: EngineExit, log: EngineLog, clean: (text: string) => string, watchdog: Watchdog | undefined): string | undefined {
  if (exit.signal !== undefined) {
    const ending =
      exit.hung && watchdog ? `the engine made no progress for ${watchdog.silentMs / 1000} s and was ended` : `the engine was ended by ${exit.signal}`;
    return [ending, ...log.complaints, ...log.failures.map(({ name, message }) => `${name}: ${message}`)].join("\n");
  }
  if (log.complaints.length > 0) return log.complaints.join("\n");
  if (log.failures.length > 0) return undefined;
  const ending = `the engine ended with code ${exit.code}`;
  const said = clean(exit.output)
    .split("\n")
    .filter((line) => /^\s*(error|fatal|panic):/i.test(line))
    .join("\n");
  return said || ending;
}
