/** A migrated, empty database, made once for each version of the schema: a copy of it is there five times sooner than one that is made anew. */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, openAsBlob, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { openDatabase } from "../../control-plane/store/database.ts";

const root = resolve(import.meta.dirname, "../..");
const pglite = join(root, "node_modules/@electric-sql/pglite/package.json");
const store = join(root, "control-plane/store");

/** Changes with whatever makes another database of it. */
function versionOf(): string {
  const hash = createHash("sha256")
    .update(readFileSync(pglite))
    .update(readFileSync(join(store, "database.ts")));
  for (const name of readdirSync(join(store, "migrations")).toSorted()) hash.update(name).update(readFileSync(join(store, "migrations", name)));
  return hash.digest("hex").slice(0, 16);
}
const place = join(root, ".cache/test-database", versionOf());

/** Makes it unless it is there: whole or not at all. */
async function require(): Promise<void> {
  if (existsSync(place)) return;
  mkdirSync(dirname(place), { recursive: true });
  const making = mkdtempSync(`${place}-`);
  const { pglite: one, close } = await openDatabase({ directory: making });
  const dump = await one!.dumpDataDir("none");
  writeFileSync(join(making, "database.tar"), Buffer.from(await dump.arrayBuffer()));
  await close();
  try {
    renameSync(making, place);
  } catch {
    // Another process was sooner.
    rmSync(making, { recursive: true, force: true });
  }
}

/** For PGlite in memory. */
export async function templateDump(): Promise<Blob> {
  await require();
  return openAsBlob(join(place, "database.tar"));
}

/** For PGlite in a data directory that has no database yet. */
export async function copyTemplate(data: string): Promise<void> {
  await require();
  cpSync(join(place, "database"), join(data, "database"), { recursive: true });
}
