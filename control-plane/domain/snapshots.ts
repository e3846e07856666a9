/** Rules of snapshots and of putting a volume back to one. Pure. */
import { revertAskDays } from "../contract/snapshots.ts";
import { Refusal } from "./refusal.ts";

export interface KeptSnapshot {
  name: string;
  createdAt: Date;
  expiresAt: Date | null;
  /** Otherwise it is being taken, and can't be deleted yet. */
  complete: boolean;
}

/** Which one makes room: the one that expires first, otherwise the oldest. */
export function toDeleteFirst<T extends KeptSnapshot>(kept: readonly T[]): T | undefined {
  const due = (one: T) => one.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
  return kept.filter((one) => one.complete).toSorted((a, b) => due(a) - due(b) || a.createdAt.getTime() - b.createdAt.getTime())[0];
}

/** @throws Refusal rule-broken when the volume has as many as the policy lets it */
export function requireRoom(volume: string, kept: readonly KeptSnapshot[], perVolume: number): void {
  if (kept.length < perVolume) return;
  const first = toDeleteFirst(kept);
  throw new Refusal("rule-broken", `Volume ${volume} has ${kept.length} snapshots; the policy allows ${perVolume}.`, {
    remedy: first
      ? `Delete one first: ${first.name}, of ${first.createdAt.toISOString()}, is the first that would go.`
      : "Wait until one of them is complete, and delete it.",
  });
}

/** @throws Refusal invalid-body */
export function requireFuture(expiresAt: Date | null, now: Date): void {
  if (expiresAt !== null && expiresAt <= now)
    throw new Refusal("invalid-body", "A snapshot expires in the future.", { errors: [{ pointer: "/expiresAt", detail: "is in the past" }] });
}

/** The name typed once more. @throws Refusal invalid-body */
export function requireTyped(typed: string, volume: string): void {
  if (typed !== volume)
    throw new Refusal("invalid-body", `It is volume ${volume} that would be put back.`, { errors: [{ pointer: "/volumeName", detail: `is not ${volume}` }] });
}

/** Whether an ask has waited for too long for a second person. */
export const hasLapsed = (askedAt: Date, now: Date): boolean => now.getTime() - askedAt.getTime() > revertAskDays * 86_400_000;

export interface SnapshotWork {
  kind: "take" | "delete" | "revert";
  id: string;
  /** It was begun before: by a process that was killed, or whose call is tried again. */
  begun: boolean;
  since: Date;
}
/** What is done next on a volume, one at a time: what was begun before anything else, then as it was asked for. */
export function nextWork(work: readonly SnapshotWork[]): SnapshotWork | undefined {
  return work.toSorted((a, b) => Number(b.begun) - Number(a.begun) || a.since.getTime() - b.since.getTime() || (a.id < b.id ? -1 : 1))[0];
}
