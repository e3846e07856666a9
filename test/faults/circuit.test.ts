/** One endpoint that is silent or gone holds up no other, is given up for a while, and comes back by itself. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { Pool } from "../../control-plane/contract/pools.ts";
import { withCircuit } from "../../infra/drivers/circuit.ts";
import { LxdDriver } from "../../infra/drivers/lxd/lxd.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host, smallCity } from "../setup/small-city.ts";

/** A server on a socket that takes what comes and answers as the test says: not at all, or with "not found". */
class Endpoint {
  readonly directory = mkdtempSync(join(tmpdir(), "zy-circuit-"));
  readonly socket = join(this.directory, "unix.socket");
  readonly #open = new Set<Socket>();
  #server: Server | undefined;
  asked = 0;
  get address(): string {
    return `unix:${this.socket}?${new URLSearchParams({ storage: "default", backups: join(this.directory, "backups") }).toString()}`;
  }
  async listen(answers: boolean): Promise<void> {
    mkdirSync(join(this.directory, "backups"), { recursive: true });
    this.#server = createServer((_request, response) => {
      this.asked++;
      if (answers) response.writeHead(404, { "content-type": "application/json" }).end('{"type":"error","error":"not found","error_code":404}');
    });
    this.#server.on("connection", (socket) => {
      this.#open.add(socket);
      socket.once("close", () => this.#open.delete(socket));
    });
    await new Promise<void>((done) => this.#server!.listen(this.socket, done));
  }
  async end(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise<void>((done) => (this.#server?.listening ? this.#server.close(() => done()) : done()));
  }
  async remove(): Promise<void> {
    await this.end();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

let endpoint: Endpoint;
beforeEach(() => {
  endpoint = new Endpoint();
});
afterEach(() => endpoint.remove());

it("is given up after some calls without an answer, asked by nobody meanwhile, and tried again by one", async () => {
  await endpoint.listen(false);
  const { driver, circuit } = withCircuit("LXD", new LxdDriver(endpoint.address), { failures: 3, restMs: 1500, readMs: 200 });
  const why = () => driver.list().then(String, (error: Error) => error.message);
  for (let call = 0; call < 3; call++) expect(await why()).toMatch(/not answered within 0.2 s/);
  expect(circuit()).toMatchObject({ state: "open", error: expect.stringContaining("0.2 s") });
  const asked = endpoint.asked;
  expect(await why()).toMatch(/asked again in a moment/);
  expect(endpoint.asked, "nobody asks").toBe(asked);
  await endpoint.end();
  await endpoint.listen(true);
  await waitFor(why, (message) => /not found/.test(message), { intervalMs: 100, timeoutMs: 10_000 });
  expect(circuit().state, "it answers, whatever it says").toBe("closed");
});

it("is asked by so many at once and no more", async () => {
  await endpoint.listen(false);
  const { driver } = withCircuit("LXD", new LxdDriver(endpoint.address), { readMs: 500, calls: 2 });
  const codes = await Promise.all(Array.from({ length: 30 }, () => driver.list().then(String, (error: { code: string }) => error.code)));
  expect(codes.filter((code) => code === "busy")).toHaveLength(30 - 2 - 16);
});

describe("a control plane with a good pool and a bad one", { timeout: 180_000 }, () => {
  const plane = new TestPlane();
  afterEach(() => plane.remove());

  it("goes on with the good one, says that the other does not answer, and takes it back", async () => {
    const city = smallCity({ driver: "embedded", endpoint: join(plane.data, "embedded") });
    city.pools.push({ ...city.pools[0]!, code: "far", name: "far", driver: "lxd", endpoint: endpoint.address });
    await endpoint.listen(false);
    await plane.start({ ZHENGYUN_DRIVER_CALL_SECONDS: "8" });
    await plane.fill(city);
    // On the silent endpoint, and beside it on the good one.
    const far = await plane.ask([{ ...host("far"), spec: { ...host("far").spec, pool: "far" } }], "bureau");
    await plane.approve(far.id);
    const begun = performance.now();
    const near = await plane.ask([{ ...host("near"), spec: { ...host("near").spec, pool: "compute" } }], "office");
    await plane.approve(near.id);
    expect((await plane.settled(near.id)).state, plane.output.slice(-2000)).toBe("active");
    expect((performance.now() - begun) / 1000, "seconds").toBeLessThan(8);
    expect(await plane.settled(far.id)).toMatchObject({ state: "failed", items: [{ error: { code: "no-answer" } }] });

    // Gone altogether: given up, and shown.
    await endpoint.end();
    const pool = () => plane.operations.get<Pool>("/api/v1/pools/far");
    const metric = async () => /zhengyun_pool_circuit_state\{pool="far"\} (\d)/.exec(await (await plane.operations.send("GET", "/metrics")).text())?.[1];
    await waitFor(pool, (one) => one.circuit.state === "open", { timeoutMs: 90_000 });
    expect((await pool()).circuit.error).toMatch(/does not answer/);
    expect(await plane.operations.get<Pool>("/api/v1/pools/compute")).toMatchObject({ circuit: { state: "closed" } });
    await waitFor(metric, (state) => state === "2", { timeoutMs: 20_000 });
    // And back.
    await endpoint.listen(true);
    await waitFor(pool, (one) => one.circuit.state === "closed", { timeoutMs: 30_000 });
    await waitFor(metric, (state) => state === "0", { timeoutMs: 20_000 });
  });
});
