/** Who may enter a host, by what right, and who may consent to it. Pure. */
import type { ConsentState } from "../contract/consents.ts";
import { askDays } from "../contract/consents.ts";
import type { SessionBasis } from "../contract/host-sessions.ts";
import { type Binding, isInForce } from "./authority.ts";

/** A host, and the departments that it lies in: its own first, then the ones above. */
export interface Place {
  hostId: string;
  applicationId: string;
  departments: readonly string[];
}
export interface HeldBinding extends Binding {
  id: string;
}
export interface GivenConsent {
  id: string;
  departmentId: string;
  hostId: string | null;
  applicationId: string;
  /** null: whoever holds the role operations. */
  granteeId: string | null;
  state: "asked" | "granted" | "refused" | "withdrawn" | "revoked";
  askedAt: Date;
  validUntil: Date | null;
}
export interface Right {
  basis: SessionBasis;
  /** The role by which. */
  role: string;
  consentId: string | null;
  /** Of break-glass: the elevation. */
  bindingId: string | null;
}

const covers = (binding: Binding, departments: readonly string[]) => binding.department === null || departments.includes(binding.department);
const isOperator = (binding: Binding) => binding.role === "operations" || binding.role === "system-admin";

/** By what rights a person enters a host now, the best first: an owner's own, then consents, and break-glass where nothing else is. */
export function rightsTo(person: string, held: readonly HeldBinding[], place: Place, consents: readonly GivenConsent[], now: Date): Right[] {
  const inForce = held.filter((binding) => isInForce(binding, now));
  const operators = inForce.filter(isOperator);
  const owns = (binding: Binding) => binding.role === "applicant" && covers(binding, place.departments);
  const given = operators.length === 0 ? [] : consents.filter((one) => lets(one, person, operators, place, now));
  return [
    ...inForce.filter((one) => one.kind === "standing" && owns(one)).map((one) => right("owner", one.role, null, null)),
    ...given.map((one) => right("consent", operators[0]!.role, one.id, null)),
    ...inForce.filter((one) => one.kind === "elevated" && (isOperator(one) || owns(one))).map((one) => right("break-glass", one.role, null, one.id)),
  ];
}
const right = (basis: SessionBasis, role: string, consentId: string | null, bindingId: string | null): Right => ({ basis, role, consentId, bindingId });

/** A consent is its department's: what has gone to another one since is not in it. */
function lets(consent: GivenConsent, person: string, operators: readonly Binding[], place: Place, now: Date): boolean {
  const about = consent.applicationId === place.applicationId && (consent.hostId === null || consent.hostId === place.hostId);
  const to = consent.granteeId === null ? operators.some((binding) => binding.role === "operations") : consent.granteeId === person;
  return about && to && consent.departmentId === place.departments[0] && stateOf(consent, now) === "granted";
}

/** With what time has made of it. */
export function stateOf({ state, askedAt, validUntil }: Pick<GivenConsent, "state" | "askedAt" | "validUntil">, now: Date): ConsentState {
  if (state === "asked" && now.getTime() - askedAt.getTime() > askDays * 86_400_000) return "lapsed";
  if (state === "granted" && validUntil !== null && validUntil <= now) return "over";
  return state;
}

/** Whether somebody may speak for the owning department: of it, by a standing role, and no operator. */
export function mayConsent(held: readonly Binding[], departments: readonly string[], now: Date): boolean {
  const inForce = held.filter((binding) => isInForce(binding, now));
  if (inForce.some(isOperator)) return false;
  return inForce.some(
    (binding) => (binding.role === "applicant" || binding.role === "approver") && binding.kind === "standing" && covers(binding, departments),
  );
}
