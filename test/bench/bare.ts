/** The `pulumi` CLI with a file:// backend, driven by Pulumi's own Automation API, on our program and provider: what all figures stand beside. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LocalWorkspace, PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import type { Driver } from "../../infra/drivers/driver.ts";
import { findEngine } from "../../infra/engine/engine.ts";
import { departmentProgram } from "../../infra/program.ts";
import { Scopes } from "../../infra/provider/scopes.ts";
import { serveProvider } from "../../infra/provider/server.ts";
import type { DepartmentSpec } from "../../infra/spec.ts";

export type Bare = Awaited<ReturnType<typeof openBare>>;

/** @param load the driver, given a directory for it */
export async function openBare(load: (directory: string) => Driver) {
  const directory = mkdtempSync(join(tmpdir(), "zhengyun-bare-"));
  const endpoint = join(directory, "driver");
  const driver = load(endpoint);
  const scopes = new Scopes(async () => driver);
  const provider = await serveProvider(scopes);
  const { root } = await findEngine();
  const pulumiCommand = await PulumiCommand.get({ root });
  let fence = 0;

  /** createOrSelectStack and up. @returns how many resources of each kind of step there were */
  async function up(spec: DepartmentSpec, environment: Record<string, string> = {}): Promise<Record<string, number>> {
    const home = join(directory, "home");
    const backend = join(directory, "state");
    mkdirSync(home, { recursive: true });
    mkdirSync(backend, { recursive: true });
    const pools = [...new Set([...spec.hosts, ...spec.volumes].map((one) => one.pool))].map((pool) => ({ pool, driver: driver.kind, endpoint }));
    const close = scopes.open({
      project: "bare",
      stack: spec.department,
      department: spec.department,
      fence: ++fence,
      pools,
      signal: new AbortController().signal,
    });
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
      return (await stack.up()).summary.resourceChanges ?? {};
    } finally {
      close();
    }
  }
  async function close(): Promise<void> {
    await driver.purge();
    provider.close();
    rmSync(directory, { recursive: true, force: true });
  }
  return { driver, up, close };
}
