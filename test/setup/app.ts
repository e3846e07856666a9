/** The API over an empty database, in this process, with a principal for each role. */
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { createApp } from "../../control-plane/api/app.ts";
import type { App, AppDeps } from "../../control-plane/api/deps.ts";
import { escrow } from "../../control-plane/state/escrow.ts";
import { keysFrom } from "../../control-plane/state/keys.ts";
import { systemAct } from "../../control-plane/store/act.ts";
import type { Db, OpenDatabase } from "../../control-plane/store/database.ts";
import type { Role } from "../../control-plane/contract/roles.ts";
import { bind } from "../../control-plane/store/role-bindings.ts";
import { makeToken } from "../../control-plane/store/tokens.ts";
import { type Engine, openEmpty } from "./databases.ts";

/** What was put on the queue, for tests without its workers: the API ends where jobs begin. */
export type Enqueued = { job: "plan" | "apply" | "backup" | "restore" | "snapshots" | "operation"; id: string };

export interface Called {
  status: number;
  headers: Headers;
  /** The body, read as JSON where it is. */
  // eslint-disable-next-line typescript/no-explicit-any
  body: any;
}

export interface CallOptions {
  body?: unknown;
  headers?: Record<string, string>;
  /** It succeeds without having to do anything, such as revoking what is revoked: no audit entry is asked for. */
  changesNothing?: boolean;
}

/** The master key of the API in tests. */
export const testKeys = keysFrom(Buffer.alloc(32, 7));

export interface TestApp {
  app: App;
  database: OpenDatabase;
  enqueued: Enqueued[];
  /** @returns the secret of a new token */
  token(role: Role, departmentId?: string | null): Promise<string>;
  /** Calls a route; POSTs carry a fresh Idempotency-Key unless the headers name one ("" leaves it out). */
  call(secret: string | undefined, method: string, path: string, options?: CallOptions): Promise<Called>;
  close(): Promise<void>;
}

export async function openApp(engine: Engine, overrides: Partial<AppDeps> = {}): Promise<TestApp> {
  const database = await openEmpty(engine);
  const enqueued: Enqueued[] = [];
  const keep = (job: Enqueued["job"]) => async (_tx: unknown, id: string) => void enqueued.push({ job, id });
  const app = createApp({
    db: database.db,
    queue: {
      plan: async (_tx: unknown, requests: readonly { id: string }[]) => void enqueued.push(...requests.map(({ id }) => ({ job: "plan" as const, id }))),
      apply: keep("apply"),
      backup: keep("backup"),
      restore: keep("restore"),
      snapshots: keep("snapshots"),
      stackOperation: async () => {},
      look: async () => {},
      systemBackup: async () => {},
      operation: keep("operation"),
    },
    now: () => new Date(),
    log: pino({ level: "silent" }),
    ready: async () => ({ ok: true, checks: { database: "ok" } }),
    seal: (context, text) => Buffer.from(`${context}\n${text}`).toString("base64"),
    unseal: (_context, sealed) => Buffer.from(sealed, "base64").toString().split("\n").slice(1).join("\n"),
    masterKey: { fingerprint: testKeys.fingerprint, escrowTo: (publicKey) => testKeys.export((master) => escrow(master, testKeys.fingerprint, publicKey)) },
    images: join(tmpdir(), `zhengyun-images-${process.pid}`),
    archives: "/var/lib/zhengyun/archives",
    defaultEndpoint: "/var/lib/zhengyun/embedded",
    ...overrides,
  });
  return {
    app,
    database,
    enqueued,
    token: (role, departmentId = null) =>
      database.db.transaction().execute(async (tx) => {
        const act = systemAct(new Date(0));
        const { token, secret } = await makeToken(tx, act, { name: role, expiresAt: null });
        const auditor = role === "auditor";
        await bind(tx, act, {
          subject_id: token.id,
          role,
          department_id: departmentId,
          kind: "standing",
          valid_from: act.now,
          valid_until: auditor ? new Date("2999-01-01") : null,
          period_from: auditor ? new Date(0) : null,
          period_to: auditor ? new Date("2999-01-01") : null,
          reason: "test",
        });
        return secret;
      }),
    call: async (secret, method, path, { body, headers = {}, changesNothing = false } = {}) => {
      const sent = new Headers({
        ...(method === "POST" ? { "idempotency-key": randomUUID() } : {}),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      });
      if (headers["idempotency-key"] === "") sent.delete("idempotency-key");
      if (secret !== undefined) sent.set("authorization", `Bearer ${secret}`);
      const response = await app.request(path, {
        method,
        headers: sent,
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      requireDocumented(app, method, path, response.status);
      if (!changesNothing) await requireAudited(database.db, method, path, response);
      return {
        status: response.status,
        headers: response.headers,
        body: /[/+]json/.test(response.headers.get("content-type") ?? "") ? JSON.parse(text) : text,
      };
    },
    close: () => database.close(),
  };
}

/** Whatever any test changes by a route leaves an audit entry under the call's correlation id, by somebody, from somewhere. */
async function requireAudited(db: Db, method: string, path: string, { ok, headers }: Response): Promise<void> {
  if (!ok || method === "GET" || method === "HEAD" || headers.has("idempotency-replayed")) return;
  const correlationId = headers.get("x-correlation-id") ?? "";
  const entries = await db.selectFrom("audit_entries").select(["actor", "role", "source"]).where("correlation_id", "=", correlationId).execute();
  if (!entries.some((entry) => entry.actor !== "" && entry.role !== "" && entry.source !== ""))
    throw new Error(`${method} ${path} left no audit entry; if it had nothing to do, call it with changesNothing`);
}

/** Every answer to every test is one of those that the OpenAPI document names. 405 and 404 of unknown addresses belong to no route. */
function requireDocumented(app: App, method: string, address: string, status: number): void {
  const steps = address.split("?")[0]!.split("/");
  const fits = (path: string) => {
    const pattern = path.split("/");
    return pattern.length === steps.length && pattern.every((step, index) => step === steps[index] || (step.startsWith("{") && steps[index] !== ""));
  };
  const routes = app.openAPIRegistry.definitions.flatMap((one) =>
    one.type === "route" && one.route.method.toUpperCase() === method && fits(one.route.path) ? [one.route] : [],
  );
  const documented = routes.flatMap((route) => Object.keys(route.responses).map(Number));
  if (routes.length > 0 && status < 500 && !documented.includes(status))
    throw new Error(`${method} ${address} answered ${status}, which its route does not document`);
}
