/** Who may act as what, where and when: pure questions about role bindings (职责). */
import type { BindingKind, NewRoleBinding, Role } from "../contract/roles.ts";

/** A role that somebody holds for a node of the department tree and what is below it. */
export interface Binding {
  role: Role;
  kind: BindingKind;
  /** null: everywhere. */
  department: string | null;
  validFrom: Date;
  validUntil: Date | null;
  /** Of an external auditor: only records of this time are shown. */
  period: Period | null;
}
export interface Period {
  from: Date;
  to: Date;
}

/** As what somebody acts in one request. */
export interface Capacity {
  /** The roles that allow it, for the audit. */
  role: string;
  /** Nodes whose subtrees it may be about; null: all. */
  nodes: readonly string[] | null;
  period: Period | null;
}

/** 三员: nobody holds two of them at once (等级保护: separation of duties). The database's constraint names the same three. */
export const administrators: readonly Role[] = ["system-admin", "security-admin", "audit-admin"];
/** Roles that are about the platform and not about a part of the tree. */
const everywhereOnly: readonly Role[] = [...administrators, "operations"];

/** An eligible binding gives nothing by itself. */
export const isInForce = (binding: Binding, now: Date): boolean =>
  binding.kind !== "eligible" && binding.validFrom <= now && (binding.validUntil === null || binding.validUntil > now);

/** @returns undefined when none of the bindings in force is of one of these roles */
export function capacityOf(bindings: readonly Binding[], roles: readonly Role[], now: Date): Capacity | undefined {
  const held = bindings.filter((binding) => roles.includes(binding.role) && isInForce(binding, now));
  if (held.length === 0) return undefined;
  // Who acts as an auditor and as something else too is not held to the auditor's period.
  const limited = held.every((binding) => binding.period !== null);
  const everywhere = held.filter((binding) => binding.department === null);
  return {
    role: [...new Set((everywhere.length > 0 ? everywhere : held).map((binding) => binding.role))].join(","),
    nodes: everywhere.length > 0 ? null : [...new Set(held.map((binding) => binding.department!))],
    period: limited
      ? { from: new Date(Math.min(...held.map(({ period }) => +period!.from))), to: new Date(Math.max(...held.map(({ period }) => +period!.to))) }
      : null,
  };
}

export const isWithin = (period: Period | null, at: Date): boolean => period === null || (at >= period.from && at < period.to);

/** The time that is asked about, cut to what may be seen. */
export function within(period: Period | null, from: string | undefined, to: string | undefined): { from: Date | undefined; to: Date | undefined } {
  const asked = { from: from === undefined ? undefined : new Date(from), to: to === undefined ? undefined : new Date(to) };
  if (period === null) return asked;
  return {
    from: asked.from && asked.from > period.from ? asked.from : period.from,
    to: asked.to && asked.to < period.to ? asked.to : period.to,
  };
}

/** A place in a body that breaks a rule. */
export interface Fault {
  pointer: string;
  detail: string;
}

/** What is wrong with a grant by itself; empty: nothing. */
export function faultsOf(grant: NewRoleBinding, grantor: string, now: Date): Fault[] {
  const faults: Fault[] = [];
  const fault = (pointer: string, detail: string) => faults.push({ pointer, detail });
  const time = (value: string | null) => (value === null ? null : new Date(value));
  const from = time(grant.validFrom) ?? now;
  const until = time(grant.validUntil);
  if (grant.subject === grantor) fault("/subject", "nobody grants a role to themselves");
  if (everywhereOnly.includes(grant.role) && grant.department !== null) fault("/department", `${grant.role} is a role of the whole platform`);
  if (grant.role === "applicant" && grant.department === null) fault("/department", "an applicant acts for a department");
  if (until && until <= from) fault("/validUntil", "is not after the start");
  if (until && until <= now) fault("/validUntil", "is in the past");
  const periodFrom = time(grant.periodFrom);
  const periodTo = time(grant.periodTo);
  if (grant.role === "auditor") {
    if (!until) fault("/validUntil", "an external auditor's access has an end");
    if (!periodFrom || !periodTo) fault("/periodFrom", "an external auditor sees records of a period");
    else if (periodTo <= periodFrom) fault("/periodTo", "is not after periodFrom");
  } else if (periodFrom || periodTo) fault("/periodFrom", "only external auditors are held to a period");
  return faults;
}
