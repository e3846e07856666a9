/** Every test that runs in Node; the console's, which run in Chromium, have a project of their own. */
import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";

const browser = "test/console/vitest.config.ts";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          include: ["test/**/*.test.ts"],
          exclude: ["test/console/**"],
          globalSetup: ["test/setup/postgres.ts"],
          // Engines, databases and hosts are real, and two cores carry them.
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          // What waits in vain once, since everything at once was busy, is tried once more; what is wrong fails twice.
          retry: process.env["CI"] ? 1 : 0,
        },
      },
      ...(existsSync(browser) ? [browser] : []),
    ],
  },
});
