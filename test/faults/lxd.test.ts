/** What may go wrong with a real LXD cluster, each really done to it. */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { newId } from "../../control-plane/store/ids.ts";
import type { HostSpec } from "../../infra/spec.ts";
import type { DriverError } from "../../infra/drivers/driver.ts";
import { addressOf } from "../../infra/drivers/lxd/address.ts";
import { LxdClient } from "../../infra/drivers/lxd/client.ts";
import { isAlone } from "../../infra/drivers/lxd/id-maps.ts";
import { type Instance, listInstances } from "../../infra/drivers/lxd/instances.ts";
import { lxdName, projectOf } from "../../infra/drivers/lxd/names.ts";
import { bringing } from "../../infra/drivers/lxd/elsewhere.ts";
import { LxdDriver } from "../../infra/drivers/lxd/lxd.ts";
import { readListing } from "../../infra/provider/listing.ts";
import { attachmentSpec, call, hostSpec, volumeSpec } from "../drivers/suite.ts";
import { faultyProxy } from "../setup/faulty-proxy.ts";
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
        { timeout: 150_000, interval: 1000 },
      )
      .toBe("clean");
  }, 180_000);
  afterAll(() => lxd.close());

  /** Every host once and running, however many attempts it takes until the cluster is whole again. */
  async function complete(driver: LxdDriver, hosts: readonly HostSpec[]): Promise<void> {
    await expect
      .poll(
        async () => {
          const tried = await Promise.allSettled(hosts.map((one) => driver.createHost(one, call())));
          return tried.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []));
        },
        { timeout: 150_000, interval: 1000 },
      )
      .toEqual([]);
    const { hosts: read } = await driver.observe();
    expect(read.map((one) => one.name).toSorted()).toEqual(hosts.map((one) => one.name).toSorted());
    expect(new Set(read.map((one) => one.state))).toEqual(new Set(["running"]));
  }

  it.each([
    ["a member", 2, 0],
    ["the leader", 0, 1],
  ])("that loses %s in the middle of creates ends up with each host once", { timeout: 300_000 }, async (_, killed, asked) => {
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

  it(
    "holds up no department that has nothing on a member that has stopped answering, and never takes what is there for gone",
    { timeout: 120_000 },
    async () => {
      const driver = driverOf(0);
      const [elsewhere, both] = [newId("dep"), newId("dep")];
      const on = (member: string): HostSpec => ({ ...small(), member });
      const [far, near, lost] = [on("n1"), on("n2"), on("n3")];
      await driver.createHost(far, { ...call(), scope: elsewhere });
      for (const one of [near, lost]) await driver.createHost(one, { ...call(), scope: both });
      const made = await driver.find("host", lost.name);
      await lxd.members[0]!.must("lxc", ["config", "set", "cluster.offline_threshold", "11"]);
      // It takes connections and answers none, and the cluster doesn't know yet.
      lxd.members[2]!.freeze();
      try {
        const began = performance.now();
        const listing = readListing(driver, elsewhere);
        expect(await listing.actual((await driver.actual(elsewhere)).things[0]!.id)).toMatchObject({ name: far.name, state: "running" });
        expect(performance.now() - began, "ms").toBeLessThan(4000);
        await expect.poll(async () => (await driver.actual(both)).unreachable, { timeout: 60_000, interval: 500 }).toEqual([lost.name]);
        const own = readListing(driver, both);
        await expect(own.actual(made!.id)).rejects.toMatchObject({ code: "unreachable" });
        await expect(own.actual(`${newId("att")}.1`, lost.name)).rejects.toMatchObject({ code: "unreachable" });
        // Its disk lies there alone: neither do we have it started elsewhere, nor would the cluster do so, which looks for it in storage that is no member's own.
        const of = { ...call(), scope: both };
        await expect(driver.restartHost(made!.id, "n3", "n1", of)).rejects.toMatchObject({ code: "unsupported" });
        await expect(driver.restartHost((await driver.actual(both)).things[0]!.id, "n2", "n1", of)).rejects.toMatchObject({ code: "in-use" });
        const asked = { project: projectOf(both), ...bringing(lxdName(lost.name), "n1") };
        await expect(new LxdClient(addressOf(lxd.endpoint)).change("POST", `/1.0/instances/${lxdName(lost.name)}`, asked)).rejects.toThrow(
          "Instance storage pool not found",
        );
        expect((await driver.actual(both)).things).toMatchObject([{ name: near.name, state: "running" }]);
        expect(await own.actual(`${newId("hst")}.1`), "what is really gone").toBeUndefined();
      } finally {
        lxd.members[2]!.thaw();
      }
      await expect.poll(async () => (await driver.actual(both)).things.length, { timeout: 60_000, interval: 500 }).toBe(2);
    },
  );

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

  let tls: Promise<{ port: number; file: (name: string) => string }> | undefined;
  /** The server listens on a port of its own, and trusts `client`, not `stranger`. */
  const overTls = () => (tls ??= listenOverTls());
  async function listenOverTls() {
    const [member] = lxd.members as [Lxd["members"][0]];
    const file = (name: string) => join(dirname(member.directory), name);
    for (const name of ["client", "stranger"]) {
      const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes", "-keyout", file(`${name}.key`)];
      const { status } = spawnSync("openssl", ["req", "-x509", "-days", "2", "-subj", `/CN=${name}`, ...key, "-out", file(`${name}.crt`)]);
      expect(status).toBe(0);
    }
    const port = await freePort();
    await member.must("lxc", ["config", "set", "core.https_address", `127.0.0.1:${port}`]);
    await member.must("lxc", ["config", "trust", "add", file("client.crt")]);
    return { port, file };
  }
  const tlsEndpoint = (port: number, file: (name: string) => string, client: string, server: string) =>
    `https://127.0.0.1:${port}?${new URLSearchParams({ storage: "default", backups: file("backups"), certificate: file(`${client}.crt`), key: file(`${client}.key`), server }).toString()}`;

  /** Once over the socket, once over TLS. */
  const ways = {
    socket: async () => {
      const { socket } = lxd.members[0]!;
      const path = `${socket}.proxy`;
      const proxy = await faultyProxy({ path }, () => connect(socket));
      return { proxy, endpoint: lxd.endpoint.replace(socket, path) };
    },
    TLS: async () => {
      const { port, file } = await overTls();
      const [cert, key] = [readFileSync(file("client.crt")), readFileSync(file("client.key"))];
      const own = { cert: readFileSync(file("stranger.crt")), key: readFileSync(file("stranger.key")) };
      const upstream = () => connectTls({ host: "127.0.0.1", port, cert, key, rejectUnauthorized: false });
      const proxy = await faultyProxy({ host: "127.0.0.1", port: 0 }, upstream, { ...own, requestCert: true, rejectUnauthorized: false });
      return { proxy, endpoint: tlsEndpoint(proxy.port, file, "client", file("stranger.crt")) };
    },
  };

  describe.each(["socket", "TLS"] as const)("whose answers get lost, over %s,", (way) => {
    it.each(["is cut", "comes too late"])("makes one host in one call when the answer to its creation %s", { timeout: 60_000 }, async (what) => {
      const { proxy, endpoint } = await ways[way]();
      const through = new LxdDriver(`${endpoint}&timeout=3`);
      const host = small();
      await driver.createHost(small(), call());
      if (what === "is cut") proxy.cutAfter("POST /1.0/instances");
      else proxy.delayAfter("POST /1.0/instances", 8000);
      const made = await through.createHost(host, call());
      expect(proxy.faults()).toBeGreaterThan(0);
      expect(made.adopted).toBe(true);
      expect(await through.createHost(host, call())).toEqual(made);
      const { hosts } = await driver.observe();
      expect(hosts.filter((one) => one.name === host.name)).toMatchObject([{ id: made.id, state: "running" }]);
      expect(hosts).toHaveLength(2);
      await proxy.close();
    });
  });

  it("asks again what only reads, and does without the stream of events when that is cut in the middle", { timeout: 60_000 }, async () => {
    const { proxy, endpoint } = await ways.socket();
    const through = new LxdDriver(`${endpoint}&timeout=3`);
    const hosts = Array.from({ length: 4 }, small);
    await through.createHost(hosts[0]!, call());
    proxy.cutAfter("GET /1.0/instances?");
    expect((await through.observe()).hosts).toHaveLength(1);
    proxy.delayAfter("GET /1.0/instances?", 8000);
    expect((await through.observe()).hosts).toHaveLength(1);
    expect(proxy.faults()).toBeGreaterThan(1);
    const creating = Promise.all(hosts.map((one) => through.createHost(one, call())));
    let cut = 0;
    const cutting = setInterval(() => (cut += proxy.cutNow("GET /1.0/events")), 50);
    await creating.finally(() => clearInterval(cutting));
    expect(cut).toBeGreaterThan(0);
    expect((await driver.observe()).hosts.map((one) => one.state)).toEqual(hosts.map(() => "running"));
    await proxy.close();
  });

  it(
    "whose caller is killed while it takes a snapshot finishes that one: the next caller waits for it, and there is no second",
    { timeout: 120_000 },
    async () => {
      const [host, volume] = [small(), volumeSpec()];
      await driver.createHost(host, call());
      await driver.createVolume(volume, call());
      await driver.attach(attachmentSpec(host, volume), call());
      const client = new LxdClient(addressOf(lxd.endpoint));
      const [{ project }] = (await listInstances(client)) as [Instance];
      const working = async () => {
        const ask = { project, query: { recursion: "1" } };
        const { metadata } = await client.get<Record<string, { description: string; status_code: number }[]>>("/1.0/operations", ask);
        const running = Object.values(metadata)
          .flat()
          .filter((one) => one.status_code < 200);
        return running.filter((one) => /snapshot/i.test(one.description));
      };
      const held = async () => (await driver.observe()).volumes.flatMap((one) => one.snapshots!);
      /** Killed while the server is at it: what is not yet on the disk makes that take a moment. @returns whether the server goes on */
      const interrupted = async (name: string) => {
        await driver.exec(host.name, ["allocate", "/data/file", "300"]);
        const script = `const { loadDriver } = await import(${JSON.stringify(load)}); await loadDriver("lxd", ${JSON.stringify(lxd.endpoint)}).snapshotVolume(${JSON.stringify(volume.name)}, ${JSON.stringify(name)}, ${JSON.stringify(call())});`;
        const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
        const ended = new Promise((done) => child.once("exit", done));
        await expect.poll(async () => child.exitCode !== null || (await working()).length === 1, { interval: 5, timeout: 30_000 }).toBe(true);
        child.kill("SIGKILL");
        await ended;
        return (await working()).length === 1;
      };
      let attempt = 1;
      for (; !(await interrupted(`snp_${attempt}`)); attempt++) {
        expect(attempt, "the server was always done too soon").toBeLessThan(10);
        await driver.deleteSnapshot(volume.name, `snp_${attempt}`, call());
        await driver.exec(host.name, ["rm", "/data/file"]);
      }
      const name = `snp_${attempt}`;
      const size = (await driver.exec(host.name, ["ls", "/data"])).stdout;
      const made = await driver.snapshotVolume(volume.name, name, call());
      expect(await working()).toEqual([]);
      expect(await held()).toEqual([made]);
      await driver.exec(host.name, ["rm", "/data/file"]);
      await driver.revertVolume(volume.name, name, call());
      expect((await driver.exec(host.name, ["ls", "/data"])).stdout).toBe(size);
    },
  );

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
    let files = 0;
    /** @returns how many files there was room for */
    const fill = async (mib: number) => {
      for (const before = files; ; files++) {
        const { stderr } = await driver.exec(host.name, ["allocate", `/data/big-${files}-${mib}`, String(mib)], { timeoutMs: 60_000 });
        if (stderr === "") continue;
        expect(stderr).toMatch(/no space/);
        return files - before;
      }
    };
    for (const mib of [1000, 100]) await fill(mib);
    // btrfs gives back what the tests before have removed when it comes to it.
    for (let quiet = 0; quiet < 3; await pause(1000)) quiet = (await fill(10)) === 0 ? quiet + 1 : 0;
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
    const [member] = lxd.members as [Lxd["members"][0]];
    const { port, file } = await overTls();
    const endpoint = (client: string, server: string) => tlsEndpoint(port, file, client, server);
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
