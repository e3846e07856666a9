/** What the routes are given, and what every request's context carries. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Logger } from "pino";
import type { Denials } from "../audit/denials.ts";
import type { PoolCircuit } from "../contract/pools.ts";
import type { Binding, Capacity } from "../domain/authority.ts";
import type { TrustsProxy } from "../domain/client-address.ts";
import type { Act } from "../store/act.ts";
import type { Db } from "../store/database.ts";
import type { Queue } from "../store/queue.ts";

/** What the API tells the metrics. */
export interface ApiMetrics {
  /** @param route the pattern, such as /api/v1/hosts/:id, never the address asked for */
  request(method: string, route: string, status: number, seconds: number): void;
}

export interface AppDeps {
  db: Db;
  queue: Queue;
  now: () => Date;
  log: Logger;
  metrics?: ApiMetrics;
  /** What /metrics answers; `public`: without a token. */
  exposeMetrics?: { contentType: string; expose(): Promise<string>; public: boolean };
  ready: () => Promise<{ ok: boolean; checks: Record<string, string> }>;
  /** Seals a secret (userData) for the store; `context` binds it to what it is for. */
  seal: (context: string, text: string) => string;
  /** Bytes really used by volume id, as the observer saw them last. */
  usedBytes?: () => ReadonlyMap<string, number>;
  /** @throws when it was sealed for another context */
  unseal: (context: string, sealed: string) => string;
  /** The built console; without it only a page that says how to build it. */
  consoleDirectory?: string;
  /** The master key on its way out. */
  masterKey: {
    fingerprint: string;
    /** @param publicKey X25519, base64 @returns the key encrypted to it @throws MasterKeyError when it is none */
    escrowTo(publicKey: string): string;
  };
  /** Where archives of the whole system are kept: `<id>.tar`. */
  archives: string;
  /** Where image files are kept, by their SHA-256. */
  images: string;
  /** Whose X-Forwarded-For counts; left out: nobody's. */
  trustsProxy?: TrustsProxy;
  /** Where denials go; left out: one of the app's own, which nobody closes. */
  denials?: Denials;
  /** Whether mail can be sent; left out: it can't. */
  mailConfigured?: boolean;
  /** Where people's browsers reach the console, such as https://cloud.example.gov.cn; left out: where they asked. */
  publicUrl?: string | undefined;
  /** Whether identity providers may be reached by http on this machine: for tests. */
  oidcLoopback?: boolean;
  /** Whether an endpoint is asked now; left out: it is. */
  circuitOf?: (driver: string, endpoint: string) => PoolCircuit;
  /** What the observer read of an endpoint last; left out, or undefined: nothing. */
  read?: (driver: string, endpoint: string) => Partial<Record<"disk" | "memory", { totalBytes: number; freeBytes: number }>> | undefined;
  /** Endpoint of pools that name none: the embedded driver's directory in the data directory. */
  defaultEndpoint: string;
}

/** Who is signed in, with everything held. */
export interface Holder {
  /** Of the token, or of the account whose session or personal token it is: the same person by whichever way. */
  id: string;
  /** Of an account, by session or personal token. */
  accountId?: string | undefined;
  /** By a session: which. */
  sessionId?: string | undefined;
  name: string;
  bindings: readonly Binding[];
  /** When the token or the session ends; null: never. */
  expiresAt: Date | null;
}
/** Who asks, in the capacity in which this route may be called. */
export interface Principal extends Capacity {
  id: string;
}

export interface ApiEnv {
  Variables: { holder: Holder; principal: Principal; act: Act; correlationId: string; db: Db };
}

export type App = OpenAPIHono<ApiEnv>;
export type ApiContext = Context<ApiEnv>;
