/** A lock file beside a data directory: two processes on one PGlite directory lose data silently (pglite#1106). */
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";

/** Another living process holds the directory. */
export class DirectoryInUse extends Error {
  readonly pid: number;
  constructor(directory: string, pid: number) {
    super(
      `The data directory ${directory} is in use by process ${pid}. Two processes on one directory would destroy it. ` +
        `Stop that process first, or set ZHENGYUN_DATA to another directory, or DATABASE_URL to a PostgreSQL server.`,
    );
    this.name = "DirectoryInUse";
    this.pid = pid;
  }
}

/** Kernel start time of a process (clock ticks since boot), or undefined when there is none: a PID alone may have been given away again. */
export function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
let counter = 0;

/**
 * Takes the lock of a directory; a dead owner's lock is taken over, by one of however many try.
 * @throws DirectoryInUse
 */
export function lockDirectory(directory: string): { release(): void } {
  const path = `${directory}.lock`;
  const mine = `${process.pid} ${processStart(process.pid)} ${bootId}`;
  // Written whole before it gets its name: nobody ever reads half a lock.
  const own = `${path}.${process.pid}.${counter++}.new`;
  writeFileSync(own, mine, { mode: 0o600 });
  try {
    while (!link(own, path)) {
      const held = readIfThere(path);
      if (held === undefined) continue;
      if (isAlive(held)) throw new DirectoryInUse(directory, pidOf(held));
      removeDead(path, held, own);
    }
  } finally {
    rmSync(own, { force: true });
  }
  return {
    release: () => {
      if (readIfThere(path) === mine) rmSync(path, { force: true });
    },
  };
}

/**
 * Removes the lock of a dead owner. Only the holder of a guard that is named after that very owner does so, and it looks again first:
 * a late one that read the dead lock before would otherwise remove its successor's.
 */
function removeDead(path: string, dead: string, own: string): void {
  const guard = `${path}.${dead.replaceAll(/[^0-9a-f]+/g, "-")}`;
  if (!link(own, guard)) {
    const holder = readIfThere(guard);
    if (holder !== undefined && !isAlive(holder)) removeDead(guard, holder, own);
    return;
  }
  if (readIfThere(path) === dead) rmSync(path, { force: true });
  rmSync(guard, { force: true });
}

const pidOf = (lock: string) => Number(lock.split(" ")[0]);

function isAlive(lock: string): boolean {
  const [pid, start, boot] = lock.split(" ");
  return boot === bootId && start !== undefined && processStart(Number(pid)) === start;
}

/** @returns false when the name is taken */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
