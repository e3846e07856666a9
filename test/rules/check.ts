/** `npm run check`: types, lint, format, layers, generated files. Says what failed and how to mend it. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");
const bin = (name: string) => join(root, "node_modules/.bin", name);

const checks: { name: string; command: string[]; remedy: string }[] = [
  { name: "types", command: [bin("tsc"), "-p", "tsconfig.json", "--noEmit"], remedy: "mend the types" },
  { name: "types of the console", command: [bin("tsc"), "-p", "console/tsconfig.json", "--noEmit"], remedy: "mend the types" },
  { name: "lint", command: [bin("oxlint"), "--type-aware", "--deny-warnings"], remedy: "mend what it names, or `oxlint --fix`" },
  { name: "format", command: [bin("oxfmt"), "--check", "infra", "control-plane", "console", "test"], remedy: "npx oxfmt infra control-plane console test" },
  { name: "layers", command: [bin("vitest"), "run", "--project", "node", "test/rules/layers.test.ts"], remedy: "see test/rules/layers.ts" },
  { name: "generated files", command: [process.execPath, "test/rules/generate.ts", "--check"], remedy: "npm run generate" },
];

const failed = checks.filter(({ name, command, remedy }) => {
  const began = performance.now();
  const [program = "", ...args] = command;
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: root, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  const ok = status === 0;
  console.log(`${ok ? "✔" : "✘"} ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)${ok ? "" : `: ${remedy}`}`);
  if (!ok) console.log(`${stdout ?? ""}${stderr ?? ""}`.slice(-20_000));
  return !ok;
});
if (!existsSync(join(root, "LICENSE"))) throw new Error("LICENSE is missing");
process.exit(failed.length === 0 ? 0 : 1);
