/** lxd-batch: 50 hosts through the whole control plane and Pulumi on a real LXD, against the same 50 by raw REST calls. lxd-observe: one bulk reading of 200 against one raw GET. */
import { undecided } from "../../control-plane/cli/wait.ts";
import { newId } from "../../control-plane/store/ids.ts";
import { addressOf } from "../../infra/drivers/lxd/address.ts";
import { LxdClient } from "../../infra/drivers/lxd/client.ts";
import { LxdDriver } from "../../infra/drivers/lxd/lxd.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { type Lxd, startLxd } from "../setup/lxd.ts";
import { host, smallCity } from "../setup/small-city.ts";
import { type Figure, sideBySide, timed } from "./bench.ts";

const runs = 3;
const batch = 50;
/** Calls at once: as many as the engine makes. */
const parallel = 32;
const observed = 200;

export async function lxdFigures(): Promise<Figure[]> {
  const lxd = await startLxd();
  try {
    return [await batchFigure(lxd), await observeFigure(lxd)];
  } finally {
    await lxd.close();
  }
}

async function batchFigure(lxd: Lxd): Promise<Figure> {
  const plane = new TestPlane("pglite", undefined, lxd.endpoint);
  const client = new LxdClient(addressOf(lxd.endpoint));
  try {
    await plane.start({ ZHENGYUN_LOG_LEVEL: "error" });
    await plane.fill(smallCity({ driver: "lxd", endpoint: lxd.endpoint, hosts: 60 }));
    const image = await importedImage(plane, client);
    const result = await sideBySide(
      runs,
      async (run) => {
        const request = await plane.ask(
          Array.from({ length: batch }, (_, index) => host(`h${run}-${index}`)),
          "city",
        );
        for (;;) if (undecided((await plane.read(request.id)).state)) break;
        const took = await timed(async () => {
          await plane.approve(request.id);
          const done = await plane.settled(request.id);
          if (done.state !== "active" || done.items.some((item) => item.state !== "active")) throw new Error(`the request is ${done.state}`);
        });
        await retire(plane, done(await plane.read(request.id)));
        return took;
      },
      async () => {
        const names = Array.from({ length: batch }, () => newId("hst").replace("_", "-"));
        const took = await timed(() => atOnce(names, (name) => makeRaw(client, name, image)));
        await atOnce(names, (name) => removeRaw(client, name));
        return took;
      },
    );
    return {
      name: "lxd-batch",
      ratio: result.ratio,
      goal: 1.3,
      unit: "× raw REST",
      detail: `${batch} hosts: ${Math.round(result.ours)} ms against ${Math.round(result.baseline)} ms by ${parallel} raw calls at once without id maps of their own, median of ${runs}`,
    };
  } finally {
    await plane.remove();
  }
}

async function observeFigure(lxd: Lxd): Promise<Figure> {
  const driver = new LxdDriver(lxd.endpoint);
  const client = new LxdClient(addressOf(lxd.endpoint));
  const scope = newId("dep");
  const [pool, application] = [newId("pol"), newId("app")];
  const specs = Array.from({ length: observed }, () => ({
    name: newId("hst"),
    hostname: "web",
    pool,
    application,
    image: "zhengyun-base-1",
    flavour: { vcpu: 1, memoryMib: 64, diskGib: 1 },
    sshKeys: [],
    addresses: [],
    ports: [],
    // Of each isolated host the server takes 65,536 of Debian's ten million ids: so many may run at once, the others are stopped.
    power: "stopped" as const,
  }));
  await atOnce(specs.slice(0, 140), (spec) => driver.createHost({ ...spec, power: "running" }, { scope, fence: 1 }));
  const there = (await driver.observe()).hosts.length;
  const result = await sideBySide(
    9,
    () => timed(() => driver.observe()),
    () => timed(() => client.get("/1.0/instances", { query: { recursion: "2", "all-projects": "true" } })),
  );
  await driver.purge();
  return {
    name: "lxd-observe",
    ratio: result.ratio,
    goal: 1.3,
    unit: "× one raw GET",
    detail: `${there} hosts: ${Math.round(result.ours)} ms against ${Math.round(result.baseline)} ms, median of 9`,
  };
}

const done = (request: { items: { resource: string | null }[] }) => request.items.map((item) => item.resource!);

async function retire(plane: TestPlane, ids: readonly string[]): Promise<void> {
  const request = await plane.ask(
    ids.map((id) => ({ action: "retire", kind: "host", id })),
    "city",
  );
  await plane.approve(request.id);
  await plane.settled(request.id);
}

/** Ours makes it at its first use, outside of what is measured. */
async function importedImage(plane: TestPlane, client: LxdClient): Promise<string> {
  const request = await plane.ask([host("first")], "office");
  await plane.approve(request.id);
  await plane.settled(request.id);
  return (await client.get<{ target: string }>("/1.0/images/aliases/zhengyun-base-1")).metadata.target;
}

async function makeRaw(client: LxdClient, name: string, fingerprint: string): Promise<void> {
  const body = {
    name,
    type: "container",
    source: { type: "image", fingerprint },
    profiles: [],
    config: { "limits.cpu": "1", "limits.memory": "64MiB" },
    devices: { root: { type: "disk", pool: "default", path: "/", size: "1GiB" } },
  };
  await client.change("POST", "/1.0/instances", { body });
  await client.change("PUT", `/1.0/instances/${name}/state`, { body: { action: "start", timeout: 60 } });
}

async function removeRaw(client: LxdClient, name: string): Promise<void> {
  await client.change("PUT", `/1.0/instances/${name}/state`, { body: { action: "stop", timeout: 30, force: true } });
  await client.change("DELETE", `/1.0/instances/${name}`);
}

/** With as many at once as the engine makes. */
async function atOnce<T>(all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  const left = [...all];
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one);
    }),
  );
}
