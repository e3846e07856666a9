/** Real runs of the Pulumi CLI against a state service, with inline programs of things. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StackName } from "../../../../control-plane/state/index.ts";
import { findEngine } from "../../../../infra/engine/engine.ts";
import type { Thing } from "./program.ts";

export type { Thing } from "./program.ts";

export interface Run {
  code: number | null;
  signal: string | null;
  output: string;
}

export interface Running {
  child: ChildProcess;
  done: Promise<Run>;
}

export interface Bench {
  /** What really exists. */
  existing(): string[];
  /** Makes a thing vanish behind Pulumi's back. */
  lose(id: string): void;
  /** Makes a thing behind Pulumi's back. */
  plant(id: string, value?: string): void;
  /** The file that a thing is. */
  path(id: string): string;
  /** Starts the CLI; with things an inline program is served to it. */
  start(
    arguments_: string[],
    options: { url: string; token: string; stack: StackName; things?: Thing[]; environment?: Record<string, string> },
  ): Promise<Running>;
  close(): Promise<void>;
}

/** A provider, and directories for runs. */
export async function bench(): Promise<Bench> {
  const root = mkdtempSync(join(tmpdir(), "zy-state-"));
  const truth = join(root, "things");
  mkdirSync(truth);
  const worker = fork(join(import.meta.dirname, "things.ts"), [truth], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const said = async () => (await once(worker, "message"))[0] as string;
  const port = await said();
  const engine = await findEngine();
  if (!engine) throw new Error("the Pulumi engine isn't there: npm run setup");
  let runs = 0;
  // Which address belongs to which program, only the order tells.
  let turn: Promise<string> = Promise.resolve("");
  const serve = (things: Thing[]): Promise<string> =>
    (turn = turn.then(() => {
      worker.send(things);
      return said();
    }));
  return {
    existing: () => readdirSync(truth).sort(),
    lose: (id) => rmSync(join(truth, id)),
    path: (id) => join(truth, id),
    plant: (id, value = "1") => writeFileSync(join(truth, id), value),
    start: async (arguments_, { url, token, stack, things, environment = {} }) => {
      const directory = join(root, `run-${++runs}`);
      mkdirSync(directory);
      writeFileSync(join(directory, "Pulumi.yaml"), `name: ${stack.project}\nruntime: nodejs\n`);
      if (arguments_[0] === "import") languagePlugin(directory, await serve([]));
      const serving = things ? ["--exec-kind", "auto.inline", "--client", await serve(things)] : [];
      const child = spawn(
        join(engine.root, "bin", "pulumi"),
        [...arguments_, "--non-interactive", "--color", "never", "--stack", `${stack.organization}/${stack.project}/${stack.stack}`, ...serving],
        {
          cwd: directory,
          stdio: ["ignore", "pipe", "pipe"],
          env: {
            PATH: `${directory}:${process.env["PATH"]}`,
            HOME: directory,
            PULUMI_HOME: directory,
            PULUMI_BACKEND_URL: url,
            PULUMI_ACCESS_TOKEN: token,
            PULUMI_DEBUG_PROVIDERS: `things:${port}`,
            PULUMI_SKIP_UPDATE_CHECK: "true",
            PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
            PULUMI_JOURNALING_BATCH_PERIOD: "10",
            ...environment,
          },
        },
      );
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
      const done = new Promise<Run>((resolve, reject) => {
        child.on("error", reject);
        child.on("close", (code, signal) => resolve({ code, signal, output }));
      });
      return { child, done };
    },
    close: async () => {
      worker.kill();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** `pulumi import` wants the project's language plugin, if only to ask it who it is: a program that answers to its address. */
function languagePlugin(directory: string, address: string): void {
  writeFileSync(join(directory, "pulumi-language-nodejs"), `#!/bin/sh\necho ${address.split(":")[1]}\nexec sleep 60\n`, { mode: 0o755 });
}

export const up = ["up", "--yes", "--skip-preview", "--skip-plugin-pre-install", "--parallel", "32"];
export const preview = ["preview", "--skip-plugin-pre-install"];
export const refresh = ["refresh", "--yes", "--skip-preview", "--skip-plugin-pre-install"];
export const destroy = ["destroy", "--yes", "--skip-preview", "--skip-plugin-pre-install"];
