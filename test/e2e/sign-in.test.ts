/** Signing in as people do: a control plane that really runs, from its first start; in Chromium, by the CLI, and by those who have stolen something. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import jsQR from "jsqr";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sessionFile } from "../../control-plane/cli/client.ts";
import { waitFor } from "../../control-plane/cli/wait.ts";
import { codeAt, fromBase32, stepAt } from "../../control-plane/domain/totp.ts";
import { openChromium, picture, violations } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";

const root = resolve(import.meta.dirname, "../..");
const chosen = "Corr3ct-horse-battery";
const run = promisify(execFile);

/** Decoded in a blank page: the pixels come from Chromium itself. */
async function readQrCode(browser: Browser, png: Buffer): Promise<string | undefined> {
  const blank = await browser.newPage();
  const { pixels, width, height } = await blank.evaluate<{ pixels: number[]; width: number; height: number }>(`(async () => {
    const bitmap = await createImageBitmap(await (await fetch("data:image/png;base64,${png.toString("base64")}")).blob());
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    canvas.drawImage(bitmap, 0, 0);
    const { data, width, height } = canvas.getImageData(0, 0, bitmap.width, bitmap.height);
    return { pixels: [...data], width, height };
  })()`);
  await blank.close();
  return jsQR.default(Uint8ClampedArray.from(pixels), width, height)?.data;
}

describe("signing in, on a real control plane", () => {
  const plane = new TestPlane();
  const home = mkdtempSync(join(tmpdir(), "zhengyun-home-"));
  const passwordFile = join(home, "password");
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let firstLink = "";
  let secret: Buffer;
  let lastStep = 0;
  let recoveryCodes: string[] = [];

  /** A code that was not used yet: of a half minute after the last one's. */
  const freshCode = () => codeAt(secret, (lastStep = Math.max(stepAt(new Date()), lastStep + 1)));
  const signIn = (body: object, headers: Record<string, string> = {}) =>
    fetch(`${plane.operations.url}/api/v1/sign-in`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  const cli = (...args: string[]) =>
    run(process.execPath, [join(root, "control-plane/cli/main.ts"), ...args], {
      env: { PATH: process.env["PATH"] ?? "", XDG_CONFIG_HOME: home, ZHENGYUN_URL: plane.operations.url, ZHENGYUN_DATA: home },
    });

  beforeAll(async () => {
    writeFileSync(passwordFile, `${chosen}\n`, { mode: 0o600 });
    await plane.start();
    const printed = () => /once, within a day: (\S+)\n/.exec(plane.output)?.[1];
    firstLink = (await waitFor(
      async () => printed(),
      (found) => found !== undefined,
      { timeoutMs: 10_000, intervalMs: 20 },
    ))!;
    browser = await openChromium();
    context = await browser.newContext({ baseURL: plane.operations.url, locale: "zh-CN", viewport: { width: 1280, height: 900 } });
    page = await context.newPage();
    page.setDefaultTimeout(10_000);
  });
  afterAll(async () => {
    await browser?.close();
    await plane.remove();
    rmSync(home, { recursive: true, force: true });
  });

  it("lets the first administrator choose name and password by the link of the first start, which then is spent", async () => {
    await page.goto(firstLink);
    await page.getByRole("heading", { name: "首次运行：设立首位管理员" }).waitFor();
    expect(page.url()).not.toContain("zyb_");
    expect(await violations(page)).toEqual([]);
    await picture(page, "first-run");
    await page.getByLabel("账户").fill("wang.fang");
    await page.getByLabel("姓名").fill("王芳");
    await page.getByLabel("新密码").fill("wang.fang-IS-12");
    await page.getByLabel("再次输入").fill("wang.fang-IS-12");
    await page.getByRole("button", { name: "设置并登录" }).click();
    await page.getByText("contains the account's name").first().waitFor();
    await page.getByLabel("新密码").fill(chosen);
    await page.getByLabel("再次输入").fill(chosen);
    await page.getByRole("button", { name: "设置并登录" }).click();
    await page.getByRole("heading", { name: "我的账户" }).waitFor();
    const again = await fetch(`${plane.operations.url}/api/v1/account-links/read`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ code: new URL(firstLink).hash.slice(1) }),
    });
    expect(again.status).toBe(401);
  });

  it("binds a second factor, and shows the recovery codes once", async () => {
    await page.getByRole("button", { name: "绑定" }).waitFor();
    await page.getByLabel("当前密码").first().fill(chosen);
    await page.getByRole("button", { name: "绑定" }).click();
    await page.getByRole("link", { name: "在本机的应用中打开" }).waitFor();
    const uri = await page.getByRole("link", { name: "在本机的应用中打开" }).getAttribute("href");
    secret = fromBase32(new URL(uri!).searchParams.get("secret")!);
    // What a phone's camera reads.
    await picture(page, "second-factor-qr");
    expect(await readQrCode(browser, await page.getByRole("img", { name: "绑定二维码" }).screenshot())).toBe(uri);
    await page.getByLabel("验证码").fill(freshCode());
    await page.getByRole("button", { name: "确认" }).click();
    await page.getByText("✓ 已绑定").waitFor();
    recoveryCodes = await page.getByRole("status").getByRole("listitem").allInnerTexts();
    expect(recoveryCodes).toHaveLength(10);
    expect(await violations(page)).toEqual([]);
    await picture(page, "account");
    await page.reload();
    await page.getByText("✓ 已绑定").waitFor();
    expect(await page.getByRole("status").count()).toBe(0);
  });

  it("signs in by name, password and code on the sign-in page", async () => {
    await page.getByRole("button", { name: "退出" }).click();
    await page.getByRole("heading", { name: "请登录" }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByLabel("账户").fill("wang.fang");
    await page.getByLabel("密码").fill("wrong");
    await page.getByRole("button", { name: "登录", exact: true }).click();
    await page.getByText("登录失败").waitFor();
    await picture(page, "sign-in-refused");
    await page.getByLabel("密码").fill(chosen);
    await page.getByRole("button", { name: "登录", exact: true }).click();
    await page.getByLabel("动态验证码或恢复码").fill(recoveryCodes[0]!);
    await picture(page, "sign-in-code");
    await page.getByRole("button", { name: "登录", exact: true }).click();
    await page.getByRole("heading", { name: "用量与配额" }).waitFor();
    const cookies = await context.cookies();
    expect(cookies).toMatchObject([{ name: "zhengyun_session", httpOnly: true, sameSite: "Strict", path: "/" }]);
  });

  it("refuses a code that was used", async () => {
    const code = freshCode();
    const statuses = await Promise.all([1, 2].map(async () => (await signIn({ name: "wang.fang", password: chosen, code })).status));
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 401]);
    const replayed = await signIn({ name: "wang.fang", password: chosen, code });
    expect([replayed.status, ((await replayed.json()) as { code: string }).code]).toEqual([401, "sign-in-refused"]);
  });

  it("ends a stolen session, and what it listens to, within a second of its owner's click", async () => {
    const { secret: stolen } = (await (
      await signIn({ name: "wang.fang", password: chosen, code: recoveryCodes[1], session: "bearer" }, { "user-agent": "thief/1.0" })
    ).json()) as { secret: string };
    const ask = (path: string) => fetch(plane.operations.url + path, { headers: { authorization: `Bearer ${stolen}` } });
    expect((await ask("/api/v1/departments")).status).toBe(200);
    const stream = await ask("/api/v1/events");
    const listening = stream.body!.getReader();
    await page.goto("/account");
    await page
      .getByRole("row", { name: /thief\/1\.0/ })
      .getByRole("button", { name: "结束" })
      .click();
    await page.getByRole("row", { name: /thief\/1\.0/ }).waitFor({ state: "detached" });
    const ended = performance.now();
    expect((await ask("/api/v1/departments")).status).toBe(401);
    while (!(await listening.read()).done);
    expect(performance.now() - ended).toBeLessThan(1500);
  });

  it("refuses what another site sends with the browser's session, and a sign-in from there", async () => {
    const [cookie] = await context.cookies();
    const forged = (headers: Record<string, string>) =>
      fetch(`${plane.operations.url}/api/v1/sessions/links`, {
        method: "POST",
        headers: { cookie: `${cookie!.name}=${cookie!.value}`, "idempotency-key": crypto.randomUUID(), ...headers },
      });
    expect((await forged({ origin: "http://evil.example" })).status).toBe(403);
    expect((await forged({ "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect((await forged({ origin: plane.operations.url })).status).toBe(201);
    expect((await signIn({ name: "wang.fang", password: chosen }, { origin: "http://evil.example" })).status).toBe(403);
  });

  it("locks after five failures, and says nothing of it", async () => {
    const made = await plane.operations.post<{ id: string; setUp: { path: string } }>("/api/v1/accounts", { name: "li.wei", displayName: "李伟" });
    await page.goto(made.setUp.path);
    await page.getByText("li.wei").waitFor();
    await page.getByLabel("新密码").fill(chosen);
    await page.getByLabel("再次输入").fill(chosen);
    await page.getByRole("button", { name: "设置并登录" }).click();
    await page.getByRole("heading", { name: "我的账户" }).waitFor();
    for (let attempt = 0; attempt < 5; attempt++) expect((await signIn({ name: "li.wei", password: "wrong" })).status).toBe(401);
    const { correlationId: _one, ...locked } = (await (await signIn({ name: "li.wei", password: chosen })).json()) as Record<string, unknown>;
    const { correlationId: _other, ...unknown } = (await (await signIn({ name: "nobody", password: chosen })).json()) as Record<string, unknown>;
    expect(locked).toEqual(unknown);
    await plane.operations.post(`/api/v1/accounts/${made.id}/unlock`, {});
    expect((await signIn({ name: "li.wei", password: chosen })).status).toBe(200);
  });

  it("signs in by the CLI, which keeps the session for its owner's eyes only", async () => {
    await expect(cli("session", "list")).rejects.toThrow(/No token/);
    await cli("login", "li.wei", "--password-file", passwordFile);
    const file = sessionFile(plane.operations.url, { XDG_CONFIG_HOME: home });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await cli("session", "current")).stdout).toContain("李伟");
    const token = JSON.parse((await cli("token", "create", "--name", "night", "--password-file", passwordFile, "--json")).stdout) as { secret: string };
    expect((await fetch(`${plane.operations.url}/api/v1/sessions/current`, { headers: { authorization: `Bearer ${token.secret}` } })).status).toBe(200);
    await cli("logout");
    await expect(cli("session", "current")).rejects.toThrow(/No token/);
  });
});
