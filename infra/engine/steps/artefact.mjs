/**
 * A built program in the cache: `DIRECTORY/bin/NAME` with `DIRECTORY/artefact.json`, which is written last and holds its
 * checksum. A directory without it is half built, one whose checksum differs is damaged; both are made again.
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { withLock } from "./lock.mjs";

/**
 * `size` (bytes) and `mtimeMs` are those of the file when its checksum was last seen to be right.
 *
 * @typedef {{ sha256: string, size: number, mtimeMs: number, source: string }} Record
 * @typedef {{ file: string, source: string }} Artefact
 */

/**
 * The artefact, if it is whole. Unless `thorough`, an unchanged size and time of change are taken as proof, so that a
 * start doesn't read a hundred megabytes.
 *
 * @param {string} directory
 * @param {string} name
 * @param {{ thorough?: boolean }} [options]
 * @returns {Promise<Artefact | undefined>}
 */
export async function findArtefact(directory, name, { thorough = false } = {}) {
  const file = path.join(directory, "bin", name);
  const record = readRecord(directory);
  const stat = statSync(file, { throwIfNoEntry: false });
  if (!record || !stat?.isFile() || stat.size !== record.size || (stat.mode & 0o111) === 0) return undefined;
  const found = { file, source: record.source };
  if (!thorough && stat.mtimeMs === record.mtimeMs) return found;
  if ((await checksum(file)) !== record.sha256) return undefined;
  if (stat.mtimeMs !== record.mtimeMs) writeRecord(directory, { ...record, mtimeMs: stat.mtimeMs });
  return found;
}

/**
 * Makes the artefact unless it is there, whole. Several processes at once make it once; what is made appears by one
 * rename or not at all.
 *
 * @param {string} directory
 * @param {string} name
 * @param {(file: string) => Promise<string>} build writes the program to `file` and answers where it came from; rejects to give up
 * @param {{ thorough?: boolean, onWait?: (pid: number) => void, onDamaged?: () => void }} [options]
 * @returns {Promise<Artefact>}
 */
export async function makeArtefact(directory, name, build, { thorough = false, onWait, onDamaged } = {}) {
  const ready = await findArtefact(directory, name, { thorough });
  if (ready) return ready;
  return withLock(
    `${directory}.lock`,
    async () => {
      const made = await findArtefact(directory, name, { thorough });
      if (made) return made;
      if (statSync(directory, { throwIfNoEntry: false })) onDamaged?.();
      removeLeftovers(directory);

      const draft = `${directory}.draft-${randomUUID()}`;
      const file = path.join(draft, "bin", name);
      mkdirSync(path.dirname(file), { recursive: true });
      try {
        const source = await build(file);
        const { size, mtimeMs } = statSync(file);
        writeRecord(draft, { sha256: await checksum(file), size, mtimeMs, source });
        rmSync(directory, { recursive: true, force: true });
        renameSync(draft, directory);
        return { file: path.join(directory, "bin", name), source };
      } finally {
        rmSync(draft, { recursive: true, force: true });
      }
    },
    { onWait },
  );
}

/**
 * Drafts of builders that were killed; whoever holds the lock is the only living builder.
 *
 * @param {string} directory
 */
function removeLeftovers(directory) {
  const prefix = `${path.basename(directory)}.draft-`;
  const parent = path.dirname(directory);
  for (const entry of readdirSync(parent)) {
    if (entry.startsWith(prefix)) rmSync(path.join(parent, entry), { recursive: true, force: true });
  }
}

/**
 * @param {string} directory
 * @returns {Record | undefined}
 */
function readRecord(directory) {
  try {
    return JSON.parse(readFileSync(path.join(directory, "artefact.json"), "utf8"));
  } catch {
    return undefined;
  }
}

/** @param {string} directory @param {Record} record */
function writeRecord(directory, record) {
  const file = path.join(directory, "artefact.json");
  writeFileSync(`${file}.new`, JSON.stringify(record));
  renameSync(`${file}.new`, file);
}

/**
 * @param {string} file
 * @returns {Promise<string>}
 */
async function checksum(file) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest("hex");
}
