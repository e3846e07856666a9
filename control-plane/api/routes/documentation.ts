/** The OpenAPI document and a page to read it, both served from here: nothing comes from outside. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { App } from "../deps.ts";
import { defineRoute } from "../route.ts";

const document = defineRoute({
  method: "get",
  path: "/openapi.json",
  tags: ["system"],
  summary: "This document",
  responses: { 200: { description: "OpenAPI 3.1", content: { "application/json": { schema: { type: "object" } } } } },
});
// Its package exports no path to this file.
const bundle = join(import.meta.dirname, "../../../node_modules/@scalar/api-reference/dist/browser/standalone.js");
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";
const html =
  '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Zhengyun API</title><div id="app"></div>' +
  '<script src="/docs/scalar.js"></script><script src="/docs/start.js"></script></html>';
const start =
  'Scalar.createApiReference("#app",{url:"/openapi.json",withDefaultFonts:false,telemetry:false,agent:{disabled:true},mcp:{disabled:true},showDeveloperTools:"never"})';

export function registerDocumentation(app: App): void {
  let text: string | undefined;
  app.openapi(document, (c) => {
    text ??= JSON.stringify(
      app.getOpenAPI31Document({
        openapi: "3.1.0",
        info: {
          title: "Zhengyun (政云)",
          version: "0.1.0",
          description: "The government cloud control plane. Everything changes by requests; every POST carries an Idempotency-Key.",
        },
      }),
    );
    return c.body(text, 200, { "content-type": "application/json" });
  });
  app.get("/docs", (c) => c.body(html, 200, { "content-type": "text/html; charset=utf-8", "content-security-policy": policy }));
  app.get("/docs/start.js", (c) => c.body(start, 200, { "content-type": "text/javascript" }));
  app.get("/docs/scalar.js", async (c) => {
    const script = await readFile(bundle);
    return c.body(script, 200, { "content-type": "text/javascript", "cache-control": "max-age=3600" });
  });
}
