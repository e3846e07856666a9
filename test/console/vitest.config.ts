/** The console's components in Debian's Chromium: what a person with a keyboard or a screen reader meets, in the real browser. */
import { resolve } from "node:path";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export default defineConfig({
  root: resolve(import.meta.dirname, "../.."),
  // Found beforehand, so that no test is interrupted by a page that loads anew.
  optimizeDeps: { include: ["axe-core", "lit", "@lit/localize", "uplot"] },
  test: {
    name: "browser",
    include: ["test/console/components/*.test.ts"],
    testTimeout: 30_000,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions: { executablePath: "/usr/bin/chromium", args: flags } }),
      instances: [{ browser: "chromium" }],
    },
  },
});
