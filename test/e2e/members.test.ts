/** Members of a real three-member LXD cluster under a running department: drained, brought back, evened out, by plans that are confirmed; also with the control plane killed in the middle. */
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { Member } from "../../control-plane/contract/members.ts";
import type { OperationPlan } from "../../control-plane/contract/operation-plans.ts";
import type { Host } from "../../control-plane/contract/resources.ts";
import type { StackUpdate } from "../../control-plane/contract/stack-updates.ts";
import { type Client, createClient } from "../../control-plane/cli/client.ts";
import { openChromium, picture, signedIn, violations } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { type Lxd, startLxd } from "../setup/lxd.ts";
import { host, smallCity, volume } from "../setup/small-city.ts";

const run = promisify(execFile);
const zhengyun = resolve(import.meta.dirname, "../../control-plane/cli/main.ts");

describe("members of a cluster", { timeout: 240_000 }, () => {
  let lxd: Lxd;
  let plane: TestPlane;
  let second: Client;
  let secret = "";
  beforeAll(async () => {
    lxd = await startLxd(3);
    const city = smallCity({ driver: "lxd", endpoint: lxd.endpoint });
    // The members are one machine of two cores: more is given out than there is.
    for (const pool of city.pools) pool.overcommitPercent = 1600;
    const compute = city.pools.find((one) => one.code === "compute")!;
    city.pools.push({ ...compute, code: "compute-2", capacity: { hosts: 1, vcpu: 16, memory_mib: 65_536, "storage_gib:standard": 100 } });
    plane = new TestPlane("pglite", undefined, lxd.endpoint);
    await plane.start();
    await plane.fill(city);
    secret = await plane.grant("operations");
    const made = await plane.ask([
      ...["web", "db"].map((name) => ({ ...host(name, "small"), spec: { ...host(name, "small").spec, pool: "compute" } })),
      volume("data", 1),
      { action: "create", kind: "attachment", spec: { host: "db", volume: "data" } },
    ]);
    await plane.approve(made.id);
    expect((await plane.settled(made.id)).items.map((item) => [item.state, item.error])).toEqual(Array.from({ length: 4 }, () => ["active", null]));
    await plane.driver.exec((await held("db")).id, ["write", "/data/records"], { stdin: "precious" });
  }, 180_000);
  afterAll(async () => {
    await plane?.remove();
    await lxd?.close();
  }, 60_000);

  const held = async (name: string) =>
    (await plane.applicant.get<{ items: Host[] }>("/api/v1/hosts?department=office")).items.find((one) => one.name === name)!;
  /** Where each runs, as the cluster says. */
  const places = async () => {
    const names = new Map((await plane.applicant.get<{ items: Host[] }>("/api/v1/hosts?department=office")).items.map((one) => [one.id, one.name]));
    return Object.fromEntries((await plane.driver.observe()).hosts.map((one) => [names.get(one.name)!, `${one.member} ${one.state}`]));
  };
  const records = async () => (await plane.driver.exec((await held("db")).id, ["cat", "/data/records"])).stdout;
  const cli = async <T>(token: string, ...args: string[]): Promise<T> => {
    const { ZHENGYUN_TOKEN: _other, ...environment } = process.env;
    const env = { ...environment, ZHENGYUN_URL: plane.operations.url, ZHENGYUN_TOKEN: token };
    return JSON.parse((await run(process.execPath, [zhengyun, ...args, "--json"], { env })).stdout) as T;
  };
  const ended = (id: string) =>
    waitFor(
      () => plane.operations.get<OperationPlan>(`/api/v1/operation-plans/${id}`),
      (one) => ["done", "failed", "cancelled", "draft"].includes(one.state),
      { timeoutMs: 120_000 },
    );
  const confirm = async (plan: OperationPlan) => {
    second = createClient({ url: plane.operations.url, token: secret });
    await second.post(`/api/v1/operation-plans/${plan.id}/confirm`, { hash: plan.hash }, { ifMatch: plan.revision });
  };
  const ups = async () => (await plane.applicant.get<{ items: StackUpdate[] }>("/api/v1/stack-updates?department=office")).items.length;

  it("drains one under a running department by the CLI: shown, confirmed by another, empty; the volume's content comes along", async () => {
    const from = (await places())["db"]!.split(" ")[0]!;
    const members = await waitFor(
      async () => (await plane.operations.get<{ items: Member[] }>("/api/v1/members?pool=compute")).items,
      (all) => all.length === 3,
    );
    expect(members.map((one) => [one.name, one.state])).toEqual([1, 2, 3].map((index) => [`n${index}`, "online"]));
    const before = await ups();
    const plan = await cli<OperationPlan>(plane.token, "members", "drain", from, "--pool", "compute", "--reason", "new memory");
    expect(plan, JSON.stringify(plan)).toMatchObject({ state: "draft", counts: { blocked: 0 } });
    const step = plan.steps.find((one) => one.name === "db");
    expect(step).toMatchObject({ action: "move-host", from, restarts: true, applicationName: "Application", departmentName: { en: "office" } });
    expect(plan.steps[0]).toMatchObject({ action: "close-member", subject: from });
    expect((await places())["db"], "nothing has moved yet").toBe(`${from} running`);
    const done = await cli<OperationPlan>(secret, "operations", "confirm", plan.id, "--wait");
    expect(done, JSON.stringify(done.steps)).toMatchObject({ state: "done", counts: { failed: 0 } });
    const now = await places();
    expect(Object.values(now).every((one) => one.endsWith("running") && !one.startsWith(from))).toBe(true);
    expect(now["db"]).toBe(`${step!.to} running`);
    expect(await records()).toBe("precious");
    expect(await ups(), "Pulumi had nothing to do").toBe(before);
    const closed = await waitFor(
      async () => (await plane.operations.get<{ items: Member[] }>("/api/v1/members?pool=compute")).items.find((one) => one.name === from)!,
      (one) => one.state === "evacuated",
    );
    expect(closed).toMatchObject({ hosts: 0, volumes: 0 });

    // And back, with what it took away.
    const back = await cli<OperationPlan>(plane.token, "members", "restore", from, "--pool", "compute", "--bring-back", "--reason", "memory is in");
    expect(back.steps.map((one) => [one.action, one.to])).toEqual([["open-member", null], ...plan.steps.slice(1).map((one) => [one.action, from])]);
    await confirm(back);
    expect(await ended(back.id)).toMatchObject({ state: "done" });
    expect((await places())["db"]).toBe(`${from} running`);
    expect(await records()).toBe("precious");
  });

  it.each(["operation.claimed", "move.begun", "move.moved"])("killed at %s in the middle of a drain, it goes on to its end", async (point) => {
    await plane.kill("SIGTERM");
    await plane.start({ ZHENGYUN_FAULT: point });
    const from = (await places())["db"]!.split(" ")[0]!;
    const ask = { kind: "drain-member", pool: "compute", member: from, reason: "test" };
    const { id } = await plane.operations.post<OperationPlan>("/api/v1/operation-plans", ask);
    const plan = await ended(id);
    expect(plan.state, JSON.stringify(plan)).toBe("draft");
    await confirm(plan).catch(() => undefined);
    expect(await plane.exited).toBe("SIGKILL");
    await plane.start();
    const done = await ended(id);
    expect(done, JSON.stringify(done.steps)).toMatchObject({ state: "done" });
    const now = Object.values(await places());
    expect(now).toHaveLength(2);
    expect(now.every((one) => one.endsWith("running") && !one.startsWith(from))).toBe(true);
    expect(await records()).toBe("precious");
    const open = await plane.operations.post<OperationPlan>("/api/v1/operation-plans", {
      kind: "restore-member",
      pool: "compute",
      member: from,
      reason: "test",
    });
    await confirm(await ended(open.id));
    expect((await ended(open.id)).state).toBe("done");
  });

  it("evens out a pool whose hosts lie on one member, each move with its reason", async () => {
    const [web, db] = [await held("web"), await held("db")];
    for (const one of [web, db]) {
      const made = await plane.operations.post<OperationPlan>("/api/v1/operation-plans", { kind: "move-host", host: one.id, toMember: "n1", reason: "test" });
      const plan = await ended(made.id);
      if (plan.counts.blocked > 0) continue;
      await confirm(plan);
      expect(await ended(made.id)).toMatchObject({ state: "done" });
    }
    expect(Object.values(await places())).toEqual(["n1 running", "n1 running"]);
    const plan = await cli<OperationPlan>(plane.token, "pools", "rebalance", "compute", "--reason", "test");
    if (plan.steps.length > 0) {
      expect(plan.steps).toMatchObject([{ action: "move-host", from: "n1", reason: expect.stringMatching(/taken/) }]);
      await confirm(plan);
      expect(await ended(plan.id)).toMatchObject({ state: "done" });
      expect(Object.values(await places()).filter((one) => one.startsWith("n1"))).toHaveLength(1);
    }
  });

  it("moves a host to another pool of the cluster: the engine brings its state up to that, nothing is made anew", async () => {
    const web = await held("web");
    const { hosts } = await plane.driver.observe();
    const physical = hosts.find((one) => one.name === web.id)!.id;
    const plan = await cli<OperationPlan>(plane.token, "hosts", "move", web.id, "--pool", "compute-2", "--reason", "test");
    expect(plan, JSON.stringify(plan)).toMatchObject({
      state: "draft",
      counts: { blocked: 0 },
      steps: [{ fromPool: "compute", toPool: "compute-2", restarts: false }],
    });
    await confirm(plan);
    expect(await ended(plan.id)).toMatchObject({ state: "done" });
    expect((await held("web")).pool).toBe("compute-2");
    const update = await waitFor(
      async () => (await plane.applicant.get<{ items: StackUpdate[] }>("/api/v1/stack-updates?department=office")).items[0]!,
      (one) => one.state !== "running" && (one.changes?.["update"] ?? 0) > 0,
      { timeoutMs: 60_000 },
    );
    expect(update.state).toBe("succeeded");
    expect(Object.keys(update.changes ?? {}).filter((kind) => kind !== "same" && kind !== "update")).toEqual([]);
    expect((await plane.driver.observe()).hosts.find((one) => one.name === web.id)).toMatchObject({ id: physical, state: "running" });
    // What its department asks for afterwards is approved and done as ever.
    const stop = await plane.ask([{ action: "stop", kind: "host", id: web.id, spec: {} }]);
    await plane.approve(stop.id);
    expect((await plane.settled(stop.id)).items.map((item) => [item.state, item.error])).toEqual([["active", null]]);
  });

  it("in the console: one person draws up a plan, another confirms it and sees it end", async () => {
    const browser = await openChromium();
    try {
      // The server moves hosts meanwhile.
      const signIn = (client: Client, locale: string): Promise<Page> => signedIn(browser, client, locale, (page) => page.setDefaultTimeout(60_000));
      const author = await signIn(plane.operations, "zh-CN");
      await author.goto("/members");
      await author.getByRole("button", { name: "n1", exact: true }).click();
      await author.getByLabel("做什么").selectOption("drain-member");
      await author.getByLabel("服务器（均衡时为其资源池）").selectOption({ index: 0 });
      await author.getByLabel("原因（会告知主机所属部门）").fill("更换内存");
      expect(await violations(author)).toEqual([]);
      await picture(author, "members-zh");
      await author.getByRole("button", { name: "编制", exact: true }).click();
      await author.waitForURL(/\/operation-plans\/opl_/);
      await author.getByText("本人编制的方案须由另一位运维人员确认。").waitFor();
      expect(await author.getByRole("button", { name: "确认并开始" }).isDisabled()).toBe(true);
      const other = await signIn(createClient({ url: plane.operations.url, token: secret }), "en");
      await other.goto(new URL(author.url()).pathname);
      expect(await violations(other)).toEqual([]);
      await other.getByRole("button", { name: "Confirm and begin" }).click();
      // Live, without a click, on both pages.
      await other.locator("p.muted", { hasText: "Ended" }).first().waitFor();
      await author.locator("p.muted", { hasText: "结束" }).first().waitFor();
      await picture(other, "operation-plan-en");
      expect(await ended(new URL(author.url()).pathname.split("/").at(-1)!)).toMatchObject({ state: "done", reason: "更换内存" });
    } finally {
      await browser.close();
    }
  });
});
