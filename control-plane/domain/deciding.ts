/** Who may decide on a request: the one rule, asked by every decision and by the inbox. Pure. */
import type { ProblemCode } from "../contract/problems.ts";

/** Somebody with the roles that they hold now. */
export interface Holder {
  id: string;
  holds: readonly {
    role: string;
    /** The node whose subtree the role covers; null: everything. */
    department: string | null;
  }[];
}
export interface Decider extends Holder {
  /** Those on leave who have named this one for now. Whoever they themselves stand in for is not among them: no chains. */
  standsInFor: readonly Holder[];
}
/** What a step asks for. */
export interface Asked {
  role: string;
  /** Whom alone it asks; null: anybody with the role. */
  approver: string | null;
}
/** What of a request the rule depends on. */
export interface Subject {
  /** Everybody who wrote, submitted or changed it. */
  authors: readonly string[];
  /** Its department and those above it. */
  departments: readonly string[];
  /** Decisions on its other steps that count. */
  decisions: readonly { by: string; for: string | null }[];
}
/** `for`: on whose behalf; null: in one's own name. */
export type Verdict = { for: string | null } | { code: Extract<ProblemCode, "self-approval" | "second-decision" | "forbidden">; why: string };

const covers = (holder: Holder, step: Asked, subject: Subject) =>
  holder.holds.some(({ role, department }) => role === step.role && (department === null || subject.departments.includes(department)));

/**
 * Nobody decides on a request that they wrote, submitted or changed, on two steps of one request, or for somebody who may not.
 * @param onBehalfOf the one on leave who is meant; left out: oneself where that is allowed, else whoever on leave is asked
 */
export function mayDecide(decider: Decider, step: Asked, subject: Subject, onBehalfOf?: string): Verdict {
  if (subject.authors.includes(decider.id)) return { code: "self-approval", why: "This request is your own: somebody else decides on it." };
  const decided = (id: string) => subject.decisions.some((one) => one.by === id || one.for === id);
  if (decided(decider.id)) return { code: "second-decision", why: "You have decided on another step of this request: somebody else decides on this one." };

  const holders = onBehalfOf === undefined ? [decider, ...decider.standsInFor] : decider.standsInFor.filter((one) => one.id === onBehalfOf);
  // A stand-in must be allowed what is done in another's name.
  const asked = covers(decider, step, subject)
    ? holders.filter((one) => covers(one, step, subject) && (step.approver === null || step.approver === one.id))
    : [];
  if (asked.length === 0)
    return {
      code: "forbidden",
      why:
        onBehalfOf !== undefined && holders.length === 0
          ? `You don't stand in for ${onBehalfOf} now.`
          : `This step asks ${step.approver ?? `the role ${step.role}`}${step.approver === null ? " at the request's department or above it" : ""}.`,
    };
  const free = asked.find((one) => !subject.authors.includes(one.id) && !decided(one.id));
  if (free) return { for: free.id === decider.id ? null : free.id };
  return asked.some((one) => subject.authors.includes(one.id))
    ? { code: "self-approval", why: "The one that you stand in for wrote this request: somebody else decides on it." }
    : { code: "second-decision", why: "The one that you stand in for has decided on another step of this request." };
}
