/** Configuration from the environment; every value may also come from a file named by `<NAME>_FILE`. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { inNetworks } from "./domain/client-address.ts";

const Settings = z.object({
  ZHENGYUN_DATA: z.string().min(1).default("data"),
  HOST: z.string().min(1).default("127.0.0.1"),
  PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  // libpq's form, in which the host may be left out (a socket): WHATWG's URL refuses that.
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\/\S+$/, "Not a PostgreSQL URL, such as postgresql://user:password@host:5432/database")
    .optional(),
  ZHENGYUN_STATE_LISTEN: z
    .string()
    .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, "host:port, such as 10.0.0.5:8443")
    .optional(),
  ZHENGYUN_STATE_TLS_CERT: z.string().startsWith("-----BEGIN", "A PEM certificate; give it as ZHENGYUN_STATE_TLS_CERT_FILE").optional(),
  ZHENGYUN_STATE_TLS_KEY: z.string().startsWith("-----BEGIN", "A PEM key; give it as ZHENGYUN_STATE_TLS_KEY_FILE").optional(),
  ZHENGYUN_MASTER_KEY: z.string().optional(),
  ZHENGYUN_IMAGES: z.string().min(1).optional(),
  ZHENGYUN_OBSERVE_SECONDS: z.coerce.number().min(0.2).max(3600).default(5),
  ZHENGYUN_DRIFT_MINUTES: z.coerce.number().min(0).max(525_600).default(60),
  ZHENGYUN_ENGINE_SLOTS: z.coerce.number().int().min(1).max(64).default(2),
  ZHENGYUN_ENGINE_SILENT_SECONDS: z.coerce.number().min(1).max(3600).default(120),
  ZHENGYUN_DRIVER_CALL_SECONDS: z.coerce.number().min(1).max(86_400).default(900),
  ZHENGYUN_LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
  ZHENGYUN_METRICS_PUBLIC: z.enum(["true", "false"]).default("false"),
  ZHENGYUN_TRUSTED_PROXIES: z.string().default(""),
  ZHENGYUN_WEBHOOK_ALLOW: z.string().default(""),
  ZHENGYUN_SMTP_URL: z.url({ protocol: /^smtps?$/, error: "smtp://name:password@host:587 or smtps://…; give it as ZHENGYUN_SMTP_URL_FILE" }).optional(),
  ZHENGYUN_SMTP_FROM: z
    .string()
    .regex(/^[^\r\n]*[^\s<>@]+@[A-Za-z0-9.-]+>?$/, "An address, such as 政云 <zhengyun@example.gov.cn>")
    .optional(),
  ZHENGYUN_PUBLIC_URL: z.url({ protocol: /^https?$/, error: "Where browsers reach the console, such as https://cloud.example.gov.cn" }).optional(),
  ZHENGYUN_OIDC_LOOPBACK: z.enum(["true", "false"]).default("false"),
  ZHENGYUN_AUDIT_HASH: z.enum(["sha256", "sm3"]).default("sha256"),
  ZHENGYUN_AUDIT_CHECKPOINT_ENTRIES: z.coerce.number().int().min(1).max(1_000_000).default(1000),
  ZHENGYUN_AUDIT_CHECKPOINT_SECONDS: z.coerce.number().min(1).max(86_400).default(60),
});

export interface Config {
  data: string;
  /** Where image files are kept: one directory for all control planes of a city. */
  images: string;
  host: string;
  port: number;
  databaseUrl: string | undefined;
  masterKey: string | undefined;
  /** Where operators' own `pulumi` may connect, over TLS; undefined: nowhere. */
  stateListen: { host: string; port: number; certificate: string; key: string } | undefined;
  observeMs: number;
  /** How often each department is looked at for drift; 0: only when it is asked for. */
  driftMs: number;
  engineSlots: number;
  /** How long an engine may make no progress before it is ended. */
  engineSilentMs: number;
  /** How long a driver may take for one call. */
  driverCallMs: number;
  logLevel: string;
  /** Whether /metrics answers without a token also where not only this machine can ask. */
  metricsPublic: boolean;
  /** Addresses and networks of reverse proxies whose X-Forwarded-For counts. */
  trustedProxies: string[];
  /** Addresses of this machine and link-local ones that webhooks may go to. */
  webhookAllow: string[];
  /** Where mail is handed in, and who it is from; undefined: none is sent. */
  mail: { url: string; from: string } | undefined;
  /** Where people's browsers reach the console; undefined: where they asked. */
  publicUrl: string | undefined;
  /** Whether identity providers may be reached by http on this machine. */
  oidcLoopback: boolean;
  audit: {
    algorithm: "sha256" | "sm3";
    /** A checkpoint after so many entries, or so many seconds after the first that none covers. */
    checkpointEntries: number;
    checkpointSeconds: number;
  };
}

/** A setting that does not fit: says which, and what is expected. */
export class BadConfiguration extends Error {
  constructor(problems: string[]) {
    super(`The configuration does not fit:\n${problems.map((one) => `  ${one}`).join("\n")}`);
    this.name = "BadConfiguration";
  }
}

/** @throws BadConfiguration */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const problems: string[] = [];
  const values = Object.fromEntries(
    Object.keys(Settings.shape).map((name) => {
      const file = env[`${name}_FILE`];
      if (!file) return [name, env[name] === "" ? undefined : env[name]];
      try {
        return [name, readFileSync(file, "utf8").trim()];
      } catch (error) {
        problems.push(`${name}_FILE: ${(error as Error).message}`);
        return [name, undefined];
      }
    }),
  );
  const parsed = Settings.safeParse(values);
  if (!parsed.success) problems.push(...parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`));
  if (values["ZHENGYUN_STATE_LISTEN"] && !(values["ZHENGYUN_STATE_TLS_CERT"] && values["ZHENGYUN_STATE_TLS_KEY"]))
    problems.push("ZHENGYUN_STATE_LISTEN: needs ZHENGYUN_STATE_TLS_CERT_FILE and ZHENGYUN_STATE_TLS_KEY_FILE: personal tokens travel over TLS only");
  for (const name of ["ZHENGYUN_TRUSTED_PROXIES", "ZHENGYUN_WEBHOOK_ALLOW"] as const) {
    try {
      inNetworks(list(parsed.data?.[name] ?? ""));
    } catch (error) {
      problems.push(`${name}: ${(error as Error).message}`);
    }
  }
  if ((values["ZHENGYUN_SMTP_URL"] === undefined) !== (values["ZHENGYUN_SMTP_FROM"] === undefined))
    problems.push("ZHENGYUN_SMTP_URL and ZHENGYUN_SMTP_FROM: both, or neither");
  if (problems.length > 0 || !parsed.success) throw new BadConfiguration(problems);
  const { data } = parsed;
  return {
    data: resolve(data.ZHENGYUN_DATA),
    images: resolve(data.ZHENGYUN_IMAGES ?? join(data.ZHENGYUN_DATA, "images")),
    host: data.HOST,
    port: data.PORT,
    databaseUrl: data.DATABASE_URL,
    masterKey: data.ZHENGYUN_MASTER_KEY,
    stateListen: stateListen(data),
    observeMs: data.ZHENGYUN_OBSERVE_SECONDS * 1000,
    driftMs: data.ZHENGYUN_DRIFT_MINUTES * 60_000,
    engineSlots: data.ZHENGYUN_ENGINE_SLOTS,
    engineSilentMs: data.ZHENGYUN_ENGINE_SILENT_SECONDS * 1000,
    driverCallMs: data.ZHENGYUN_DRIVER_CALL_SECONDS * 1000,
    logLevel: data.ZHENGYUN_LOG_LEVEL,
    metricsPublic: data.ZHENGYUN_METRICS_PUBLIC === "true",
    trustedProxies: list(data.ZHENGYUN_TRUSTED_PROXIES),
    webhookAllow: list(data.ZHENGYUN_WEBHOOK_ALLOW),
    mail: data.ZHENGYUN_SMTP_URL && data.ZHENGYUN_SMTP_FROM ? { url: data.ZHENGYUN_SMTP_URL, from: data.ZHENGYUN_SMTP_FROM } : undefined,
    publicUrl: data.ZHENGYUN_PUBLIC_URL?.replace(/\/+$/, ""),
    oidcLoopback: data.ZHENGYUN_OIDC_LOOPBACK === "true",
    audit: {
      algorithm: data.ZHENGYUN_AUDIT_HASH,
      checkpointEntries: data.ZHENGYUN_AUDIT_CHECKPOINT_ENTRIES,
      checkpointSeconds: data.ZHENGYUN_AUDIT_CHECKPOINT_SECONDS,
    },
  };
}

const list = (text: string) =>
  text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");

function stateListen(data: z.infer<typeof Settings>): Config["stateListen"] {
  const { ZHENGYUN_STATE_LISTEN: listen, ZHENGYUN_STATE_TLS_CERT: certificate, ZHENGYUN_STATE_TLS_KEY: key } = data;
  if (!listen || !certificate || !key) return undefined;
  const colon = listen.lastIndexOf(":");
  return { host: listen.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(listen.slice(colon + 1)), certificate, key };
}
