import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openApp, type TestApp } from "../../setup/app.ts";

describe("the API's frame", () => {
  let api: TestApp;
  let directory: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "zy-console-"));
    mkdirSync(join(directory, "console/assets"), { recursive: true });
    writeFileSync(join(directory, "console/index.html"), "<!doctype html><title>Console</title>");
    writeFileSync(join(directory, "console/assets/main-abc.js"), "export {}");
    writeFileSync(join(directory, "secret.txt"), "not the console's");
    api = await openApp("pglite", { consoleDirectory: join(directory, "console"), ready: async () => ({ ok: false, checks: { database: "down" } }) });
  });
  afterAll(async () => {
    await api?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it("answers problems for addresses and methods that are none", async () => {
    const unknown = await api.call(undefined, "GET", "/api/v1/nothing");
    expect(unknown).toMatchObject({ status: 404, body: { type: "urn:zhengyun:problem:not-found", code: "not-found", instance: "/api/v1/nothing" } });
    expect(unknown.headers.get("content-type")).toBe("application/problem+json");
    const method = await api.call(undefined, "PUT", "/api/v1/departments/x");
    expect(method).toMatchObject({ status: 405, body: { code: "method-not-allowed" } });
    expect(method.headers.get("allow")).toBe("GET, PATCH, HEAD");
  });

  it("quotes the caller's correlation id, and makes one where it is none", async () => {
    const quoted = await api.call(undefined, "GET", "/api/v1/departments", { headers: { "x-correlation-id": "mine-1" } });
    expect([quoted.headers.get("x-correlation-id"), quoted.body.correlationId]).toEqual(["mine-1", "mine-1"]);
    const made = await api.call(undefined, "GET", "/healthz", { headers: { "x-correlation-id": "not acceptable!" } });
    expect(made.headers.get("x-correlation-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("is alive though not ready", async () => {
    expect((await api.call(undefined, "GET", "/healthz")).body).toEqual({ status: "ok" });
    expect(await api.call(undefined, "GET", "/readyz")).toMatchObject({ status: 503, body: { ok: false, checks: { database: "down" } } });
  });

  it("serves the console's files and nothing beside them, under a policy without outside sources", async () => {
    const page = await api.call(undefined, "GET", "/departments/dep_1");
    expect(page.body).toContain("Console");
    expect(page.headers.get("content-security-policy")).toMatch(/default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(page.headers.get("content-security-policy")).not.toMatch(/unsafe|http/);
    expect((await api.call(undefined, "GET", "/assets/main-abc.js")).headers.get("cache-control")).toMatch(/immutable/);
    for (const path of ["/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/assets/none.js"]) {
      expect((await api.call(undefined, "GET", path)).status).toBe(404);
    }
  });

  it("describes itself: OpenAPI 3.1 with every answer, and a page that loads nothing from outside", async () => {
    const { body } = await api.call(undefined, "GET", "/openapi.json");
    expect(body.openapi).toBe("3.1.0");
    type Operation = { responses: Record<string, unknown>; summary?: string };
    const operations = Object.values(body.paths as Record<string, Record<string, Operation>>).flatMap((path) => Object.values(path));
    expect(operations.length).toBeGreaterThan(20);
    expect(operations.filter((operation) => !operation.summary || operation.responses["default"] !== undefined || !operation.responses["503"])).toEqual([]);
    const page = await api.call(undefined, "GET", "/docs");
    expect(page.body).not.toMatch(/https?:/);
    expect((await api.call(undefined, "GET", "/docs/scalar.js")).body.length).toBeGreaterThan(100_000);
  });

  it("refuses a body that is too large", async () => {
    const operations = await api.token("operations");
    const body = { code: "x", nameZh: "x".repeat(17 * 1024 * 1024), nameEn: "x", level: "x" };
    expect((await api.call(operations, "POST", "/api/v1/departments", { body })).body).toMatchObject({ status: 413, code: "payload-too-large" });
  });
});
