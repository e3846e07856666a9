#!/usr/bin/env node
/** The `zhengyun` command: its client is TypeScript, so it needs the Node that the set-up installed. */
import { fileURLToPath } from "node:url";
import { isStamped } from "../../infra/engine/steps/dependencies.mjs";
import { launch } from "../../infra/engine/steps/launch.mjs";

if (!isStamped()) {
  console.error("zhengyun is not set up yet. Run `npm run setup` in its directory once.");
  process.exit(1);
}
if (Number(process.versions.node.split(".")[0]) >= 24) await import("./main.ts");
else process.exitCode = await launch(fileURLToPath(new URL("main.ts", import.meta.url)), process.argv.slice(2));
