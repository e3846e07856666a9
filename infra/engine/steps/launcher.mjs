/**
 * The official npm package `pulumi`: a launcher without an install script, which downloads the engine into
 * `PULUMI_HOME/versions/VERSION/bin` the first time it runs.
 */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { runCommand } from "./command.mjs";
import { runNpm } from "./npm.mjs";

/** The launcher reads its installer from here; where this doesn't answer soon, it cannot work either. */
const DOWNLOAD = "https://get.pulumi.com/install.sh";
const PROBE_MS = 3_000;
const INSTALL_MS = 60_000;
const DOWNLOAD_MS = 10 * 60_000;

/**
 * Fetches the engine through the launcher and copies it to `output`.
 *
 * @param {{ version: string, output: string, env?: NodeJS.ProcessEnv, onStatus?: (status: string) => void }} options
 * @throws where the download is not reachable or not whole
 */
export async function downloadEngine({ version, output, env = process.env, onStatus }) {
  onStatus?.("asking whether the official download is reachable");
  if (!(await isReachable(DOWNLOAD))) throw new Error("its download is not reachable from here");
  const home = mkdtempSync(path.join(tmpdir(), "zhengyun-launcher-"));
  try {
    onStatus?.("installing the official launcher");
    const installed = await runNpm(["install", "--prefix", home, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", `pulumi@${version}`], {
      cwd: home,
      timeout: INSTALL_MS,
      env,
    });
    if (installed.code !== 0) throw new Error(`npm could not install pulumi@${version}`);
    onStatus?.(`downloading pulumi ${version}`);
    const launched = await runCommand(process.execPath, [path.join(home, "node_modules/pulumi/run.js"), "version"], {
      cwd: home,
      env: { ...env, PULUMI_HOME: home, PULUMI_VERSION: version, PULUMI_SKIP_UPDATE_CHECK: "1" },
      timeout: DOWNLOAD_MS,
      onLine: (line) => onStatus?.(line),
    });
    const program = path.join(home, "versions", version, "bin/pulumi");
    if (launched.code !== 0 || !existsSync(program)) throw new Error(`the launcher failed: ${launched.output.split("\n").slice(-3).join(" ")}`);
    copyFileSync(program, output);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** @param {string} url */
async function isReachable(url) {
  try {
    const answer = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(PROBE_MS) });
    return answer.ok;
  } catch {
    return false;
  }
}
