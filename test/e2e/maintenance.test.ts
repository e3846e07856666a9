/** A maintenance window with the real observer and a real host, which breaks in it while the control plane is killed; in Chromium and by the CLI. */
import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../control-plane/cli/client.ts";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { MaintenanceWindow } from "../../control-plane/contract/maintenance.ts";
import type { Notice } from "../../control-plane/contract/notices.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { Host } from "../../control-plane/contract/resources.ts";
import { openChromium, picture, signedIn, violations } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host } from "../setup/small-city.ts";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
const passed = (at: string) => waitFor(async () => Date.now() >= Date.parse(at), Boolean, { intervalMs: 100, timeoutMs: 60_000 });

describe("a maintenance window", { timeout: 180_000 }, () => {
  const plane = new TestPlane();
  let browser: Browser;
  let web: Host;
  const read = async () => (await plane.applicant.get<{ items: Host[] }>("/api/v1/hosts")).items[0]!;
  const cli = async <T>(token: string, ...args: string[]): Promise<T> => {
    const env = { ...process.env, ZHENGYUN_URL: plane.operations.url, ZHENGYUN_TOKEN: token };
    return JSON.parse((await run(process.execPath, [join(root, "control-plane/cli/zhengyun.js"), ...args, "--json"], { env })).stdout) as T;
  };
  const signIn = (client: Client): Promise<Page> => signedIn(browser, client);
  beforeAll(async () => {
    await plane.start();
    await plane.fill();
    const asked = await plane.applicant.post<Request>("/api/v1/requests", { application: "office-app", project: "p", title: "Test", items: [host("web")] });
    await plane.approve(asked.id);
    await plane.settled(asked.id);
    web = await read();
    browser = await openChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await plane.remove();
  });

  it("is announced in the console, and the department sees it", async () => {
    const page = await signIn(plane.operations);
    await page.goto("/maintenance");
    await page.getByText("没有维护窗口。").waitFor();
    await page.getByLabel("资源池代码").fill("compute");
    const local = (days: number) => new Date(Date.now() + days * 86_400_000 + 8 * 3_600_000).toISOString().slice(0, 16);
    await page.getByLabel("开始（北京时间）").fill(local(1));
    await page.getByLabel("结束（北京时间）").fill(local(1.1));
    await page.getByLabel("事由").fill("更换交换机");
    await page.getByRole("button", { name: "公告维护" }).click();
    // Too late for three working days' notice, and no emergency.
    await page
      .getByText(/working days of notice/)
      .first()
      .waitFor();
    expect(await violations(page)).toEqual([]);
    await picture(page, "maintenance-refused-zh");
    await page.getByLabel("开始（北京时间）").fill(local(20));
    await page.getByLabel("结束（北京时间）").fill(local(20.1));
    await page.getByRole("button", { name: "公告维护" }).click();
    await page.getByRole("row", { name: /更换交换机/ }).waitFor();
    expect(await violations(page)).toEqual([]);
    await picture(page, "maintenance-zh");
    const owner = await signIn(plane.applicant);
    await owner.goto(`/departments/${web.department}`);
    await owner.getByText("维护公告").waitFor();
    expect(await violations(owner)).toEqual([]);
    await picture(owner, "maintenance-department-zh");
    // Cancelled: it is told, and gone from the page by itself.
    await page.getByRole("button", { name: /取消维护: / }).click();
    await page.getByLabel("事由").first().fill("不需要了");
    await page.getByRole("button", { name: "取消维护", exact: true }).click();
    await page.getByText("已取消").waitFor();
    await owner.getByText("维护公告").waitFor({ state: "detached" });
  });

  it("begins and ends by itself, also while the control plane is down; what is down in it is maintenance, and afterwards it is down", async () => {
    const soon = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
    const times = ["--from", soon(3), "--to", soon(18)];
    const why = ["--reason", "new switches", "--emergency", "a switch fails"];
    const window = await cli<MaintenanceWindow>(plane.token, "maintenance", "announce", "--pool", "compute", ...times, ...why);
    expect(window).toMatchObject({ state: "announced", hosts: [{ name: "web" }] });
    await passed(window.from);
    expect(await waitFor(read, (one) => one.inMaintenance, { timeoutMs: 5000 })).toMatchObject({ observedState: "running", maintenanceSeconds: 0 });
    const { pid } = (await plane.driver.observe()).hosts.find((one) => one.name === web.id)!;
    process.kill(pid!, "SIGKILL");
    const broken = await waitFor(read, (one) => one.observedState !== "running", { timeoutMs: 10_000, intervalMs: 100 });
    await plane.kill();
    await passed(soon(Math.max(0, (Date.parse(window.to) - Date.now()) / 1000) + 2));
    await plane.start();
    const after = await waitFor(read, (one) => one.observedState !== "running" && one.observedState !== "unknown", { timeoutMs: 20_000 });
    expect(after.inMaintenance).toBe(false);
    // From the moment at which it was seen to be down to the window's own end, whenever it was noticed that that had come.
    expect(after.maintenanceSeconds).toBeCloseTo((Date.parse(window.to) - Date.parse(broken.observedAt!)) / 1000, 2);
    const kinds = async () =>
      (await cli<Notice[]>(plane.secretOf("applicant"), "notices", "list")).filter((one) => one.subject === window.id).map((one) => one.kind);
    const told = await waitFor(kinds, (list) => list.includes("maintenance.ended"), { timeoutMs: 30_000 });
    expect(told.toSorted()).toEqual(expect.arrayContaining(["maintenance.announced", "maintenance.ended"]));
    const later = await waitFor(read, (one) => one.uptimeRatio! < after.uptimeRatio!, { timeoutMs: 10_000 });
    expect(later.maintenanceSeconds).toBe(after.maintenanceSeconds);
    expect(await cli<MaintenanceWindow[]>(plane.secretOf("applicant"), "maintenance", "list", "--state", "ended")).toMatchObject([
      { id: window.id, state: "ended" },
    ]);
  });
});
