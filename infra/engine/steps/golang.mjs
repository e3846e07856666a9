/** Building a Go program of this project, or of a pinned module. */
import { statSync } from "node:fs";
import { isExecutable, onPath, runCommand } from "./command.mjs";

/** Where Go's own installer puts it, for shells that don't have it on the PATH. */
const USUAL_GO = "/usr/local/go/bin/go";

/** The `go` command, or undefined. @param {NodeJS.ProcessEnv} [env] */
export function findGo(env = process.env) {
  return onPath("go", env) ?? (isExecutable(USUAL_GO) ? USUAL_GO : undefined);
}

/**
 * Builds a static, reproducible program.
 *
 * @param {object} options
 * @param {string} options.module directory with the go.mod
 * @param {string} options.package what to build: a directory in it (`.`) or an import path
 * @param {string} options.output where the program goes
 * @param {string} [options.ldflags] besides `-s -w`
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {(status: string) => void} [options.onStatus] what the compiler is at
 * @throws where Go is missing or the build fails; the message holds the end of the compiler's output
 */
export async function goBuild({ module, package: target, output, ldflags = "", env = process.env, onStatus }) {
  const go = findGo(env);
  if (!go) throw new Error("Go is not installed (no `go` on the PATH)");
  let compiled = 0;
  const built = await runCommand(go, ["build", "-v", "-trimpath", "-ldflags", `-s -w ${ldflags}`.trim(), "-o", output, target], {
    cwd: module,
    // GOWORK=off and an empty GOFLAGS: the pins in this module count, not a workspace that happens to be around it.
    env: { ...env, CGO_ENABLED: "0", GOWORK: "off", GOFLAGS: "" },
    onLine: (line) => {
      const download = /^go: downloading (\S+)/.exec(line);
      if (download) onStatus?.(`downloading ${download[1]}`);
      else onStatus?.(`${++compiled} packages compiled, at ${line}`);
    },
  });
  if (built.code !== 0) throw new Error(`go build failed: ${built.output.split("\n").slice(-12).join("\n") || `ended by ${built.signal}`}`);
  if (!statSync(output, { throwIfNoEntry: false })) throw new Error(`go build wrote no program for ${target}`);
}
