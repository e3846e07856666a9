/** A lock per name on one endpoint, among any number of processes; a dead owner's lock is taken over. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identify, isAlive, type Identity } from "./process.ts";

const mine = (): Identity => identify(process.pid)!;
const waiting = new Map<string, Promise<unknown>>();
let counter = 0;

/** Runs `work` while nobody else on this endpoint works on the same name. */
export async function withLock<T>(directory: string, name: string, work: () => Promise<T>): Promise<T> {
  const path = join(directory, name);
  const before = waiting.get(path);
  const turn = (async () => {
    await before?.catch(() => undefined);
    await take(directory, path);
    try {
      return await work();
    } finally {
      rmSync(path, { force: true });
    }
  })();
  waiting.set(path, turn);
  try {
    return await turn;
  } finally {
    if (waiting.get(path) === turn) waiting.delete(path);
  }
}

async function take(directory: string, path: string): Promise<void> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const own = `${path}.${process.pid}.${counter++}.tmp`;
  writeFileSync(own, JSON.stringify(mine()), { mode: 0o600 });
  try {
    for (;;) {
      try {
        linkSync(own, path);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      if (!takeOver(path, own)) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  } finally {
    unlinkSync(own);
  }
}

/** Moves a dead owner's lock aside. What was moved is looked at again: it may have been a fresh one by then. */
function takeOver(path: string, own: string): boolean {
  const holder = read(path);
  if (holder === undefined) return true;
  if (isAlive(holder)) return false;
  const aside = `${own}.stale`;
  try {
    renameSync(path, aside);
  } catch {
    return true;
  }
  const moved = read(aside);
  if (moved && isAlive(moved)) {
    try {
      linkSync(aside, path);
    } catch {
      // Somebody took the lock in between; its owner goes on as the one that was moved aside would have: both see their file gone.
    }
  }
  rmSync(aside, { force: true });
  return true;
}

function read(path: string): Identity | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Identity;
  } catch {
    return undefined;
  }
}
