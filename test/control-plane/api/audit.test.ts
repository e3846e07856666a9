import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type ServerType, serve } from "@hono/node-server";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openApp, type TestApp } from "../../setup/app.ts";
import { engines } from "../../setup/databases.ts";
import { appendMany, behindTheBack, chainerOf } from "../audit/support.ts";

const main = resolve(import.meta.dirname, "../../../control-plane/cli/main.ts");

describe.each(engines)("the audit over the API, on %s", (engine) => {
  let api: TestApp;
  let operations: string;
  let auditor: string;
  beforeAll(async () => {
    api = await openApp(engine);
    operations = await api.token("operations");
    auditor = await api.token("audit-admin");
    await api.call(operations, "POST", "/api/v1/departments", { body: { code: "bureau", nameZh: "局", nameEn: "Bureau", level: "city" } });
    await api.call(operations, "POST", "/api/v1/departments", {
      body: { code: "section", parent: "bureau", nameZh: "科", nameEn: "Section", level: "county" },
    });
    await api.call(auditor, "POST", "/api/v1/departments", { body: {} });
    await appendMany(api.database.db, 30);
    await chainerOf(api.database.db).close();
  });
  afterAll(() => api?.close());
  const list = async (query: string) => (await api.call(auditor, "GET", `/api/v1/audit?${query}`)).body.items as Record<string, unknown>[];

  it("shows each entry's place in the chain", async () => {
    const [newest, before] = await list("limit=2");
    expect(newest).toMatchObject({ algorithm: "sha256", sequence: (before!["sequence"] as number) + 1, previous: before!["hash"] });
    await api.call(operations, "PUT", "/api/v1/quotas/bureau/hosts", { body: { limit: 1 }, headers: { "if-match": "*" } });
    expect((await list("limit=1"))[0]).toMatchObject({ action: "quota.set", sequence: null, hash: null });
  });

  it("is filtered by actor, action, result, department, correlation and time", async () => {
    const [denied] = await list("result=denied");
    expect(denied).toMatchObject({ action: "POST /api/v1/departments", role: "audit-admin", after: { code: "forbidden" } });
    expect(await list(`actor=${String(denied!["actor"])}`)).toEqual([denied]);
    expect(await list(`correlation=${String(denied!["correlationId"])}`)).toEqual([denied]);
    expect((await list("action=department.create")).map((one) => one["action"])).toEqual(["department.create", "department.create"]);
    expect(await list("action=department.create&result=failed")).toEqual([]);
    expect((await list("action=department.create&department=bureau")).length).toBe(2);
    expect((await list("action=department.create&department=section")).length).toBe(1);
    expect(await list("to=1960-01-01T00:00:00Z")).toEqual([]);
    expect((await list(`from=${encodeURIComponent(String(denied!["at"]))}&action=department.create`)).length).toBe(0);
    expect((await api.call(auditor, "GET", "/api/v1/audit?result=maybe")).status).toBe(400);
    expect((await api.call(auditor, "GET", "/api/v1/audit?department=nowhere")).status).toBe(404);
  });

  it("takes no writing from anybody", async () => {
    for (const path of ["/api/v1/audit", "/api/v1/audit/export", "/api/v1/audit/checkpoints"])
      for (const method of ["POST", "PUT", "PATCH", "DELETE"]) expect((await api.call(operations, method, path, { body: {} })).status).toBe(405);
  });

  it("lists checkpoints with the key that verifies them, and records who takes an export", async () => {
    const { items } = (await api.call(auditor, "GET", "/api/v1/audit/checkpoints")).body;
    expect(items[0]).toMatchObject({ number: 1, signature: expect.any(String), publicKey: expect.any(String) });
    const answer = await api.call(auditor, "GET", "/api/v1/audit/export?first=3&last=5");
    expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
    const lines = (answer.body as string)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { kind: string });
    expect([lines[0]!.kind, lines[1]!.kind, lines.at(-2)!.kind, lines.at(-1)!.kind]).toEqual(["range", "entry", "checkpoint", "end"]);
    expect(await list("action=audit.export")).toMatchObject([
      { role: "audit-admin", result: "done", subject: `1-${lines.filter(({ kind }) => kind === "entry").length}` },
    ]);
  });

  it("hands the chain as a whole only to those who audit everywhere, and to an external auditor the stretch of their period", async () => {
    const { id } = await api.database.db.selectFrom("departments").select("id").where("code", "=", "bureau").executeTakeFirstOrThrow();
    expect((await api.call(await api.token("auditor", id), "GET", "/api/v1/audit/export")).status).toBe(403);
    const external = await api.token("auditor");
    const whole = await api.call(external, "GET", "/api/v1/audit/export");
    expect(whole.body).toContain('"kind":"entry"');
    await sql`update role_bindings set period_from = '1960-01-01', period_to = '1960-01-02' where role = 'auditor'`.execute(api.database.db);
    expect((await api.call(external, "GET", "/api/v1/audit/export")).body).not.toMatch(/"entry"/);
  });

  it("is read batch by batch, as the reader takes it", async () => {
    await appendMany(api.database.db, 1500);
    await chainerOf(api.database.db, { checkpointEntries: 400 }).close();
    const response = await api.app.request("/api/v1/audit/export", { headers: { authorization: `Bearer ${auditor}` } });
    const reader = response.body!.getReader();
    const first = new TextDecoder().decode((await reader.read()).value);
    // It was not read to its end before the first of it came.
    expect(first.split("\n").length).toBe(101);
    await reader.cancel();
  });

  describe("on the command line", () => {
    let server: ServerType;
    let url = "";
    const directory = mkdtempSync(join(tmpdir(), "zy-audit-"));
    beforeAll(async () => {
      url = await new Promise((done) => {
        server = serve({ fetch: api.app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }: AddressInfo) => done(`http://127.0.0.1:${port}`));
      });
    });
    afterAll(() => {
      server.close();
      rmSync(directory, { recursive: true });
    });
    const zhengyun = (...args: string[]): Promise<{ code: number | null; output: string }> =>
      new Promise((done) => {
        const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, ZHENGYUN_URL: url, ZHENGYUN_TOKEN: auditor } });
        let output = "";
        for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()));
        child.once("close", (code) => done({ code, output }));
      });

    it("is listed, exported and verified, at the control plane and from the file", async () => {
      expect((await zhengyun("audit", "list", "--result", "denied")).output).toMatch(/audit-admin .*POST \/api\/v1\/departments/);
      const whole = await zhengyun("audit", "verify", "--json");
      expect(whole.code).toBe(0);
      const found = JSON.parse(whole.output) as { entries: number; keys: string[]; fault: null };
      expect(found).toMatchObject({ first: 1, fault: null });
      expect(found.entries).toBeGreaterThan(1500);
      const file = join(directory, "audit.ndjson");
      expect((await zhengyun("audit", "export", "--output", file)).code).toBe(0);
      const kept = await zhengyun("audit", "verify", "--file", file, "--key", found.keys[0]!);
      expect(kept.output).toMatch(/✔ entries 1 to \d+ are whole and in order; \d+ checkpoints fit/);
      expect((await zhengyun("audit", "verify", "--file", file, "--key", "0".repeat(32))).code).toBe(1);
      writeFileSync(file, readFileSync(file, "utf8").replace('"action":"department.create"', '"action":"department.change"'));
      const altered = await zhengyun("audit", "verify", "--file", file);
      expect(altered).toMatchObject({ code: 1, output: expect.stringMatching(/✘ altered: entry \d+ \(id \d+\) is not what was linked/) });
      writeFileSync(file, readFileSync(file, "utf8").slice(0, -200));
      expect((await zhengyun("audit", "verify", "--file", file)).code).toBe(1);
    });

    it("names what somebody with the database's own rights has taken away", async () => {
      await api.database.db.transaction().execute((tx) => behindTheBack(tx, "delete from audit_entries where sequence = 20"));
      expect(await zhengyun("audit", "verify")).toMatchObject({ code: 1, output: "✘ missing: entry 20 is missing\n" });
    });
  });
});
