import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { expect, it } from "vitest";

const cwd = resolve(import.meta.dirname, "../../infra/deploy/prometheus");
const promtool = (...args: string[]) => spawnSync("promtool", args, { cwd, encoding: "utf8" });

it("fires each alert when it should, and not before", () => {
  const { status, stdout, stderr } = promtool("test", "rules", "rules.test.yml");
  expect(status, stdout + stderr).toBe(0);
});

it("ships a configuration that Prometheus accepts", () => {
  const { status, stdout, stderr } = promtool("check", "config", "prometheus.yml");
  expect(status, stdout + stderr).toBe(0);
});
