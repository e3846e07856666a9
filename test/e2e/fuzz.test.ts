import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestPlane } from "../setup/control-plane.ts";
import { installSchemathesis } from "../setup/schemathesis.ts";

describe("bad input", () => {
  const plane = new TestPlane();
  beforeAll(async () => {
    await plane.start();
    await plane.fill();
  });
  afterAll(() => plane.remove());

  it("gets no 5xx and no answer outside the OpenAPI document, from a fuzzer that reads that document", { timeout: 400_000 }, () => {
    const directory = mkdtempSync(join(tmpdir(), "zhengyun-fuzz-"));
    const token = readFileSync(join(plane.data, "operator.token"), "utf8").trim();
    const { status, stdout, stderr } = spawnSync(
      installSchemathesis(),
      [
        "run",
        `${plane.operations.url}/openapi.json`,
        "--header",
        `Authorization: Bearer ${token}`,
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        "--max-examples",
        "20",
        "--seed",
        "1",
        "--phases",
        "examples,fuzzing",
        "--exclude-path",
        "/api/v1/events",
        "--exclude-path-regex",
        ".*/events$",
        "--workers",
        "2",
        "--no-color",
      ],
      { cwd: directory, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
    );
    rmSync(directory, { recursive: true, force: true });
    expect(status, `${stdout.slice(-12_000)}${stderr.slice(-2000)}`).toBe(0);
  });
});
