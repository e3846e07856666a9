/** Pools of a real cluster: a group of its members takes the hosts, an application's apart from each other, with volumes of another storage pool; as operations see it. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { Pool, PoolMember } from "../../control-plane/contract/pools.ts";
import type { Host } from "../../control-plane/contract/resources.ts";
import { addressOf } from "../../infra/drivers/lxd/address.ts";
import { LxdClient } from "../../infra/drivers/lxd/client.ts";
import { keptOf, listInstances } from "../../infra/drivers/lxd/instances.ts";
import { openChromium, picture, signedIn } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { type Lxd, startLxd } from "../setup/lxd.ts";
import { host, smallCity, volume } from "../setup/small-city.ts";

const main = resolve(import.meta.dirname, "../../control-plane/cli/main.ts");

describe("pools of a cluster", { timeout: 180_000 }, () => {
  let lxd: Lxd;
  let plane: TestPlane;
  beforeAll(async () => {
    lxd = await startLxd(3);
    const [first] = lxd.members;
    // A second storage pool, on every member, and a group of two of the three.
    for (const { name } of lxd.members) await first!.must("lxc", ["storage", "create", "second", "dir", "--target", name]);
    await first!.must("lxc", ["storage", "create", "second", "dir"]);
    await first!.must("lxc", ["cluster", "group", "create", "gold"]);
    for (const name of ["n2", "n3"]) await first!.must("lxc", ["cluster", "group", "assign", name, "default,gold"]);
    plane = new TestPlane("pglite", undefined, lxd.endpoint);
    await plane.start();
    const city = smallCity({ driver: "lxd", endpoint: lxd.endpoint });
    city.pools[0]!.endpoint = `${lxd.endpoint}&group=gold`;
    city.pools[1]!.endpoint = lxd.endpoint.replace("storage=default", "storage=second");
    await plane.fill(city);
  }, 180_000);
  afterAll(async () => {
    await plane?.remove();
    await lxd?.close();
  });

  const zhengyun = (...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> =>
    new Promise((done) => {
      const env = { ...process.env, ZHENGYUN_URL: plane.operations.url, ZHENGYUN_TOKEN: plane.token };
      const child = spawn(process.execPath, [main, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
      let [stdout, stderr] = ["", ""];
      child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
      child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
      child.once("close", (code) => done({ code, stdout, stderr }));
    });
  const members = async () => JSON.parse((await zhengyun("pools", "members", "compute", "--json")).stdout) as PoolMember[];

  it("takes an application's hosts apart in its group, with volumes of the other storage pool, and says why on the plan", async () => {
    // The observer has written down who the members are.
    await waitFor(members, (all) => all.length === 3, { timeoutMs: 60_000 });
    const request = await plane.ask([
      host("web-1", "small"),
      host("web-2", "small"),
      volume("data", 1),
      { action: "create", kind: "attachment", spec: { host: "web-2", volume: "data" } },
    ]);
    await plane.approve(request.id);
    const done = await plane.settled(request.id);
    expect(done.state, JSON.stringify(done.error ?? done.items)).toBe("active");
    const chosen = done.plan!.placement.flatMap((one) => one.member ?? []);
    expect(chosen.toSorted()).toEqual(["n2", "n3"]);
    expect(done.plan!.placement.find((one) => one.member === "n2")).toMatchObject({ pool: "compute", memberReason: expect.stringContaining("2 members") });
    const instances = await listInstances(new LxdClient(addressOf(lxd.endpoint)));
    const wanted = done.plan!.placement.flatMap(({ resource, member }) => (member === undefined ? [] : [[resource, member] as const]));
    expect(new Map(instances.map((one) => [keptOf(one)!.spec.name, one.location])), "each really is where it was to be").toEqual(new Map(wanted));
    const device = instances.flatMap((one) => Object.values(one.devices)).find((one) => one["path"] === "/data");
    expect(device).toMatchObject({ type: "disk", pool: "second" });
    const web = (await Array.fromAsync(plane.applicant.all<Host>("/api/v1/hosts"))).find((one) => one.name === "web-2")!;
    const written = await plane.driver.exec(web.id, ["write", "/data/note"], { stdin: "in the other storage pool" });
    expect(written.code, written.stderr).toBe(0);
    expect((await plane.driver.exec(web.id, ["cat", "/data/note"])).stdout).toBe("in the other storage pool");
    const seen = await waitFor(members, (all) => all.filter((one) => one.hosts === 1).length === 2, { timeoutMs: 60_000 });
    expect(seen.map((one) => [one.name, one.state, one.inGroup, one.hosts])).toEqual([
      ["n1", "online", false, 0],
      ["n2", "online", true, 1],
      ["n3", "online", true, 1],
    ]);
  });

  it("is seen, grown, shrunk and closed by operations, in the CLI and in the console", async () => {
    const listed = await zhengyun("pools", "list");
    expect(listed.stdout, listed.stderr).toContain("hosts 2/60");
    const small = await zhengyun("pools", "change", "compute", "--capacity", "hosts=1");
    expect(small.code).not.toBe(0);
    expect(small.stderr).toContain("Close the pool");
    const grown = JSON.parse((await zhengyun("pools", "change", "compute", "--capacity", "hosts=70,vcpu=20", "--overcommit", "200", "--json")).stdout) as Pool;
    expect(grown).toMatchObject({
      capacity: { hosts: 70, vcpu: 20 },
      offered: { vcpu: 40 },
      taken: { hosts: 2 },
      group: "gold",
      members: { online: 2, offline: 0 },
    });
    const unsafe = await zhengyun("pools", "change", "compute", "--on-member-loss", "restart:900");
    expect(unsafe.code).not.toBe(0);
    expect(unsafe.stderr).toContain("watchdog");
    const settled = JSON.parse((await zhengyun("pools", "change", "compute", "--on-member-loss", "propose:900", "--json")).stdout) as Pool;
    expect(settled).toMatchObject({
      sharedStorage: false,
      onMemberLoss: { action: "propose", afterSeconds: 900, fenced: false, setAt: expect.any(String) as string },
    });
    const browser = await openChromium();
    try {
      const page = await signedIn(browser, plane.operations);
      await page.goto("/pools");
      const row = page.getByRole("row").filter({ hasText: "compute" }).first();
      await row.getByText("2 / 70").waitFor();
      await row.getByRole("button", { name: "节点: compute" }).click();
      await page.getByRole("table", { name: "节点: compute" }).getByText("n3").waitFor();
      await row.getByRole("button", { name: "修改: compute" }).click();
      await page.getByLabel("状态").selectOption("closed");
      await page.getByLabel("节点失联").selectOption("restart");
      await page.getByLabel("已确保失联的机器届时断电").check();
      await page.getByRole("button", { name: "保存" }).click();
      await row.getByText("关闭（不再放置）").waitFor();
      await row.getByText("在其他节点启动 · 900 s").waitFor();
      await row.getByText("各节点存储不共享").waitFor();
      await picture(page, "pools");
    } finally {
      await browser.close();
    }
    expect(JSON.parse((await zhengyun("pools", "show", "compute", "--json")).stdout)).toMatchObject({
      state: "closed",
      dedicatedTo: { departmentName: "部门0" },
    });
  });
});
