/** What may go wrong with a real LXD cluster, each really done to it. */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createServer, connect, type Server, type Socket } from "node:net";
import { dirname, join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { newId } from "../../control-plane/store/ids.ts";
import type { HostSpec } from "../../infra/spec.ts";
import type { DriverError } from "../../infra/drivers/driver.ts";
import { addressOf } from "../../infra/drivers/lxd/address.ts";
import { LxdClient } from "../../infra/drivers/lxd/client.ts";
import { isAlone } from "../../infra/drivers/lxd/id-maps.ts";
import { listInstances } from "../../infra/drivers/lxd/instances.ts";
import { LxdDriver } from "../../infra/drivers/lxd/lxd.ts";
import { attachmentSpec, call, hostSpec, volumeSpec } from "../drivers/suite.ts";
import { type Lxd, startLxd } from "../setup/lxd.ts";

const load = resolve(import.meta.dirname, "../../infra/drivers/load.ts");
const small = () => hostSpec({ flavour: { vcpu: 1, memoryMib: 64, diskGib: 1 } });

describe("an LXD cluster", () => {
  let lxd: Lxd;
  /** By the socket of one member. */
  const driverOf = (index: number) => new LxdDriver(endpointOf(index));
  const endpointOf = (index: number) => lxd.endpoint.replace(lxd.members[0]!.socket, lxd.members[index]!.socket);
  beforeAll(async () => {
    lxd = await startLxd(3);
  });
  afterEach(async () => {
    for (const one of lxd.members) if (!one.runs) await one.start();
    await expect
      .poll(
        () =>
          driverOf(0)
            .purge()
            .then(() => "clean", String),
        { timeout: 60_000, interval: 1000 },
      )
      .toBe("clean");
  }, 90_000);
  afterAll(() => lxd.close());

  /** Every host once and running, however many attempts it takes until the cluster is whole again. */
  async function complete(driver: LxdDriver, hosts: readonly HostSpec[]): Promise<void> {
    await expect
      .poll(
        async () => {
          const tried = await Promise.allSettled(hosts.map((one) => driver.createHost(one, call())));
          return tried.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []));
        },
        { timeout: 60_000, interval: 1000 },
      )
      .toEqual([]);
    const { hosts: read } = await driver.observe();
    expect(read.map((one) => one.name).toSorted()).toEqual(hosts.map((one) => one.name).toSorted());
    expect(new Set(read.map((one) => one.state))).toEqual(new Set(["running"]));
  }

  it.each([
    ["a member", 2, 0],
    ["the leader", 0, 1],
  ])("that loses %s in the middle of creates ends up with each host once", { timeout: 120_000 }, async (_, killed, asked) => {
    const driver = driverOf(asked);
    const hosts = Array.from({ length: 6 }, small);
    // The image is there, so that all that the members do is create.
    await driver.createHost(hosts[0]!, call());
    const creating = Promise.allSettled(hosts.map((one) => driver.createHost(one, call())));
    await new Promise((done) => setTimeout(done, 150));
    await lxd.members[killed]!.kill();
    await creating;
    await lxd.members[killed]!.start();
    await complete(driver, hosts);
  });

  it("says that the hosts of a member that doesn't answer are unknown, and takes them up again", { timeout: 120_000 }, async () => {
    const driver = driverOf(0);
    const hosts = lxd.members.map((one) => ({ ...small(), member: one.name }));
    for (const one of hosts) await driver.createHost(one, call());
    await lxd.members[0]!.must("lxc", ["config", "set", "cluster.offline_threshold", "11"]);
    await lxd.members[2]!.kill();
    const states = async () => {
      const { hosts: read, unreachable = [] } = await driver.observe();
      return [...read.map((one) => one.state), ...unreachable.map(() => "unknown")].toSorted();
    };
    await expect.poll(states, { timeout: 60_000, interval: 500 }).toEqual(["running", "running", "unknown"]);
    await lxd.members[2]!.start();
    await expect.poll(states, { timeout: 60_000, interval: 500 }).toEqual(["running", "running", "running"]);
  });

  it("brings a volume with what it holds to the member of its host", { timeout: 60_000 }, async () => {
    const driver = driverOf(0);
    const client = new LxdClient(addressOf(lxd.endpoint));
    const hosts = lxd.members.map((one) => ({ ...small(), member: one.name }));
    for (const one of hosts) await driver.createHost(one, call());
    const places = new Map((await listInstances(client)).map((one) => [one.name, one.location]));
    expect(new Set(places.values()).size, "each on its own").toBe(3);
    const volume = volumeSpec();
    const made = await driver.createVolume(volume, call());
    for (const host of hosts) {
      const attachment = await driver.attach(attachmentSpec(host, volume), call());
      const before = (await driver.exec(host.name, ["ls", "/data"])).stdout;
      await driver.exec(host.name, ["write", `/data/${host.name}`], { stdin: "was here" });
      expect(before.trim().split("\n").filter(Boolean)).toEqual(
        hosts
          .slice(0, hosts.indexOf(host))
          .map((one) => one.name)
          .toSorted(),
      );
      await driver.detach(attachment.id, call());
    }
    expect((await driver.observe()).volumes.map((one) => one.id)).toEqual([made.id]);
  });

  it("gives hosts that several processes create at once ids that don't overlap", { timeout: 120_000 }, async () => {
    const script = (hosts: HostSpec[]) => `
      const { loadDriver } = await import(${JSON.stringify(load)});
      const driver = loadDriver("lxd", ${JSON.stringify(lxd.endpoint)});
      const call = ${JSON.stringify({ scope: newId("dep"), fence: 1 })};
      await Promise.all(${JSON.stringify(hosts)}.map((one) => driver.createHost(one, call)));`;
    const ended = await Promise.all(
      [0, 1, 2].map(
        () =>
          new Promise<{ code: number | null; errors: string }>((done) => {
            const child = spawn(process.execPath, ["--input-type=module", "-e", script(Array.from({ length: 6 }, small))], {
              stdio: ["ignore", "ignore", "pipe"],
            });
            let errors = "";
            child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
            child.on("close", (code) => done({ code, errors }));
          }),
      ),
    );
    for (const { code, errors } of ended) expect(code, errors).toBe(0);
    const all = await listInstances(new LxdClient(addressOf(lxd.endpoint)));
    expect(all).toHaveLength(18);
    expect(all.filter((one) => !isAlone(one, all)).map((one) => one.name)).toEqual([]);
  });
});

describe("an LXD server", () => {
  let lxd: Lxd;
  let driver: LxdDriver;
  beforeAll(async () => {
    lxd = await startLxd();
    driver = new LxdDriver(lxd.endpoint);
  });
  afterEach(() => driver.purge());
  afterAll(() => lxd.close());

  it("whose socket is closed after a request was taken makes one host all the same", { timeout: 60_000 }, async () => {
    const proxy = await cuttingProxy(lxd.members[0]!.socket);
    const through = new LxdDriver(lxd.endpoint.replace(lxd.members[0]!.socket, proxy.path));
    const host = small();
    await driver.createHost(small(), call());
    proxy.cutAfter("POST /1.0/instances");
    await through.createHost(host, call()).catch(() => undefined);
    expect(proxy.cut()).toBe(1);
    await through.createHost(host, call());
    const { hosts } = await driver.observe();
    expect(hosts.filter((one) => one.name === host.name).map((one) => one.state)).toEqual(["running"]);
    expect(hosts).toHaveLength(2);
    await proxy.close();
  });

  it.each(["lxd.volume.restore:imported", "lxd.volume.restore:whole"])(
    "killed at %s, holds the old content or the new, and restores the next time",
    { timeout: 60_000 },
    async (point) => {
      const [host, volume] = [small(), volumeSpec()];
      await driver.createHost(host, call());
      await driver.createVolume(volume, call());
      await driver.attach(attachmentSpec(host, volume), call());
      const write = (stdin: string) => driver.exec(host.name, ["write", "/data/file"], { stdin });
      const read = async () => (await driver.exec(host.name, ["cat", "/data/file"])).stdout;
      await write("old");
      await driver.backup(volume.name, "bak_1", volume.pool, call());
      await write("new");
      const script = `const { loadDriver } = await import(${JSON.stringify(load)}); await loadDriver("lxd", ${JSON.stringify(lxd.endpoint)}).restore("bak_1", ${JSON.stringify(volume.name)}, ${JSON.stringify(call())});`;
      const { signal } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { env: { ...process.env, ZHENGYUN_FAULT: point } });
      expect(signal).toBe("SIGKILL");
      expect(await read()).toBe("new");
      await driver.restore("bak_1", volume.name, call());
      expect(await read()).toBe("old");
      expect((await driver.observe()).volumes).toHaveLength(1);
    },
  );

  it("whose storage pool is full says so, leaves nothing half made, and goes on when there is room", { timeout: 120_000 }, async () => {
    const [host, volume] = [small(), { ...volumeSpec(), sizeGib: 20 }];
    await driver.createHost(host, call());
    const { id } = await driver.createVolume(volume, call());
    await driver.attach(attachmentSpec(host, volume), call());
    await driver.exec(host.name, ["allocate", "/data/file", "300"]);
    await driver.backup(volume.name, "bak_1", volume.pool, call());
    const fill = async (mib: number) => {
      for (let index = 0; ; index++) {
        const { stderr } = await driver.exec(host.name, ["allocate", `/data/big-${mib}-${index}`, String(mib)], { timeoutMs: 60_000 });
        if (stderr !== "") return stderr;
      }
    };
    for (const mib of [1000, 100, 10]) expect(await fill(mib)).toMatch(/no space/);
    const names = (await driver.exec(host.name, ["ls", "/data"])).stdout;
    const failed = await driver.restore("bak_1", volume.name, call()).catch((error: unknown) => error as DriverError);
    expect(failed, "message" in failed ? failed.message : "").toMatchObject({ code: "no-space" });
    expect((await driver.exec(host.name, ["ls", "/data"])).stdout, "what was there is there").toBe(names);
    expect((await driver.observe()).volumes.map((one) => one.id)).toEqual([id]);
    await driver.exec(host.name, [
      "rm",
      ...names
        .trim()
        .split("\n")
        .map((name) => `/data/${name}`),
    ]);
    await expect
      .poll(
        () =>
          driver.restore("bak_1", volume.name, call()).then(
            () => "restored",
            (error: unknown) => String(error),
          ),
        { timeout: 30_000 },
      )
      .toBe("restored");
    expect((await driver.observe()).volumes.map((one) => one.id)).toEqual([id]);
  });

  it("is reached over TLS with a client certificate, and refused with another server's", { timeout: 60_000 }, async () => {
    const home = dirname(lxd.members[0]!.directory);
    const [member] = lxd.members as [Lxd["members"][0]];
    const file = (name: string) => join(home, name);
    const certificate = (name: string) =>
      spawnSync("openssl", [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:secp384r1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        `/CN=${name}`,
        "-keyout",
        file(`${name}.key`),
        "-out",
        file(`${name}.crt`),
      ]);
    for (const name of ["client", "stranger"]) expect(certificate(name).status).toBe(0);
    const port = await freePort();
    await member.must("lxc", ["config", "set", "core.https_address", `127.0.0.1:${port}`]);
    await member.must("lxc", ["config", "trust", "add", file("client.crt")]);
    const endpoint = (client: string, server: string) =>
      `https://127.0.0.1:${port}?${new URLSearchParams({ storage: "default", backups: file("backups"), certificate: file(`${client}.crt`), key: file(`${client}.key`), server }).toString()}`;
    const own = join(member.directory, "server.crt");
    const host = small();
    await new LxdDriver(endpoint("client", own)).createHost(host, call());
    expect((await new LxdDriver(endpoint("client", own)).exec(host.name, ["hostname"])).stdout).toBe("web\n");

    await expect(new LxdDriver(endpoint("client", file("stranger.crt"))).createHost(small(), call())).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringMatching(/certificate/),
    });
    await expect(new LxdDriver(endpoint("stranger", own)).createHost(small(), call())).rejects.toMatchObject({
      message: expect.stringMatching(/not authorized|forbidden/i),
    });
    expect((await driver.observe()).hosts).toHaveLength(1);
    expect(readFileSync(own, "utf8")).toContain("BEGIN CERTIFICATE");
  });
});

function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

/** Passes everything on; the answer to one request is never seen: the connection is cut when the server has begun to answer it. */
async function cuttingProxy(socket: string) {
  const path = `${socket}.proxy`;
  let wanted: string | undefined;
  let cuts = 0;
  const server: Server = createServer((client: Socket) => {
    const upstream = connect(socket);
    let armed = false;
    client.on("data", (data: Buffer) => {
      if (wanted !== undefined && data.toString("latin1").startsWith(wanted)) {
        armed = true;
        wanted = undefined;
      }
      upstream.write(data);
    });
    upstream.on("data", (data: Buffer) => {
      if (!armed) return void client.write(data);
      cuts++;
      client.destroy();
      upstream.destroy();
    });
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const one of [client, upstream]) one.on("error", end).on("close", end);
  });
  await new Promise<void>((done) => server.listen(path, done));
  return {
    path,
    cutAfter: (request: string) => {
      wanted = request;
    },
    cut: () => cuts,
    close: async () => {
      server.close();
      rmSync(path, { force: true });
    },
  };
}
