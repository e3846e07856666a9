/** Which roles the claims of an identity provider give. Pure. */
import type { ClaimRule } from "../contract/identity-providers.ts";

type Claims = Readonly<Record<string, unknown>>;

/** A claim by its name, or by the way into objects: `realm_access.roles`. A claim of that very name comes first. */
export function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  return path
    .split(".")
    .reduce<unknown>((at, part) => (typeof at === "object" && at !== null && Object.hasOwn(at, part) ? (at as Claims)[part] : undefined), claims);
}

/** The rules that hold for somebody with these claims, each role and department once. */
export function rulesThatHold(claims: Claims, mapping: readonly ClaimRule[]): Pick<ClaimRule, "role" | "department">[] {
  const held = mapping.filter((rule) => [claimAt(claims, rule.claim)].flat().some((value) => value === rule.value));
  return [...new Map(held.map(({ role, department }) => [`${role} ${department}`, { role, department }])).values()];
}

/** What somebody is called, by the usual claims. */
export function namesFrom(claims: Claims, subject: string): { login: string; displayName: string } {
  const text = (name: string) => (typeof claims[name] === "string" && claims[name].trim() !== "" ? claims[name].trim() : undefined);
  return { login: text("preferred_username") ?? subject, displayName: (text("name") ?? text("preferred_username") ?? subject).slice(0, 200) };
}
