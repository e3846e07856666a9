/** Which control plane runs an update, so that another one (or the next) can tell whether it is gone. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { processStart } from "../store/lock.ts";

export interface Owner {
  owner_host: string;
  owner_pid: number;
  owner_started: string;
  /** Id of this control plane among those of one database. */
  owner_replica: string;
}

export const thisProcess: Owner = {
  owner_host: hostname(),
  owner_pid: process.pid,
  owner_started: processStart(process.pid) ?? "unknown",
  owner_replica: randomUUID(),
};

/** True only when it is certain: same machine, and no process of that id and start time. */
export function isGone(owner: Omit<Owner, "owner_replica">): boolean {
  return owner.owner_host === thisProcess.owner_host && processStart(owner.owner_pid) !== owner.owner_started;
}
