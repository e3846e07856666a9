/** Roles (角色) and who holds them where. */
import { z } from "zod";
import { Id, PageQuery, Reference, Time } from "./common.ts";

export const Role = z.enum([
  "applicant",
  "approver",
  "authority",
  "finance",
  "supervision",
  "operations",
  "system-admin",
  "security-admin",
  "audit-admin",
  "auditor",
]);
export type Role = z.infer<typeof Role>;

/** What each role is for, as pages and documents say it. */
export const roleNames: Readonly<Record<Role, { zh: string; en: string }>> = {
  applicant: { zh: "申请人", en: "applicant" },
  approver: { zh: "部门审批人", en: "department approver" },
  authority: { zh: "主管部门", en: "competent authority" },
  finance: { zh: "财务审核人", en: "finance reviewer" },
  supervision: { zh: "监察员", en: "supervision officer" },
  operations: { zh: "运维人员", en: "operations staff" },
  "system-admin": { zh: "系统管理员", en: "system administrator" },
  "security-admin": { zh: "安全管理员", en: "security administrator" },
  "audit-admin": { zh: "审计管理员", en: "audit administrator" },
  auditor: { zh: "审计机关", en: "external auditor" },
};

/** standing: holds always · eligible: may be activated for a while with a reason · elevated: activated so (break-glass). */
export const BindingKind = z.enum(["standing", "eligible", "elevated"]);
export type BindingKind = z.infer<typeof BindingKind>;

const Reason = z.string().trim().min(1).max(1000);

export const RoleBinding = z
  .object({
    id: Id,
    subject: Id.meta({ description: "The account or token that holds it" }),
    subjectName: z.string().nullable(),
    role: Role,
    department: Id.nullable().meta({ description: "The node whose subtree it holds for; null: everywhere" }),
    kind: BindingKind,
    validFrom: Time,
    validUntil: Time.nullable(),
    periodFrom: Time.nullable().meta({ description: "External auditors see records of this period only" }),
    periodTo: Time.nullable(),
    reason: z.string(),
    grantedBy: z.string(),
    revokedAt: Time.nullable(),
    revokedBy: z.string().nullable(),
    review: z.object({ by: z.string(), at: Time, verdict: z.enum(["justified", "unjustified"]), comment: z.string() }).nullable(),
  })
  .meta({ id: "RoleBinding" });
export type RoleBinding = z.infer<typeof RoleBinding>;

export const NewRoleBinding = z
  .strictObject({
    subject: Id,
    role: Role,
    department: Reference.nullable().default(null),
    kind: z.enum(["standing", "eligible"]).default("standing"),
    validFrom: Time.nullable().default(null).meta({ description: "null: now" }),
    validUntil: Time.nullable().default(null),
    periodFrom: Time.nullable().default(null),
    periodTo: Time.nullable().default(null),
    reason: Reason,
  })
  .meta({ id: "NewRoleBinding" });
export type NewRoleBinding = z.infer<typeof NewRoleBinding>;

export const RoleBindingQuery = PageQuery.extend({
  subject: Id.optional(),
  role: Role.optional(),
  kind: BindingKind.optional(),
  unreviewed: z.enum(["true", "false"]).optional().meta({ description: "true: elevations that nobody has reviewed" }),
});
/** The longest that an elevation lasts. */
export const maxElevationMinutes = 480;
export const Elevation = z.strictObject({ reason: Reason, minutes: z.int().min(5).max(maxElevationMinutes) }).meta({ id: "Elevation" });
export const ElevationReview = z
  .strictObject({ verdict: z.enum(["justified", "unjustified"]), comment: z.string().trim().min(1).max(1000) })
  .meta({ id: "ElevationReview" });
export const Revocation = z.strictObject({ reason: Reason }).meta({ id: "Revocation" });
