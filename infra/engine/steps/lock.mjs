/**
 * A lock between processes: a file that names its owner by PID and start time, so that the lock of a killed process is
 * noticed even when its PID is in use again.
 */
import { randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const RETRY_MS = 100;
/** A claim to break a dead owner's lock takes microseconds; one this old was left by a process that died in between. */
const STALE_CLAIM_MS = 5_000;

/** Locks this process holds, for `releaseLocks`. @type {Set<string>} */
const held = new Set();

/**
 * Runs `work` while no other process holds the lock `file`; waits as long as a living owner has it.
 *
 * @template T
 * @param {string} file
 * @param {() => Promise<T>} work
 * @param {{ onWait?: (pid: number) => void }} [options] `onWait` is called once when another living process has the lock
 * @returns {Promise<T>}
 */
export async function withLock(file, work, { onWait } = {}) {
  mkdirSync(path.dirname(file), { recursive: true });
  let told = false;
  while (!tryLock(file)) {
    const owner = ownerOf(file);
    if (owner && !isAlive(owner)) {
      breakLock(file, owner);
    } else if (owner && !told) {
      told = true;
      onWait?.(owner.pid);
    }
    await wait(RETRY_MS);
  }
  held.add(file);
  try {
    return await work();
  } finally {
    release(file);
  }
}

/** Gives back every lock of this process; for the end of an interrupted set-up. */
export function releaseLocks() {
  for (const file of held) release(file);
}

/** @param {string} file */
function release(file) {
  held.delete(file);
  unlinkQuietly(file);
}

/**
 * Writes the owner first and links second, so that nobody ever reads a lock without its owner.
 *
 * @param {string} file
 */
function tryLock(file) {
  const draft = `${file}.${randomUUID()}`;
  writeFileSync(draft, JSON.stringify({ pid: process.pid, start: startTime(process.pid) }));
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if (isCode(error, "EEXIST")) return false;
    throw error;
  } finally {
    unlinkSync(draft);
  }
}

/**
 * Removes the lock of a dead owner. Of several processes that see it dead only the one that links the claim goes on;
 * and as the claim is the lock's own inode, reading it tells whether the lock has changed hands meanwhile.
 *
 * @param {string} file
 * @param {Owner} dead
 */
function breakLock(file, dead) {
  const claim = `${file}.dead-${dead.pid}-${dead.start}`;
  try {
    linkSync(file, claim);
  } catch (error) {
    const claimed = isCode(error, "EEXIST") ? statSync(claim, { throwIfNoEntry: false }) : undefined;
    if (claimed && Date.now() - claimed.ctimeMs > STALE_CLAIM_MS) unlinkQuietly(claim);
    return;
  }
  const owner = ownerOf(claim);
  if (owner?.pid === dead.pid && owner.start === dead.start) unlinkQuietly(file);
  unlinkQuietly(claim);
}

/** @typedef {{ pid: number, start: string }} Owner */

/**
 * @param {string} file
 * @returns {Owner | undefined}
 */
function ownerOf(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

/** @param {Owner} owner */
function isAlive(owner) {
  return startTime(owner.pid) === owner.start;
}

/**
 * Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), or '' where none runs; a zombie doesn't.
 *
 * @param {number} pid
 */
export function startTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field, the command, is in brackets and may hold spaces and brackets itself.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "" : (fields[19] ?? "");
  } catch {
    return "";
  }
}

/** @param {string} file */
function unlinkQuietly(file) {
  try {
    unlinkSync(file);
  } catch (error) {
    if (!isCode(error, "ENOENT")) throw error;
  }
}

/** @param {unknown} error @param {string} code */
function isCode(error, code) {
  return error instanceof Error && "code" in error && error.code === code;
}
