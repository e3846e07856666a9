/** A real control plane as a process of its own, on a data directory of its own, with real hosts: to be used, killed and started again. */
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Client, createClient } from "../../control-plane/cli/client.ts";
import { followRequest } from "../../control-plane/cli/following.ts";
import { settled, undecided, waitFor } from "../../control-plane/cli/wait.ts";
import type { City } from "../../control-plane/contract/city.ts";
import type { Role } from "../../control-plane/contract/roles.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { Driver } from "../../infra/drivers/driver.ts";
import { loadDriver } from "../../infra/drivers/load.ts";
import { type Engine, makeDatabase } from "./databases.ts";
import { smallCity } from "./small-city.ts";
import { copyTemplate } from "./template.ts";

const root = resolve(import.meta.dirname, "../..");

export class TestPlane {
  readonly data = mkdtempSync(join(tmpdir(), "zhengyun-plane-"));
  readonly driver: Driver;
  #child: ChildProcess | undefined;
  #exited: Promise<string> = Promise.resolve("not started");
  output = "";
  operations!: Client;
  applicant!: Client;
  approver!: Client;
  /** The second one who approves: nobody decides two steps of one request. */
  authority!: Client;
  #secrets: { security: string; applicant: string; approver: string; authority: string } | undefined;
  readonly #engine: Engine;
  readonly #beside: TestPlane | undefined;
  #database: { url: string; drop: () => Promise<void> } | undefined;

  readonly #pools: { driver: string; endpoint: string };

  /**
   * @param beside another one whose PostgreSQL, keys, tokens and hosts it shares
   * @param lxd endpoint of a real LXD; without it hosts are the embedded driver's
   */
  constructor(engine: Engine = "pglite", beside?: TestPlane, lxd?: string) {
    this.#engine = engine;
    this.#beside = beside;
    this.#pools = lxd === undefined ? { driver: "embedded", endpoint: join(this.data, "embedded") } : { driver: "lxd", endpoint: lxd };
    this.driver = loadDriver(this.#pools.driver, this.#pools.endpoint);
    if (beside) this.#secrets = beside.#secrets;
  }

  /** The driver that holds the hosts. */
  get cloud(): Driver {
    return this.#beside?.cloud ?? this.driver;
  }

  /** The operator's. */
  get token(): string {
    return this.#beside?.token ?? readFileSync(join(this.data, "operator.token"), "utf8").trim();
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** Starts it and waits until it serves. @param by a program, with its arguments, that starts what comes after them */
  async start(env: Record<string, string> = {}, by: readonly string[] = []): Promise<void> {
    const from = this.output.length;
    const databaseUrl = await this.databaseUrl();
    if (databaseUrl === "" && !existsSync(join(this.data, "database"))) await copyTemplate(this.data);
    if (this.#beside && !existsSync(join(this.data, "keys"))) cpSync(join(this.#beside.data, "keys"), join(this.data, "keys"), { recursive: true });
    const [program, ...args] = [...by, process.execPath, join(root, "control-plane/main.ts")];
    const child = spawn(program, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        ZHENGYUN_DATA: this.data,
        PORT: "0",
        HOST: "127.0.0.1",
        ZHENGYUN_OBSERVE_SECONDS: "1",
        ZHENGYUN_LOG_LEVEL: "info",
        DATABASE_URL: databaseUrl,
        ...env,
      },
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (this.output += data.toString()));
    this.#exited = new Promise((done) => child.once("exit", (code, signal) => done(signal ?? String(code))));
    const url = await waitFor(
      async () => /serves at (\S+)/.exec(this.output.slice(from))?.[1] ?? (child.exitCode === null && child.signalCode === null ? undefined : "ended"),
      (found) => found !== undefined,
      { timeoutMs: 120_000, intervalMs: 50 },
    );
    if (url === undefined || url === "ended") throw new Error(`the control plane ended:\n${this.output.slice(-3000)}`);
    this.operations = createClient({ url, token: this.token });
    this.#connect();
  }

  /** Of its own database, made now if it wasn't; "" for PGlite. */
  async databaseUrl(): Promise<string> {
    if (this.#engine === "postgres") this.#database ??= this.#beside ? this.#beside.#database : await makeDatabase();
    return this.#database?.url ?? "";
  }

  /** Goes on with the people of another one, whose copy it has. */
  takeOver(other: TestPlane): void {
    this.#secrets = other.#secrets;
  }

  /** The small city (or another one with a department "city"), a security administrator, an applicant, an approver and an authority. */
  async fill(city: City = smallCity(this.#pools)): Promise<void> {
    await this.operations.post("/api/v1/city-imports", city);
    const make = (name: string) => this.operations.post<{ id: string; secret: string }>("/api/v1/tokens", { name });
    const security = await make("security");
    await this.operations.post("/api/v1/role-bindings", { subject: security.id, role: "security-admin", reason: "the first one" });
    this.#secrets = { security: security.secret, applicant: "", approver: "", authority: "" };
    this.#secrets.applicant = await this.grant("applicant", "city");
    this.#secrets.approver = await this.grant("approver", "city");
    this.#secrets.authority = await this.grant("authority");
    this.#connect();
  }

  /** The secret of a new token that holds a role. */
  async grant(role: Role, department: string | null = null): Promise<string> {
    const { url } = this.operations;
    const { id, secret } = await this.operations.post<{ id: string; secret: string }>("/api/v1/tokens", { name: role });
    const period = role === "auditor" ? { validUntil: "2999-01-01T00:00:00Z", periodFrom: "2000-01-01T00:00:00Z", periodTo: "2999-01-01T00:00:00Z" } : {};
    const grant = { subject: id, role, department, reason: "test", ...period };
    await createClient({ url, token: this.#secrets!.security }).post("/api/v1/role-bindings", grant);
    return secret;
  }

  /** Gives somebody who is there already a role. */
  async appoint(subject: string, role: Role, department: string | null): Promise<void> {
    await createClient({ url: this.operations.url, token: this.#secrets!.security }).post("/api/v1/role-bindings", {
      subject,
      role,
      department,
      reason: "test",
    });
  }
  /** For the CLI. */
  secretOf(who: "applicant" | "approver" | "authority"): string {
    return this.#secrets![who];
  }

  #connect(): void {
    if (!this.#secrets) return;
    const { url } = this.operations;
    this.applicant = createClient({ url, token: this.#secrets.applicant });
    this.approver = createClient({ url, token: this.#secrets.approver });
    this.authority = createClient({ url, token: this.#secrets.authority });
  }

  ask(items: unknown[], department = "office"): Promise<Request> {
    return this.applicant.post<Request>("/api/v1/requests", { application: `${department}-app`, project: "p", title: "Test", items });
  }
  read = (id: string): Promise<Request> => this.operations.get<Request>(`/api/v1/requests/${id}`);
  /** Waits for the plan. */
  planned = async (id: string): Promise<Request> => {
    const planned = await followRequest(this.operations, id, (one) => undecided(one.state) || settled(one.state), { timeoutMs: 60_000 });
    if (!undecided(planned.state)) throw new Error(`${planned.state}: ${planned.error?.message}`);
    return planned;
  };
  /** Waits for the plan and approves it, each step by somebody else. */
  async approve(id: string): Promise<void> {
    let row = await this.planned(id);
    for (const approver of [this.approver, this.authority]) {
      row = await approver.post<Request>(`/api/v1/requests/${id}/approve`, { planHash: row.plan!.hash, reason: "" }, { ifMatch: row.revision });
      if (!undecided(row.state)) return;
    }
  }
  settled = (id: string): Promise<Request> => followRequest(this.operations, id, (one) => settled(one.state), { timeoutMs: 90_000 });

  /** Pulumi's engines that work for it now: known by their PULUMI_HOME. */
  engines(): number[] {
    return readdirSync("/proc")
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number)
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("pulumi\0up") && readFileSync(`/proc/${pid}/environ`, "utf8").includes(this.data);
        } catch {
          return false;
        }
      });
  }

  /** How it ended; resolves when it has. */
  get exited(): Promise<string> {
    return this.#exited;
  }
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.#child?.kill(signal);
    await this.#exited;
  }
  /** Takes everything down. */
  async remove(): Promise<void> {
    await this.kill("SIGTERM");
    await this.driver.purge();
    if (!this.#beside) await this.#database?.drop();
    rmSync(this.data, { recursive: true, force: true });
  }
}
