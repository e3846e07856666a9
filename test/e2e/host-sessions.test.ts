/** People in hosts, against a running control plane with real hosts of the embedded driver. */
import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { WebSocket } from "ws";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, createClient } from "../../control-plane/cli/client.ts";
import { openTerminal, type Terminal } from "../../control-plane/cli/terminal.ts";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { AuditEntry } from "../../control-plane/contract/audit.ts";
import type { Consent } from "../../control-plane/contract/consents.ts";
import type { HostExecResult, HostSession, MadeHostSession } from "../../control-plane/contract/host-sessions.ts";
import type { Notice } from "../../control-plane/contract/notices.ts";
import type { Host } from "../../control-plane/contract/resources.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host } from "../setup/small-city.ts";

let plane: TestPlane;
let hostId: string;
let security: Client;
let auditor: Client;
/** Operations staff without any other role. */
let operator: { id: string; client: Client };
let cliToken: string;

const client = (token: string) => createClient({ url: plane.operations.url, token });
async function person(role: "operations" | "audit-admin" | "security-admin" | "auditor") {
  const secret = await plane.grant(role);
  return { client: client(secret), id: (await client(secret).get<{ id: string }>("/api/v1/sessions/current")).id, secret };
}
const all = <T>(items: AsyncIterable<T>): Promise<T[]> => Array.fromAsync(items);
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: Error & { problem?: { status: number; code: string } }) => (error.problem ? `${error.problem.status} ${error.problem.code}` : error.message),
  );

/** A terminal, with what it has shown. */
async function enter(by: Client, purpose = "test"): Promise<Terminal & { shown: () => string }> {
  let text = "";
  const terminal = await openTerminal(by, { host: hostId, purpose, argv: null, cols: 90, rows: 30, show: (data) => (text += data.toString()) });
  return Object.assign(terminal, { shown: () => text });
}
const until = (terminal: { shown: () => string }, text: string) =>
  waitFor(
    async () => terminal.shown(),
    (shown) => shown.includes(text),
    { intervalMs: 20, timeoutMs: 20_000 },
  );
/** Programs of a name in the host, as the machine sees them: the host's own /proc lists them too. */
async function running(name: string): Promise<number> {
  const { stdout } = await plane.driver.exec(hostId, ["ls", "/proc"]);
  let count = 0;
  for (const pid of stdout.match(/^\d+$/gm) ?? []) {
    const { stdout: line } = await plane.driver.exec(hostId, ["cat", `/proc/${pid}/cmdline`]);
    if (line.startsWith(name)) count++;
  }
  return count;
}
const showSession = (id: string) => security.get<HostSession>(`/api/v1/host-sessions/${id}`);
const endedAs = (id: string) =>
  waitFor(
    () => showSession(id),
    (one) => one.state === "ended",
    { intervalMs: 30, timeoutMs: 20_000 },
  );
const recordingOf = async (id: string, by = security) => (await by.send("GET", `/api/v1/host-sessions/${id}/recording`)).text();
const typedIn = (recording: string, kind: "i" | "o") =>
  recording
    .split("\n")
    .slice(1, -1)
    .map((line) => JSON.parse(line) as [number, string, string])
    .filter(([, one]) => one === kind)
    .map(([, , text]) => text)
    .join("");

beforeAll(async () => {
  plane = new TestPlane();
  await plane.start();
  await plane.fill();
  const request = await plane.ask([host("web")]);
  await plane.approve(request.id);
  expect((await plane.settled(request.id)).state).toBe("active");
  hostId = (await all(plane.applicant.all<Host>("/api/v1/hosts")))[0]!.id;
  security = (await person("security-admin")).client;
  auditor = (await person("audit-admin")).client;
  operator = await person("operations");
  cliToken = plane.secretOf("applicant");
}, 240_000);
afterAll(() => plane?.remove());

/** In the background: whoever is blocked meanwhile finds its connections closed. */
const cli = (args: string[], input = "") =>
  new Promise<{ status: number | null; stdout: string; stderr: string }>((done) => {
    const env = { ...process.env, ZHENGYUN_URL: plane.operations.url, ZHENGYUN_TOKEN: cliToken };
    const child = spawn(process.execPath, [resolve("control-plane/cli/main.ts"), ...args], { env });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
    child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
    child.stdin.end(input);
    child.on("close", (status) => done({ status, stdout, stderr }));
  });

describe("the owner", () => {
  it("has a terminal: what is typed runs, its window has a size, its exit code comes back, all of it is recorded", async () => {
    const terminal = await enter(plane.applicant, "look at the logs");
    await until(terminal, "# ");
    terminal.write("tty\n");
    await until(terminal, "90 columns, 30 rows");
    terminal.tell({ type: "resize", cols: 100, rows: 40 });
    terminal.write("tty\necho '你好 owner'\n");
    await until(terminal, "100 columns, 40 rows");
    await until(terminal, "# 你好 owner");
    terminal.write("exit 7\n");
    expect(await terminal.ended).toMatchObject({ reason: "exited", exitCode: 7 });
    const session = await endedAs(terminal.session.id);
    expect(session).toMatchObject({ basis: "owner", purpose: "look at the logs", endReason: "exited", exitCode: 7, source: "127.0.0.1" });
    const recording = await recordingOf(session.id);
    expect(JSON.parse(recording.split("\n")[0]!)).toMatchObject({ version: 2, width: 90, height: 30 });
    expect(typedIn(recording, "o")).toBe(terminal.shown());
    expect(typedIn(recording, "i")).toBe("tty\ntty\necho '你好 owner'\nexit 7\n");
    const sha256 = createHash("sha256").update(recording).digest("hex");
    expect(session.recordingSha256).toBe(sha256);
    const entries = await all(auditor.all<AuditEntry>("/api/v1/audit", { subject: session.id }));
    expect(entries.map((one) => one.action).toReversed()).toEqual(["host-session.create", "host-session.open", "host-session.close", "host-session.replay"]);
    expect(entries.find((one) => one.action === "host-session.close")!.after).toMatchObject({ recordingSha256: sha256, reason: "exited" });
  });

  it("runs a command, once for its key, and within its time", async () => {
    const ask = { argv: ["sh", "-c", "echo out; cat /nowhere; exit 3"], purpose: "check" };
    const call = () => plane.applicant.post<HostExecResult>(`/api/v1/hosts/${hostId}/exec`, ask, { idempotencyKey: "once" });
    const first = await call();
    expect(first).toMatchObject({ exitCode: 3, endReason: "exited", stdout: "out\n", stderr: expect.stringContaining("/nowhere") });
    expect(await call()).toEqual(first);
    const late = await plane.applicant.post<HostExecResult>(`/api/v1/hosts/${hostId}/exec`, { argv: ["sleep", "60"], timeoutSeconds: 1 });
    expect(late.exitCode).not.toBe(0);
    expect(await running("sleep")).toBe(0);
  });

  it("does it all by the CLI too", async () => {
    expect(await cli(["hosts", "exec", "web", "--", "echo", "by", "hand"])).toMatchObject({ status: 0, stdout: "by hand\n" });
    const [newest] = JSON.parse((await cli(["host-sessions", "list", "--json"])).stdout) as HostSession[];
    expect(newest).toMatchObject({ kind: "exec", hostName: "web", endReason: "exited" });
    const replayed = await cli(["host-sessions", "replay", newest!.id, "--fast"]);
    expect(replayed.stdout).toContain("by hand\n");
    expect(replayed.stderr).toContain("as the audit has it");
    expect((await cli(["hosts", "ssh", "web", "--print"])).stderr).toContain("has no keys");
  });
});

describe("a ticket", () => {
  const make = () => plane.applicant.post<MadeHostSession>(`/api/v1/hosts/${hostId}/sessions`, {});
  /** How the handshake is answered: a status, or "open". */
  const knock = (
    session: MadeHostSession,
    { ticket = session.ticket, token = cliToken, headers = {} }: { ticket?: string; token?: string; headers?: Record<string, string> } = {},
  ) =>
    new Promise<string>((done) => {
      const url = `${plane.operations.url.replace("http", "ws")}/api/v1/host-sessions/${session.id}/socket`;
      const socket = new WebSocket(url, ["zhengyun.terminal.v1", `ticket.${ticket}`], { headers: { authorization: `Bearer ${token}`, ...headers } });
      socket.on("open", () => {
        socket.close();
        done("open");
      });
      socket.on("unexpected-response", (_, response) => done(String(response.statusCode)));
      socket.on("error", (error) => done(error.message));
    });

  it("opens once, for who asked for it, from no other site", async () => {
    const session = await make();
    expect(await knock(session, { headers: { origin: "https://evil.example" } })).toBe("403");
    expect(await knock(session, { ticket: `${session.ticket}x` })).toBe("403");
    expect(await knock(session, { token: plane.secretOf("approver") })).toBe("403");
    expect(await knock(session, { token: "zy_wrong" })).toBe("401");
    expect(await knock(session, { token: plane.token })).toBe("404");
    expect(await knock(session, { headers: { origin: plane.operations.url } })).toBe("open");
    expect(await knock(session)).toBe("403");
    expect((await endedAs(session.id)).endReason).toBe("closed");
    const again = await make();
    expect(await codeOf(plane.applicant.post(`/api/v1/host-sessions/${again.id}/end`, {}))).toBe("done");
    expect(await knock(again)).toBe("403");
  });
});

describe("an operator", () => {
  it("is refused, by every way in, and so are auditors and strangers", async () => {
    const ways = (by: Client) => [
      by.post(`/api/v1/hosts/${hostId}/sessions`, {}),
      by.post(`/api/v1/hosts/${hostId}/exec`, { argv: ["true"] }),
      by.get(`/api/v1/hosts/${hostId}/console-log`),
    ];
    for (const by of [operator.client, plane.operations, auditor, security, client(await plane.grant("auditor"))])
      expect(await Promise.all(ways(by).map(codeOf))).toEqual(Array.from({ length: 3 }, () => "403 forbidden"));
    const stranger = client(await plane.grant("applicant", "bureau"));
    const own = (await all(plane.applicant.all<Host>("/api/v1/hosts")))[0]!;
    expect(own.department).toBeDefined();
    // The bureau lies above the office, the host's department: it is its people's too. Another department's is not.
    expect(await codeOf(stranger.get(`/api/v1/hosts/${hostId}`))).toBe("done");
    const denied = await all(auditor.all<AuditEntry>("/api/v1/audit", { result: "denied" }));
    expect(denied.some((one) => one.action === `POST /api/v1/hosts/${hostId}/sessions` && one.actor === operator.id)).toBe(true);
  });

  it("comes in by the owner's consent, and is out within a second of its end", async () => {
    const asked = await operator.client.post<Consent>("/api/v1/consents", { host: hostId, purpose: "disk errors", minutes: 30 });
    expect(asked.state).toBe("asked");
    expect(await codeOf(enter(operator.client))).toBe("403 forbidden");
    const told = (await plane.applicant.get<{ items: Notice[] }>("/api/v1/notices")).items;
    expect(told.find((one) => one.subject === asked.id)).toMatchObject({ kind: "consent.asked", data: { what: "web", purpose: "disk errors" } });
    expect(await codeOf(operator.client.post(`/api/v1/consents/${asked.id}/grant`, {}))).toBe("403 forbidden");
    // Who holds both roles does not consent to operations.
    await plane.appoint(operator.id, "approver", "city");
    expect(await codeOf(operator.client.post(`/api/v1/consents/${asked.id}/grant`, {}))).toBe("403 self-approval");
    await plane.applicant.post(`/api/v1/consents/${asked.id}/grant`, {});
    const terminal = await enter(operator.client, "disk errors");
    await until(terminal, "# ");
    terminal.write("sleep 1234\n");
    await waitFor(
      () => running("sleep"),
      (count) => count === 1,
      { intervalMs: 20 },
    );
    const other = await person("operations");
    expect(await codeOf(enter(other.client))).toBe("403 forbidden");
    const before = performance.now();
    await plane.applicant.post(`/api/v1/consents/${asked.id}/revoke`, {});
    expect(await terminal.ended).toMatchObject({ reason: "consent-over" });
    expect(performance.now() - before).toBeLessThan(1_000);
    expect(await running("sleep")).toBe(0);
    expect(await showSession(terminal.session.id)).toMatchObject({ basis: "consent", consent: asked.id });
    expect((await endedAs(terminal.session.id)).endReason).toBe("consent-over");
    expect(await codeOf(enter(operator.client))).toBe("403 forbidden");
    expect(typedIn(await recordingOf(terminal.session.id, plane.applicant), "i")).toBe("sleep 1234\n");
  });

  it("breaks the glass: it is told at once, flagged, recorded, reviewed, and over with the elevation", async () => {
    const alone = await person("operations");
    const eligible = await security.post<{ id: string }>("/api/v1/role-bindings", {
      subject: alone.id,
      role: "operations",
      kind: "eligible",
      reason: "on call",
    });
    const elevated = await alone.client.post<{ id: string }>(`/api/v1/role-bindings/${eligible.id}/elevate`, { reason: "fire", minutes: 10 });
    const terminal = await enter(alone.client, "the database is down");
    await until(terminal, "# ");
    for (const by of [plane.applicant, plane.approver, auditor]) {
      const { items } = await by.get<{ items: Notice[] }>("/api/v1/notices");
      expect(items.find((one) => one.subject === terminal.session.id)).toMatchObject({ kind: "host-session.break-glass" });
    }
    const flagged = await all(auditor.all<HostSession>("/api/v1/host-sessions", { unreviewed: "true" }));
    expect(flagged.map((one) => [one.id, one.elevation, one.reviewed])).toEqual([[terminal.session.id, elevated.id, false]]);
    await security.post(`/api/v1/role-bindings/${elevated.id}/revoke`, { reason: "over" });
    expect(await terminal.ended).toMatchObject({ reason: "authority-over" });
    await auditor.post(`/api/v1/role-bindings/${elevated.id}/review`, { verdict: "justified", comment: "it burned" });
    expect(await all(auditor.all<HostSession>("/api/v1/host-sessions", { unreviewed: "true" }))).toEqual([]);
    expect((await showSession(terminal.session.id)).reviewed).toBe(true);
  });

  it("is ended by the owner, the security administrator, and by nobody else", async () => {
    const terminal = await enter(plane.applicant);
    expect(await codeOf(operator.client.post(`/api/v1/host-sessions/${terminal.session.id}/end`, {}))).toBe("403 forbidden");
    await security.post(`/api/v1/host-sessions/${terminal.session.id}/end`, {});
    expect(await terminal.ended).toMatchObject({ reason: "ended" });
  });
});

it("is cut by a kill: what was recorded till then is there, and nothing goes on in the host", async () => {
  const terminal = await enter(plane.applicant, "before the kill");
  await until(terminal, "# ");
  terminal.write("echo before; sleep 4321\n");
  await until(terminal, "\nbefore");
  await waitFor(
    () => running("sleep"),
    (count) => count === 1,
    { intervalMs: 20 },
  );
  await plane.kill("SIGKILL");
  await expect(terminal.ended).rejects.toThrow("broke");
  expect(await running("sleep")).toBe(0);
  await plane.start();
  security = client((await person("security-admin")).secret);
  const session = await endedAs(terminal.session.id);
  expect(session).toMatchObject({ endReason: "cut" });
  const recording = await recordingOf(session.id);
  expect(typedIn(recording, "o")).toContain("\nbefore");
  expect(createHash("sha256").update(recording).digest("hex")).toBe(session.recordingSha256);
}, 60_000);
