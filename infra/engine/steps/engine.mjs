/**
 * The Pulumi engine (the `pulumi` CLI), in this order: named by `PULUMI_CLI` → on the PATH → in the cache → by the
 * official npm launcher → built by Go from `infra/engine/go.mod`.
 */
import { mkdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { findArtefact, makeArtefact } from "./artefact.mjs";
import { isExecutable, onPath, runCommand } from "./command.mjs";
import { goBuild } from "./golang.mjs";
import { downloadEngine } from "./launcher.mjs";
import { cacheDirectory, digest, engineModule, pinnedEngineVersion, projectRoot } from "./paths.mjs";

const ENGINE_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi";
const VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version";
const VERSION_MS = 15_000;

/**
 * `root` is for the Automation API's `PulumiCommand.get({ root })`: the engine is `root/bin/pulumi`, which is `command`.
 *
 * @typedef {'PULUMI_CLI' | 'PATH' | 'launcher' | 'go'} EngineSource
 * @typedef {{ root: string, command: string, version: string, source: EngineSource }} Engine
 */

/**
 * `module`: directory of the go.mod that pins the engine; `package`: what to build there; `thorough`: read the whole
 * cached program and compare its checksum, instead of trusting an unchanged size and time; `download`: the launcher.
 *
 * @typedef {object} EngineOptions
 * @property {NodeJS.ProcessEnv} [env]
 * @property {string} [module]
 * @property {string} [package]
 * @property {boolean} [thorough]
 * @property {typeof downloadEngine} [download]
 * @property {(status: string) => void} [onStatus] what goes on, for a live display
 * @property {(note: string) => void} [onNote] what the user should know: a way that was refused, a damaged cache
 */

/** No engine was found, or none could be had; the message lists every way and why it failed. */
export class EngineMissing extends Error {
  /** @override */
  name = "EngineMissing";
}

/**
 * The engine that is in place already. Never downloads or builds.
 *
 * @param {EngineOptions} [options]
 * @returns {Promise<Engine>}
 * @throws {EngineMissing}
 */
export async function findEngine(options = {}) {
  const engine = await lookUp(options);
  if (engine) return engine;
  throw new EngineMissing("The Pulumi engine is not set up yet. Run `npm run setup` once.");
}

/**
 * The engine, fetched or built where it is not in place (minutes).
 *
 * @param {EngineOptions} [options]
 * @returns {Promise<Engine>}
 * @throws {EngineMissing} where no way works
 */
export async function provideEngine(options = {}) {
  const { env = process.env, module = engineModule, thorough, onStatus, onNote } = options;
  const ready = await lookUp(options);
  if (ready) return ready;

  const version = pinnedEngineVersion(module);
  const directory = engineDirectory(env, module);
  await makeArtefact(directory, "pulumi", (output) => fetchOrBuild(options, version, output), {
    thorough,
    onWait: (pid) => onStatus?.(`waiting for another set-up (process ${pid})`),
    onDamaged: () => onNote?.("the cached engine is damaged or half built: making it again"),
  });
  return findEngine(options);
}

/**
 * @param {EngineOptions} options
 * @returns {Promise<Engine | undefined>}
 */
async function lookUp(options) {
  const { env = process.env, module = engineModule, thorough } = options;
  const external = await findExternal(options);
  if (external) return external;
  const directory = engineDirectory(env, module);
  const cached = await findArtefact(directory, "pulumi", { thorough });
  return cached && { root: directory, command: cached.file, version: pinnedEngineVersion(module), source: /** @type {EngineSource} */ (cached.source) };
}

/**
 * @param {EngineOptions} options
 * @param {string} version
 * @param {string} output
 * @returns {Promise<EngineSource>}
 */
async function fetchOrBuild(
  { env = process.env, module = engineModule, package: target = ENGINE_PACKAGE, download = downloadEngine, onStatus },
  version,
  output,
) {
  /** @type {string[]} */
  const failures = [];
  try {
    await download({ version, output, env, onStatus });
    await demandVersion(output, version);
    return "launcher";
  } catch (error) {
    failures.push(reason(error));
    rmSync(output, { force: true });
  }
  try {
    onStatus?.("compiling with Go (some four minutes on 2 cores, once)");
    await goBuild({ module, package: target, output, ldflags: `-X ${VERSION_VARIABLE}=${version}`, env, onStatus });
    await demandVersion(output, version);
    return "go";
  } catch (error) {
    failures.push(reason(error));
  }
  throw new EngineMissing(
    [
      `No Pulumi engine ${compatible(version)} could be found or made. Any one of these ways will do:`,
      `  1. Set PULUMI_CLI to a pulumi program of version ${compatible(version)}, or put one on the PATH.`,
      `  2. Copy the cache of another machine of the same architecture to ${path.dirname(engineDirectory(env, module))}.`,
      `  3. Let the official npm launcher download it. It failed: ${failures[0]}`,
      `  4. Have it built: install Go ${goVersion(module)} or newer, with access to its modules (GOPROXY). It failed: ${failures[1]}`,
    ].join("\n"),
  );
}

/**
 * An engine of the machine's own, named or on the PATH. Its root is a directory of ours with a link in it, because the
 * program may lie in any directory under any name.
 *
 * @param {EngineOptions} options
 * @returns {Promise<Engine | undefined>}
 */
async function findExternal({ env = process.env, module = engineModule, onNote }) {
  const wanted = pinnedEngineVersion(module);
  // A pulumi in our own node_modules/.bin would be the launcher, which downloads when asked for its version.
  const modules = path.join(projectRoot, "node_modules");
  const searched = (env.PATH ?? "").split(path.delimiter).filter((directory) => !directory.startsWith(modules));
  /** @type {[EngineSource, string | undefined][]} */
  const candidates = [
    ["PULUMI_CLI", env.PULUMI_CLI ? path.resolve(env.PULUMI_CLI) : undefined],
    ["PATH", onPath("pulumi", { PATH: searched.join(path.delimiter) })],
  ];
  for (const [source, program] of candidates) {
    if (!program) continue;
    const version = isExecutable(program) ? await rememberedVersion(program, env) : undefined;
    if (version !== undefined && sameMinor(version, wanted)) return { ...linkEngine(program, env), version, source };
    const where = source === "PATH" ? `${program} on the PATH` : `PULUMI_CLI (${program})`;
    onNote?.(`${where} is ${version ? `version ${version}` : "not a pulumi program that runs"}: passed over, as ${compatible(wanted)} is needed`);
  }
  return undefined;
}

/**
 * @param {string} program
 * @param {NodeJS.ProcessEnv} env
 */
function linkEngine(program, env) {
  const root = externalDirectory(program, env);
  const command = path.join(root, "bin/pulumi");
  try {
    if (realpathSync(command) === realpathSync(program)) return { root, command };
  } catch {
    // No link yet, or one to a program that is gone.
  }
  const draft = `${command}.${process.pid}`;
  mkdirSync(path.dirname(command), { recursive: true });
  rmSync(draft, { force: true });
  symlinkSync(program, draft);
  renameSync(draft, command);
  return { root, command };
}

/**
 * Asking a pulumi for its version takes 0.2 s and more, so the answer is kept as long as the file doesn't change.
 *
 * @param {string} program
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string | undefined>}
 */
async function rememberedVersion(program, env) {
  const memory = path.join(externalDirectory(program, env), "version.json");
  const { size, mtimeMs } = statSync(program);
  try {
    const known = JSON.parse(readFileSync(memory, "utf8"));
    if (known.size === size && known.mtimeMs === mtimeMs) return known.version;
  } catch {
    // Not asked before.
  }
  const version = await versionOf(program);
  if (version !== undefined) {
    mkdirSync(path.dirname(memory), { recursive: true });
    writeFileSync(`${memory}.${process.pid}`, JSON.stringify({ size, mtimeMs, version }));
    renameSync(`${memory}.${process.pid}`, memory);
  }
  return version;
}

/** @param {string} program @returns {Promise<string | undefined>} */
async function versionOf(program) {
  try {
    const asked = await runCommand(program, ["version"], { timeout: VERSION_MS, env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "1" } });
    return asked.code === 0 ? /^v?(\d+\.\d+\.\d+\S*)/m.exec(asked.stdout)?.[1] : undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} program @param {string} wanted */
async function demandVersion(program, wanted) {
  const version = await versionOf(program);
  if (version === undefined || !sameMinor(version, wanted)) throw new Error(`the program made says version ${version ?? "nothing"} instead of ${wanted}`);
}

/** @param {NodeJS.ProcessEnv} env @param {string} module */
function engineDirectory(env, module) {
  const sums = digest(readFileSync(path.join(module, "go.sum"))).slice(0, 12);
  return path.join(cacheDirectory(env), "engine", `${pinnedEngineVersion(module)}-${process.arch}-${sums}`);
}

/** @param {string} program @param {NodeJS.ProcessEnv} env */
function externalDirectory(program, env) {
  return path.join(cacheDirectory(env), "engine", `external-${digest(program).slice(0, 12)}`);
}

/** @param {string} a @param {string} b */
function sameMinor(a, b) {
  return a.split(".").slice(0, 2).join(".") === b.split(".").slice(0, 2).join(".");
}

/** @param {string} version */
function compatible(version) {
  return `${version.split(".").slice(0, 2).join(".")}.x`;
}

/** @param {string} module */
function goVersion(module) {
  return /^go (\S+)/m.exec(readFileSync(path.join(module, "go.mod"), "utf8"))?.[1] ?? "";
}

/** @param {unknown} error */
function reason(error) {
  return error instanceof Error ? error.message : String(error);
}
