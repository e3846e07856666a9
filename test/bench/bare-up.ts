/** The baseline: the `pulumi` CLI with a file:// backend, driven by Pulumi's own Automation API, on our program and provider. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LocalWorkspace, PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { loadDriver } from "../../infra/drivers/load.ts";
import { findEngine } from "../../infra/engine/engine.ts";
import { departmentProgram } from "../../infra/program.ts";
import { Scopes } from "../../infra/provider/scopes.ts";
import { serveProvider } from "../../infra/provider/server.ts";
import type { DepartmentSpec } from "../../infra/spec.ts";

export async function openBareUp() {
  const directory = mkdtempSync(join(tmpdir(), "zhengyun-bare-"));
  const endpoint = join(directory, "embedded");
  const driver = loadDriver("embedded", endpoint);
  const scopes = new Scopes(async (pool) => loadDriver(pool.driver, pool.endpoint));
  const provider = await serveProvider(scopes);
  const { root } = await findEngine();
  const pulumiCommand = await PulumiCommand.get({ root });
  let fence = 0;

  /** createOrSelectStack, up, and a reading that says that every host runs. */
  async function up(spec: DepartmentSpec): Promise<void> {
    const home = join(directory, "home");
    const backend = join(directory, "state");
    mkdirSync(home, { recursive: true });
    mkdirSync(backend, { recursive: true });
    const pools = [...new Set([...spec.hosts, ...spec.volumes].map((one) => one.pool))].map((pool) => ({ pool, driver: "embedded", endpoint }));
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
          },
        },
      );
      await stack.up();
    } finally {
      close();
    }
    const reading = await driver.observe();
    const running = reading.hosts.filter((host) => host.scope === spec.department && host.state === "running").length;
    if (running !== spec.hosts.length) throw new Error(`${running} of ${spec.hosts.length} hosts run`);
  }
  async function close(): Promise<void> {
    await driver.purge();
    provider.close();
    rmSync(directory, { recursive: true, force: true });
  }
  return { up, close };
}
