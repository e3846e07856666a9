/** Files that survive a crash: whole or not at all. */
import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";

let counter = 0;

/** Writes JSON so that after a crash the file holds the old content or the new: temporary file, fsync, rename, fsync of the directory. */
export function writeRecord(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.${counter++}.tmp`;
  const handle = openSync(temporary, "wx", 0o600);
  try {
    writeSync(handle, JSON.stringify(value));
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, path);
  const directory = openSync(dirname(path), "r");
  fsyncSync(directory);
  closeSync(directory);
}

/** The record, or undefined when there is none. */
export function readRecord<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

export const removeTree = (path: string): void => rmSync(path, { recursive: true, force: true });

/** Names in a directory; none when there is no directory. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => !name.endsWith(".tmp"));
  } catch {
    return [];
  }
}

/** Every record `<directory>/<name>/record.json` that is whole. */
export function recordsIn<T>(directory: string): T[] {
  return namesIn(directory).flatMap((name) => readRecord<T>(join(directory, name, "record.json")) ?? []);
}

/** The last bytes of a text file; nothing when there is none. */
export function endOf(path: string, bytes: number): string {
  let handle: number;
  try {
    handle = openSync(path, "r");
  } catch {
    return "";
  }
  try {
    const { size } = fstatSync(handle);
    const end = Buffer.alloc(Math.min(size, bytes));
    return end.toString("utf8", 0, readSync(handle, end, 0, end.length, size - end.length));
  } finally {
    closeSync(handle);
  }
}

/** Bytes that a tree takes on the disk (blocks, so holes don't count). What vanishes meanwhile counts nothing. */
export async function usedBytesOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
    const path = join(directory, entry.name);
    bytes += entry.isDirectory()
      ? await usedBytesOf(path)
      : await lstat(path).then(
          (stat) => stat.blocks * 512,
          () => 0,
        );
  }
  return bytes;
}
