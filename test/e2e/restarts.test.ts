/** A change that takes a restart, with the real engine and a real host: agreed to by its owner in Chromium and by the CLI, and done at that time though the control plane is killed before it and in it. */
import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { Notice } from "../../control-plane/contract/notices.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { Host, Volume } from "../../control-plane/contract/resources.ts";
import { openChromium, picture, signedIn, violations } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host, volume } from "../setup/small-city.ts";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
/** Without it a mounted ext4 doesn't grow, on whatever machine. */
const without = ["setpriv", "--bounding-set", "-sys_resource", "--inh-caps", "-sys_resource"];

describe("a change that takes a restart", { timeout: 180_000 }, () => {
  const plane = new TestPlane();
  let browser: Browser;
  let web: Host;
  let data: Volume;
  const started = async () => {
    const { pid, startedAt, state } = (await plane.driver.observe()).hosts.find((one) => one.name === web.id)!;
    return { pid, startedAt, state };
  };
  const cli = async <T>(token: string, ...args: string[]): Promise<T> => {
    const env = { ...process.env, ZHENGYUN_URL: plane.operations.url, ZHENGYUN_TOKEN: token };
    return JSON.parse((await run(process.execPath, [join(root, "control-plane/cli/zhengyun.js"), ...args, "--json"], { env })).stdout) as T;
  };
  beforeAll(async () => {
    await plane.start({}, without);
    await plane.fill();
    const asked = await plane.ask([
      host("web"),
      volume("data", 1),
      { action: "create", kind: "attachment", spec: { host: "web", volume: "data", path: "/data" } },
    ]);
    await plane.approve(asked.id);
    expect((await plane.settled(asked.id)).state).toBe("active");
    web = (await plane.applicant.get<{ items: Host[] }>("/api/v1/hosts")).items[0]!;
    data = (await plane.applicant.get<{ items: Volume[] }>("/api/v1/volumes")).items[0]!;
    await plane.driver.exec(web.id, ["write", "/data/file"], { stdin: "kept" });
    browser = await openChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await plane.remove();
  });

  it("is none where the engine can do it while the host runs, whatever was agreed to", async () => {
    const before = await started();
    const made = await cli<Request>(plane.secretOf("applicant"), "hosts", "resize", web.id, "--flavour", "large", "--restart", "now");
    await plane.approve(made.id);
    expect(await plane.settled(made.id)).toMatchObject({ state: "active", plan: { restarts: [] }, items: [{ restart: { why: null, begunAt: null } }] });
    expect(await started()).toEqual(before);
  });

  it("waits for its owner, is agreed to in the console, changed by the CLI, and done at that time, killed before it and in it", async () => {
    const before = await started();
    const made = await cli<Request>(plane.secretOf("applicant"), "volumes", "grow", data.id, "--size", "2");
    await plane.approve(made.id);
    const waits = await plane.settled(made.id);
    expect(waits).toMatchObject({
      state: "scheduled",
      plan: { restarts: [{ resource: data.id, host: web.id, hostName: "web", why: expect.stringContaining("ext4") }] },
      items: [{ state: "scheduled", restart: { time: null, begunAt: null } }],
    });
    const agree = (client: typeof plane.applicant, revision: number) =>
      client.post<Request>(`/api/v1/requests/${made.id}/agree-restart`, { time: { when: "now" } }, { ifMatch: revision });
    await expect(agree(plane.operations, waits.revision)).rejects.toMatchObject({ problem: { status: 403 } });

    const page = await signedIn(browser, plane.applicant);
    await page.goto(`/requests/${made.id}`);
    await page.getByText("尚未约定").waitFor();
    const local = new Date(Date.now() + 86_400_000 + 8 * 3_600_000).toISOString().slice(0, 16);
    await page.getByLabel("重启时间（北京时间）").fill(local);
    expect(await violations(page)).toEqual([]);
    await picture(page, "restart-zh");
    await page.getByRole("button", { name: "约定重启" }).click();
    await page.getByText("尚未约定").waitFor({ state: "detached" });
    expect((await plane.read(made.id)).items[0]!.restart?.time).toEqual({ when: "at", at: new Date(`${local}+08:00`).toISOString() });
    await page.context().close();

    const at = new Date(Date.now() + 12_000);
    const changed = await cli<Request>(plane.secretOf("applicant"), "requests", "agree-restart", made.id, "--at", at.toISOString());
    expect(changed.items[0]!.restart).toMatchObject({ time: { when: "at" }, dueAt: at.toISOString() });
    await plane.kill();
    expect(await started(), "not before").toEqual(before);
    await plane.start({ ZHENGYUN_FAULT: "restart.begun" }, without);
    expect(await plane.exited).toBe("SIGKILL");
    expect(Date.now()).toBeGreaterThanOrEqual(at.getTime());
    await plane.start({}, without);
    const done = await waitFor(
      () => plane.read(made.id),
      (one) => one.state === "active" || one.state === "failed",
      { timeoutMs: 60_000 },
    );
    expect(done.items).toMatchObject([{ state: "active", restart: { begunAt: expect.any(String) } }]);
    const after = await started();
    expect(after.state).toBe("running");
    expect(after.pid).not.toBe(before.pid);
    expect((await plane.driver.exec(web.id, ["cat", "/data/file"])).stdout).toBe("kept");
    expect((await plane.driver.observe()).volumes[0]!.sizeGib).toBe(2);
    const { items } = await plane.applicant.get<{ items: Notice[] }>("/api/v1/notices");
    // Whoever agreed to it is not told of that.
    expect(items.map((one) => one.kind).filter((kind) => kind.startsWith("restart."))).toEqual(["restart.done", "restart.needed"]);
  });
});
