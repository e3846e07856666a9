/** People and approval policies of a city file: who makes the accounts grants no roles (三员), so that these are two steps by two administrators. */
import { isDeepStrictEqual } from "node:util";
import type { Account, MadeAccount } from "../contract/accounts.ts";
import { type ApprovalPolicy, Stage } from "../contract/approvals.ts";
import type { Department } from "../contract/departments.ts";
import type { CityPolicy, Person } from "../contract/people.ts";
import type { RoleBinding } from "../contract/roles.ts";
import type { Client } from "./client.ts";

/** Who is to act in a city, and by which policies their departments approve. */
export interface People {
  people: readonly Person[];
  policies: readonly CityPolicy[];
}

/** An account that was made now, with the one-time link by which its person sets the password. */
export interface Invitation {
  id: string;
  name: string;
  displayName: string;
  link: string;
  expiresAt: string;
}

const reason = "city file";
const inForce = (binding: RoleBinding) => binding.revokedAt === null && (binding.validUntil === null || Date.parse(binding.validUntil) > Date.now());

/**
 * Makes the accounts that are not there yet, and the first security administrator while the platform has none. By a system administrator; may be repeated.
 * @throws ApiProblem as the API refuses
 */
export async function inviteCity(client: Client, { people }: People): Promise<Invitation[]> {
  const ids = await accountIds(client);
  const invited: Invitation[] = [];
  for (const { name, displayName } of people) {
    if (ids.has(name)) continue;
    const made = await client.post<MadeAccount>("/api/v1/accounts", { name, displayName });
    ids.set(name, made.id);
    invited.push({ id: made.id, name, displayName, link: `${client.url}${made.setUp!.path}`, expiresAt: made.setUp!.expiresAt });
  }
  const first = people.find((one) => one.roles.some(({ role }) => role === "security-admin"));
  const held = await Array.fromAsync(client.all<RoleBinding>("/api/v1/role-bindings", { role: "security-admin" }));
  if (first && !held.some(inForce))
    await client.post("/api/v1/role-bindings", { subject: ids.get(first.name), role: "security-admin", department: null, reason });
  return invited;
}

/**
 * Grants the roles that people don't hold yet, and sets the approval policies that differ. By a security administrator; may be repeated; takes nothing away.
 * @throws Error for a person without an account · ApiProblem as the API refuses
 */
export async function appointCity(client: Client, { people, policies }: People): Promise<{ granted: number; policies: number }> {
  const ids = await accountIds(client);
  const idOf = (name: string) => {
    const id = ids.get(name);
    if (id === undefined) throw new Error(`${name} has no account yet: let a system administrator run \`zhengyun city accounts\` first.`);
    return id;
  };
  const departments = new Map<string, string>();
  for await (const { id, code } of client.all<Department>("/api/v1/departments")) departments.set(code, id).set(id, id);
  const keyOf = (subject: string, role: string, department: string | null) => `${subject} ${role} ${department}`;
  const held = new Set<string>();
  for await (const binding of client.all<RoleBinding>("/api/v1/role-bindings", { kind: "standing" }))
    if (inForce(binding)) held.add(keyOf(binding.subject, binding.role, binding.department));
  let granted = 0;
  for (const person of people)
    for (const { role, department } of person.roles) {
      const subject = idOf(person.name);
      // An unknown department is the API's to refuse.
      if (held.has(keyOf(subject, role, department && (departments.get(department) ?? department)))) continue;
      await client.post("/api/v1/role-bindings", { subject, role, department, reason });
      granted++;
    }
  let set = 0;
  for (const { department, note, stages } of policies) {
    const path = `/api/v1/approval-policies/${encodeURIComponent(department)}`;
    const wanted = Stage.array().parse(stages.map((stage) => ({ ...stage, approvers: stage.approvers.map(idOf) })));
    const there = await client.get<ApprovalPolicy>(path);
    if (there.inheritedFrom === null && there.version > 0 && there.note === note && isDeepStrictEqual(Stage.array().parse(there.stages), wanted)) continue;
    await client.put(path, { stages: wanted, note }, there.version);
    set++;
  }
  return { granted, policies: set };
}

async function accountIds(client: Client): Promise<Map<string, string>> {
  const ids = new Map<string, string>();
  for await (const account of client.all<Account>("/api/v1/accounts")) ids.set(account.name, account.id);
  return ids;
}
