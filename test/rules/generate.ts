/** `npm run generate`: writes the generated files; `--check` says which are not up to date. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import pino from "pino";
import { createApp } from "../../control-plane/api/app.ts";
import { type Access, accessTable } from "../../control-plane/api/access.ts";
import type { AppDeps } from "../../control-plane/api/deps.ts";
import { Role, roleNames } from "../../control-plane/contract/roles.ts";
import { schemaText } from "../../infra/provider/schema.ts";

/** The document doesn't depend on what the routes are given: no route is called here. */
async function openapiText(): Promise<string> {
  const response = await createApp({ now: () => new Date(0), log: pino({ level: "silent" }), exposeMetrics: { public: false } } as unknown as AppDeps).request(
    "/openapi.json",
  );
  return `${JSON.stringify(await response.json(), null, 2)}\n`;
}

/** The table of access for people: a row a route, a column a role. */
function accessText(): string {
  const marks = { subtree: "●", all: "■", self: "", public: "" };
  const row = ([route, { roles, scope }]: [string, Access]) => {
    const open = { self: "whoever is signed in", public: "everybody" }[scope as string] ?? "";
    return `| \`${route}\` | ${Role.options.map((role) => (roles.includes(role) ? marks[scope] : "")).join(" | ")} | ${open} |`;
  };
  const heads = Role.options.map((role) => `${roleNames[role].zh}<br>${role}`);
  return `# Who may call what

Made of \`control-plane/api/access.ts\` by \`npm run generate\`; tests try every row with every role.
■ everywhere · ● for the departments for which the role is held (the rest answers 404)

| | ${heads.join(" | ")} | |
|---|${heads.map(() => ":-:").join("|")}|---|
${Object.entries(accessTable).map(row).join("\n")}
`;
}

const files: Record<string, () => string | Promise<string>> = {
  "infra/provider/schema.json": schemaText,
  "docs/openapi.json": openapiText,
  "docs/access.md": accessText,
};
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
