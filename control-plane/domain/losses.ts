/** What becomes of a host whose member doesn't answer, by its pool's policy: when, or why not. Pure. */
import type { MemberLossAction } from "../contract/pools.ts";

export interface LossPolicy {
  action: MemberLossAction;
  afterSeconds: number;
}
export interface LostOn {
  pool: string;
  member: string;
  /** Whether its pool's members share their storage; null: never read. */
  sharedStorage: boolean | null;
  /** It was there before us. */
  adopted: boolean;
  /** Its volumes that lie on the member itself. */
  volumes: readonly string[];
}
export interface Prospect {
  /** When the policy acts; null: it doesn't. */
  at: Date | null;
  /** Why it doesn't. */
  why: string | null;
}

/** @param since its member doesn't answer */
export function prospectOf(policy: LossPolicy, host: LostOn, since: Date): Prospect {
  if (policy.action === "wait") return { at: null, why: `the policy of pool ${host.pool} is to wait for ${host.member}` };
  const why = policy.action === "restart" ? whyNotElsewhere(host) : null;
  return why === null ? { at: new Date(since.getTime() + policy.afterSeconds * 1000), why } : { at: null, why };
}

/** Why a host cannot be started on another member than its own; null: its storage allows it. */
export function whyNotElsewhere({ pool, member, sharedStorage, adopted, volumes }: LostOn): string | null {
  if (adopted) return "it was there before us, and is not moved";
  if (sharedStorage === null) return `whether the members of pool ${pool} share their storage has not been read yet`;
  if (!sharedStorage) return `its disk lies on ${member} alone: the members of pool ${pool} share no storage`;
  return volumes.length > 0 ? `${volumes.join(", ")}: on ${member} alone` : null;
}
