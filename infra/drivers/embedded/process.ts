/** Processes by PID and start time: a PID alone may have been given away again. */
import { readdirSync, readFileSync } from "node:fs";

export interface Identity {
  pid: number;
  /** Clock ticks since boot (field 22 of /proc/PID/stat). */
  start: string;
  boot: string;
}

/** This boot of the kernel: PIDs and start times of another mean nothing. */
export const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

/** Fields of /proc/PID/stat from the state on, or undefined when there is no such process. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

export function identify(pid: number): Identity | undefined {
  const start = statOf(pid)?.[19];
  return start === undefined ? undefined : { pid, start, boot: bootId };
}

/** Readings of a living process; undefined when it is gone or a zombie. */
export function readProcess({ pid, start, boot }: Identity): { cpuSeconds: number; memoryBytes: number } | undefined {
  if (boot !== bootId) return undefined;
  const stat = statOf(pid);
  if (stat === undefined || stat[19] !== start || stat[0] === "Z" || stat[0] === "X") return undefined;
  const ticks = [11, 12, 13, 14].reduce((sum, field) => sum + Number(stat[field] ?? 0), 0);
  return { cpuSeconds: ticks / 100, memoryBytes: Number(stat[21] ?? 0) * 4096 };
}

export const isAlive = (identity: Identity): boolean => readProcess(identity) !== undefined;

/** Ends a process and everything in its PID namespace: asked first, killed after `graceMs`. */
export async function endProcess(identity: Identity, graceMs = 1500): Promise<void> {
  if (!isAlive(identity)) return;
  process.kill(identity.pid, "SIGTERM");
  const killAt = Date.now() + graceMs;
  let killed = false;
  while (isAlive(identity)) {
    if (!killed && Date.now() > killAt) {
      killed = true;
      process.kill(identity.pid, "SIGKILL");
    }
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}

/** Finds the init of a host whose record was never finished, by the marker in its argument list. */
export function findByMarker(marker: string): Identity | undefined {
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0")[1] === marker) return identify(Number(entry));
    } catch {
      // It ended meanwhile, or belongs to somebody else.
    }
  }
  return undefined;
}
