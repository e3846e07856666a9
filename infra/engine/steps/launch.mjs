/** Running a program of this project under its own Node, as if it had been started directly. */
import { spawn } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { findRuntime } from "./dependencies.mjs";
import { projectRoot } from "./paths.mjs";

const FORWARDED = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2", "SIGWINCH"]);
const tether = new URL("./tether.mjs", import.meta.url);
/** A Ctrl-C reaches us from the terminal and once more from npm; two within this time are one. */
const SAME_SIGNAL_MS = 400;
const PARENT_CHECK_MS = 1_000;

/**
 * Runs `entry` to its end and answers its exit code; if a signal ended it, ends this process by the same one.
 *
 * The child has a session of its own, so that a terminal's Ctrl-C reaches it through us alone and exactly once. As it
 * would therefore outlive us when we are killed, it is tethered: a pipe that closes with us makes it end itself.
 *
 * @param {string} entry path of the program, relative to the working directory
 * @param {string[]} args
 * @returns {Promise<number>}
 */
export function launch(entry, args) {
  const binaries = path.join(projectRoot, "node_modules/.bin");
  const child = spawn(findRuntime(), ["--import", tether.href, path.resolve(entry), ...args], {
    stdio: ["inherit", "inherit", "inherit", "pipe"],
    detached: true,
    env: {
      // Half of a program's start is reading TypeScript: what was read stays read, here and for everything that it starts.
      NODE_COMPILE_CACHE: path.join(projectRoot, ".cache/compile"),
      ...process.env,
      PATH: `${binaries}${path.delimiter}${process.env.PATH ?? ""}`,
      ZHENGYUN_TETHER: "3",
    },
  });
  endWithNpm(child);
  const isNew = distinctSignals(SAME_SIGNAL_MS);
  for (const signal of FORWARDED) process.on(signal, () => isNew(signal, performance.now()) && child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      for (const forwarded of FORWARDED) process.removeAllListeners(forwarded);
      if (signal) process.kill(process.pid, signal);
      else resolve(code ?? 1);
    });
  });
}

/**
 * Ends the program when npm, which started us, was killed: nobody would be left to end it, and it has a data directory.
 *
 * @param {import('node:child_process').ChildProcess} child
 */
function endWithNpm(child) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    child.kill("SIGTERM");
  }, PARENT_CHECK_MS).unref();
}

/**
 * Tells a signal from its echo: the same one again within `window` ms of the one before.
 *
 * @param {number} window
 * @returns {(signal: string, at: number) => boolean}
 */
export function distinctSignals(window) {
  /** @type {Map<string, number>} */
  const last = new Map();
  return (signal, at) => {
    const before = last.get(signal) ?? -Infinity;
    if (at - before <= window) return false;
    last.set(signal, at);
    return true;
  };
}

/** Whether the module is the program that was started, not one that is imported. @param {string} url */
export function isProgram(url) {
  return process.argv[1] !== undefined && path.resolve(process.argv[1]) === fileURLToPath(url);
}
