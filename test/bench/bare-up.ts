/** The baseline with the embedded driver: a bare up, and a reading that says that every host runs. */
import { loadDriver } from "../../infra/drivers/load.ts";
import type { DepartmentSpec } from "../../infra/spec.ts";
import { openBare } from "./bare.ts";

export async function openBareUp() {
  const bare = await openBare((directory) => loadDriver("embedded", directory));

  async function up(spec: DepartmentSpec): Promise<void> {
    await bare.up(spec);
    const reading = await bare.driver.observe();
    const running = reading.hosts.filter((host) => host.scope === spec.department && host.state === "running").length;
    if (running !== spec.hosts.length) throw new Error(`${running} of ${spec.hosts.length} hosts run`);
  }
  return { up, close: () => bare.close() };
}
