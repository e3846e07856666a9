/** The npm packages, exactly as package-lock.json says, and with them the runtime: Node 24. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { withLock } from "./lock.mjs";
import { runNpm } from "./npm.mjs";
import { digest, projectCache, projectRoot } from "./paths.mjs";

const NODE_MAJOR = 24;
const stampFile = path.join(projectRoot, "node_modules/.zhengyun-stamp");

/**
 * Installs the packages unless those of the present lock file are in place.
 *
 * @param {{ onStatus?: (status: string) => void }} [options]
 * @returns {Promise<boolean>} whether anything had to be installed
 */
export async function provideDependencies({ onStatus } = {}) {
  if (isStamped()) return false;
  return withLock(
    path.join(projectCache, "dependencies.lock"),
    async () => {
      if (isStamped()) return false;
      const byHand = matchesLock(readLock("package-lock.json"), readLock("node_modules/.package-lock.json"));
      if (!byHand) await install(onStatus);
      writeFileSync(stampFile, lockDigest());
      return !byHand;
    },
    { onWait: (pid) => onStatus?.(`waiting for another set-up (process ${pid})`) },
  );
}

/** Whether the stamp says that the packages of the present lock file are installed. */
export function isStamped() {
  return existsSync(stampFile) && readFileSync(stampFile, "utf8") === lockDigest();
}

/**
 * The program of the runtime: Node 24 from node_modules, or this very process's where that is new enough.
 *
 * @throws where neither is
 */
export function findRuntime() {
  const installed = path.join(projectRoot, "node_modules", `node-linux-${process.arch}`, "bin/node");
  if (existsSync(installed)) return installed;
  if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR) return process.execPath;
  throw new Error(
    `Node ${NODE_MAJOR} is needed; npm has it for Linux on x64 and arm64, and this is ${process.platform} on ${process.arch} with Node ${process.versions.node}. ` +
      `Install Node ${NODE_MAJOR} and start again with it.`,
  );
}

/**
 * Whether what npm noted as installed is what the lock file asks for. Packages for other platforms may be absent.
 *
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, peer?: boolean }} Locked
 * @param {{ [place: string]: Locked } | undefined} wanted
 * @param {{ [place: string]: Locked } | undefined} installed
 */
export function matchesLock(wanted, installed) {
  if (!wanted || !installed) return false;
  const runtime = `node_modules/node-linux-${process.arch}`;
  return (
    Object.entries(wanted).every(([place, locked]) => {
      const found = installed[place];
      if (place === "" || (!found && (locked.optional || locked.peer) && place !== runtime)) return true;
      return found?.version === locked.version && found?.integrity === locked.integrity;
    }) && Object.keys(installed).every((place) => place in wanted)
  );
}

/** @param {((status: string) => void) | undefined} onStatus */
async function install(onStatus) {
  let fetched = 0;
  // Development packages are named because NODE_ENV=production would leave out what builds the console.
  const args = ["ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=http"];
  const installed = await runNpm(args, {
    cwd: projectRoot,
    onLine: (line) => line.startsWith("npm http ") && onStatus?.(`npm ci, ${++fetched} packages fetched`),
  });
  if (installed.code === 0) return;
  const words = installed.output.split("\n").filter((line) => /^npm (error|warn)/.test(line) && line.trim() !== "npm error");
  throw new Error(`npm ci failed${installed.signal ? `, ended by ${installed.signal}` : ""}:\n${words.slice(0, 15).join("\n")}`);
}

/** @param {string} name @returns {{ [place: string]: Locked } | undefined} */
function readLock(name) {
  try {
    return JSON.parse(readFileSync(path.join(projectRoot, name), "utf8")).packages;
  } catch {
    return undefined;
  }
}

function lockDigest() {
  return digest(readFileSync(path.join(projectRoot, "package-lock.json")));
}
