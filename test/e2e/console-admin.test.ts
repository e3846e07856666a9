/** What administrators and approvers settle in the console, in Chromium: accounts, roles, leave, policies, a project's stages, reconciliation. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, createClient } from "../../control-plane/cli/client.ts";
import type { Department } from "../../control-plane/contract/departments.ts";
import type { Project } from "../../control-plane/contract/projects.ts";
import type { RoleBinding } from "../../control-plane/contract/roles.ts";
import { openChromium, picture, signedIn, violations } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";

describe("administration in the console", { timeout: 120_000 }, () => {
  const plane = new TestPlane();
  let browser: Browser;
  let system: Client;
  let security: Client;
  const signIn = (client: Client): Promise<Page> => signedIn(browser, client);
  const as = async (role: Parameters<TestPlane["grant"]>[0], department: string | null = null) =>
    createClient({ url: plane.operations.url, token: await plane.grant(role, department) });
  /** Looked at, and free of what axe finds. */
  async function look(page: Page, name: string): Promise<void> {
    await picture(page, name);
    expect(await violations(page)).toEqual([]);
  }
  async function giveReason(page: Page, reason: string): Promise<void> {
    await page.getByRole("dialog").getByRole("textbox").fill(reason);
    await page.getByRole("dialog").getByRole("button", { name: "确定" }).click();
  }

  beforeAll(async () => {
    await plane.start();
    await plane.fill();
    browser = await openChromium();
    system = await as("system-admin");
    security = await as("security-admin");
  });
  afterAll(async () => {
    await browser?.close();
    await plane.remove();
  });

  it("makes an account, whose link is shown once; another administrator grants and takes away its role", async () => {
    const admin = await signIn(system);
    await admin.goto("/accounts");
    await admin.getByLabel("账户", { exact: true }).fill("li.na");
    await admin.getByLabel("姓名").fill("李娜");
    await admin.getByRole("button", { name: "新建", exact: true }).click();
    await admin.getByText("/set-up#").waitFor();
    await admin.getByRole("row", { name: /li\.na 李娜 人员 ○ 待本人设置/ }).waitFor();
    await look(admin, "accounts-zh");
    await admin.getByRole("button", { name: "停用: li.na" }).click();
    await admin.getByRole("row", { name: /li\.na .*已停用/ }).waitFor();
    await admin.getByRole("button", { name: "启用: li.na" }).click();
    await admin.getByRole("row", { name: /li\.na .*待本人设置/ }).waitFor();

    const officer = await signIn(security);
    await officer.goto("/roles");
    await officer.locator("select[name=subject]").selectOption({ label: "li.na（李娜）" });
    await officer.locator("select[name=role]").selectOption("approver");
    await officer.getByLabel("范围（部门及其下级）").selectOption({ label: "office 部门2" });
    await officer.getByLabel("理由（如文号）").fill("京政办〔2026〕1号");
    await officer.getByRole("button", { name: "授予", exact: true }).click();
    await officer.getByRole("row", { name: /李娜 .*部门2 \(office\) ● 有效/ }).waitFor();
    await look(officer, "roles-zh");
    const granted = async () => (await security.get<{ items: RoleBinding[] }>("/api/v1/role-bindings", { role: "approver" })).items[0]!;
    expect(await granted()).toMatchObject({ role: "approver", kind: "standing", reason: "京政办〔2026〕1号", revokedAt: null });
    await officer.getByRole("button", { name: /收回: 李娜/ }).click();
    await giveReason(officer, "调离");
    await officer.getByRole("row", { name: /李娜 .*已收回/ }).waitFor();
    expect((await granted()).revokedAt).not.toBeNull();
  });

  it("shows what of an elevation is to be reviewed, to who reviews it", async () => {
    const someone = await system.post<{ id: string; secret: string }>("/api/v1/tokens", { name: "night duty" });
    const eligible = await security.post<RoleBinding>("/api/v1/role-bindings", {
      subject: someone.id,
      role: "operations",
      kind: "eligible",
      reason: "on call",
    });
    await createClient({ url: plane.operations.url, token: someone.secret }).post(`/api/v1/role-bindings/${eligible.id}/elevate`, {
      reason: "storage is down",
      minutes: 30,
    });
    const auditor = await signIn(await as("audit-admin"));
    await auditor.goto("/roles?unreviewed=true");
    await auditor.getByRole("row", { name: /night duty .*应急提权 .*待复核 storage is down/ }).waitFor();
    await auditor.getByRole("button", { name: /^正当: night duty/ }).click();
    await giveReason(auditor, "值班记录属实");
    await auditor.getByText("没有授权。").waitFor();
  });

  it("names a deputy for a leave, and ends it early", async () => {
    const approver = await signIn(plane.approver);
    const deputy = await system.post<{ id: string; secret: string }>("/api/v1/tokens", { name: "deputy" });
    await security.post("/api/v1/role-bindings", { subject: deputy.id, role: "approver", department: "city", reason: "deputy" });
    await approver.goto("/delegations");
    await approver.getByLabel("代理人编号").fill(deputy.id);
    await approver.getByLabel("起始日期").fill("2027-01-04");
    await approver.getByLabel("截止日期").fill("2027-01-08");
    await approver.getByLabel("理由").fill("年假");
    await approver.getByRole("button", { name: "指定" }).click();
    await approver.getByRole("row", { name: /deputy .*未开始 年假/ }).waitFor();
    await look(approver, "delegations-zh");
    await approver.getByRole("button", { name: "提前结束" }).click();
    await approver.getByText("已提前结束").waitFor();
  });

  it("sets a department's approval policy by a new version, and inherits again", async () => {
    const office = await plane.operations.get<Department>("/api/v1/departments/office");
    const officer = await signIn(security);
    await officer.goto(`/departments/${office.id}/approval-policy`);
    await officer.getByRole("button", { name: "增加环节" }).click();
    const added = officer.getByRole("group", { name: "环节 3" });
    await added.getByLabel("名称").fill("主管部门复核");
    await added.getByLabel("类型").selectOption("authority-approval");
    await officer.getByLabel("说明（如文号）").fill("试行");
    await officer.getByRole("button", { name: "保存为新版本" }).click();
    await officer.getByText("已保存").waitFor();
    await look(officer, "approval-policy-zh");
    const { stages } = await security.get<{ stages: { name: string; role: string }[] }>("/api/v1/approval-policies/office");
    expect(stages.at(-1)).toMatchObject({ name: "主管部门复核", role: "authority" });
    await officer.getByRole("button", { name: "恢复沿用上级" }).click();
    await officer.getByText("内置默认").waitFor();
    const reader = await signIn(plane.approver);
    await reader.goto(`/departments/${office.id}/approval-policy`);
    await reader
      .getByRole("row", { name: /部门审批/ })
      .first()
      .waitFor();
    expect(await reader.getByRole("button", { name: "保存为新版本" }).count()).toBe(0);
  });

  it("takes a project from its filing over the review to its approval, each step by who may take it", async () => {
    const filed = await plane.applicant.post<Project>("/api/v1/projects", {
      department: "office",
      code: "new-one",
      name: "新平台",
      fiscalYear: 2027,
      budgetFen: 5_000_000,
    });
    const applicant = await signIn(plane.applicant);
    await applicant.goto(`/projects/${filed.id}`);
    await applicant.getByRole("heading", { name: "新平台" }).waitFor();
    expect(await applicant.getByRole("heading", { name: "推进项目" }).count()).toBe(0);
    const authority = await signIn(plane.authority);
    await authority.goto(`/projects/${filed.id}`);
    await authority.getByLabel("理由（如文号）").fill("评审会");
    await authority.getByLabel("专家").fill("赵工");
    await authority.getByLabel("单位").fill("信息中心");
    await authority.getByLabel("意见").fill("方案可行");
    await look(authority, "project-review-zh");
    await authority.getByRole("button", { name: "评审", exact: true }).click();
    await authority.getByText("赵工（信息中心）").waitFor();
    await authority.getByLabel("理由（如文号）").fill("立项批复 12 号");
    await authority.getByLabel("金额（元）").fill("50000.00");
    await authority.getByRole("button", { name: "立项批复" }).click();
    await authority.getByText("立项批复 12 号").waitFor();
    expect(await plane.operations.get<Project>(`/api/v1/projects/${filed.id}`)).toMatchObject({
      stage: "approved",
      funds: expect.arrayContaining([expect.objectContaining({ kind: "construction", fiscalYear: 2027, amountFen: 5_000_000 })]),
    });
  });

  it("compares the quota accounts with what is there, and says that nothing differs", async () => {
    const operations = await signIn(plane.operations);
    await operations.goto("/quota-findings");
    await operations.getByRole("button", { name: "立即对账" }).click();
    await operations.getByRole("status").filter({ hasText: "差异 0" }).waitFor();
    await operations.getByText("没有差异。").waitFor();
    await look(operations, "quota-findings-zh");
  });

  it("looks for what could be adopted, says why nothing can be here, and shows that no member is lost", async () => {
    const operations = await signIn(plane.operations);
    await operations.goto("/adoptions");
    await operations.getByRole("link", { name: "Compute", exact: true }).click();
    await operations.getByText("尚未查找过").waitFor();
    await operations.getByRole("button", { name: "查找" }).click();
    await operations
      .getByRole("status")
      .filter({ hasText: /✕|上次查找/ })
      .waitFor();
    await operations.getByText("没有可纳管的实例。").waitFor();
    await look(operations, "adoptions-zh");
    await operations.goto("/losses");
    await operations.getByText("所有成员都有应答。").waitFor();
    await look(operations, "losses-zh");
    await operations.goto("/drift");
    await operations.getByText("云上一切与批准的一致。").waitFor();
    await look(operations, "drift-zh");
  });
});
