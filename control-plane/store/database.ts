/**
 * Opens the one database: PGlite in the data directory, or PostgreSQL by URL. Everything else sees only Kysely.
 * PGlite survives a crash of the process; it does not promise to survive a loss of power (PostgreSQL does).
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { PGlite, types as pgliteTypes } from "@electric-sql/pglite";
import { btree_gist } from "@electric-sql/pglite/contrib/btree_gist";
import { Kysely, PGliteDialect, PostgresDialect, type Transaction } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { Pool, TypeOverrides } from "pg";
import { lockDirectory } from "./lock.ts";
import * as core from "./migrations/0001_core.ts";
import * as state from "./migrations/0002_state.ts";
import * as catalogue from "./migrations/0003_catalogue.ts";
import * as submittedBy from "./migrations/0004_submitted_by.ts";
import * as approvedDigest from "./migrations/0005_approved_digest.ts";
import * as system from "./migrations/0006_system.ts";
import * as replicas from "./migrations/0008_replicas.ts";
import * as updateEvents from "./migrations/0009_update_events.ts";
import * as identity from "./migrations/0010_identity.ts";
import * as plans from "./migrations/0011_plans.ts";
import * as quotas from "./migrations/0012_quotas.ts";
import * as approvals from "./migrations/0013_approvals.ts";
import * as auditChain from "./migrations/0015_audit_chain.ts";
import * as roleBindings from "./migrations/0016_role_bindings.ts";
import * as supervision from "./migrations/0017_supervision.ts";
import * as notifications from "./migrations/0018_notifications.ts";
import * as oidc from "./migrations/0019_oidc.ts";
import * as terms from "./migrations/0021_terms.ts";
import * as providerSessions from "./migrations/0023_provider_sessions.ts";
import * as images from "./migrations/0028_images.ts";
import * as operationPlans from "./migrations/0034_operation_plans.ts";
import * as transfers from "./migrations/0030_transfers.ts";
import * as drift from "./migrations/0036_drift.ts";
import * as backupLevel from "./migrations/0025_backup_level.ts";
import * as hostSessions from "./migrations/0040_host_sessions.ts";
import * as restarts from "./migrations/0041_restarts.ts";
import * as memberLossPolicy from "./migrations/0042_member_loss_policy.ts";
import * as poolsAndMembers from "./migrations/0032_pools.ts";
import * as maintenance from "./migrations/0038_maintenance.ts";
import * as losses from "./migrations/0039_losses.ts";
import * as snapshots from "./migrations/0043_snapshots.ts";
import type { Database } from "./schema.ts";

export type Db = Kysely<Database>;
/** A transaction. Inside one only it may be awaited, never the outer `Db`: PGlite has one connection. */
export type Tx = Transaction<Database>;

/** A database that has been opened; `close` ends it and gives its lock back. */
export interface OpenDatabase {
  db: Db;
  engine: "pglite" | "postgres";
  /** The PGlite instance, for pg-boss' `fromPglite`; undefined on PostgreSQL. */
  pglite: PGlite | undefined;
  url: string | undefined;
  close(): Promise<void>;
}

const int8 = 20;
const migrations: Record<string, Migration> = {
  "0001_core": core,
  "0002_state": state,
  "0003_catalogue": catalogue,
  "0004_submitted_by": submittedBy,
  "0005_approved_digest": approvedDigest,
  "0006_system": system,
  "0008_replicas": replicas,
  "0009_update_events": updateEvents,
  "0010_identity": identity,
  "0011_plans": plans,
  "0012_quotas": quotas,
  "0013_approvals": approvals,
  "0015_audit_chain": auditChain,
  "0016_role_bindings": roleBindings,
  "0017_supervision": supervision,
  "0018_notifications": notifications,
  "0019_oidc": oidc,
  "0021_terms": terms,
  "0023_provider_sessions": providerSessions,
  "0025_backup_level": backupLevel,
  "0028_images": images,
  "0040_host_sessions": hostSessions,
  "0041_restarts": restarts,
  "0042_member_loss_policy": memberLossPolicy,
  "0030_transfers": transfers,
  "0032_pools": poolsAndMembers,
  "0034_operation_plans": operationPlans,
  "0036_drift": drift,
  "0038_maintenance": maintenance,
  "0039_losses": losses,
  "0043_snapshots": snapshots,
};

/**
 * @param options.url a PostgreSQL URL; without it PGlite is opened in `directory` ("memory" for tests).
 * @throws DirectoryInUse when another living process holds the directory
 */
export async function openDatabase(options: {
  url?: string | undefined;
  directory: string;
  maxConnections?: number;
  /** Under what name PostgreSQL knows this process's connections: `replicaName(id)`, so that another can end those of a silent one. */
  name?: string | undefined;
  /** Migrates up to this migration only, for the restore of an older copy. */
  migrateTo?: string | undefined;
  /** For "memory": a dump of PGlite's to begin with. */
  dump?: Blob | undefined;
}): Promise<OpenDatabase> {
  const opened = options.url ? openPostgres(options.url, options.maxConnections ?? 10, options.name) : await openPglite(options.directory, options.dump);
  try {
    await migrate(opened.db, options.migrateTo);
  } catch (error) {
    await opened.close();
    throw error;
  }
  return opened;
}

function openPostgres(url: string, max: number, name: string | undefined): OpenDatabase {
  // bigint and count(*) as numbers on both engines: quantities and fen stay far below 2^53.
  const parsers = new TypeOverrides();
  parsers.setTypeParser(int8, Number);
  const pool = new Pool({ connectionString: url, max, types: parsers, ...(name === undefined ? {} : { application_name: name }) });
  // A restart of PostgreSQL breaks idle connections, each an "error" event that would end the process; the pool replaces them by itself.
  pool.on("error", () => {});
  // One that breaks in the middle of a transaction fails that transaction's next statement; its event would end the process.
  pool.on("connect", (client) => client.on("error", () => {}));
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
  return { db, engine: "postgres", pglite: undefined, url, close: () => db.destroy() };
}

async function openPglite(directory: string, dump: Blob | undefined): Promise<OpenDatabase> {
  const inMemory = directory === "memory";
  const location = join(directory, "database");
  if (!inMemory) mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lock = inMemory ? undefined : lockDirectory(location);
  try {
    const pglite = await PGlite.create({
      ...(inMemory ? {} : { dataDir: location }),
      ...(dump ? { loadDataDir: dump } : {}),
      extensions: { btree_gist },
      parsers: { [pgliteTypes.INT8]: Number },
    });
    const db = new Kysely<Database>({ dialect: new PGliteDialect({ pglite }) });
    const close = async () => {
      await db.destroy();
      if (!pglite.closed) await pglite.close();
      lock?.release();
    };
    return { db, engine: "pglite", pglite, url: undefined, close };
  } catch (error) {
    lock?.release();
    throw error;
  }
}

/** Every migration that this version knows, in order. */
export const migrationNames: readonly string[] = Object.keys(migrations).toSorted();

/** Brings the schema to what this version needs, or to an earlier migration. */
export async function migrate(db: Db, target?: string): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await (target === undefined ? migrator.migrateToLatest() : migrator.migrateTo(target));
  if (error) throw error;
}
