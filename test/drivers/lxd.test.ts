/** The LXD driver on a real server, and on a real cluster of three members. */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { loadDriver } from "../../infra/drivers/load.ts";
import { type Lxd, startLxd } from "../setup/lxd.ts";
import { type Cloud, driverSuite } from "./suite.ts";

const load = resolve(import.meta.dirname, "../../infra/drivers/load.ts");

const all =
  "await driver.createHost(host, call); await driver.createVolume(volume, call); await driver.attach(attachment, call); await driver.backup(volume.name, 'bak_1', volume.pool, call);";
const points = [
  "lxd.host.create:asked",
  "lxd.host.create:made",
  "lxd.host.create:started",
  "lxd.volume.create:asked",
  "lxd.volume.create:made",
  "lxd.attachment.create:asked",
  "lxd.backup.make:data",
];
const movePoints = ["lxd.host.move:stopped", "lxd.volume.move:copied", "lxd.host.move:moved", "lxd.host.move:shown"];

describe.each([
  ["server", 1],
  ["cluster of three", 3],
] as const)("on an LXD %s", (name, members) => {
  let lxd: Lxd;
  beforeAll(async () => {
    lxd = await startLxd(members);
  });
  afterAll(() => lxd.close());

  async function openCloud(): Promise<Cloud> {
    const driver = loadDriver("lxd", lxd.endpoint);
    return {
      driver,
      elsewhere: (code, fault) => {
        const script = `const { loadDriver } = await import(${JSON.stringify(load)}); const driver = loadDriver("lxd", ${JSON.stringify(lxd.endpoint)});\n${code}`;
        const { signal, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
          encoding: "utf8",
          env: { ...process.env, ZHENGYUN_FAULT: fault },
        });
        return { signal, stderr };
      },
      close: () => driver.purge(),
    };
  }

  driverSuite(
    `lxd, ${name}`,
    openCloud,
    points.map((point) => ({ point, code: all })),
    members === 1 ? [] : movePoints,
  );
});
