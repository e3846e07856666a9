/** lxd-batch: 50 hosts through the whole control plane and Pulumi on a real LXD, against the same 50 by raw REST calls. lxd-observe: one bulk reading of 200 against one raw GET. */
import { newId } from "../../control-plane/store/ids.ts";
import { addressOf } from "../../infra/drivers/lxd/address.ts";
import { LxdClient, Refused } from "../../infra/drivers/lxd/client.ts";
import { isAlone } from "../../infra/drivers/lxd/id-maps.ts";
import { type Instance, listInstances } from "../../infra/drivers/lxd/instances.ts";
import { LxdDriver } from "../../infra/drivers/lxd/lxd.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { type Lxd, startLxd } from "../setup/lxd.ts";
import { host, smallCity } from "../setup/small-city.ts";
import { type Figure, median, sideBySide, timed } from "./bench.ts";

const runs = 3;
const batch = 50;
/** Calls at once: as many as the engine makes. */
const parallel = 32;
const observed = 200;

export async function lxdFigures(): Promise<Figure[]> {
  const lxd = await startLxd();
  try {
    return [...(await batchFigures(lxd)), await observeFigure(lxd)];
  } finally {
    await lxd.close();
  }
}

/**
 * Ours: from the request over plan, approvals and apply until every host is active. The baseline makes the same hosts: the very settings, in a project with
 * the very restrictions. (It doesn't look at the ids that the server gives them: of hosts that are created at once most share theirs.) The second figure is
 * against hosts without restrictions and ids of their own, which the server makes with less work, but no department may have.
 */
async function batchFigures(lxd: Lxd): Promise<Figure[]> {
  const plane = new TestPlane("pglite", undefined, lxd.endpoint);
  const client = new LxdClient(addressOf(lxd.endpoint));
  try {
    // As often as in earnest.
    await plane.start({ ZHENGYUN_LOG_LEVEL: "error", ZHENGYUN_OBSERVE_SECONDS: "5" });
    await plane.fill(smallCity({ driver: "lxd", endpoint: lxd.endpoint, hosts: 60 }));
    const { same, plain } = await patterns(plane, client);
    const took: Record<"ours" | "same" | "plain", number[]> = { ours: [], same: [], plain: [] };
    let shared = 0;
    for (let run = 0; run < runs; run++) {
      let made: string[] = [];
      took.ours.push(
        await timed(async () => {
          const request = await plane.ask(
            Array.from({ length: batch }, (_, index) => host(`h${run}-${index}`)),
            "city",
          );
          await plane.approve(request.id);
          const done = await plane.settled(request.id);
          if (done.state !== "active" || done.items.some((item) => item.state !== "active")) throw new Error(`the request is ${done.state}`);
          made = done.items.map((item) => item.resource);
        }),
      );
      await retire(plane, made);
      for (const [kind, pattern] of [["same", same] as const, ["plain", plain] as const]) {
        const names = Array.from({ length: batch }, () => newId("hst").replace("_", "-"));
        took[kind].push(await timed(() => atOnce(names, (name) => makeRaw(client, name, pattern))));
        if (kind === "same") shared += await sharing(client, names);
        await atOnce(names, (name) => removeRaw(client, name, pattern.project));
      }
    }
    const [ours, raw, plainly] = [median(took.ours), median(took.same), median(took.plain)];
    const times = (baseline: number) =>
      `${batch} hosts, from the request to active: ${Math.round(ours)} ms against ${Math.round(baseline)} ms by ${parallel} raw calls at once`;
    return [
      {
        name: "lxd-batch",
        ratio: ours / raw,
        goal: 1.3,
        unit: "× raw REST",
        detail: `${times(raw)}, the same hosts in a project with the same restrictions (${Math.round(shared / runs)} of them with ids of others), median of ${runs}`,
      },
      {
        name: "lxd-batch-plain",
        ratio: ours / plainly,
        goal: null,
        unit: "× raw REST",
        detail: `${times(plainly)}, hosts without id maps of their own and restrictions, median of ${runs}`,
      },
    ];
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

async function retire(plane: TestPlane, ids: readonly string[]): Promise<void> {
  const request = await plane.ask(
    ids.map((id) => ({ action: "retire", kind: "host", id })),
    "city",
  );
  await plane.approve(request.id);
  await plane.settled(request.id);
}

interface Pattern {
  project: string;
  body: Record<string, unknown>;
}

/** What a raw call asks for. The image is imported at its first use, outside of what is measured. */
async function patterns(plane: TestPlane, client: LxdClient): Promise<{ same: Pattern; plain: Pattern }> {
  const request = await plane.ask([host("first")], "office");
  await plane.approve(request.id);
  await plane.settled(request.id);
  const fingerprint = (await client.get<{ target: string }>("/1.0/images/aliases/zhengyun-base-1")).metadata.target;
  const [one] = await listInstances(client);
  const { metadata: ours } = await client.get<{ config: Record<string, string> }>(`/1.0/projects/${one!.project}`);
  // Limits too: the server adds up what there is at each creation. Ample ones, since each department has its own.
  const ample: Record<string, string> = { "limits.instances": "1000", "limits.cpu": "10000", "limits.memory": "100TiB", "limits.disk": "100TiB" };
  const restrictions = Object.entries(ours.config).flatMap(([name, value]) => (name.startsWith("user.") ? [] : [[name, ample[name] ?? value] as const]));
  await client.change("POST", "/1.0/projects", { body: { name: "raw", description: "", config: Object.fromEntries(restrictions) } });
  // As many and as long ones; the observer must not take them for ours.
  const asked = Object.entries(one!.config).filter(([name]) => !/^(volatile|image)\./.test(name));
  const config = Object.fromEntries(asked.map(([name, value]) => [name.replace("user.zhengyun.", "user.raw."), value]));
  const common = { type: "container", source: { type: "image", fingerprint }, profiles: [], devices: one!.devices };
  return {
    same: { project: "raw", body: { ...common, config } },
    plain: { project: "default", body: { ...common, config: { "limits.cpu": "1", "limits.memory": "64MiB" } } },
  };
}

async function makeRaw(client: LxdClient, name: string, { project, body }: Pattern): Promise<void> {
  await client.change("POST", "/1.0/instances", { project, body: { ...body, name } });
  // Now and then one gets ids by which it doesn't start.
  const started = client.change("PUT", `/1.0/instances/${name}/state`, { project, body: { action: "start", timeout: 60 } });
  await started.catch((error: unknown) => {
    if (!(error instanceof Refused)) throw error;
  });
}

async function removeRaw(client: LxdClient, name: string, project: string): Promise<void> {
  await client.change("PUT", `/1.0/instances/${name}/state`, { project, body: { action: "stop", timeout: 30, force: true } }).catch(() => undefined);
  await client.change("DELETE", `/1.0/instances/${name}`, { project });
}

/** How many of them don't have their ids for themselves. */
async function sharing(client: LxdClient, names: readonly string[]): Promise<number> {
  const { metadata } = await client.get<Instance[]>("/1.0/instances", { query: { recursion: "1", "all-projects": "true" } });
  return metadata.filter((one) => names.includes(one.name) && !isAlone(one, metadata)).length;
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
