/** A department changes what it holds, in Chromium, against a control plane that really runs, with real hosts and volumes. */
import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../control-plane/cli/client.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { Host, Volume } from "../../control-plane/contract/resources.ts";
import type { Snapshot } from "../../control-plane/contract/snapshots.ts";
import { openChromium, picture, signedIn, violations } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

describe("what a department changes in the console", { timeout: 120_000 }, () => {
  const plane = new TestPlane();
  const complaints: string[] = [];
  let browser: Browser;
  let applicant: Page;
  let english: Page;
  let department = "";

  const signIn = (client: Client, locale: string): Promise<Page> =>
    signedIn(browser, client, locale, (page) => {
      page.on("pageerror", (error) => complaints.push(error.message));
    });
  const idOf = (page: Page) => new URL(page.url()).pathname.split("/").at(-1)!;
  const held = async <T extends { name: string }>(noun: string, name: string) =>
    (await plane.applicant.get<{ items: T[] }>(`/api/v1/${noun}?department=office`)).items.find((one) => one.name === name);
  const line = (name: string) => applicant.getByRole("group", { name, exact: true });
  /** Opens the department, selects, and says what of each is asked for. */
  async function select(...names: string[]): Promise<void> {
    await applicant.goto(`/departments/${department}`);
    for (const name of names) await applicant.getByRole("checkbox", { name: `选择 ${name}`, exact: true }).check();
    await applicant.getByRole("heading", { name: `变更所选 (${names.length})` }).waitFor();
  }
  /** Looks at what it would do, submits, and sees it applied. */
  async function applied(): Promise<string> {
    await applicant.getByRole("button", { name: "核对" }).click();
    await applicant
      .getByText("可以提交")
      .waitFor()
      .catch(async (error: unknown) => {
        await picture(applicant, "acts-failed");
        throw error;
      });
    expect(await violations(applicant)).toEqual([]);
    await applicant.getByRole("button", { name: "提交", exact: true }).click();
    await applicant.waitForURL(/\/requests\/req_/);
    const id = idOf(applicant);
    await plane.approve(id);
    expect((await plane.settled(id)).state).toBe("active");
    return id;
  }

  beforeAll(async () => {
    await plane.start();
    await plane.fill();
    browser = await openChromium();
    applicant = await signIn(plane.applicant, "zh-CN");
    english = await signIn(plane.applicant, "en");
    department = (await plane.applicant.get<{ id: string }>("/api/v1/departments/office")).id;
  });
  afterAll(async () => {
    await browser?.close();
    await plane.remove();
  });

  it("asks for two groups of hosts and two volumes at once", async () => {
    await applicant.goto(`/requests/new?department=${department}`);
    await applicant.getByLabel("事项").fill("办公系统");
    await line("主机 1").getByLabel("数量").fill("2");
    await line("主机 1").getByLabel("规格").selectOption("small");
    await applicant.getByRole("button", { name: "添加一组主机" }).click();
    await line("主机 2").getByLabel("名称").fill("db");
    await line("主机 2").getByLabel("规格").selectOption("small");
    await applicant.getByRole("button", { name: "添加存储卷" }).click();
    await line("存储卷 1").getByLabel("名称").fill("data");
    await line("存储卷 1").getByLabel("大小 GiB").fill("1");
    await line("存储卷 1").getByLabel("挂载于").selectOption("web-2");
    await applicant.getByRole("button", { name: "添加存储卷" }).click();
    await line("存储卷 2").getByLabel("名称").fill("logs");
    await line("存储卷 2").getByLabel("大小 GiB").fill("1");
    await line("存储卷 2").getByLabel("每日备份").check();
    expect(await violations(applicant)).toEqual([]);
    await picture(applicant, "acts-new-zh");
    await applied();
    expect((await held<Volume>("volumes", "data"))!.attachedTo?.hostName).toBe("web-2");
    expect((await held<Host>("hosts", "db"))!.observedState).toBe("running");
  });

  it("resizes, stops, attaches and grows in one request", async () => {
    await select("web-1", "db", "data", "logs");
    await line("web-1").getByLabel("规格").selectOption("standard");
    await line("db").getByLabel("操作").selectOption("停止");
    await line("data").getByLabel("扩容至 GiB").fill("2");
    // On a machine where a mounted ext4 doesn't grow.
    await line("data").getByLabel("如需重启").selectOption("批准后立即");
    await line("logs").getByLabel("操作").selectOption("挂载");
    await line("logs").getByLabel("主机").fill("web-1");
    await line("logs").getByLabel("挂载路径").fill("/srv/logs");
    await applicant.getByLabel("理由").fill("业务增长");
    expect(await violations(applicant)).toEqual([]);
    await picture(applicant, "acts-change-zh");
    await applicant.getByRole("button", { name: "核对" }).click();
    await applicant.getByRole("row", { name: /部门2 .*vCPU 1 / }).waitFor();
    await picture(applicant, "acts-check-zh");
    await applicant.getByRole("button", { name: "返回修改" }).click();
    const id = await applied();
    expect((await plane.read(id)).title).toBe("调整 web-1、停止 db、扩容 data、挂载 logs");
    expect((await held<Host>("hosts", "web-1"))!.flavour.vcpu).toBe(2);
    await expect.poll(async () => (await held<Host>("hosts", "db"))!.observedState).toBe("stopped");
    expect((await held<Volume>("volumes", "data"))!.sizeGib).toBe(2);
    expect((await held<Volume>("volumes", "logs"))!.attachedTo).toMatchObject({ hostName: "web-1", path: "/srv/logs" });
  });

  it("says what stands in the way before anything is sent", async () => {
    await select("data");
    await line("data").getByLabel("扩容至 GiB").fill("60000");
    await applicant.getByRole("button", { name: "核对" }).click();
    await applicant.getByText("不能提交").waitFor();
    await applicant
      .getByRole("row", { name: /标准存储 GiB 59,998 .*超出/ })
      .first()
      .waitFor();
    expect(await applicant.getByRole("button", { name: "提交", exact: true }).isDisabled()).toBe(true);
    expect(await violations(applicant)).toEqual([]);
    await picture(applicant, "acts-refused-zh");
    expect((await plane.applicant.get<{ items: unknown[] }>("/api/v1/requests?department=office")).items).toHaveLength(2);
  });

  it("starts, extends, shrinks and detaches; the page follows", async () => {
    await select("web-1", "web-2", "db", "logs");
    await line("web-1").getByLabel("规格").selectOption("small");
    await line("web-2").getByLabel("操作").selectOption("延期");
    await line("web-2").getByLabel("延期至").fill(inDays(100));
    await line("db").getByLabel("操作").selectOption("启动");
    await line("logs").getByLabel("操作").selectOption("卸载");
    await applied();
    expect((await held<Host>("hosts", "web-1"))!.flavour, "its disk stays").toEqual({ vcpu: 1, memoryMib: 2048, diskGib: 40 });
    expect((await held<Host>("hosts", "web-2"))!.expiresAt).toBe(`${inDays(100)}T15:59:59.999Z`);
    expect((await held<Host>("hosts", "db"))!.observedState).toBe("running");
    expect((await held<Volume>("volumes", "logs"))!.attachedTo).toBeNull();
    await english.goto(`/departments/${department}`);
    await english.getByRole("checkbox", { name: "Select db" }).check();
    await english.getByRole("heading", { name: "Change what is selected (1)" }).waitFor();
    expect(await violations(english)).toEqual([]);
    await picture(english, "acts-change-en");
  });

  it("makes a host anew, and restores a backup to a new volume", async () => {
    await plane.driver.exec((await held<Host>("hosts", "web-2"))!.id, ["write", "/data/file"], { stdin: "kept" });
    const before = (await plane.driver.observe()).hosts.map((one) => one.id);
    await applicant.goto(`/departments/${department}`);
    await applicant
      .getByRole("row", { name: /data .*web-2/ })
      .getByRole("button", { name: "立即备份" })
      .click();
    await applicant
      .getByRole("row", { name: /data 完成/ })
      .getByRole("button", { name: "恢复到新存储卷" })
      .click();
    await applicant.getByLabel("新存储卷名称").fill("data-2");
    await applicant.getByLabel("挂载到主机").fill("web-1");
    // The list of suggestions takes the next click.
    await applicant.getByLabel("挂载路径").fill("/srv/restored");
    expect(await violations(applicant)).toEqual([]);
    await picture(applicant, "acts-restore-zh");
    const restored = await applied();
    expect((await plane.read(restored)).items.map((item) => [item.kind, item.state])).toEqual([
      ["volume", "active"],
      ["attachment", "active"],
    ]);
    expect((await plane.driver.exec((await held<Host>("hosts", "web-1"))!.id, ["cat", "/srv/restored/file"])).stdout).toBe("kept");
    await select("web-1");
    await line("web-1").getByLabel("操作").selectOption("重新部署");
    expect(await violations(applicant)).toEqual([]);
    await picture(applicant, "acts-redeploy-zh");
    await applied();
    expect((await plane.driver.observe()).hosts.filter((one) => !before.includes(one.id)).map((one) => one.hostname)).toEqual(["web-1"]);
    expect((await plane.driver.exec((await held<Host>("hosts", "web-1"))!.id, ["cat", "/srv/restored/file"])).stdout).toBe("kept");
  });

  it("takes a snapshot of a volume, and puts it back when somebody else agrees", async () => {
    const web = (await held<Host>("hosts", "web-2"))!.id;
    const content = async () => (await plane.driver.exec(web, ["cat", "/data/file"])).stdout;
    await applicant.goto(`/departments/${department}`);
    await applicant.getByRole("link", { name: "快照: data", exact: true }).click();
    await applicant.getByText("还没有快照。").waitFor();
    await applicant.getByLabel("快照名称").fill("before");
    await applicant.getByLabel("备注").fill("升级前");
    await applicant.getByLabel("保留天数").fill("7");
    await applicant.getByRole("button", { name: "生成快照" }).click();
    await applicant.getByRole("row", { name: /before .*可用/ }).waitFor();
    await plane.driver.exec(web, ["write", "/data/file"], { stdin: "spoilt" });
    await applicant.getByRole("button", { name: "回滚到此快照" }).click();
    const ask = applicant.getByRole("button", { name: "提出回滚" });
    await applicant.getByLabel("输入存储卷名称确认").fill("logs");
    expect(await ask.isDisabled()).toBe(true);
    await applicant.getByLabel("输入存储卷名称确认").fill("data");
    await applicant.getByRole("alertdialog").getByLabel("理由").fill("升级失败");
    expect(await violations(applicant)).toEqual([]);
    await picture(applicant, "snapshots-ask-zh");
    await ask.click();
    await applicant.getByRole("row", { name: /before 待第二人确认/ }).waitFor();
    expect(await applicant.getByRole("button", { name: "确认回滚" }).isDisabled(), "whoever asks does not agree").toBe(true);
    expect(await content()).toBe("spoilt");
    // The second person finds it among their notices.
    const second = await signIn(plane.approver, "en");
    await second.goto("/notices");
    await second.getByRole("link", { name: /asks to put volume data back to snapshot before/ }).click();
    await second.getByRole("button", { name: "Agree to put it back…" }).click();
    await second.getByLabel("Type the volume's name").fill("data");
    expect(await violations(second)).toEqual([]);
    await picture(second, "snapshots-agree-en");
    await second.getByRole("button", { name: "Agree to put it back", exact: true }).click();
    await second.getByRole("row", { name: /before complete/ }).waitFor();
    expect(await content()).toBe("kept");
    await applicant.getByRole("row", { name: /before 完成/ }).waitFor();
    applicant.once("dialog", (dialog) => void dialog.accept());
    await applicant.getByRole("button", { name: "删除: before" }).click();
    await applicant.getByText("还没有快照。").waitFor();
    await second.context().close();
  });

  it("does the same by the CLI", async () => {
    const cli = async (...args: string[]) => {
      const env = { ...process.env, ZHENGYUN_URL: plane.operations.url, ZHENGYUN_TOKEN: plane.secretOf("applicant") };
      return JSON.parse((await run(process.execPath, [join(root, "control-plane/cli/zhengyun.js"), ...args, "--json"], { env })).stdout) as Request;
    };
    const [volume, one, two] = [(await held<Volume>("volumes", "data-2"))!, (await held<Host>("hosts", "web-1"))!, (await held<Host>("hosts", "db"))!];
    const grown = await cli("volumes", "grow", volume.id, "--size", "3", "--restart", "now", "--wait");
    expect(grown.state).toBe("department-approval");
    await plane.approve(grown.id);
    await plane.settled(grown.id);
    expect((await held<Volume>("volumes", "data-2"))!.sizeGib).toBe(3);
    const stopped = await cli("hosts", "stop", one.id, two.id, "--reason", "maintenance");
    expect(stopped.items.map((item) => [item.action, item.name])).toEqual([
      ["stop", "web-1"],
      ["stop", "db"],
    ]);
    await plane.applicant.post(`/api/v1/requests/${stopped.id}/withdraw`, {}, { ifMatch: (await plane.read(stopped.id)).revision });
    const taken = await cli("snapshots", "take", volume.id, "--name", "cli", "--days", "1", "--wait");
    expect(taken).toMatchObject({ state: "complete", name: "cli" });
    expect(await cli("snapshots", "list", "--volume", volume.id)).toMatchObject([{ id: taken.id, volumeName: "data-2" }]);
    const asked = await cli("snapshots", "revert", taken.id, "--volume-name", "data-2", "--reason", "look");
    expect(await cli("snapshots", "reverts", "cancel", asked.id, "--reason", "no")).toMatchObject({ state: "withdrawn" });
    expect(await cli("snapshots", "delete", taken.id, "--wait")).toMatchObject({ state: "deleted", endReason: "asked" });
    const backup = (await plane.applicant.get<{ items: { id: string }[] }>("/api/v1/backups?department=office")).items[0]!;
    const restored = await cli("volumes", "restore", backup.id, "--name", "data-3", "--wait");
    await plane.approve(restored.id);
    expect((await plane.settled(restored.id)).state).toBe("active");
    const gone = await cli("volumes", "retire", volume.id, (await held<Volume>("volumes", "data-3"))!.id, "--wait");
    await plane.approve(gone.id);
    expect((await plane.settled(gone.id)).state).toBe("active");
  });

  it("retires a host with its attachment, and volumes with their policies; two people decide", async () => {
    const { id: logs } = (await held<Volume>("volumes", "logs"))!;
    const { id: kept } = await plane.applicant.post<Snapshot>("/api/v1/snapshots", { volume: logs, name: "last" });
    await expect.poll(async () => (await plane.applicant.get<Snapshot>(`/api/v1/snapshots/${kept}`)).state).toBe("complete");
    await select("web-2", "db", "logs");
    await line("web-2").getByLabel("操作").selectOption("回收");
    await line("web-2").getByRole("button", { name: "以下同此操作" }).click();
    await line("logs").getByLabel("操作").selectOption("回收");
    await picture(applicant, "acts-retire-zh");
    const retired = await applied();
    expect((await plane.read(retired)).plan!.snapshots, "the plan says what goes with the volume").toMatchObject([{ volumeName: "logs", name: "last" }]);
    await applicant.getByText(/随存储卷一并删除的快照：\s+logs\/last/).waitFor();
    expect(await plane.applicant.get<Snapshot>(`/api/v1/snapshots/${kept}`)).toMatchObject({ state: "deleted", endReason: "volume-gone" });
    expect(await held("hosts", "web-2")).toBeUndefined();
    expect(await held("hosts", "db")).toBeUndefined();
    expect(await held("volumes", "logs")).toBeUndefined();
    expect((await held<Volume>("volumes", "data"))!.attachedTo).toBeNull();
    expect((await plane.driver.list()).map((one) => one.kind).toSorted()).toEqual(["backup", "host", "volume"]);
  });

  it("shows long lists page by page", async () => {
    const draft = { application: "office-app", project: "p", draft: true, items: [{ action: "create", kind: "volume", spec: { name: "later", sizeGib: 1 } }] };
    for (let one = 0; one < 50; one++) await plane.applicant.post("/api/v1/requests", { ...draft, title: `Draft ${one}` });
    await applicant.goto(`/departments/${department}`);
    const rows = applicant.getByRole("row", { name: /草稿|已完成|已撤回/ });
    await expect.poll(() => rows.count()).toBe(50);
    await applicant.getByRole("button", { name: "更多" }).click();
    await expect.poll(() => rows.count()).toBe(60);
    expect(await applicant.getByRole("button", { name: "更多" }).count()).toBe(0);
    expect(complaints).toEqual([]);
  });
});
