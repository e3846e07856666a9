/**
 * `npm run demo`: the main job from start to end on embedded defaults, as its users would do it (through the API), with real hosts.
 * `--once` stops after the table; `--full` provisions all 1,300 hosts. It has a data directory of its own and takes its hosts down when it ends;
 * the next start clears what a kill left.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { loadDriver } from "../infra/drivers/load.ts";
import type { Backup, Restore } from "./contract/backups.ts";
import type { Host, Volume } from "./contract/resources.ts";
import type { Request } from "./contract/requests.ts";
import type { SignedIn } from "./contract/accounts.ts";
import type { ApprovalStep } from "./contract/approvals.ts";
import { loadCity } from "./cli/city-file.ts";
import { type Client, createClient } from "./cli/client.ts";
import { importCity } from "./cli/commands/city.ts";
import { appointCity, type Invitation, inviteCity } from "./cli/people.ts";
import { readUsage, usageColumns } from "./cli/commands/usage.ts";
import { bytes, table } from "./cli/output.ts";
import { settled, undecided, waitFor } from "./cli/wait.ts";
import { readConfig } from "./config.ts";
import { startControlPlane } from "./server.ts";
import { lockDirectory } from "./store/lock.ts";

/** Four municipal bodies, a district and one body of each level below it. */
const shown = ["110000-001", "110000-003", "110000-005", "110000-010", "110108", "110108-001", "110108-002", "110108-002-01"];
const sample = join(import.meta.dirname, "cli/cities/beijing/city.yaml");

const { values: options } = parseArgs({ options: { once: { type: "boolean", default: false }, full: { type: "boolean", default: false } } });
const started = performance.now();
const say = (text: string) => console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${text}`);

const data = resolve(process.env["ZHENGYUN_DATA"] ?? "data/demo");
mkdirSync(data, { recursive: true, mode: 0o700 });
const lock = lockDirectory(join(data, "demo"));
const driver = loadDriver("embedded", join(data, "embedded"));

/** Ends the hosts and removes everything that this demo, or one that was killed, made. */
async function clear(): Promise<void> {
  const left = await driver.list();
  await driver.purge();
  const lockFile = "demo.lock";
  for (const name of ["database", "embedded", "keys", "engine", "operator.token", "database.lock"])
    if (name !== lockFile) rmSync(join(data, name), { recursive: true, force: true });
  const hosts = left.filter((one) => one.kind === "host").length;
  if (hosts > 0) say(`took down ${hosts} hosts`);
}

const controller = new AbortController();
let stopping = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    controller.abort(new Error("stopped"));
  });
}
const stopped = new Promise<never>((_, reject) => controller.signal.addEventListener("abort", () => reject(controller.signal.reason as Error)));
stopped.catch(() => undefined);

let plane: Awaited<ReturnType<typeof startControlPlane>> | undefined;
let code = 0;
try {
  await clear();
  say("starting the control plane: PGlite, the Pulumi state service, the engine worker, the observer");
  plane = await startControlPlane(
    readConfig({ ...process.env, ZHENGYUN_DATA: data, PORT: process.env["PORT"] ?? "0", ZHENGYUN_LOG_LEVEL: process.env["ZHENGYUN_LOG_LEVEL"] ?? "error" }),
  );
  await Promise.race([run(plane.url), stopped]);
} catch (error) {
  if (!stopping) {
    console.error(error);
    code = 1;
  }
} finally {
  stopping = true;
  say("stopping");
  await plane?.close();
  await clear();
  lock.release();
}
process.exit(code);

async function run(url: string): Promise<void> {
  const operations = createClient({ url, token: readFileSync(join(data, "operator.token"), "utf8").trim() });
  const loaded = await loadCity(sample);
  const imported = await importCity(operations, loaded);
  const hosts = loaded.city.requests.flatMap((request) => request.items).filter((item) => item.kind === "host").length;
  say(`imported ${loaded.city.name}: ${loaded.city.departments.length} departments, ${loaded.city.requests.length} draft requests for ${hosts} hosts`);

  // The system administrator makes accounts, the security administrator grants roles: two people, as everywhere (三员).
  const invited = new Map((await inviteCity(operations, loaded)).map((one) => [one.name, one]));
  const password = `Demo-${randomBytes(9).toString("base64url")}`;
  const arrive = async (name: string) => [name, await signIn(url, invited.get(name)!, password)] as const;
  const [, security] = await arrive("security");
  const { granted, policies } = await appointCity(security, loaded);
  const names = [...["110000", ...shown].flatMap((code) => [`${code}.applicant`, `${code}.approver`]), "authority", "haidian-office", "haidian-data"];
  const people = new Map(await Promise.all(names.map(arrive)));
  say(`${invited.size} accounts with ${granted} roles and ${policies} approval policies; ${names.length} people set their passwords and signed in`);

  /** Whom a step asks: the one it names, or the department's own approver; with `--full` the municipality's where nobody of the department has signed in. */
  const asked = (step: ApprovalStep, department: string) => {
    const named = [...invited.values()].find((one) => one.id === step.approver)?.name;
    return people.get(named ?? (step.role === "authority" ? "authority" : `${department}.approver`)) ?? people.get("110000.approver")!;
  };
  const drafts = imported.requests.filter((request) => options.full || shown.includes(codeOf(request.ref)));
  const applicantOf = (department: string) => people.get(`${department}.applicant`) ?? people.get("110000.applicant")!;
  await Promise.all(
    drafts.map(({ id, ref }) => {
      const department = codeOf(ref);
      return provision(applicantOf(department), (step) => asked(step, department), id);
    }),
  );
  const live = await collect(operations.all<Host>("/api/v1/hosts", { phase: "live" }));
  say(`${live.filter((host) => host.observedState === "running").length} hosts are running in ${drafts.length} departments`);

  await backUpAndRestore(applicantOf("110000"));

  const usage = await readUsage(operations, {});
  const rows = usage.items.filter((row) => (row.tree.hosts ?? 0) > 0);
  console.log(`\n用量 Usage per department (with everything below it), ${usage.from} – ${usage.to}\n`);
  console.log(table(rows, usageColumns));

  console.log(
    `\n控制台 Console   ${url}   (${["110108.applicant", "110108.approver", "haidian-office", "authority"].join(", ")}; password ${password})\n指标 Metrics     ${url}/metrics\nAPI              ${url}/docs\n`,
  );
  if (options.once) return;
  say("serving; Ctrl-C takes everything down");
  await new Promise(() => undefined);
}

/** A person sets the password by their one-time link and signs in, as `zhengyun login` does. */
async function signIn(url: string, { name, link }: Invitation, password: string): Promise<Client> {
  const stranger = createClient({ url, token: "" });
  await stranger.post("/api/v1/account-links/use", { code: new URL(link).hash.slice(1), password });
  const { secret } = await stranger.post<SignedIn>("/api/v1/sign-in", { name, password, session: "bearer" });
  return createClient({ url, token: secret! });
}

/** `110000-001.bureau` → `110000-001` */
function codeOf(ref: string): string {
  return ref.slice(0, ref.lastIndexOf("."));
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** One request from draft to running hosts: submitted by its department, planned by the engine, then decided by each whom its policy asks. */
async function provision(applicant: Client, asked: (step: ApprovalStep) => Client, id: string): Promise<void> {
  const path = `/api/v1/requests/${id}`;
  const draft = await applicant.get<Request>(path);
  await applicant.post(`${path}/submit`, {}, { ifMatch: draft.revision });
  const read = () => applicant.get<Request>(path);
  const planned = await waitFor(read, (request) => undecided(request.state) || settled(request.state), { intervalMs: 100 });
  const { plan } = planned;
  if (!undecided(planned.state) || !plan) throw new Error(`${planned.number} is ${planned.state}: ${planned.error?.message ?? "no plan"}`);
  const openStep = (request: Request) => request.approvals.find((step) => step.state === "open" && step.invalidatedAt === null);
  let row = planned;
  for (let step = openStep(row); step; step = openStep(row))
    row = await asked(step).post<Request>(`${path}/approve`, { planHash: plan.hash, reason: "示例审批 / demo" }, { ifMatch: row.revision });
  const done = await waitFor(read, (request) => settled(request.state), { intervalMs: 100 });
  const failed = done.items.filter((item) => item.state === "failed");
  if (done.state !== "active" || failed.length > 0)
    throw new Error(`${done.number} is ${done.state}: ${failed.map((item) => `${item.name}: ${item.error?.message}`).join("; ")}`);
  say(
    `${done.number} ${done.title}: ${plan.steps.length} steps planned, ${((plan.cost?.amountFen ?? 0) / 100).toFixed(2)} yuan to the year's end, approved by ${row.approvals
      .filter((step) => step.state === "approved")
      .map((step) => step.decidedByName)
      .join(", ")}; ${done.items.length} items active`,
  );
}

/** Real data in a volume is backed up, destroyed, and brought back byte for byte. */
async function backUpAndRestore(applicant: Client): Promise<void> {
  const [volume] = (await collect(applicant.all<Volume>("/api/v1/volumes", { phase: "live" }))).filter((one) => one.attachedTo !== null);
  if (!volume?.attachedTo) throw new Error("no volume is attached");
  const file = `${volume.attachedTo.path}/records.db`;
  const content = randomBytes(3 * 1024 * 1024).toString("base64");
  const inside = async (...argv: string[]) => {
    const result = await driver.exec(volume.attachedTo!.host, argv, argv[0] === "write" ? { stdin: content } : {});
    if (result.code !== 0) throw new Error(`${argv.join(" ")} in ${volume.attachedTo!.hostName}: ${result.stderr}`);
    return result.stdout.trim();
  };
  await inside("write", file);
  const before = await inside("sha256sum", file);
  const backup = await applicant.post<Backup>("/api/v1/backups", { volume: volume.id });
  const kept = await waitFor(
    () => applicant.get<Backup>(`/api/v1/backups/${backup.id}`),
    (one) => settled(one.state),
    { intervalMs: 50 },
  );
  if (kept.state !== "complete") throw new Error(`the backup is ${kept.state}: ${kept.error}`);
  say(`backed up volume ${volume.name} of ${volume.attachedTo.hostName}: ${bytes(kept.sizeBytes)}, SHA-256 ${kept.sha256?.slice(0, 16)}…`);
  await inside("rm", file);
  say(`destroyed ${file} inside ${volume.attachedTo.hostName}`);
  const restore = await applicant.post<Restore>("/api/v1/restores", { backup: backup.id });
  const restored = await waitFor(
    () => applicant.get<Restore>(`/api/v1/restores/${restore.id}`),
    (one) => settled(one.state),
    { intervalMs: 50 },
  );
  if (restored.state !== "complete") throw new Error(`the restore is ${restored.state}: ${restored.error}`);
  if ((await inside("sha256sum", file)) !== before) throw new Error("the restored file differs");
  say(`restored it: ${file} is back, byte for byte`);
}
