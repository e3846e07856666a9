/**
 * Running other programs: output by line, time-outs, and none left behind when the set-up is interrupted.
 */
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";

/** Children of this process that still run. @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();

/**
 * What a program did. `output` holds stdout and stderr as they came (at most the last 200 lines of each).
 *
 * @typedef {{ code: number | null, signal: NodeJS.Signals | null, stdout: string, output: string, timedOut: boolean }} Outcome
 */

/**
 * Runs a program to its end without a terminal. Never rejects for a failing program: read `code`.
 * Rejects only where it cannot be started.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, timeout?: number, onLine?: (line: string) => void }} [options] `timeout` in ms
 * @returns {Promise<Outcome>}
 */
export function runCommand(program, args, { cwd, env, timeout, onLine } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    running.add(child);
    /** @type {string[]} */
    const lines = [];
    /** @type {string[]} */
    const stdoutLines = [];
    let timedOut = false;
    const timer = timeout === undefined ? undefined : setTimeout(() => ((timedOut = true), child.kill("SIGKILL")), timeout);

    /** @param {string} line */
    const take = (line) => {
      keep(lines, line);
      onLine?.(line);
    };
    readLines(child.stdout, (line) => {
      keep(stdoutLines, line);
      take(line);
    });
    readLines(child.stderr, take);

    child.on("error", (error) => {
      running.delete(child);
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      running.delete(child);
      clearTimeout(timer);
      resolve({ code, signal, stdout: stdoutLines.join("\n"), output: lines.join("\n"), timedOut });
    });
  });
}

/**
 * @param {import('node:stream').Readable} stream
 * @param {(line: string) => void} take
 */
function readLines(stream, take) {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (/** @type {string} */ chunk) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    parts.forEach(take);
  });
  stream.on("end", () => rest && take(rest));
}

/** @param {string[]} lines @param {string} line */
function keep(lines, line) {
  if (lines.push(line) > 200) lines.shift();
}

/** Ends what `runCommand` still runs; for the end of an interrupted set-up. */
export function endCommands() {
  for (const child of running) child.kill("SIGTERM");
}

/**
 * The first executable file of this name on the PATH, or undefined.
 *
 * @param {string} name
 * @param {NodeJS.ProcessEnv} [env]
 */
export function onPath(name, env = process.env) {
  return (env.PATH ?? "")
    .split(path.delimiter)
    .filter((directory) => directory !== "")
    .map((directory) => path.resolve(directory, name))
    .find(isExecutable);
}

/** @param {string} file */
export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
