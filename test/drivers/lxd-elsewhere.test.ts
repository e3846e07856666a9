/**
 * Starting hosts of a dead member elsewhere takes storage that members share, which is Ceph with LXD: that cannot run here. So a server of our own answers in
 * LXD's words, and what is asked of it, in which order, is held to what LXD documents. What a real cluster without shared storage answers: test/faults/lxd.test.ts.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addressOf } from "../../infra/drivers/lxd/address.ts";
import { LxdClient } from "../../infra/drivers/lxd/client.ts";
import { IdMaps } from "../../infra/drivers/lxd/id-maps.ts";
import { Members } from "../../infra/drivers/lxd/members.ts";
import type { Moves } from "../../infra/drivers/lxd/moves.ts";
import { key } from "../../infra/drivers/lxd/names.ts";
import { Elsewhere } from "../../infra/drivers/lxd/elsewhere.ts";

describe("a host of a member that is offline", () => {
  const project = "zy-dep-1";
  const id = "hst_1.g1";
  const home = mkdtempSync(join(tmpdir(), "zhengyun-lxd-words-"));
  const socket = join(home, "unix.socket");
  let changes: string[];
  let finished: string[];
  let lost: "Offline" | "Online";
  let storage: string;
  let location: string;
  let base: string;
  let moved: boolean;
  const instance = () => ({
    name: "hst-1",
    project,
    location,
    status: location === "n3" ? "Error" : "Stopped",
    // Of one whose member doesn't answer the server tells name and place only.
    config: location === "n3" ? null : { [key("host")]: JSON.stringify({ id }), "security.idmap.isolated": "true", "volatile.idmap.base": base },
  });
  const other = {
    name: "hst-2",
    project,
    location: "n1",
    status: "Running",
    config: { [key("host")]: "{}", "security.idmap.isolated": "true", "volatile.idmap.base": "200000" },
  };
  const answers: Record<string, () => unknown> = {
    "/1.0": () => ({ environment: { server: "lxd", server_clustered: true, server_name: "n1" } }),
    "/1.0/cluster/members": () =>
      ["n1", "n2", "n3"].map((name) => ({ server_name: name, status: name === "n3" ? lost : "Online", message: "", groups: [], config: {} })),
    "/1.0/instances": () => [instance(), other],
    "/1.0/storage-pools/remote": () => ({ driver: storage }),
  };
  const server = createServer((request, response) => {
    const url = new URL(request.url!, "http://lxd");
    let body = "";
    request.on("data", (data: Buffer) => (body += data.toString()));
    request.on("end", () => {
      if (request.method !== "GET") {
        changes.push(`${request.method} ${url.pathname}?${url.searchParams.toString()} ${body}`);
        if (moved) location = url.searchParams.get("target")!;
      }
      const metadata = request.method === "GET" ? answers[url.pathname]?.() : {};
      response.writeHead(metadata === undefined ? 404 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify({ type: "sync", status_code: 200, metadata: metadata ?? null, error: "not found" }));
    });
  });
  beforeEach(async () => {
    [changes, finished, lost, storage, location, base, moved] = [[], [], "Offline", "ceph", "n3", "300000", true];
    await new Promise<void>((done) => server.listen(socket, done));
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    rmSync(socket, { force: true });
  });
  const restarts = () => {
    const address = addressOf(`unix:${socket}?storage=remote&backups=${home}`);
    const client = new LxdClient(address);
    const moves = { finish: async (_: string, of: string) => void finished.push(of) } as unknown as Moves;
    return new Elsewhere(client, address, { members: new Members(client, address), moves, idMaps: new IdMaps(client) });
  };
  const restart = () => restarts().host(project, id, { from: "n3", to: "n2" }, { scope: "dep_1", fence: 1 });

  it("is brought to the other member by the request that LXD documents, then started; called again after a kill it is only started", async () => {
    await restart();
    expect(changes).toEqual([`POST /1.0/instances/hst-1?target=n2&project=${project} {"name":"hst-1","migration":true,"live":false}`]);
    expect(finished).toEqual([id]);
    await restart();
    expect(changes).toHaveLength(1);
    expect(finished).toEqual([id, id]);
  });
  it("stays where it is while its member answers, where its storage is that member's, and where it isn't there", async () => {
    lost = "Online";
    await expect(restart()).rejects.toMatchObject({ code: "in-use" });
    lost = "Offline";
    storage = "btrfs";
    await expect(restart()).rejects.toMatchObject({ code: "unsupported" });
    await expect(restarts().host(project, "hst_9.g1", { from: "n3", to: "n2" }, { scope: "dep_1", fence: 1 })).rejects.toMatchObject({ code: "not-found" });
    expect([changes, finished]).toEqual([[], []]);
  });
  it("is not started with user ids that another host has there", async () => {
    base = "200000";
    await expect(restarts().host(project, id, { from: "n3", to: "n1" }, { scope: "dep_1", fence: 1 })).rejects.toMatchObject({ code: "id-maps" });
    expect(finished).toEqual([]);
  });
});
