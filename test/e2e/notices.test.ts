/** How people and programs are told: the bell in Chromium, the CLI, a webhook and a mail, from a control plane that really runs. */
import { execFile } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { SMTPServer } from "smtp-server";
import { Webhook as Signed } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, createClient } from "../../control-plane/cli/client.ts";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { MadeAccount, SignedIn } from "../../control-plane/contract/accounts.ts";
import type { Delivery, MadeWebhook } from "../../control-plane/contract/webhooks.ts";
import { openChromium, picture, signedIn, violations } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { volume } from "../setup/small-city.ts";

const root = resolve(import.meta.dirname, "../..");
const chosen = "Corr3ct-horse-battery";
const run = promisify(execFile);

describe("people and programs are told, on a real control plane", () => {
  const plane = new TestPlane();
  const posts: { headers: Record<string, string>; body: string }[] = [];
  const letters: { to: string; text: string }[] = [];
  let receiver: Server;
  let smtp: SMTPServer;
  let browser: Browser;
  let hook: MadeWebhook;

  const page = (client: Client, locale?: string): Promise<Page> => signedIn(browser, client, locale);
  const cli = (token: string, ...args: string[]) =>
    run(process.execPath, [join(root, "control-plane/cli/main.ts"), ...args], {
      env: { PATH: process.env["PATH"] ?? "", ZHENGYUN_URL: plane.operations.url, ZHENGYUN_TOKEN: token },
    });

  beforeAll(async () => {
    receiver = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      request.on("end", () => {
        posts.push({ headers: request.headers as Record<string, string>, body });
        response.writeHead(204).end();
      });
    });
    smtp = new SMTPServer({
      authOptional: true,
      onData: (stream, session, done) => {
        let text = "";
        stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        stream.on("end", () => {
          letters.push({ to: session.envelope.rcptTo.map((one) => one.address).join(), text });
          done();
        });
      },
    });
    await new Promise<void>((done) => receiver.listen(0, "127.0.0.1", done));
    await new Promise<void>((done) => smtp.listen(0, "127.0.0.1", done));
    await plane.start({
      ZHENGYUN_WEBHOOK_ALLOW: "127.0.0.0/8",
      ZHENGYUN_SMTP_URL: `smtp://127.0.0.1:${(smtp.server.address() as AddressInfo).port}?tls.rejectUnauthorized=false`,
      ZHENGYUN_SMTP_FROM: "政云 <zhengyun@example.gov.cn>",
    });
    await plane.fill();
    browser = await openChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await plane.remove();
    receiver.close();
    await new Promise<void>((done) => smtp.close(() => done()));
  });

  it("a system administrator makes a webhook in the console, and a test of it arrives, signed", async () => {
    const admin = await page(plane.operations);
    await admin.getByRole("link", { name: "对外通知（Webhook）" }).click();
    await admin.getByText("还没有 Webhook。").waitFor();
    await admin.getByLabel("名称").fill("办公系统");
    await admin.getByLabel("地址").fill(`http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`);
    await admin.getByRole("button", { name: "新建" }).click();
    const secret = await admin.getByText(/^whsec_/).textContent();
    await admin.getByRole("button", { name: "测试: 办公系统" }).click();
    await waitFor(
      async () => posts.length,
      (count) => count > 0,
      { intervalMs: 50, timeoutMs: 15_000 },
    );
    expect(new Signed(secret!).verify(posts[0]!.body, posts[0]!.headers)).toMatchObject({ type: "webhook.test" });
    await waitFor(
      async () => (await plane.operations.get<{ items: Delivery[] }>("/api/v1/deliveries")).items[0]?.state,
      (state) => state === "delivered",
      { intervalMs: 50, timeoutMs: 10_000 },
    );
    await admin.getByRole("button", { name: "刷新" }).click();
    await admin.getByRole("row", { name: /办公系统.*Webhook 测试.*已送达/ }).waitFor();
    expect(await violations(admin)).toEqual([]);
    await picture(admin, "webhooks-zh");
    await admin.getByRole("button", { name: "English" }).click();
    await admin.getByRole("heading", { name: "Webhooks", exact: true }).waitFor();
    await picture(admin, "webhooks-en");
    const { items } = await plane.operations.get<{ items: MadeWebhook[] }>("/api/v1/webhooks");
    hook = { ...items[0]!, secret: secret! };
    await admin.context().close();
  });

  it("whoever may decide sees it at the bell, gets it by mail where they want that, and the webhook's receiver hears of it", async () => {
    // An approver with an account and an address.
    const made = await plane.operations.post<MadeAccount>("/api/v1/accounts", { name: "li.na", displayName: "李娜" });
    const anonymous = createClient({ url: plane.operations.url, token: "" });
    await anonymous.post("/api/v1/account-links/use", { code: made.setUp!.path.split("#")[1], password: chosen });
    const session = await anonymous.post<SignedIn>("/api/v1/sign-in", { name: "li.na", password: chosen, session: "bearer" });
    const li = createClient({ url: plane.operations.url, token: session.secret! });
    await plane.appoint(made.id, "approver", "city");
    const wants = { email: "li.na@example.gov.cn", language: "zh-CN", mailKinds: ["step.opened"] };
    const { revision } = await li.get<{ revision: number }>("/api/v1/account");
    expect(await li.put("/api/v1/account/notifications", wants, revision)).toMatchObject({ ...wants, mailConfigured: true });

    const approver = await page(plane.approver);
    await approver.getByRole("link", { name: "通知", exact: true }).waitFor();
    const request = await plane.planned((await plane.ask([volume("data")])).id);
    // Without loading the page anew: what happened wakes the bell.
    await approver.getByRole("link", { name: /通知: 1 条未读/ }).click();
    const row = approver.getByRole("row", { name: new RegExp(`申请 ${request.number}《Test》等待您审批`) });
    await row.waitFor();
    expect(await violations(approver)).toEqual([]);
    await picture(approver, "notices-zh");
    await approver.getByRole("button", { name: "English" }).click();
    await approver.getByRole("row", { name: new RegExp(`Request ${request.number} “Test” waits for your decision`) }).waitFor();
    await picture(approver, "notices-en");
    await approver.getByRole("button", { name: /^Mark as read/ }).click();
    await approver.getByRole("link", { name: "Notices", exact: true }).waitFor();

    await waitFor(
      async () => letters.length,
      (count) => count > 0,
      { intervalMs: 50, timeoutMs: 15_000 },
    );
    expect(letters).toHaveLength(1);
    expect(letters[0]).toMatchObject({ to: "li.na@example.gov.cn" });
    await waitFor(
      async () => posts.length,
      (count) => count > 1,
      { intervalMs: 50, timeoutMs: 15_000 },
    );
    const told = new Signed(hook.secret).verify(posts[1]!.body, posts[1]!.headers);
    expect(told).toMatchObject({ type: "step.opened", subject: request.id, data: { number: request.number, request: request.id } });

    const own = await page(li);
    await own.goto("/account");
    await own.getByRole("heading", { name: "邮件通知" }).waitFor();
    expect(await own.getByLabel("待我审批").isChecked()).toBe(true);
    await own.getByLabel("申请已批准").check();
    await own.getByRole("button", { name: "保存" }).click();
    await own.getByText("已保存。").waitFor();
    expect(await violations(own)).toEqual([]);
    await picture(own, "account-mail-zh");
    expect(await li.get("/api/v1/account/notifications")).toMatchObject({ mailKinds: ["step.opened", "request.approved"] });
    await own.context().close();
    await approver.context().close();
    await plane.approve(request.id);
    await plane.settled(request.id);
  });

  it("the author reads in the CLI that it was approved and is active, and marks it as read", async () => {
    const { stdout } = await cli(plane.secretOf("applicant"), "notices", "list", "--language", "en");
    expect(stdout).toMatch(/Request \S+ “Test” is active/);
    expect(stdout).toMatch(/Request \S+ “Test” was approved/);
    expect(JSON.parse((await cli(plane.secretOf("applicant"), "notices", "read", "--json")).stdout)).toEqual({ unread: 0 });
    expect((await cli(plane.secretOf("applicant"), "notices", "list")).stdout).toBe("(none)\n");
    const sent = JSON.parse((await cli(plane.token, "webhooks", "deliveries", hook.id, "--state", "delivered", "--json")).stdout) as Delivery[];
    expect(sent.map((one) => one.kind)).toEqual(expect.arrayContaining(["webhook.test", "step.opened", "request.approved", "request.active"]));
    const again = JSON.parse((await cli(plane.token, "webhooks", "redeliver", sent[0]!.id, "--json")).stdout) as Delivery;
    expect(again).toMatchObject({ id: sent[0]!.id, state: "waiting", attempts: 0 });
    await cli(plane.token, "webhooks", "remove", hook.id);
  });
});
