/** The tests' Chromium: people's pages, what axe finds on them, pictures of them. */
import { mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import type { Client } from "../../control-plane/cli/client.ts";

const root = resolve(import.meta.dirname, "../..");
const pictures = join(root, ".cache/screenshots");
const axe = readFileSync(join(root, "node_modules/axe-core/axe.min.js"), "utf8");
const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
/** It speaks to the control plane and to nobody else. */
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const openChromium = (): Promise<Browser> => chromium.launch({ executablePath: "/usr/bin/chromium", args: flags });

/** A browser of one person's own, signed in by a one-time link. @param watch is given the page before it goes anywhere */
export async function signedIn(browser: Browser, client: Client, locale = "zh-CN", watch: (page: Page) => void = () => {}): Promise<Page> {
  const context = await browser.newContext({ baseURL: client.url, locale, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  watch(page);
  const { path } = await client.post<{ path: string }>("/api/v1/sessions/links", {});
  await page.goto(path);
  return page;
}

/** What axe finds on the page as it stands; nothing is what is wanted. */
export async function violations(page: Page): Promise<string[]> {
  // By the protocol, not by a tag: the page's policy stays as strict as it is.
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axe });
  const { result } = await session.send("Runtime.evaluate", {
    expression: `axe.run({ runOnly: ${JSON.stringify(rules)} }).then((found) => JSON.stringify(found.violations.map((one) => one.id + ": " + one.nodes.map((node) => node.html).join(" "))))`,
    awaitPromise: true,
    returnByValue: true,
  });
  await session.detach();
  return JSON.parse(result.value as string) as string[];
}

/** Kept in .cache/screenshots, to be looked at. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}
