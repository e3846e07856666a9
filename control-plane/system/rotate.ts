/**
 * A new master key for a control plane that does not run. What is sealed under the old one is sealed anew in one transaction; until the key
 * files have changed places too, a start finds the right one by the fingerprint that the database names.
 */
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, linkSync, openSync, readFileSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { type Selectable, sql } from "kysely";
import { fault } from "../../infra/drivers/fault.ts";
import { findKeys, type Keys, masterKeyFingerprint, MasterKeyError } from "../state/index.ts";
import { keysFrom, makeMasterKey, masterKeyPath } from "../state/keys.ts";
import { dataKeyContext } from "../state/secrets.ts";
import { totpContext } from "../store/second-factors.ts";
import { recordingContext } from "../store/host-recordings.ts";
import { providerContext } from "../store/identity-providers.ts";
import { webhookContext } from "../store/webhooks.ts";
import { systemAct } from "../store/act.ts";
import { appendAudit } from "../store/audit.ts";
import { auditKeyContext } from "../store/audit-chain.ts";
import { type OpenDatabase, openDatabase, type Tx } from "../store/database.ts";
import type { Database } from "../store/schema.ts";
import { RestoreRefused } from "./restore.ts";

export interface RotateOptions {
  /** The data directory. */
  data: string;
  databaseUrl?: string | undefined;
  environment: Record<string, string | undefined>;
  now: Date;
}
export interface Rotated {
  from: string;
  to: string;
  /** Wrapped data keys and secrets of rows that were sealed anew. */
  sealed: number;
  /** The old key's file; undefined when it was given by the environment. */
  kept: string | undefined;
}

/**
 * @throws MasterKeyError without the key in use
 * @throws DirectoryInUse, or RestoreRefused on PostgreSQL, while a control plane runs
 */
export async function rotateMasterKey(options: RotateOptions): Promise<Rotated> {
  const opened = await openDatabase({ directory: options.data, url: options.databaseUrl, maxConnections: 1 });
  try {
    await refuseOthers(opened);
    const from = await masterKeyFingerprint(opened.db);
    const old = from === undefined ? undefined : findKeys({ directory: options.data, environment: options.environment }, from);
    if (!old) throw new MasterKeyError(`The master key ${from ?? "of this database"} is not here: put it into ${masterKeyPath(options.data)}.`);
    const path = masterKeyPath(options.data);
    const next = `${path}.next`;
    // What an earlier rotation that was killed left: already in use, or never used.
    if (fingerprintIn(next) === old.fingerprint) exchange(path, next);
    makeMasterKey(next);
    const fresh = keysIn(next);
    fault("rotate.written");
    const sealed = await opened.db.transaction().execute((tx) => reseal(tx, old, fresh, options.now));
    fault("rotate.sealed");
    const kept = exchange(path, next);
    return { from: old.fingerprint, to: fresh.fingerprint, sealed, kept };
  } finally {
    await opened.close();
  }
}

/** A control plane that runs would go on sealing under the old key. PGlite's directory is locked; PostgreSQL tells who else is there. */
async function refuseOthers({ db, engine }: OpenDatabase): Promise<void> {
  if (engine === "pglite") return;
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`.execute(db);
  if (rows[0]!.count > 0) throw new RestoreRefused(`${rows[0]!.count} other connections are open to this database: stop every control plane first.`);
}

async function reseal(tx: Tx, old: Keys, fresh: Keys, now: Date): Promise<number> {
  let sealed = 0;
  const again = (context: string, text: string) => {
    sealed++;
    return fresh.seal(context, old.unseal(context, text));
  };
  for (const row of await tx.selectFrom("state_data_keys").selectAll().execute())
    await tx
      .updateTable("state_data_keys")
      .set({ wrapped: again(dataKeyContext(row.stack_id, row.version), row.wrapped) })
      .where("stack_id", "=", row.stack_id)
      .where("version", "=", row.version)
      .execute();
  // What is encrypted from now on is so under new data keys; the old ones go on opening what they closed.
  const newest = await tx
    .selectFrom("state_data_keys")
    .select((of) => ["stack_id", of.fn.max("version").as("version")])
    .groupBy("stack_id")
    .execute();
  for (const { stack_id, version } of newest) {
    const wrapped = fresh.seal(dataKeyContext(stack_id, version + 1), randomBytes(32).toString("base64"));
    await tx
      .insertInto("state_data_keys")
      .values({ stack_id, version: version + 1, wrapped, created_at: now })
      .execute();
  }
  for (const { id, wrapped } of await tx.selectFrom("audit_keys").select(["id", "wrapped"]).execute())
    await tx
      .updateTable("audit_keys")
      .set({ wrapped: again(auditKeyContext(id), wrapped) })
      .where("id", "=", id)
      .execute();
  for (const row of await tx.selectFrom("resources").select(["id", "wanted", "applied"]).where("kind", "=", "host").execute()) {
    const [wanted, applied] = [withSecret(row.wanted, row.id, again), withSecret(row.applied, row.id, again)];
    if (wanted ?? applied)
      await tx
        .updateTable("resources")
        .set({ ...(wanted && { wanted }), ...(applied && { applied }) })
        .where("id", "=", row.id)
        .execute();
  }
  for (const row of await tx.selectFrom("request_items").selectAll().where("kind", "=", "host").execute()) {
    const spec = resealItem(row, again);
    if (spec) await tx.updateTable("request_items").set({ spec }).where("id", "=", row.id).execute();
  }
  for (const { id, totp_sealed } of await tx.selectFrom("accounts").select(["id", "totp_sealed"]).where("totp_sealed", "is not", null).execute())
    await tx
      .updateTable("accounts")
      .set({ totp_sealed: again(totpContext(id), totp_sealed!) })
      .where("id", "=", id)
      .execute();
  for (const { id, secret_sealed, old_secret_sealed } of await tx.selectFrom("webhooks").selectAll().execute())
    await tx
      .updateTable("webhooks")
      .set({
        secret_sealed: again(webhookContext(id), secret_sealed),
        ...(old_secret_sealed === null ? {} : { old_secret_sealed: again(webhookContext(id), old_secret_sealed) }),
      })
      .where("id", "=", id)
      .execute();
  for (const { id, secret_sealed } of await tx
    .selectFrom("identity_providers")
    .select(["id", "secret_sealed"])
    .where("secret_sealed", "is not", null)
    .execute())
    await tx
      .updateTable("identity_providers")
      .set({ secret_sealed: again(providerContext(id), secret_sealed!) })
      .where("id", "=", id)
      .execute();
  for (const { session_id, seq, sealed: piece } of await tx.selectFrom("host_session_recordings").selectAll().execute())
    await tx
      .updateTable("host_session_recordings")
      .set({ sealed: again(recordingContext(session_id, seq), piece) })
      .where("session_id", "=", session_id)
      .where("seq", "=", seq)
      .execute();
  await tx.updateTable("state_master_key").set({ fingerprint: fresh.fingerprint }).execute();
  await appendAudit(tx, systemAct(now), {
    action: "system.rotate-key",
    subjectKind: "system",
    subjectId: "master-key",
    departmentId: null,
    before: { fingerprint: old.fingerprint },
    after: { fingerprint: fresh.fingerprint, sealed },
  });
  return sealed;
}

type Again = (context: string, text: string) => string;

/** A host's spec with its secret sealed anew, as JSON; undefined when it has none. */
function withSecret(spec: unknown, context: string, again: Again): string | undefined {
  const secret = (spec as { userData?: string } | null)?.userData;
  return secret === undefined ? undefined : JSON.stringify({ ...(spec as object), userData: again(context, secret) });
}

/** An item keeps its secret twice: as it was asked for, and as it will be wanted. */
function resealItem(row: Selectable<Database["request_items"]>, again: Again): string | undefined {
  const kept = row.spec as { item?: { spec?: unknown }; wanted?: unknown };
  const asked = withSecret(kept.item?.spec ?? null, `${row.request_id}/${row.position}`, again);
  const wanted = withSecret(kept.wanted ?? null, row.resource_id, again);
  if (asked === undefined && wanted === undefined) return undefined;
  return JSON.stringify({
    ...kept,
    ...(asked !== undefined && { item: { ...kept.item, spec: JSON.parse(asked) as unknown } }),
    ...(wanted !== undefined && { wanted: JSON.parse(wanted) as unknown }),
  });
}

const keysIn = (path: string): Keys => keysFrom(Buffer.from(readFileSync(path, "utf8").trim(), "base64"));
const fingerprintIn = (path: string): string | undefined => (existsSync(path) ? keysIn(path).fingerprint : undefined);

/** The new key takes the old one's name; the old one stays under its fingerprint. Each step may be repeated. */
function exchange(path: string, next: string): string | undefined {
  let kept: string | undefined;
  if (existsSync(path)) {
    kept = `${path}.${keysFrom(Buffer.from(decodeText(readFileSync(path, "utf8")), "base64")).fingerprint}`;
    if (!existsSync(kept)) linkSync(path, kept);
  }
  fault("rotate.kept");
  renameSync(next, path);
  const handle = openSync(dirname(path), "r");
  fsyncSync(handle);
  closeSync(handle);
  return kept;
}

/** A key file may be hex. */
const decodeText = (text: string) => (/^[0-9a-fA-F]{64}$/.test(text.trim()) ? Buffer.from(text.trim(), "hex").toString("base64") : text.trim());
