/**
 * Where things lie: the checkout, its modules and the user's cache.
 *
 * Everything in `infra/engine` is plain JavaScript without dependencies, because it runs before `npm ci` has run and on
 * whichever Node (>= 20) the machine has.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** Root of the checkout, absolute. */
export const projectRoot = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");

/** The Go module that pins the Pulumi engine. */
export const engineModule = path.join(projectRoot, "infra/engine");

/** State of this checkout's set-up (locks, stamps); ignored by git. */
export const projectCache = path.join(projectRoot, ".cache");

/** The runtime that npm installs: Node 24, whatever the machine's own Node is. */
export const projectNode = path.join(projectRoot, "node_modules/.bin/node");

/**
 * The user's cache, shared by all checkouts: `$ZHENGYUN_CACHE`, or else `$XDG_CACHE_HOME`, or else `~/.cache`; each time
 * with `zhengyun` below it.
 *
 * @param {NodeJS.ProcessEnv} [env]
 */
export function cacheDirectory(env = process.env) {
  return path.join(env.ZHENGYUN_CACHE || env.XDG_CACHE_HOME || path.join(homedir(), ".cache"), "zhengyun");
}

/**
 * The version of the engine that `go.mod` pins, without the leading `v`.
 *
 * @param {string} [moduleDirectory]
 */
export function pinnedEngineVersion(moduleDirectory = engineModule) {
  const found = /^\s*(?:require\s+)?github\.com\/pulumi\/pulumi\/pkg\/v3 v(\S+)/m.exec(readFileSync(path.join(moduleDirectory, "go.mod"), "utf8"));
  if (!found?.[1]) throw new Error(`${moduleDirectory}/go.mod does not name github.com/pulumi/pulumi/pkg/v3`);
  return found[1];
}

/**
 * SHA-256 of some bytes, as hex.
 *
 * @param {string | Buffer} data
 */
export function digest(data) {
  return createHash("sha256").update(data).digest("hex");
}
