import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { z } from "zod";
import { createClient } from "../../control-plane/cli/client.ts";
import type { AuditEntry } from "../../control-plane/contract/audit.ts";
import { findEngine } from "../../infra/engine/engine.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host } from "../setup/small-city.ts";

describe("an operator's own pulumi, over TLS with a personal token", () => {
  const plane = new TestPlane();
  const home = mkdtempSync(join(tmpdir(), "zhengyun-operator-"));
  const certificate = join(home, "certificate.pem");
  let engine: string;
  let url: string;
  let stack: string;

  beforeAll(async () => {
    const made = spawnSync("openssl", [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=127.0.0.1",
      "-addext",
      "subjectAltName=IP:127.0.0.1",
      "-keyout",
      join(home, "key.pem"),
      "-out",
      certificate,
    ]);
    expect(made.status, String(made.stderr)).toBe(0);
    writeFileSync(join(home, "Pulumi.yaml"), "name: department\nruntime: nodejs\n");
    engine = join((await findEngine()).root, "bin/pulumi");
    await plane.start({ ZHENGYUN_STATE_LISTEN: "127.0.0.1:0", ZHENGYUN_STATE_TLS_CERT_FILE: certificate, ZHENGYUN_STATE_TLS_KEY_FILE: join(home, "key.pem") });
    url = /https:\/\/127\.0\.0\.1:\d+/.exec(plane.output)![0];
    await plane.fill();
    const request = await plane.ask([{ ...host("web"), spec: { ...host("web").spec, userData: "s3cret-of-web" } }]);
    await plane.approve(request.id);
    expect((await plane.settled(request.id)).state).toBe("active");
    stack = `zhengyun/department/${request.department}`;
  });
  afterAll(async () => {
    await plane.remove();
    rmSync(home, { recursive: true, force: true });
  });

  const environment = (token: string) => ({
    PATH: process.env["PATH"],
    HOME: home,
    PULUMI_HOME: join(home, ".pulumi"),
    PULUMI_ACCESS_TOKEN: token,
    PULUMI_BACKEND_URL: url,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    SSL_CERT_FILE: certificate,
  });
  /** Beside the control plane, which this process doesn't hold up. */
  const pulumi = (args: string[], token = plane.token) =>
    new Promise<{ code: number | null; output: string }>((resolve, reject) => {
      const child = spawn(engine, [...args, "--non-interactive", "--color", "never"], {
        cwd: home,
        env: environment(token),
        stdio: ["ignore", "pipe", "pipe"],
      });
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()));
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, output }));
    });

  it("logs in, lists, shows history, and exports without secrets", async () => {
    expect(await pulumi(["login", url])).toMatchObject({ code: 0, output: expect.stringContaining("operator") });
    expect((await pulumi(["stack", "ls", "--all"])).output).toContain(stack.split("/")[2]);
    const history = await pulumi(["stack", "history", "--stack", stack, "--json"]);
    expect(history.code, history.output).toBe(0);
    expect(JSON.parse(history.output.slice(history.output.indexOf("[")))[0]).toMatchObject({ kind: "update", result: "succeeded" });
    const exported = await pulumi(["stack", "export", "--stack", stack]);
    expect(exported.code, exported.output).toBe(0);
    expect(exported.output).toContain("zhengyun:index:Host");
    expect(exported.output).toContain('"ciphertext": "withheld"');
    expect(exported.output).not.toContain("s3cret-of-web");
  });

  it("never bypasses approval: no up, refresh, destroy, import, rename or removal", async () => {
    const state = JSON.stringify({ version: 3, deployment: { manifest: { time: new Date().toISOString(), magic: "", version: "" }, resources: [] } });
    for (const args of [
      ["destroy", "--yes", "--stack", stack],
      ["refresh", "--yes", "--stack", stack],
      ["stack", "rm", "--yes", "--force", "--stack", stack],
      ["stack", "rename", "other", "--stack", stack],
    ]) {
      const { code, output } = await pulumi(args);
      expect(code, `${args.join(" ")}: ${output}`).not.toBe(0);
      expect(output).toMatch(/approved requests|403/);
    }
    const put = await fetchTls("POST", `/api/stacks/${stack}/import`, state);
    expect(put).toContain("403");
    expect((await plane.driver.observe()).hosts.map((one) => one.state)).toEqual(["running"]);
  });

  it("is for operations staff and auditors, and is audited", async () => {
    expect((await pulumi(["stack", "ls", "--all"], await plane.grant("applicant", "city"))).code).not.toBe(0);
    expect((await pulumi(["stack", "ls", "--all"], "zy_nonsense")).code).not.toBe(0);
    const auditor = await plane.grant("audit-admin");
    expect((await pulumi(["stack", "ls", "--all"], auditor)).code).toBe(0);
    const entries: z.infer<typeof AuditEntry>[] = [];
    for await (const entry of createClient({ url: plane.operations.url, token: auditor }).all<z.infer<typeof AuditEntry>>("/api/v1/audit")) entries.push(entry);
    const actions = entries.map((one) => `${one.action} ${one.result}`);
    for (const action of ["state.list done", "state.history done", "state.export done", "state.refused denied"]) expect(actions).toContain(action);
  });

  it("cancels an update: it stops, its request says so, and nothing of it stays", { timeout: 60_000 }, async () => {
    const request = await plane.ask(Array.from({ length: 25 }, (_, index) => host(`many-${index}`)));
    await plane.approve(request.id);
    const cancelled = await waitFor(
      () => pulumi(["cancel", "--yes", "--stack", stack]),
      (one) => one.code === 0,
      { intervalMs: 1, timeoutMs: 30_000 },
    );
    expect(cancelled.output).toMatch(/cancel/i);
    const done = await plane.settled(request.id);
    expect(done.state).toBe("failed");
    expect(done.error?.code).toBe("cancelled");
    await waitFor(
      async () => (await plane.driver.list()).filter((one) => one.kind === "host").length,
      (count) => count === 1,
      { intervalMs: 100, timeoutMs: 30_000 },
    );
  });

  async function fetchTls(method: string, path: string, body: string): Promise<string> {
    const { request } = await import("node:https");
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const call = request(
      url + path,
      { method, ca: readFileSync(certificate), headers: { authorization: `token ${plane.token}`, "content-type": "application/json" } },
      (response) => {
        response.resume();
        resolve(String(response.statusCode));
      },
    );
    call.on("error", reject);
    call.end(body);
    return promise;
  }
});
