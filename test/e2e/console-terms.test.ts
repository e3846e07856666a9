/** Terms, trials and the queue in the console: in Chromium, against a control plane that really runs, with real hosts. */
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../control-plane/cli/client.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import { openChromium, picture, signedIn, violations } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host, smallCity } from "../setup/small-city.ts";

const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

describe("terms in the console", { timeout: 120_000 }, () => {
  const plane = new TestPlane();
  let browser: Browser;
  let applicant: Page;
  let operator: Page;
  const signIn = (client: Client, locale: string): Promise<Page> => signedIn(browser, client, locale);
  const idOf = (page: Page) => new URL(page.url()).pathname.split("/").at(-1)!;

  beforeAll(async () => {
    const city = smallCity({ driver: "embedded", endpoint: join(plane.data, "embedded") });
    city.pools[0]!.capacity.hosts = 1;
    await plane.start();
    await plane.fill(city);
    browser = await openChromium();
    applicant = await signIn(plane.applicant, "zh-CN");
    operator = await signIn(plane.operations, "en");
  });
  afterAll(async () => {
    await browser?.close();
    await plane.remove();
  });

  let first = "";
  it("asks for a host until a day, on trial; accepts the trial; asks for an extension", async () => {
    await applicant.goto("/requests/new");
    await applicant.getByLabel("事项").fill("试用一台云主机");
    await applicant.getByLabel("使用至").fill(inDays(90));
    await applicant.getByLabel("试运行天数").fill("5");
    expect(await violations(applicant)).toEqual([]);
    await picture(applicant, "new-request-term-zh");
    await applicant.getByRole("button", { name: "核对" }).click();
    await applicant.getByRole("button", { name: "提交", exact: true }).click();
    await applicant.waitForURL(/\/requests\/req_/);
    first = idOf(applicant);
    await plane.approve(first);
    expect((await plane.settled(first)).state).toBe("on-trial");
    await applicant.getByRole("heading", { name: "试运行", exact: true }).waitFor();
    expect(await applicant.getByRole("button", { name: "不通过，退回资源" }).isDisabled(), "a refusal needs a reason").toBe(true);
    expect(await violations(applicant)).toEqual([]);
    await picture(applicant, "on-trial-zh");
    await applicant.getByRole("button", { name: "试运行通过" }).click();
    await applicant.getByRole("heading", { name: "使用期限" }).waitFor();
    await applicant.getByLabel("延期至").fill(inDays(400));
    await picture(applicant, "term-zh");
    await applicant.getByRole("button", { name: "申请延期" }).click();
    await applicant.getByRole("heading", { name: /延期/ }).waitFor();
    const extension = idOf(applicant);
    expect(extension).not.toBe(first);
    await plane.approve(extension);
    await plane.settled(extension);
    expect((await plane.read(first)).items[0]!.expiresAt).toBe(`${inDays(400)}T15:59:59.999Z`);
  });

  it("shows approvers that it will wait, and operations the queue", async () => {
    const second = await plane.ask([host("second")], "office");
    const planned = await plane.planned(second.id);
    const approver = await signIn(plane.approver, "zh-CN");
    await approver.goto(`/requests/${second.id}`);
    await approver.getByText("目前资源不足，批准后将按批准先后排队等待").waitFor();
    expect(await violations(approver)).toEqual([]);
    await picture(approver, "will-wait-zh");
    await plane.approve(second.id);
    await operator.goto("/requests?state=waiting");
    await operator.getByRole("link", { name: planned.number }).waitFor();
    expect(await violations(operator)).toEqual([]);
    await picture(operator, "queue-en");
    await operator.goto(`/requests/${second.id}`);
    await operator
      .getByText(/hosts has 0 left, 1 needed/)
      .first()
      .waitFor();
    await picture(operator, "waiting-en");
  });

  it("refuses a trial with a reason, and leads to the request that retires it", async () => {
    const withdrawn = (await plane.applicant.get<{ items: Request[] }>("/api/v1/requests?state=waiting")).items[0]!;
    await plane.applicant.post(`/api/v1/requests/${withdrawn.id}/withdraw`, {}, { ifMatch: withdrawn.revision });
    const made = await plane.applicant.post<Request>("/api/v1/requests", {
      application: "office-app",
      project: "p",
      title: "试用存储",
      trialDays: 5,
      items: [{ action: "create", kind: "volume", spec: { name: "tried", sizeGib: 1 } }],
    });
    await plane.approve(made.id);
    expect((await plane.settled(made.id)).state).toBe("on-trial");
    await operator.goto(`/requests/${made.id}`);
    await operator.getByLabel("Why it is refused").fill("too slow");
    await picture(operator, "on-trial-en");
    await operator.getByRole("button", { name: "Refuse it, retire the resources" }).click();
    await operator.getByText("Retires what was tried and refused").waitFor();
    expect(await violations(operator)).toEqual([]);
    await picture(operator, "trial-refusal-en");
    await plane.approve(idOf(operator));
    await plane.settled(idOf(operator));
    expect((await plane.read(made.id)).state).toBe("reclaimed");
  });
});
