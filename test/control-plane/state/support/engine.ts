/** Real runs of the Pulumi CLI against a state service, with inline programs of things. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ComponentResource, CustomResource, secret } from "@pulumi/pulumi";
import type { PulumiFn } from "@pulumi/pulumi/automation/index.js";
import type { StackName } from "../../../../control-plane/state/index.ts";
import { findEngine } from "../../../../infra/engine/engine.ts";
import { serveProgram } from "../../../../infra/program-host.ts";

/** What a program wants; see things.ts. */
export interface Thing {
  name: string;
  value?: string;
  kind?: string;
  secret?: string;
  delayMs?: number;
  fail?: string;
  /** Names of things before it. */
  after?: string[];
  protect?: boolean;
  aliases?: string[];
  /** Puts it under a component of this name. */
  group?: string;
}

class Group extends ComponentResource {
  constructor(name: string) {
    super("things:index:Group", name);
  }
}

/** A program of things; those that are named by others come first. */
export function program(things: Thing[]): PulumiFn {
  return async () => {
    const made = new Map<string, CustomResource>();
    const groups = new Map<string, Group>();
    for (const { after = [], protect, aliases, group, ...inputs } of things) {
      if (group && !groups.has(group)) groups.set(group, new Group(group));
      const properties = { value: "1", ...inputs, ...(inputs.secret && { secret: secret(inputs.secret) }) };
      const options = {
        dependsOn: after.map((name) => made.get(name)!),
        ...(protect && { protect }),
        ...(aliases && { aliases: aliases.map((name) => ({ name })) }),
        ...(group && { parent: groups.get(group)! }),
      };
      made.set(inputs.name, new CustomResource("things:index:Thing", inputs.name, properties, options));
    }
  };
}

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
  /** Starts the CLI; with things an inline program is served to it. */
  start(arguments_: string[], options: { url: string; token: string; stack: StackName; things?: Thing[]; environment?: Record<string, string> }): Promise<Running>;
  close(): Promise<void>;
}

/** A provider, and directories for runs. */
export async function bench(): Promise<Bench> {
  const root = mkdtempSync(join(tmpdir(), "zy-state-"));
  const truth = join(root, "things");
  mkdirSync(truth);
  const provider = spawn(process.execPath, [join(import.meta.dirname, "things.ts"), truth], { stdio: ["ignore", "pipe", "inherit"] });
  const { value: port } = await createInterface({ input: provider.stdout })[Symbol.asyncIterator]().next();
  const engine = await findEngine();
  if (!engine) throw new Error("the Pulumi engine isn't there: npm run setup");
  let runs = 0;
  return {
    existing: () => readdirSync(truth).sort(),
    lose: (id) => rmSync(join(truth, id)),
    start: async (arguments_, { url, token, stack, things, environment = {} }) => {
      const directory = join(root, `run-${++runs}`);
      mkdirSync(directory);
      writeFileSync(join(directory, "Pulumi.yaml"), `name: ${stack.project}\nruntime: nodejs\n`);
      const host = things && (await serveProgram(program(things), () => {}));
      const serving = host ? ["--exec-kind", "auto.inline", "--client", host.address] : [];
      const child = spawn(join(engine.root, "bin", "pulumi"), [...arguments_, "--non-interactive", "--color", "never", "--stack", `${stack.organization}/${stack.project}/${stack.stack}`, ...serving], {
        cwd: directory,
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          PATH: process.env["PATH"],
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
      });
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
      const done = new Promise<Run>((resolve, reject) => {
        child.on("error", reject);
        child.on("close", (code, signal) => {
          host?.close();
          resolve({ code, signal, output });
        });
      });
      return { child, done };
    },
    close: async () => {
      provider.kill();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

export const up = ["up", "--yes", "--skip-preview", "--skip-plugin-pre-install", "--parallel", "32"];
export const preview = ["preview", "--skip-plugin-pre-install"];
export const refresh = ["refresh", "--yes", "--skip-preview", "--skip-plugin-pre-install"];
export const destroy = ["destroy", "--yes", "--skip-preview", "--skip-plugin-pre-install"];
