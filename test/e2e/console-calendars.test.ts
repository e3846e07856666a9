/** The calendar of another year, imported in Chromium: what was provisional becomes firm. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, createClient } from "../../control-plane/cli/client.ts";
import type { Calendar } from "../../control-plane/contract/approvals.ts";
import { openChromium, picture, signedIn, violations } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { volume } from "../setup/small-city.ts";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
/** Years from now on; the days in the files are the test's own, no notice's. */
const year = Number(new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 4));

describe("calendars in the console", { timeout: 120_000 }, () => {
  const plane = new TestPlane();
  let browser: Browser;
  let admin: Page;
  let system: Client;
  const signIn = (client: Client, locale: string): Promise<Page> => signedIn(browser, client, locale);
  beforeAll(async () => {
    await plane.start();
    await plane.fill();
    browser = await openChromium();
    system = createClient({ url: plane.operations.url, token: await plane.grant("system-admin") });
    admin = await signIn(system, "zh-CN");
  });
  afterAll(async () => {
    await browser?.close();
    await plane.remove();
  });

  it("shows a deadline in a year without a calendar as provisional, to the approver", async () => {
    // So many working days that it ends in the next year.
    const security = createClient({ url: plane.operations.url, token: await plane.grant("security-admin") });
    const stages = [
      { name: "部门审批", kind: "department-approval", role: "approver", approvers: [], mode: "serial", needed: null, days: 60 },
      { name: "主管部门审批", kind: "authority-approval", role: "authority", approvers: [], mode: "serial", needed: null, days: 5 },
    ];
    const { version } = await security.get<{ version: number }>("/api/v1/approval-policies/office");
    await security.put("/api/v1/approval-policies/office", { stages, note: "test" }, version);
    const asked = await plane.ask([volume("data", 1)]);
    const step = (await plane.planned(asked.id)).approvals[0]!;
    // Before October it would still end in this year.
    const crosses = Number(step.dueAt!.slice(0, 4)) > year;
    expect(step.provisional).toBe(crosses);
    const approver = await signIn(plane.approver, "zh-CN");
    await approver.goto(`/requests/${asked.id}`);
    await approver.getByRole("heading", { name: "变更方案" }).waitFor();
    if (crosses) await approver.getByText("暂定").first().waitFor();
    expect(await violations(approver)).toEqual([]);
    await picture(approver, "provisional-zh");
    await admin.goto("/calendars");
    await admin.getByText(`${year + 1} 年的工作日历尚未导入`).waitFor();
    await admin.getByLabel("文件（CSV 或 JSON）").setInputFiles({ name: "bad.csv", mimeType: "text/csv", buffer: Buffer.from(`${year + 1}-01-01,perhaps`) });
    await admin.getByText(/Line 1: "perhaps" is neither/).waitFor();
    const file = (lines: string[]) => ({ name: "days.csv", mimeType: "text/csv", buffer: Buffer.from(["日期,类型", ...lines].join("\n")) });
    await admin.getByLabel("文件（CSV 或 JSON）").setInputFiles(file([`${year + 1}-01-01,休`, `${year + 1}-13-01,休`]));
    await admin.getByLabel("依据").fill("测试用，非国务院通知");
    await admin.getByRole("button", { name: "导入" }).click();
    await admin
      .getByText(`${year + 1}-13-01`, { exact: false })
      .first()
      .waitFor();
    await admin.getByRole("alert").first().waitFor();
    await picture(admin, "calendar-refused-zh");
    await admin.getByLabel("文件（CSV 或 JSON）").setInputFiles(file([`${year + 1}-01-01,休`]));
    await admin.getByLabel("依据").fill("测试用，非国务院通知");
    expect(await violations(admin)).toEqual([]);
    await picture(admin, "calendar-preview-zh");
    await admin.getByRole("button", { name: "导入" }).click();
    await admin.getByText("年已导入").waitFor();
    await admin.getByRole("row", { name: /测试用，非国务院通知 1 0/ }).waitFor();
    const after = (await plane.read(asked.id)).approvals[0]!;
    expect(after.provisional).toBe(false);
    await admin.getByRole("button", { name: "English" }).click();
    await admin.getByRole("heading", { name: "Working days" }).waitFor();
    expect(await violations(admin)).toEqual([]);
    await picture(admin, "calendars-en");
  });

  it("replaces it by the CLI, from a CSV file", async () => {
    const file = join(plane.data, "days.csv");
    writeFileSync(file, `${year + 1}-01-01,holiday\n${year + 1}-10-01,holiday\n`);
    const token = readFileSync(join(plane.data, "operator.token"), "utf8").trim();
    expect(token).not.toBe("");
    const env = { ...process.env, ZHENGYUN_URL: plane.operations.url, ZHENGYUN_TOKEN: await plane.grant("system-admin") };
    const { stdout } = await run(process.execPath, [join(root, "control-plane/cli/zhengyun.js"), "calendars", "import", file, "--source", "test", "--json"], {
      env,
    });
    expect(JSON.parse(stdout) as Calendar).toMatchObject({ year: year + 1, revision: 2, holidays: [`${year + 1}-01-01`, `${year + 1}-10-01`] });
  });
});
