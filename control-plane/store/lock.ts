/** A lock file beside a data directory: two processes on one PGlite directory lose data silently (pglite#1106). */
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";

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

/**
 * Takes the lock of a directory; a dead owner's lock is taken over.
 * @throws DirectoryInUse
 */
export function lockDirectory(directory: string): { release(): void } {
  const path = `${directory}.lock`;
  const mine = `${process.pid} ${processStart(process.pid)}`;
  for (;;) {
    try {
      const handle = openSync(path, "wx", 0o600);
      writeSync(handle, mine);
      closeSync(handle);
      return { release: () => rmSync(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const held = readIfThere(path);
    if (held === undefined) continue;
    const [pid, start] = held.split(" ");
    if (Number(pid) !== 0 && start && processStart(Number(pid)) === start) throw new DirectoryInUse(directory, Number(pid));
    // Renamed aside before removal: of two that find the dead lock only one can rename it.
    const aside = `${path}.${process.pid}.stale`;
    try {
      renameSync(path, aside);
      rmSync(aside, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
