/**
 * What may lie where: the one rule for everything that places, restores, backs up, moves between pools or hands over to another department. Pure.
 * What is protected more never goes where less is protected; from level 3 on hosts share machines with nobody but their own: they are virtual machines, or
 * their pool is dedicated.
 */

/** Of a pool. */
export interface Protection {
  kind: "compute" | "storage" | "backup";
  securityLevel: number;
  zone: "extranet" | "internet";
  /** Ids; null: for all. An application alone, or a department with all below it. */
  dedicatedTo: { department: string; application: string | null } | null;
}
/** Whose something is. */
export interface Owner {
  /** Id of the application. */
  application: string;
  /** Ids of its department and of all above it. */
  departments: readonly string[];
  protectionLevel: number;
  zone: Protection["zone"];
}

/** From this level on containers of several owners don't share a machine. */
export const sharedBelow = 3;

/** Why what belongs to somebody may not lie in a pool, as the end of a sentence; undefined: it may. @param vm a host that is a virtual machine */
export function whyNotIn(owner: Owner, pool: Protection, { vm = false }: { vm?: boolean } = {}): string | undefined {
  if (pool.securityLevel < owner.protectionLevel) return `protection level ${pool.securityLevel} is below ${owner.protectionLevel}`;
  if (pool.zone !== owner.zone) return `is in the zone ${pool.zone}`;
  if (pool.dedicatedTo && !isFor(pool.dedicatedTo, owner)) return "is dedicated to others";
  if (pool.kind === "compute" && pool.securityLevel >= sharedBelow && !pool.dedicatedTo && !vm)
    return `is of level ${pool.securityLevel} and dedicated to nobody: it takes virtual machines only`;
  return undefined;
}

const isFor = (to: NonNullable<Protection["dedicatedTo"]>, owner: Owner): boolean =>
  to.application === null ? owner.departments.includes(to.department) : to.application === owner.application;
