/**
 * The engine worker: a child of the control plane (`worker-client.ts`) that runs Pulumi programs and serves the
 * provider, so that a big apply never starves the API. It keeps nothing: what it knows comes with each operation.
 */
import path from "node:path";
import { mkdir, rm } from "node:fs/promises";
import type { Operation } from "./operations.ts";
import { Scopes } from "./provider/scopes.ts";
import { serveProvider } from "./provider/server.ts";
import { scrubber, secretsOf } from "./scrub.ts";
import { Slots } from "./slots.ts";
import { runOperation } from "./stack.ts";
import { Watchdog } from "./watchdog.ts";
import { ToWorker, WorkerOptions, type FromWorker } from "./worker-messages.ts";

/** How long engines may take to stop when the control plane is gone; then their tethers end them. */
const FAREWELL_MS = 5_000;

const options = WorkerOptions.parse(JSON.parse(process.argv[2] ?? "{}"));
const { loadDriver } = (await import(options.drivers)) as typeof import("./drivers/load.ts");
const scopes = new Scopes(async ({ driver, endpoint }) => loadDriver(driver, endpoint), options.callMs);
const provider = await serveProvider(scopes);
const slots = new Slots(options.slots);
const operations = new Map<string, AbortController>();

const say = (message: FromWorker) => {
  if (process.connected) process.send?.(message);
};

async function perform(operation: Operation, slot: number, abort: AbortController) {
  const { department } = operation.spec;
  const watchdog = new Watchdog(options.silentMs);
  const close = scopes.open({
    ...operation.state,
    department,
    fence: operation.fence,
    ...(operation.allowance ? { allowance: operation.allowance } : {}),
    pools: operation.pools,
    approved: operation.approved,
    putBack: operation.putBack,
    restarts: operation.restarts,
    signal: abort.signal,
    watchdog,
  });
  try {
    const slotDir = path.join(options.directory, `slot-${slot}`);
    await mkdir(slotDir, { recursive: true, mode: 0o700 });
    return await runOperation(operation, {
      engineRoot: options.engineRoot,
      slotDir,
      providerPort: provider.port,
      signal: abort.signal,
      watchdog,
      onProgress: (progress) => say({ type: "progress", progress }),
    });
  } finally {
    close();
  }
}

async function run(operation: Operation) {
  const abort = new AbortController();
  operations.set(operation.id, abort);
  try {
    const outcome = await slots.run(operation.spec.department, async (slot) => {
      if (abort.signal.aborted)
        return { operation: operation.id, result: "cancelled" as const, steps: [], failures: [], message: "cancelled before it began", durationMs: 0 };
      return perform(operation, slot, abort);
    });
    say({ type: "outcome", outcome });
  } catch (error) {
    say({ type: "error", operation: operation.id, message: scrubber(secretsOf(operation))(String(error)) });
  } finally {
    operations.delete(operation.id);
  }
}

process.on("message", (raw) => {
  const message = ToWorker.parse(raw);
  if (message.type === "run") void run(message.operation);
  else operations.get(message.operation)?.abort();
});

// The SDK leaves some of a run's failed calls unhandled; the engine reports each of them itself, so none may end the other runs.
process.on("unhandledRejection", () => {});

function leaveWhenIdle() {
  if (operations.size === 0) process.exit(0);
}

process.on("disconnect", () => {
  for (const abort of operations.values()) abort.abort();
  setTimeout(() => process.exit(1), FAREWELL_MS).unref();
  setInterval(leaveWhenIdle, 20);
  leaveWhenIdle();
});
// Ctrl-C reaches the whole group: only the control plane decides when the worker ends, by closing the channel.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => process.disconnect?.());

// Work directories of a worker that was killed.
await rm(options.directory, { recursive: true, force: true });
await mkdir(options.directory, { recursive: true, mode: 0o700 });
setInterval(() => say({ type: "heartbeat", at: Date.now(), running: [...operations.keys()], waiting: slots.waiting }), options.heartbeatMs);
say({ type: "ready", providerPort: provider.port });
// The control plane may have gone while this started, before anybody listened.
if (!process.connected) process.exit(0);
