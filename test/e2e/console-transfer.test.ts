/** A transfer asked for in the console, in Chromium, and by the CLI: what it would do is shown first, both sides see it. */
import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Request } from "../../control-plane/contract/requests.ts";
import { openChromium, picture, signedIn } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host } from "../setup/small-city.ts";
import { rests, Sides } from "../setup/transfer.ts";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");

describe("a transfer, as people ask for it", { timeout: 180_000 }, () => {
  const plane = new TestPlane();
  const sides = new Sides(plane);
  let browser: Browser;
  beforeAll(async () => {
    await plane.start();
    await sides.settle({ driver: "embedded", endpoint: join(plane.data, "embedded") });
    const first = await plane.ask([host("web")]);
    await plane.approve(first.id);
    expect((await plane.settled(first.id)).state).toBe("active");
    browser = await openChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await plane.remove();
  });

  it("by the CLI: says what it would do, asks, and is withdrawn", async () => {
    const { id, side } = await sides.application();
    expect(side).toBe("office");
    const token = await plane.grant("applicant", "office");
    const cli = async (...args: string[]) =>
      (
        await run(process.execPath, [join(root, "control-plane/cli/main.ts"), "applications", "transfer", id, "--to", "annex", "--to-project", "p", ...args], {
          env: { ...process.env, ZHENGYUN_URL: plane.operations.url, ZHENGYUN_TOKEN: token },
        })
      ).stdout;
    expect(await cli("--what-if")).toContain("附属部门: hosts +1");
    const asked = JSON.parse(await cli("--reason", "reorganisation", "--json")) as Request;
    const planned = await plane.planned(asked.id);
    expect(planned.plan?.steps.map((step) => step.action)).toContain("transfer");
    await plane.applicant.post(`/api/v1/requests/${asked.id}/withdraw`, {}, { ifMatch: planned.revision });
    expect((await rests(plane, asked.id)).state).toBe("withdrawn");
  });

  it("in the console: checked, submitted, decided by both sides and the authority; the receiver has the host, which never stopped", async () => {
    const running = async () => (await plane.driver.observe()).hosts.map(({ id, pid, startedAt }) => ({ id, pid, startedAt }));
    const before = await running();
    const page = await signedIn(browser, sides.of("office"));
    const { department } = await sides.application();
    await page.goto(`/departments/${department}`);
    await page.getByRole("button", { name: /^移交… / }).click();
    const form = page.getByRole("region", { name: "移交业务系统" });
    await form.getByLabel("接收部门代码").fill("annex");
    await form.getByLabel("接收部门的项目代码").fill("p");
    await form.getByLabel("理由").fill("机构改革");
    await form.getByRole("button", { name: "核对" }).click();
    await page.getByRole("heading", { name: "核对后提交" }).waitFor();
    await picture(page, "transfer-check-zh");
    await page.getByRole("button", { name: "提交", exact: true }).click();
    await page.waitForURL(/\/requests\/req_/);
    const id = new URL(page.url()).pathname.split("/").at(-1)!;
    await sides.approve(id);
    expect((await rests(plane, id)).state).toBe("active");
    await page.reload();
    await page.getByText("移交").first().waitFor();
    await picture(page, "transfer-request-zh");
    expect((await sides.application()).side).toBe("annex");
    expect(await running()).toEqual(before);
  });
});
