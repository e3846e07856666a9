/** A real host of the embedded driver behind a test's API, for what goes into hosts. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import type { HostShells } from "../../control-plane/api/deps.ts";
import { startShells, type Shells } from "../../control-plane/shell/index.ts";
import type { Db } from "../../control-plane/store/database.ts";
import { EmbeddedDriver } from "../../infra/drivers/embedded/embedded.ts";
import { hostSpec } from "../drivers/suite.ts";

/** `shells` is given to the app before there is a database; `open` makes it work. */
export function makeShells() {
  const endpoint = mkdtempSync(join(tmpdir(), "zhengyun-shells-"));
  const driver = new EmbeddedDriver(endpoint);
  let real: Shells | undefined;
  const shells = new Proxy({} as HostShells, { get: (_, name) => Reflect.get(real!, name) as unknown });
  return {
    shells,
    driver,
    /** @param hosts ids of hosts that are to be there */
    open: async (db: Db, hosts: readonly string[], seal = { seal: (_: string, text: string) => text, unseal: (_: string, text: string) => text }) => {
      for (const name of hosts) await driver.createHost(hostSpec({ name }), { scope: "dep_00000000000000000000000000", fence: 1 });
      real = await startShells({ db, ...seal, driver: () => driver, now: () => new Date(), log: pino({ level: "silent" }), replica: "test" });
    },
    close: async () => {
      await real?.close();
      await driver.purge();
      rmSync(endpoint, { recursive: true, force: true });
    },
  };
}
