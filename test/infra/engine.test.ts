import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EngineMissing, findEngine, provideEngine } from "../../infra/engine/engine.ts";
import { findGo } from "../../infra/engine/steps/golang.mjs";
import { pinnedEngineVersion, projectRoot } from "../../infra/engine/steps/paths.mjs";

/** A machine in small: a cache, a PATH of its own, and a Go module that pins and builds an "engine" in a second. */
let machine: string;
let binaries: string;
let module: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  machine = mkdtempSync(path.join(tmpdir(), "zhengyun-engine-test-"));
  binaries = path.join(machine, "bin");
  module = path.join(machine, "module");
  mkdirSync(binaries);
  mkdirSync(module);
  mkdirSync(path.join(module, "pinned"));
  writeFileSync(path.join(module, "pinned/go.mod"), "module github.com/pulumi/pulumi/pkg/v3\n\ngo 1.21\n");
  writeFileSync(
    path.join(module, "go.mod"),
    "module tiny\n\ngo 1.21\n\nrequire github.com/pulumi/pulumi/pkg/v3 v3.98.7\n\nreplace github.com/pulumi/pulumi/pkg/v3 => ./pinned\n",
  );
  writeFileSync(path.join(module, "go.sum"), "");
  writeFileSync(path.join(module, "main.go"), 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("v3.98.7\\n") }\n');
  env = { ...process.env, PATH: `${binaries}:/usr/bin:/bin`, ZHENGYUN_CACHE: path.join(machine, "cache"), PULUMI_CLI: "" };
});

afterEach(() => rmSync(machine, { recursive: true, force: true }));

/** A program that runs, written in shell. */
function program(file: string, script: string): string {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

/** The machine's Go under another name of ours, which notes each call in `builds`. */
function countedGo(): () => number {
  const log = path.join(machine, "builds");
  program(path.join(binaries, "go"), `echo built >>${log}\nexec ${findGo()} "$@"`);
  return () => (existsSync(log) ? readFileSync(log, "utf8").split("\n").length - 1 : 0);
}

const unreachable = async () => {
  throw new Error("its download is not reachable from here");
};
const honestLauncher = async ({ output, version }: { output: string; version: string }) => void program(output, `echo v${version}`);
const wrongLauncher = async ({ output }: { output: string }) => void program(output, "echo v1.0.0");
const options = () => ({ env, module, package: ".", download: unreachable });
const cachedEngine = () => {
  const engines = path.join(machine, "cache/zhengyun/engine");
  const [name] = readdirSync(engines).filter((entry) => entry.startsWith("3.98.7-"));
  return path.join(engines, name!);
};

describe("the order of the ways to an engine", () => {
  it("takes PULUMI_CLI before the PATH, and links it for the Automation API", async () => {
    const named = program(path.join(machine, "elsewhere/pulumi-9"), "echo v3.98.1");
    program(path.join(binaries, "pulumi"), "echo v3.98.2");
    env.PULUMI_CLI = named;
    const engine = await findEngine(options());
    expect(engine).toMatchObject({ version: "3.98.1", source: "PULUMI_CLI", command: path.join(engine.root, "bin/pulumi") });
    expect(realpathSync(engine.command)).toBe(named);
  });

  it("passes over a PULUMI_CLI of another minor version, says so, and takes the PATH", async () => {
    env.PULUMI_CLI = program(path.join(machine, "old"), "echo v3.97.9");
    program(path.join(binaries, "pulumi"), "echo v3.98.2");
    const onNote = vi.fn<(note: string) => void>();
    expect(await findEngine({ ...options(), onNote })).toMatchObject({ version: "3.98.2", source: "PATH" });
    expect(onNote.mock.calls).toEqual([[expect.stringMatching(/PULUMI_CLI .*3\.97\.9.*3\.98\.x is needed/)]]);
  });

  it("sees that a pulumi on the PATH was exchanged for another version", async () => {
    const pulumi = program(path.join(binaries, "pulumi"), "echo v3.98.2");
    expect(await findEngine(options())).toMatchObject({ version: "3.98.2" });
    program(pulumi, "echo v3.98.33");
    expect(await findEngine(options())).toMatchObject({ version: "3.98.33" });
  });

  it("prefers the launcher to Go, and the cache to the launcher", async () => {
    const builds = countedGo();
    const download = vi.fn<typeof honestLauncher>(honestLauncher);
    expect(await provideEngine({ ...options(), download })).toMatchObject({ version: "3.98.7", source: "launcher" });
    expect(await provideEngine({ ...options(), download })).toMatchObject({ source: "launcher", root: cachedEngine() });
    expect(download).toHaveBeenCalledTimes(1);
    expect(builds()).toBe(0);
  });

  it("builds with Go when the launcher brings a program of the wrong version", async () => {
    expect(await provideEngine({ ...options(), download: wrongLauncher })).toMatchObject({ source: "go" });
  });

  it("never fetches or builds where it is only asked to find", async () => {
    await expect(findEngine(options())).rejects.toThrow(/npm run setup/);
  });

  it("lists every way, with what went wrong, when none works", async () => {
    program(path.join(binaries, "go"), 'echo "no such module" >&2; exit 1');
    const error = await provideEngine(options()).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(EngineMissing);
    for (const part of ["PULUMI_CLI", "on the PATH", "the cache", "launcher", "not reachable", "Go 1.21", "no such module", "3.98.x"]) {
      expect((error as Error).message).toContain(part);
    }
    await expect(findEngine(options())).rejects.toThrow(EngineMissing);
  });

  it("pins the engine at the version of the SDK", () => {
    const { dependencies } = JSON.parse(readFileSync(path.join(projectRoot, "package.json"), "utf8"));
    expect(dependencies["@pulumi/pulumi"]).toBe(pinnedEngineVersion());
  });
});

describe("the cache", () => {
  it("is made again when the program was cut short, changed, or never got its checksum", async () => {
    const builds = countedGo();
    const engine = await provideEngine(options());
    const damages = [
      () => appendFileSync(engine.command, "x"),
      () => writeFileSync(engine.command, Buffer.alloc(statSync(engine.command).size)),
      () => writeFileSync(engine.command, ""),
      () => chmodSync(engine.command, 0o644),
      () => rmSync(path.join(engine.root, "artefact.json")),
      () => writeFileSync(path.join(engine.root, "artefact.json"), '{"sha'),
    ];
    for (const [index, damage] of damages.entries()) {
      damage();
      const onNote = vi.fn<(note: string) => void>();
      expect(await provideEngine({ ...options(), onNote })).toEqual(engine);
      expect(builds(), `after damage ${index}`).toBe(index + 2);
      expect(onNote).toHaveBeenCalledWith(expect.stringContaining("damaged"));
    }
  });

  it("is read to the end by a thorough set-up, which sees what size and time do not show", async () => {
    const builds = countedGo();
    const { command } = await provideEngine(options());
    const { size, mtime, atime } = statSync(command);
    writeFileSync(command, Buffer.alloc(size));
    utimesSync(command, atime, mtime);
    await provideEngine({ ...options(), thorough: true });
    expect(builds()).toBe(2);
  });

  it("stays as it is when only the time of the file has changed", async () => {
    const builds = countedGo();
    const { command } = await provideEngine(options());
    utimesSync(command, new Date(0), new Date(0));
    await provideEngine(options());
    expect(builds()).toBe(1);
  });
});

/** Another process that provides the same engine; prints its root. */
function setUpElsewhere() {
  const script = `
    import { provideEngine } from ${JSON.stringify(path.join(projectRoot, "infra/engine/steps/engine.mjs"))}
    const download = async () => { throw new Error('unreachable') }
    console.log((await provideEngine({ module: ${JSON.stringify(module)}, package: '.', download })).root)`;
  return spawn(process.execPath, ["--input-type=module", "-e", script], { env, stdio: ["ignore", "pipe", "inherit"] });
}

async function outcome(child: ReturnType<typeof setUpElsewhere>) {
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  const [code] = await once(child, "close");
  return { code, output: output.trim() };
}

describe("several set-ups at once", () => {
  it("build once and agree", async () => {
    const builds = countedGo();
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => outcome(setUpElsewhere())));
    expect(outcomes).toEqual(Array.from({ length: 4 }, () => ({ code: 0, output: cachedEngine() })));
    expect(builds()).toBe(1);
  });

  it("take over from one that was killed while it built", async () => {
    const pidFile = path.join(machine, "pid");
    program(path.join(binaries, "go"), `echo $$ >${pidFile}\nexec sleep 600`);
    const killed = setUpElsewhere();
    await vi.waitUntil(() => existsSync(pidFile) && readFileSync(pidFile, "utf8").endsWith("\n"), { timeout: 20_000 });
    killed.kill("SIGKILL");
    await once(killed, "close");
    process.kill(Number(readFileSync(pidFile, "utf8")), "SIGKILL");

    const builds = countedGo();
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => outcome(setUpElsewhere())));
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(builds()).toBe(1);
    expect(readdirSync(path.dirname(cachedEngine()))).toEqual([path.basename(cachedEngine())]);
  });
});
