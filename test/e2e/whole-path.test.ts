/** The whole path in the CLI, each person with a terminal of their own: from a city file to hosts that two people approved. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AuditEntry } from "../../control-plane/contract/audit.ts";
import type { Host } from "../../control-plane/contract/resources.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { Invitation } from "../../control-plane/cli/people.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { smallCity } from "../setup/small-city.ts";

const cli = resolve(import.meta.dirname, "../../control-plane/cli/zhengyun.js");
const person = (name: string, role: string, department?: string) => ({
  name,
  displayName: `${name} 同志`,
  roles: [{ role, ...(department ? { department } : {}) }],
});

describe("the whole path in the CLI", () => {
  const plane = new TestPlane();
  const home = mkdtempSync(join(tmpdir(), "zhengyun-people-"));
  const file = join(home, "city.yaml");
  const passwords = join(home, "password");

  /** A command in somebody's own terminal: what it printed, and how it ended. */
  const run = (who: string, ...args: string[]) =>
    new Promise<{ code: number | null; output: string; errors: string }>((done, failed) => {
      const own = join(home, who);
      mkdirSync(own, { recursive: true });
      const token = who === "operator" ? { ZHENGYUN_TOKEN: plane.token } : {};
      const env = { PATH: process.env["PATH"], HOME: own, ZHENGYUN_URL: plane.operations.url, ...token };
      const child = spawn(process.execPath, [cli, ...args], { cwd: own, env, stdio: ["ignore", "pipe", "pipe"] });
      const [output, errors] = [child.stdout, child.stderr].map((stream) => {
        const text: string[] = [];
        stream.on("data", (data: Buffer) => text.push(data.toString()));
        return text;
      });
      child.on("error", failed);
      child.on("close", (code) => done({ code, output: output!.join(""), errors: errors!.join("") }));
    });
  const says = async (who: string, ...args: string[]) => {
    const { code, output, errors } = await run(who, ...args);
    expect(code, `${who}: zhengyun ${args.join(" ")}\n${output}${errors}`).toBe(0);
    return output;
  };
  const asks = async <T>(who: string, ...args: string[]) => JSON.parse(await says(who, ...args, "--json")) as T;

  beforeAll(async () => {
    const city = {
      ...smallCity(),
      requests: [
        {
          ref: "first",
          department: "office",
          project: "p",
          application: "office-app",
          title: "两台云主机",
          items: ["a", "b"].map((name) => ({ action: "create", kind: "host", spec: { name, flavour: "tiny", image: "zhengyun-base-1" } })),
        },
      ],
      flavours: [{ code: "tiny", name: "Tiny", vcpu: 1, memoryMib: 64, diskGib: 1 }],
      people: [
        person("security", "security-admin"),
        person("audit", "audit-admin"),
        person("applicant", "applicant", "office"),
        person("approver", "approver", "office"),
        person("deputy", "approver", "bureau"),
        person("authority", "authority", "city"),
      ],
      policies: [
        {
          department: "office",
          stages: [
            { name: "会签", kind: "department-approval", role: "approver", mode: "parallel", approvers: ["approver", "deputy"] },
            { name: "主管部门", kind: "authority-approval", role: "authority" },
          ],
        },
      ],
    };
    writeFileSync(file, JSON.stringify(city));
    writeFileSync(passwords, "Corr3ct-horse-battery\n", { mode: 0o600 });
    await plane.start();
  });
  afterAll(async () => {
    await plane.remove();
    rmSync(home, { recursive: true, force: true });
  });

  it("makes the city, its accounts by one administrator, and their roles by another one", async () => {
    await says("operator", "city", "import", file);
    const invited = await asks<Invitation[]>("operator", "city", "accounts", file);
    expect(invited.map((one) => one.name)).toEqual(["security", "audit", "applicant", "approver", "deputy", "authority"]);
    expect((await run("operator", "city", "roles", file)).errors, "who makes accounts grants no roles").toMatch(/security/i);
    for (const { name, link } of invited) {
      await says(name, "set-up", link, "--password-file", passwords);
      await says(name, "login", name, "--password-file", passwords);
    }
    expect((await run("applicant", "set-up", invited[2]!.link, "--password-file", passwords)).code, "a link works once").not.toBe(0);
    expect(await asks("security", "city", "roles", file)).toEqual({ granted: 5, policies: 1 });
    expect(await asks("security", "city", "roles", file), "again: all is there").toEqual({ granted: 0, policies: 0 });
    expect(await asks("operator", "city", "accounts", file), "again: all is there").toEqual([]);
    expect(await says("security", "approval-policies", "show", "office")).toContain("会签");
  });

  it("takes a request from its draft over everybody whom the policy asks to running hosts", async () => {
    const [draft] = await asks<Request[]>("applicant", "requests", "list", "--state", "draft");
    await says("applicant", "requests", "submit", draft!.id, "--wait");
    const refused = await run("applicant", "requests", "approve", draft!.id);
    expect(refused.code, "an applicant approves nothing").not.toBe(0);
    expect(await says("authority", "inbox"), "its turn has not come").not.toContain(draft!.number);
    for (const who of ["approver", "deputy", "authority"]) {
      expect(await says(who, "inbox"), who).toContain(draft!.number);
      await says(who, "requests", "approve", draft!.id, "--reason", `${who} agrees`);
    }
    await says("applicant", "requests", "watch", draft!.id);
    const hosts = await asks<Host[]>("applicant", "hosts", "list");
    expect(hosts.map((one) => [one.name, one.observedState])).toEqual([
      ["a", "running"],
      ["b", "running"],
    ]);
  });

  it("is all in the audit, under which role, and the chain holds", async () => {
    const entries = await asks<AuditEntry[]>("audit", "audit", "list");
    const approvals = entries.filter((entry) => entry.action === "approval.approve").map((entry) => entry.role);
    expect(approvals.toSorted()).toEqual(["approver", "approver", "authority"]);
    expect(
      entries.some((entry) => entry.result === "denied"),
      "what was refused, too",
    ).toBe(true);
    expect(await says("audit", "audit", "verify")).toMatch(/entr/);
  });
});
