/** People of a city file: their accounts are made by a system administrator, their roles and the approval policies set by a security administrator (三员). */
import { z } from "zod";
import { LoginName } from "./accounts.ts";
import { Stage } from "./approvals.ts";
import { Reference, Title } from "./common.ts";
import { Role } from "./roles.ts";

/** A role on a node of the department tree; without a department it holds everywhere. */
const HeldRole = z.strictObject({ role: Role, department: Reference.nullable().default(null) });
export const Person = z.strictObject({ name: LoginName, displayName: Title, roles: z.array(HeldRole).min(1).max(20) });
export type Person = z.infer<typeof Person>;

/** In a profile: `approver` becomes the account `110108.approver`, whose name begins with the department's, and who holds the role there. */
export const ProfilePerson = z.strictObject({ name: LoginName, displayName: Title, role: Role });

/** An approval policy of a department. Its approvers are login names here. */
export const CityPolicy = z.strictObject({
  department: Reference,
  note: z.string().trim().max(2000).default(""),
  stages: z
    .array(Stage.extend({ approvers: z.array(LoginName).max(20).default([]) }))
    .min(1)
    .max(10),
});
export type CityPolicy = z.infer<typeof CityPolicy>;
