/**
 * Makes an archive the database of a control plane that does not run. All or nothing: what is there is moved aside, never deleted, and a
 * restore that was killed is noticed by the next start, which refuses, and done anew by the next restore.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fault } from "../../infra/drivers/fault.ts";
import { findKeys, MasterKeyError } from "../state/index.ts";
import { systemAct } from "../store/act.ts";
import { type Db, migrate, type OpenDatabase, openDatabase } from "../store/database.ts";
import { lockDirectory } from "../store/lock.ts";
import { settleRestored } from "../store/restored.ts";
import { findTokens, makeOperator } from "../store/tokens.ts";
import { loadArchive } from "./load.ts";
import type { Manifest } from "./manifest.ts";
import { type Archive, openArchive } from "./reader.ts";
import { ArchiveInvalid } from "./tar.ts";
import { verifyArchive } from "./verify.ts";

/** The named points between the steps, for the tests that kill there. */
export const restoreSteps = ["restore.begun", "restore.loaded", "restore.filled", "restore.aside", "restore.placed"] as const;

export interface RestoreOptions {
  file: string;
  /** The data directory. */
  data: string;
  databaseUrl?: string | undefined;
  /** Moves a database that is there aside (PGlite only). */
  replace: boolean;
  /** Where a master key may be given. */
  environment: Record<string, string | undefined>;
  now: Date;
}

export interface Restored {
  manifest: Manifest;
  /** Where the database that was there lies now. */
  movedTo: string | undefined;
  /** A new operator's token was written to it, since there was none. */
  tokenFile: string | undefined;
}

/** The database is not empty, or its restore was begun and not ended. */
export class RestoreRefused extends Error {
  override readonly name = "RestoreRefused";
}

const pendingKey = "restoring";
const journalOf = (data: string) => join(data, "restore.json");

/** @throws RestoreRefused where a restore was begun and not ended. Before the database is opened. */
export function refuseHalfRestored(data: string): void {
  if (existsSync(journalOf(data)))
    throw new RestoreRefused(`A restore into ${data} was interrupted. Run \`zhengyun system restore FILE\` again; it begins anew.`);
}

/** The same for a database that is reached by URL. @throws RestoreRefused */
export async function refuseHalfRestoredDatabase(db: Db): Promise<void> {
  if (await isPending(db)) throw new RestoreRefused("A restore into this database was interrupted. Run `zhengyun system restore FILE` again; it begins anew.");
}

const isPending = async (db: Db) => (await db.selectFrom("settings").select("key").where("key", "=", pendingKey).executeTakeFirst()) !== undefined;

/**
 * @throws ArchiveInvalid with every fault that was found
 * @throws MasterKeyError without the key that the archive is sealed under
 * @throws RestoreRefused when there is something already
 * @throws DirectoryInUse while the control plane runs
 */
export async function restoreArchive(options: RestoreOptions): Promise<Restored> {
  const archive = await sound(options);
  mkdirSync(options.data, { recursive: true, mode: 0o700 });
  return options.databaseUrl ? intoPostgres(options, archive, options.databaseUrl) : intoDirectory(options, archive);
}

async function sound({ file, data, environment }: RestoreOptions): Promise<Archive> {
  const archive = await openArchive(file);
  const { masterKey } = archive.manifest;
  const keys = masterKey === null ? undefined : findKeys({ directory: data, environment }, masterKey);
  const { faults } = await verifyArchive(file, () => keys);
  if (faults.length > 0) throw new ArchiveInvalid(`${file} is not sound:\n${faults.join("\n")}`);
  if (masterKey !== null && !keys)
    throw new MasterKeyError(
      `The archive is sealed under master key ${masterKey}, which is not here. Put that key's file into ${join(data, "keys", "master.key")} (mode 600), or set ZHENGYUN_MASTER_KEY(_FILE).`,
    );
  return archive;
}

async function intoDirectory(options: RestoreOptions, archive: Archive): Promise<Restored> {
  const { data, now } = options;
  const live = join(data, "database");
  const lock = lockDirectory(live);
  try {
    const interrupted = readJournal(data);
    if (existsSync(live) && !options.replace && !interrupted)
      throw new RestoreRefused(`There is a database in ${data} already. \`--replace\` moves it aside; it is not deleted.`);
    const aside = `${live}.replaced-${stamp(now)}`;
    const staged = join(data, "restoring");
    rmSync(staged, { recursive: true, force: true });
    // From here on no start takes what is there for whole.
    writeDurably(journalOf(data), JSON.stringify({ archive: archive.manifest.digest, at: now.toISOString() }));
    fault("restore.begun");
    const opened = await openDatabase({ directory: staged, migrateTo: archive.manifest.migrations.at(-1) });
    let tokenFile: string | undefined;
    try {
      tokenFile = await fill(opened, options, archive);
    } finally {
      await opened.close();
    }
    fault("restore.filled");
    const movedTo = existsSync(live) ? aside : undefined;
    if (movedTo) renameSync(live, movedTo);
    fault("restore.aside");
    renameSync(join(staged, "database"), live);
    fault("restore.placed");
    syncDirectory(data);
    rmSync(journalOf(data));
    rmSync(staged, { recursive: true, force: true });
    return { manifest: archive.manifest, movedTo, tokenFile };
  } finally {
    lock.release();
  }
}

async function intoPostgres(options: RestoreOptions, archive: Archive, url: string): Promise<Restored> {
  if (options.replace)
    throw new RestoreRefused("On PostgreSQL nothing is replaced: make an empty database (createdb) and name it in DATABASE_URL; the old one stays as it is.");
  const opened = await openDatabase({ directory: options.data, url, migrateTo: archive.manifest.migrations.at(-1) });
  try {
    const { db } = opened;
    if (!(await isPending(db)) && (await isInUse(db)))
      throw new RestoreRefused("The database is not empty. Make an empty one (createdb) and name it in DATABASE_URL.");
    await db
      .insertInto("settings")
      .values({ key: pendingKey, value: "{}" })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    return { manifest: archive.manifest, movedTo: undefined, tokenFile: await fill(opened, options, archive) };
  } finally {
    await opened.close();
  }
}

/** A control plane that was started once has a token. */
async function isInUse(db: Db): Promise<boolean> {
  const [token, department] = await Promise.all([
    db.selectFrom("tokens").select("id").limit(1).executeTakeFirst(),
    db.selectFrom("departments").select("id").limit(1).executeTakeFirst(),
  ]);
  return token !== undefined || department !== undefined;
}

/** Rows as they were, then the schema of this version, then what a restored copy needs. @returns the file of a new operator's token */
async function fill({ db }: OpenDatabase, { data, now }: RestoreOptions, archive: Archive): Promise<string | undefined> {
  await db.transaction().execute(async (tx) => {
    await loadArchive(tx, archive);
    // Not ended yet: a start in between must not take it for whole.
    await tx
      .insertInto("settings")
      .values({ key: pendingKey, value: "{}" })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
  fault("restore.loaded");
  await migrate(db);
  return db.transaction().execute(async (tx) => {
    const act = systemAct(now);
    await settleRestored(tx, act, archive.manifest);
    await tx.deleteFrom("settings").where("key", "=", pendingKey).execute();
    const tokenFile = join(data, "operator.token");
    if (existsSync(tokenFile)) {
      const [known] = await findTokens(tx, [readFileSync(tokenFile, "utf8").trim()]);
      if (known) return undefined;
      // Of the database that was replaced, or of a restore that was killed before its end.
      renameSync(tokenFile, `${tokenFile}.replaced-${stamp(now)}`);
    }
    const secret = await makeOperator(tx, act, "operator (after a restore)");
    writeDurably(tokenFile, `${secret}\n`);
    return tokenFile;
  });
}

const stamp = (now: Date) => now.toISOString().replaceAll(/[:.]/g, "-");

function readJournal(data: string): boolean {
  try {
    readFileSync(journalOf(data));
    return true;
  } catch {
    return false;
  }
}

function writeDurably(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
  syncDirectory(join(path, ".."));
}

function syncDirectory(path: string): void {
  const handle = openSync(path, "r");
  fsyncSync(handle);
  closeSync(handle);
}
