/** The console's built files, under a policy that lets nothing in from outside. */
import { readFile } from "node:fs/promises";
import { extname, join, normalize, sep } from "node:path";
import type { App, AppDeps } from "../deps.ts";

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".json": "application/json",
  ".woff2": "font/woff2",
  ".map": "application/json",
  ".webmanifest": "application/manifest+json",
  ".txt": "text/plain; charset=utf-8",
};
const unbuilt =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>Zhengyun</title><p>The console has not been built. <code>npm start</code> builds it.</p></html>';

export function registerConsole(app: App, deps: AppDeps): void {
  app.get("*", async (c, next) => {
    const { path } = c.req;
    if (/^\/(api|metrics|docs|openapi\.json|healthz|readyz|sign-in)(\/|$)/.test(path)) return next();
    // A page's address has no extension: the console's own router takes it from there.
    const page = extname(path) === "";
    const file = page ? "index.html" : path;
    const content = await read(deps.consoleDirectory, file);
    if (!content && !page) return next();
    return c.body(content ?? unbuilt, 200, {
      "content-type": types[extname(file)] ?? "application/octet-stream",
      "content-security-policy": policy,
      // Built files carry a digest in their names.
      "cache-control": path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
    });
  });
}

async function read(directory: string | undefined, path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (!directory || path.includes("\0")) return undefined;
  const file = normalize(join(directory, path));
  if (!file.startsWith(normalize(directory + sep))) return undefined;
  return readFile(file).catch(() => undefined);
}
