/** The baseline: the `pulumi` CLI with a file:// backend, driven by Pulumi's own Automation API, on our program and provider. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LocalWorkspace, PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import type { Driver } from "../../infra/drivers/driver.ts";
import { findEngine } from "../../infra/engine/engine.ts";
import { departmentProgram } from "../../infra/program.ts";
import { Scopes } from "../../infra/provider/scopes.ts";
import { serveProvider } from "../../infra/provider/server.ts";
import type { DepartmentSpec } from "../../infra/spec.ts";

export interface BareUp {
  /** createOrSelectStack and up. @returns bytes that Pulumi wrote to the disk, as the kernel counts them */
  up(spec: DepartmentSpec, environment?: Record<string, string>): Promise<number>;
  /** Below it drivers may keep what they make. */
  directory: string;
  close(): Promise<void>;
}

export async function openBareUp(load: (directory: string) => Driver): Promise<BareUp> {
  const directory = mkdtempSync(join(tmpdir(), "zhengyun-bare-"));
  const driver = load(directory);
  const scopes = new Scopes(async () => driver);
  const provider = await serveProvider(scopes);
  const { root } = await findEngine();
  const pulumiCommand = await PulumiCommand.get({ root });
  let fence = 0;

  async function up(spec: DepartmentSpec, environment: Record<string, string> = {}): Promise<number> {
    const home = join(directory, "home");
    const backend = join(directory, "state");
    mkdirSync(home, { recursive: true });
    mkdirSync(backend, { recursive: true });
    const pools = [...new Set([...spec.hosts, ...spec.volumes].map((one) => one.pool))].map((pool) => ({ pool, driver: "bench", endpoint: "" }));
    const options = { project: "bare", stack: spec.department, department: spec.department, fence: ++fence, pools, signal: new AbortController().signal };
    const close = scopes.open(options);
    const written = countWrites();
    try {
      const stack = await LocalWorkspace.createOrSelectStack(
        { projectName: "bare", stackName: spec.department, program: departmentProgram(spec) },
        {
          pulumiCommand,
          pulumiHome: home,
          envVars: {
            PULUMI_BACKEND_URL: `file://${backend}`,
            PULUMI_CONFIG_PASSPHRASE: "bench",
            PULUMI_SKIP_UPDATE_CHECK: "1",
            PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
            PULUMI_DEBUG_PROVIDERS: `zhengyun:${provider.port}`,
            ...environment,
          },
        },
      );
      await stack.up();
    } finally {
      close();
    }
    return written();
  }
  async function close(): Promise<void> {
    await driver.purge?.();
    provider.close();
    rmSync(directory, { recursive: true, force: true });
  }
  return { up, directory, close };
}

/** Counts what children of this process write, looking each 20 ms; what one writes after its last look is missed. */
function countWrites(): () => number {
  const bytes = new Map<string, number>();
  const look = () => {
    for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const [, parent, , , , , , , , , , , , , , , , , , start] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        if (Number(parent) !== process.pid) continue;
        bytes.set(`${pid} ${start}`, Number(/^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1] ?? 0));
      } catch {
        // It ended meanwhile.
      }
    }
  };
  const timer = setInterval(look, 20);
  return () => {
    clearInterval(timer);
    return [...bytes.values()].reduce((sum, one) => sum + one, 0);
  };
}
