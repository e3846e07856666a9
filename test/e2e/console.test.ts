/** The console as people meet it: in Chromium, against a control plane that really runs, with real hosts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, createClient } from "../../control-plane/cli/client.ts";
import type { Restore } from "../../control-plane/contract/backups.ts";
import { openChromium, picture, signedIn, violations } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";

describe("the console, in Chromium on a real control plane", () => {
  const plane = new TestPlane();
  const outside: string[] = [];
  const complaints: string[] = [];
  let browser: Browser;
  let applicant: Page;
  let approver: Page;
  let authority: Page;
  let requestPath = "";

  /** A browser of one person's own, signed in by a one-time link. */
  const signIn = (client: Client, locale: string): Promise<Page> =>
    signedIn(browser, client, locale, (page) => {
      page.on("request", (request) => {
        if (!request.url().startsWith(plane.operations.url) && !/^(data|blob):/.test(request.url())) outside.push(request.url());
      });
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("console", (message) => {
        if (/Content Security Policy/.test(message.text())) complaints.push(message.text());
      });
    });
  beforeAll(async () => {
    await plane.start();
    await plane.fill();
    browser = await openChromium();
    applicant = await signIn(plane.applicant, "zh-CN");
    approver = await signIn(plane.approver, "zh-CN");
    authority = await signIn(plane.authority, "zh-CN");
  });
  afterAll(async () => {
    await browser?.close();
    await plane.remove();
  });

  it("asks a stranger to sign in, and shows nothing else", async () => {
    const context = await browser.newContext({ baseURL: plane.operations.url, locale: "zh-CN" });
    const page = await context.newPage();
    await page.goto("/");
    await page.getByRole("heading", { name: "请登录" }).waitFor();
    expect(await page.getByRole("table").count()).toBe(0);
    expect(await violations(page)).toEqual([]);
    await page.getByLabel("或使用令牌").fill("no-such-token");
    await page.getByRole("button", { name: "使用令牌" }).click();
    await page.getByText("令牌无效或已过期。").waitFor();
    await page.getByLabel("或使用令牌").fill(readFileSync(join(plane.data, "operator.token"), "utf8"));
    await page.getByRole("button", { name: "使用令牌" }).click();
    await page.getByRole("heading", { name: "用量与配额" }).waitFor();
    await context.close();
  });

  it("opens by a one-time link on usage, and the tree opens with its state in the address", async () => {
    await approver.getByRole("row", { name: /部门1/ }).waitFor();
    expect(await approver.getByRole("row", { name: /部门2/ }).count()).toBe(0);
    await approver.getByRole("button", { name: "展开 部门1" }).click();
    await approver.getByRole("row", { name: /部门2/ }).waitFor();
    expect(new URL(approver.url()).searchParams.get("open")).toContain("bureau");
    await approver.reload();
    await approver.getByRole("row", { name: /部门2/ }).waitFor();
    expect(await violations(approver)).toEqual([]);
    await picture(approver, "usage-zh");
  });

  it("opens and closes the tree by keyboard alone", async () => {
    await approver.getByRole("button", { name: "收起 部门1" }).focus();
    await approver.keyboard.press("Enter");
    await approver.getByRole("row", { name: /部门2/ }).waitFor({ state: "detached" });
    await approver.keyboard.press("Space");
    await approver.getByRole("row", { name: /部门2/ }).waitFor();
  });

  it("switches its language, and the page's lang with it", async () => {
    await approver.getByRole("button", { name: "English" }).click();
    await approver.getByRole("heading", { name: "Usage and quotas" }).waitFor();
    expect(await approver.evaluate("document.documentElement.lang")).toBe("en");
    await picture(approver, "usage-en");
    await approver.getByRole("button", { name: "中文" }).click();
    await approver.getByRole("heading", { name: "用量与配额" }).waitFor();
    expect(await approver.evaluate("document.documentElement.lang")).toBe("zh-CN");
  });

  it("takes a request, and keeps what was typed where it is refused", async () => {
    await applicant.getByRole("link", { name: "新建申请" }).first().click();
    await applicant.getByLabel("业务系统").waitFor();
    expect(await violations(applicant)).toEqual([]);
    await applicant.getByLabel("事项").fill("门户网站");
    const hosts = applicant.getByRole("group", { name: "主机 1" });
    await hosts.getByLabel("名称").fill("portal");
    await hosts.getByLabel("数量").fill("45");
    await applicant.getByRole("button", { name: "添加存储卷" }).click();
    const volume = applicant.getByRole("group", { name: "存储卷 1" });
    await volume.getByLabel("名称").fill("portal-data");
    await volume.getByLabel("大小 GiB").fill("1");
    await volume.getByLabel("每日备份").check();
    expect(await violations(applicant)).toEqual([]);
    await applicant.getByRole("button", { name: "核对" }).click();
    await applicant.getByText("核对后提交").waitFor();
    await applicant.getByText("不能提交").waitFor();
    await applicant
      .getByRole("row", { name: /主机 45 .*超出/ })
      .first()
      .waitFor();
    expect(await applicant.getByRole("button", { name: "提交", exact: true }).isDisabled()).toBe(true);
    expect(await violations(applicant)).toEqual([]);
    await picture(applicant, "new-request-refused");
    await applicant.getByRole("button", { name: "返回修改" }).click();
    expect(await applicant.getByLabel("事项").inputValue()).toBe("门户网站");
    await hosts.getByLabel("数量").fill("1");
    await volume.getByLabel("挂载于").selectOption("portal");
    await applicant.getByRole("button", { name: "核对" }).click();
    await applicant.getByText("可以提交").waitFor();
    await applicant.getByText("至本财政年度末的费用").waitFor();
    await applicant.getByText(/^¥ [1-9]/).waitFor();
    await picture(applicant, "new-request-check");
    await applicant.getByRole("button", { name: "提交", exact: true }).click();
    await applicant.waitForURL(/\/requests\/req_/);
    requestPath = new URL(applicant.url()).pathname;
    // The plan comes by itself: nothing is reloaded.
    await applicant.getByRole("heading", { name: "变更方案" }).waitFor();
    expect(await violations(applicant)).toEqual([]);
  });

  it("does not let its author decide", async () => {
    expect(await applicant.getByRole("button", { name: "批准此方案" }).isDisabled()).toBe(true);
    await applicant.getByText("只有审批人可以审批。").waitFor();
  });

  /** Opens the request from a person's inbox. */
  const fromInbox = async (page: Page) => {
    await page.getByRole("navigation", { name: "主导航" }).getByRole("link", { name: "审批" }).click();
    const row = page.getByRole("row", { name: /门户网站.*个工作日/ });
    await row.waitFor();
    expect(await violations(page)).toEqual([]);
    await picture(page, "inbox-todo");
    await row.getByRole("link").click();
    await page.waitForURL(`**${requestPath}`);
    await page.getByText(/主机 \+1/).waitFor();
  };

  it("shows the plan to the approver in the inbox, with its deadline, who approves it once", async () => {
    await fromInbox(approver);
    await approver.getByText(/截止.*个工作日/).waitFor();
    expect(await violations(approver)).toEqual([]);
    await picture(approver, "request-planned");
    await approver.getByRole("button", { name: "批准此方案" }).click();
    await approver.getByText("您已审批过此申请的其他环节。").waitFor();
    expect(await approver.getByRole("button", { name: "批准此方案" }).isDisabled()).toBe(true);
  });

  it("lets the authority ask, the applicant answer, both attach and comment", async () => {
    await fromInbox(authority);
    expect(await authority.getByRole("button", { name: "退回补充" }).isDisabled(), "a question needs words").toBe(true);
    await authority.getByLabel("理由，或向申请人的询问").fill("为何需要 443 端口？");
    await authority.getByRole("button", { name: "退回补充" }).click();
    await applicant.getByLabel("您的答复").fill("对外提供 HTTPS 服务。");
    expect(await violations(applicant)).toEqual([]);
    await picture(applicant, "request-asked");
    await applicant.getByLabel(/添加附件/).setInputFiles({ name: "论证报告.pdf", mimeType: "application/pdf", buffer: Buffer.from("%PDF-1.7 报告") });
    await applicant.getByRole("link", { name: "论证报告.pdf" }).waitFor();
    await applicant.getByRole("button", { name: "答复" }).click();
    // It comes to the authority by itself, and what was typed there is kept by nobody else's acts.
    await authority.getByText("对外提供 HTTPS 服务。").first().waitFor();
    await authority.getByRole("link", { name: "论证报告.pdf" }).waitFor();
    const [download] = await Promise.all([authority.waitForEvent("download"), authority.getByRole("link", { name: "论证报告.pdf" }).click()]);
    expect(download.suggestedFilename()).toBe("论证报告.pdf");
    expect(readFileSync(await download.path(), "utf8")).toBe("%PDF-1.7 报告");
    await authority.getByLabel("写意见").fill("同意，请按期验收。");
    await authority.getByRole("button", { name: "发表" }).click();
    await authority.getByText("同意，请按期验收。").first().waitFor();
    await authority.getByText(/截止.*个工作日/).waitFor();
    expect(await violations(authority)).toEqual([]);
    await picture(authority, "request-decide");
  });

  it("is approved by the authority; the applicant sees it become active live", async () => {
    await authority.getByRole("button", { name: "批准此方案" }).click();
    await applicant.getByText("已完成").first().waitFor({ timeout: 60_000 });
    await picture(applicant, "request-active");
    await authority.getByRole("navigation", { name: "主导航" }).getByRole("link", { name: "审批" }).click();
    await authority.getByText("没有待办事项。").waitFor();
    await authority.getByRole("link", { name: "已办" }).click();
    await authority.getByRole("row", { name: /门户网站/ }).waitFor();
    await authority.getByRole("button", { name: "English" }).click();
    await authority.getByRole("row", { name: /门户网站.*approved.*active/ }).waitFor();
    expect(await violations(authority)).toEqual([]);
    await picture(authority, "inbox-done-en");
  });

  it("shows the department's host running", async () => {
    await applicant.locator("main").getByRole("link", { name: "部门", exact: true }).click();
    await applicant.getByRole("row", { name: /portal.*运行中/ }).waitFor();
    await applicant.getByRole("row", { name: /portal-data-nightly.*0 2 \* \* \*/ }).waitFor();
    await applicant.getByRole("row", { name: /门户网站.*已完成/ }).waitFor();
    expect(await violations(applicant)).toEqual([]);
    await picture(applicant, "department");
  });

  it("backs a volume up, and restores it only when its name is typed", async () => {
    await applicant
      .getByRole("row", { name: /portal-data/ })
      .getByRole("button", { name: "立即备份" })
      .click();
    await applicant
      .getByRole("row", { name: /portal-data.*完成/ })
      .getByRole("button", { name: "恢复…" })
      .click();
    const dialog = applicant.getByRole("alertdialog");
    expect(await dialog.getByRole("button", { name: "替换内容" }).isDisabled()).toBe(true);
    await dialog.getByLabel("名称").fill("portal-data");
    await picture(applicant, "restore");
    await dialog.getByRole("button", { name: "替换内容" }).click();
    await dialog.waitFor({ state: "detached" });
    await expect
      .poll(async () => (await plane.applicant.get<{ items: Restore[] }>("/api/v1/restores")).items.map((one) => one.state), { timeout: 20_000 })
      .toEqual(["complete"]);
  });

  it("shows auditors, and nobody else, who did what, from where, and its place in the chain", async () => {
    expect(await applicant.getByRole("link", { name: "审计记录" }).count()).toBe(0);
    const auditor = await signIn(createClient({ url: plane.operations.url, token: await plane.grant("audit-admin") }), "zh-CN");
    await auditor.getByRole("link", { name: "审计记录" }).click();
    await auditor
      .getByRole("row", { name: /backup\.create/ })
      .first()
      .waitFor();
    await auditor.getByLabel("操作", { exact: true }).fill("request.approve");
    await auditor.getByLabel("结果").selectOption("成功");
    await auditor.getByRole("button", { name: "查询" }).click();
    await auditor.waitForURL(/action=request\.approve/);
    const row = auditor.getByRole("row", { name: /request\.approve/ });
    await expect.poll(() => row.count()).toBe(1);
    expect(await row.innerText()).toMatch(/^\d+\s.*主管部门.*127\.0\.0\.1/s);
    await row.locator("summary").click();
    await row.getByText(/sha256 [0-9a-f]{64}/).waitFor();
    expect(await violations(auditor)).toEqual([]);
    await picture(auditor, "audit");
    // A day that is none is left out.
    await auditor.goto("/audit?action=request.approve&from=yesterday&to=2999-01-01");
    await expect.poll(() => row.count()).toBe(1);
    await auditor.getByText("zhengyun audit list --action request.approve --to 2999-01-01T16:00:00.000Z").waitFor();
    await auditor.getByLabel("操作者").fill("nobody");
    await auditor.getByRole("button", { name: "查询" }).click();
    await auditor.getByText("没有符合条件的记录。").waitFor();
    await auditor.getByRole("button", { name: "English" }).click();
    await auditor.getByRole("heading", { name: "Audit" }).waitFor();
    await auditor.context().close();
  });

  it("is whole in the dark and at the width of a telephone", async () => {
    await applicant.emulateMedia({ colorScheme: "dark" });
    await applicant.setViewportSize({ width: 320, height: 800 });
    expect(await violations(applicant)).toEqual([]);
    expect(await applicant.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    await picture(applicant, "department-dark-narrow");
    await applicant.setViewportSize({ width: 1280, height: 900 });
    await applicant.goto("/");
    await applicant.getByRole("heading", { name: "用量与配额" }).waitFor();
    await applicant.getByRole("table").waitFor();
    expect(await violations(applicant)).toEqual([]);
    await picture(applicant, "usage-dark");
  });

  it("asks nothing of the outside, and offends neither its policy nor its own code", () => {
    expect(outside).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
