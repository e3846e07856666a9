/** Supervision as people meet it: a rule is changed on a page, requests are split, the card reaches its people, is answered, corrected and closed. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, createClient } from "../../control-plane/cli/client.ts";
import { openChromium, picture, signedIn, violations } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { volume } from "../setup/small-city.ts";

const root = resolve(import.meta.dirname, "../..");
/** The rules are looked at once a minute. */
const nextLook = { timeout: 90_000 };

describe("supervision, in Chromium on a real control plane", () => {
  const plane = new TestPlane();
  const complaints: string[] = [];
  let browser: Browser;
  let officerToken: string;
  let officer: Page;
  let applicant: Page;

  const signIn = (client: Client): Promise<Page> =>
    signedIn(browser, client, "zh-CN", (page) => {
      page.on("pageerror", (error) => complaints.push(error.message));
    });
  beforeAll(async () => {
    await plane.start();
    await plane.fill();
    browser = await openChromium();
    officerToken = await plane.grant("supervision");
    officer = await signIn(createClient({ url: plane.operations.url, token: officerToken }));
    applicant = await signIn(plane.applicant);
  });
  afterAll(async () => {
    await browser?.close();
    await plane.remove();
  });

  it("has its officer change a rule, which says why and becomes a new version", async () => {
    const { cost } = await plane.ask([volume("part-1")]);
    await officer.getByRole("link", { name: "电子监察" }).click();
    await officer.getByRole("link", { name: "监察规则" }).click();
    const row = officer.getByRole("row", { name: /拆分申请规避审批.*全部/ });
    await row.getByRole("button", { name: "修改" }).click();
    // However near the year's end it is: each is below it, two are above.
    await officer.getByLabel("阈值（空：项目监理阈值）").fill(String(Math.floor(cost!.amountFen * 1.5)));
    await officer.getByLabel("修改理由").fill("试点期间从严");
    expect(await violations(officer)).toEqual([]);
    await officer.getByRole("button", { name: "保存为新版本" }).click();
    await row.getByText("v2", { exact: false }).waitFor();
    await row.getByRole("button", { name: "修改" }).click();
    await officer.getByLabel("修改理由").fill("本局从严");
    await officer.getByLabel("部门代码").fill("bureau");
    await officer.getByLabel("启用").selectOption("否");
    await officer.getByRole("button", { name: "另立为该部门的规则" }).click();
    await officer.getByRole("row", { name: /拆分申请规避审批.*部门1.*否.*v1/ }).waitFor();
    await picture(officer, "supervision-rules");
  });

  it("finds requests that were split, and shows the card live to the board and to whom it concerns", async () => {
    await plane.ask([volume("part-2")]);
    await officer.goto("/supervision");
    await officer.getByRole("row", { name: /黄牌.*拆分申请.*applicant.*待答复/s }).waitFor(nextLook);
    expect(await violations(officer)).toEqual([]);
    await picture(officer, "supervision-board");
    await applicant.getByRole("link", { name: "我的监察件 (1)" }).click();
    await applicant.getByRole("row", { name: /拆分申请/ }).waitFor();
    expect(await applicant.getByRole("link", { name: "电子监察" }).count()).toBe(0);
  }, 120_000);

  it("takes the reason, which the officer sees at once, who orders a correction", async () => {
    await applicant.getByRole("link", { name: /黄牌/ }).click();
    await applicant.getByLabel("说明理由").fill("两个系统先后上线");
    expect(await violations(applicant)).toEqual([]);
    await applicant.getByRole("button", { name: "答复", exact: true }).click();
    await applicant.getByText("已答复，待监察审核").waitFor();
    await applicant.getByRole("button", { name: "补充答复" }).waitFor();

    await officer.getByRole("row", { name: /已答复/ }).waitFor();
    await officer.getByRole("link", { name: /黄牌/ }).click();
    await officer.getByText("两个系统先后上线").waitFor();
    await officer.getByLabel("纠错事项").fill("合并为一个申请");
    await officer.getByLabel("截止日期").fill("2999-01-01");
    expect(await violations(officer)).toEqual([]);
    await picture(officer, "supervision-card");
    await officer.getByRole("button", { name: "责令纠错" }).click();
    await officer.getByText("待纠正").waitFor();
  });

  it("follows the correction until the officer closes it", async () => {
    await applicant.getByLabel("如何纠正").fill("已撤回并合并");
    await applicant.getByRole("button", { name: "报告已纠正" }).click();
    await applicant.getByText("已纠正，待监察核实").waitFor();
    await officer.getByLabel("核实意见").fill("属实");
    await officer.getByRole("button", { name: "纠错办结" }).click();
    await officer.getByText("已办结").first().waitFor();
    await picture(officer, "supervision-card-closed");
    await applicant.goto("/supervision/mine");
    await applicant.getByText("没有涉及您的监察件。").waitFor();
    await applicant.getByRole("link", { name: "我的监察件", exact: true }).waitFor();
    await applicant.getByRole("button", { name: "English" }).click();
    await applicant.getByRole("heading", { name: "My supervision cards" }).waitFor();
    await officer.goto("/supervision?state=all");
    await officer.getByRole("button", { name: "English" }).click();
    await officer.getByRole("row", { name: /Yellow card.*Split requests.*Closed/s }).waitFor();
    await officer.setViewportSize({ width: 320, height: 800 });
    expect(await officer.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    expect(await violations(officer)).toEqual([]);
    await officer.setViewportSize({ width: 1280, height: 900 });
    await picture(officer, "supervision-board-en");
    expect(complaints).toEqual([]);
  });

  it("is the same in the CLI", async () => {
    const run = async (token: string, ...args: string[]) => {
      const env = { PATH: process.env["PATH"], HOME: plane.data, ZHENGYUN_URL: plane.operations.url, ZHENGYUN_TOKEN: token };
      return (await promisify(execFile)(process.execPath, [join(root, "control-plane/cli/zhengyun.js"), "supervision", ...args], { env })).stdout;
    };
    const [card] = JSON.parse(await run(officerToken, "list", "--state", "all", "--json")) as { id: string }[];
    expect(await run(officerToken, "show", card!.id)).toMatch(/correction-closed .*属实/);
    expect(await run(officerToken, "counts")).toMatch(/yellow +0 of 1/);
    expect(await run(officerToken, "corrections")).toMatch(/closed +合并为一个申请/);
    const file = join(plane.data, "rule.yaml");
    writeFileSync(file, "{ name: 审批时限, department: bureau, terms: { kind: same-person, colour: yellow } }");
    const { id } = JSON.parse(await run(officerToken, "rule", file, "--json")) as { id: string };
    writeFileSync(file, "{ name: 审批时限, enabled: false, terms: { kind: same-person, colour: yellow } }");
    expect(JSON.parse(await run(officerToken, "rule", file, "--id", id, "--json"))).toMatchObject({ version: 2, enabled: false });
    expect(await run(officerToken, "mine")).toContain("(none)");
  });
});
