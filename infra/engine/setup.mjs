/**
 * The set-up: npm packages with the runtime, the Pulumi engine, the host image's program, the console. Can be repeated;
 * what is in place is left alone. `npm run setup` runs it by itself and compares checksums; every other command runs it
 * first, quickly.
 */
import path from "node:path";
import { endCommands } from "./steps/command.mjs";
import { provideConsole } from "./steps/console.mjs";
import { findRuntime, provideDependencies } from "./steps/dependencies.mjs";
import { provideEngine } from "./steps/engine.mjs";
import { provideGuest } from "./steps/guest.mjs";
import { isProgram } from "./steps/launch.mjs";
import { releaseLocks } from "./steps/lock.mjs";
import { projectRoot } from "./steps/paths.mjs";
import { showProgress } from "./steps/progress.mjs";

/** Steps that end sooner are not worth a line before a command of the user's. */
const MENTION_MS = 1_500;

const SOURCES = { PULUMI_CLI: "named by PULUMI_CLI", PATH: "found on the PATH", launcher: "from the official launcher", go: "built by Go" };

/**
 * Brings everything into place.
 *
 * @param {{ thorough?: boolean }} [options] `thorough`: compare the checksums of what is in place and say so line by line;
 *   otherwise only what has to be done is shown
 * @throws the first step's error; the other steps come to their end before
 */
export async function setUp({ thorough = false } = {}) {
  const progress = showProgress({ mentionFrom: thorough ? 0 : MENTION_MS });
  const removeHandlers = endOnSignal(progress);
  try {
    const packages = progress.step(
      "packages",
      ({ update }) => provideDependencies({ onStatus: update }),
      (installed) => (installed ? "installed from package-lock.json" : "in place"),
    );
    const runtime = packages.then(() =>
      progress.step(
        "runtime",
        async () => findRuntime(),
        (node) => path.relative(projectRoot, node),
      ),
    );
    const pages = runtime.then(() =>
      progress.step(
        "console",
        ({ update }) => provideConsole({ onStatus: update }),
        (state) => ({ built: "built into console/dist", present: "in place", absent: "this checkout has none" })[state],
      ),
    );
    const engine = progress.step(
      "engine",
      ({ update, note }) => provideEngine({ thorough, onStatus: update, onNote: note }),
      ({ version, source }) => `Pulumi ${version} ${SOURCES[source]}`,
    );
    const guest = progress.step(
      "guest",
      ({ update }) => provideGuest({ thorough, onStatus: update }),
      (file) => (file ? "the host image's program is in place" : "this checkout has none"),
    );
    const results = await Promise.allSettled([packages, runtime, pages, engine, guest]);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  } finally {
    progress.close();
    removeHandlers();
  }
}

/**
 * An interrupted set-up takes its children with it and leaves no lock. Drafts are cleared by the next one.
 *
 * @param {import('./steps/progress.mjs').Progress} progress
 */
function endOnSignal(progress) {
  /** @param {NodeJS.Signals} signal */
  const end = (signal) => {
    progress.close();
    endCommands();
    releaseLocks();
    remove();
    process.kill(process.pid, signal);
  };
  const signals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);
  for (const signal of signals) process.on(signal, end);
  const remove = () => signals.forEach((signal) => process.removeListener(signal, end));
  return remove;
}

if (isProgram(import.meta.url)) {
  try {
    await setUp({ thorough: true });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
