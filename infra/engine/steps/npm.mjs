/** Running npm from within npm's own scripts or outside of them. */
import { existsSync } from "node:fs";
import path from "node:path";
import { runCommand } from "./command.mjs";
import { projectRoot } from "./paths.mjs";

/**
 * Runs npm with the npm that started us, else the one on the PATH. The Node it runs on is never the one in
 * node_modules, which `npm ci` is about to delete.
 *
 * @param {string[]} args
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv, timeout?: number, onLine?: (line: string) => void }} options
 */
export function runNpm(args, { env = process.env, ...options }) {
  const npm = env.npm_execpath;
  const modules = path.join(projectRoot, "node_modules") + path.sep;
  const outside = (env.PATH ?? "").split(path.delimiter).filter((directory) => !`${directory}${path.sep}`.startsWith(modules));
  const clean = { ...env, PATH: outside.join(path.delimiter) };
  const node = [env.npm_node_execpath, process.execPath].find((file) => file !== undefined && !file.startsWith(modules) && existsSync(file));
  return npm?.endsWith("npm-cli.js") && node && existsSync(npm)
    ? runCommand(node, [npm, ...args], { ...options, env: clean })
    : runCommand("npm", args, { ...options, env: clean });
}
