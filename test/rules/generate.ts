/** `npm run generate`: writes the generated files; `--check` says which are not up to date. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import pino from "pino";
import { createApp } from "../../control-plane/api/app.ts";
import type { AppDeps } from "../../control-plane/api/deps.ts";
import { schemaText } from "../../infra/provider/schema.ts";

/** The document doesn't depend on what the routes are given: no route is called here. */
async function openapiText(): Promise<string> {
  const response = await createApp({ now: () => new Date(0), log: pino({ level: "silent" }), exposeMetrics: { public: true } } as unknown as AppDeps).request(
    "/openapi.json",
  );
  return `${JSON.stringify(await response.json(), null, 2)}\n`;
}

const files: Record<string, () => string | Promise<string>> = { "infra/provider/schema.json": schemaText, "docs/openapi.json": openapiText };
const stale: string[] = [];
for (const [file, text] of Object.entries(files)) {
  const path = resolve(import.meta.dirname, "../..", file);
  const wanted = await text();
  if (existsSync(path) && readFileSync(path, "utf8") === wanted) continue;
  if (process.argv.includes("--check")) stale.push(file);
  else writeFileSync(path, wanted);
}
if (stale.length > 0) {
  console.error(`not up to date: ${stale.join(", ")}; run \`npm run generate\` and look at the difference`);
  process.exit(1);
}
