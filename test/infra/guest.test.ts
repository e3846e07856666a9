import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { findGuest, provideGuest } from "../../infra/engine/engine.ts";

let machine: string;
let module: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  machine = mkdtempSync(path.join(tmpdir(), "zhengyun-guest-test-"));
  module = path.join(machine, "module");
  mkdirSync(module);
  env = { ...process.env, ZHENGYUN_CACHE: path.join(machine, "cache") };
});
afterEach(() => rmSync(machine, { recursive: true, force: true }));

function writeModule() {
  writeFileSync(path.join(module, "go.mod"), "module guest\n\ngo 1.21\n");
  writeFileSync(path.join(module, "main.go"), 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("a guest") }\n');
}

it("is built once for its sources, and found by whoever does not build", async () => {
  writeModule();
  await expect(findGuest({ env, module })).rejects.toThrow(/npm run setup/);
  const built = await provideGuest({ env, module });
  expect(execFileSync(built!, { encoding: "utf8" })).toBe("a guest");
  expect(await findGuest({ env, module })).toBe(built);
  expect(await provideGuest({ env, module })).toBe(built);
});

it("is another program when a source changes, and the former stays for the hosts that run it", async () => {
  writeModule();
  const former = await provideGuest({ env, module });
  appendFileSync(path.join(module, "main.go"), "\n// changed\n");
  const latter = await provideGuest({ env, module });
  expect(latter).not.toBe(former);
  expect(execFileSync(former!, { encoding: "utf8" })).toBe("a guest");
});

it("is passed over where there is no module, and a failing build says why", async () => {
  expect(await provideGuest({ env, module })).toBeUndefined();
  writeModule();
  appendFileSync(path.join(module, "main.go"), "nonsense\n");
  await expect(provideGuest({ env, module })).rejects.toThrow(/go build failed: .*main\.go/s);
});
