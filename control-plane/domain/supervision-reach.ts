/** Whom a supervision card reaches: those it concerns, and their superiors (上级). Pure. */
import type { Role } from "../contract/roles.ts";
import type { Concern } from "./supervision.ts";

/** Who holds a role at a node now; null: everywhere. */
export interface RoleHolder {
  subject: string;
  role: Role;
  department: string | null;
}
export interface Reach {
  concerned: string[];
  superiors: string[];
}

/** The holders of a role at the nearest node at or above a place in the chain that has any, and the place after it. */
function nearest(holders: readonly RoleHolder[], role: Role, chain: readonly (string | null)[], from: number): { people: string[]; after: number } {
  for (let place = from; place < chain.length; place++) {
    const people = [...new Set(holders.filter((one) => one.role === role && one.department === chain[place]).map((one) => one.subject))];
    if (people.length > 0) return { people, after: place + 1 };
  }
  return { people: [], after: chain.length };
}

/**
 * A step concerns the one whom it names, with whoever stands in for them; otherwise the holders of its role nearest to the request's department.
 * Their superiors are the holders of the same role at the next node above that has any; of operations, and where nobody is further up, the competent
 * authority nearest to the department. Of an applicant: the department's approvers. Nobody is their own superior.
 * @param departments the request's own and those above it, nearest first
 * @param standsIn of those on leave: who decides in their name now
 */
export function reachOf(
  concern: Concern,
  departments: readonly string[],
  holders: readonly RoleHolder[],
  standsIn: ReadonlyMap<string, readonly string[]>,
): Reach {
  const chain = [...departments, null];
  const withStandIns = (people: readonly string[]) => [...new Set(people.flatMap((one) => [one, ...(standsIn.get(one) ?? [])]))];
  const authority = () => nearest(holders, "authority", chain, 0).people;
  let concerned: string[];
  let above: string[];
  if ("people" in concern) {
    concerned = [...new Set(concern.people)];
    const deciders = new Set(holders.filter((one) => one.role === "approver" || one.role === "authority").map((one) => one.subject));
    above = concerned.some((one) => deciders.has(one)) ? authority() : nearest(holders, "approver", chain, 0).people;
  } else {
    const found = nearest(holders, concern.role, chain, 0);
    concerned = withStandIns(concern.named === null ? found.people : [concern.named]);
    above = concern.role === "operations" ? [] : nearest(holders, concern.role, chain, found.after).people;
  }
  const others = (people: readonly string[]) => people.filter((one) => !concerned.includes(one));
  const superiors = others(above);
  return { concerned, superiors: superiors.length > 0 ? superiors : others(authority()) };
}

/** The supervision officers (监察) of a department: whoever holds the role there or above. */
export const boardOf = (departments: readonly string[], holders: readonly RoleHolder[]): string[] => [
  ...new Set(
    holders.filter((one) => one.role === "supervision" && (one.department === null || departments.includes(one.department))).map((one) => one.subject),
  ),
];
