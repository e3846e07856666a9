/** The console's pages, built by Vite into console/dist whenever something they are made of has changed. */
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { runCommand } from "./command.mjs";
import { findRuntime } from "./dependencies.mjs";
import { digestOfFiles } from "./guest.mjs";
import { withLock } from "./lock.mjs";
import { projectCache, projectRoot } from "./paths.mjs";

const config = path.join(projectRoot, "console/vite.config.ts");
const built = path.join(projectRoot, "console/dist");
const sources = ["console", "control-plane/contract", "package-lock.json"].map((place) => path.join(projectRoot, place));

/**
 * Builds the console unless it is up to date.
 *
 * @param {{ onStatus?: (status: string) => void }} [options]
 * @returns {Promise<'absent' | 'present' | 'built'>} `absent`: this checkout has no console
 */
export async function provideConsole({ onStatus } = {}) {
  if (!existsSync(config)) return "absent";
  if (isUpToDate(sourceDigest())) return "present";
  return withLock(
    path.join(projectCache, "console.lock"),
    async () => {
      const wanted = sourceDigest();
      if (isUpToDate(wanted)) return "present";
      await build(wanted, onStatus);
      return "built";
    },
    { onWait: (pid) => onStatus?.(`waiting for another set-up (process ${pid})`) },
  );
}

/**
 * Builds beside the directory that a running control plane may be serving, then changes them over.
 *
 * @param {string} wanted
 * @param {((status: string) => void) | undefined} onStatus
 */
async function build(wanted, onStatus) {
  const draft = path.join(projectCache, `console-${randomUUID()}`);
  const old = `${draft}-old`;
  mkdirSync(draft, { recursive: true });
  try {
    const vite = path.join(projectRoot, "node_modules/vite/bin/vite.js");
    const run = await runCommand(findRuntime(), [vite, "build", "--config", config, "--outDir", draft, "--emptyOutDir", "--logLevel", "warn"], {
      cwd: projectRoot,
      onLine: (line) => onStatus?.(line),
    });
    if (run.code !== 0) throw new Error(`the console's build failed:\n${run.output.split("\n").slice(-20).join("\n")}`);
    writeFileSync(path.join(draft, ".stamp"), wanted);
    if (existsSync(built)) renameSync(built, old);
    renameSync(draft, built);
  } finally {
    rmSync(draft, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

/** @param {string} wanted */
function isUpToDate(wanted) {
  const stamp = path.join(built, ".stamp");
  return existsSync(stamp) && readFileSync(stamp, "utf8") === wanted;
}

function sourceDigest() {
  return digestOfFiles(sources, (file) => !file.startsWith(built + path.sep));
}
