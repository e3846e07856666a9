/** Maintenance windows (维护窗口): announced time in which what is down counts as maintenance. */
import { z } from "zod";
import { Id, PageQuery, Reference, Revision, Time } from "./common.ts";

const reason = z.string().trim().min(1).max(500);
const MemberName = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[A-Za-z0-9][A-Za-z0-9.-]*$/);

/** What it is about. Pools and applications by id or code where they are asked for, by id where they are shown. */
export const MaintenanceScope = z
  .discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("pool"), pool: Reference }),
    z.strictObject({ kind: z.literal("member"), pool: Reference, member: MemberName }).meta({ description: "A member of the cluster behind a pool" }),
    z.strictObject({ kind: z.literal("application"), application: Id }),
    z.strictObject({ kind: z.literal("hosts"), hosts: z.array(Id).min(1).max(500) }),
  ])
  .meta({ id: "MaintenanceScope" });
export type MaintenanceScope = z.infer<typeof MaintenanceScope>;

export const MaintenanceState = z.enum(["announced", "holding", "ended", "cancelled"]);
export type MaintenanceState = z.infer<typeof MaintenanceState>;

export const MaintenanceWindow = z
  .object({
    id: Id,
    scope: z.object({
      kind: z.enum(["pool", "member", "application", "hosts"]),
      pool: z.string().nullable().meta({ description: "Code of the pool" }),
      member: z.string().nullable(),
      application: z.string().nullable().meta({ description: "Name of the application" }),
    }),
    from: Time,
    to: Time.meta({ description: "Exclusive. One that was cancelled while it held ended then" }),
    state: MaintenanceState,
    reason: z.string(),
    emergencyReason: z.string().nullable().meta({ description: "Why it was announced later than the policy asks; null: it was not" }),
    announcedBy: z.string(),
    announcedByName: z.string().nullable(),
    announcedAt: Time,
    cancelledAt: Time.nullable(),
    cancelReason: z.string().nullable(),
    hosts: z
      .array(z.object({ id: Id, name: z.string(), department: Id, departmentName: z.string(), since: Time, until: Time.nullable() }))
      .meta({ description: "Those of the hosts concerned that the caller may see, and for what part of the window; at most 500" }),
    revision: Revision,
  })
  .meta({ id: "MaintenanceWindow" });
export type MaintenanceWindow = z.infer<typeof MaintenanceWindow>;

export const NewMaintenanceWindow = z
  .strictObject({
    scope: MaintenanceScope,
    from: Time.nullable().default(null).meta({ description: "Left out: at once, which only an emergency may" }),
    to: Time,
    reason,
    emergencyReason: reason
      .nullable()
      .default(null)
      .meta({ description: "Says that it is an emergency, and why: only then it may be announced later than the policy asks" }),
  })
  .meta({ id: "NewMaintenanceWindow" });
export type NewMaintenanceWindow = z.infer<typeof NewMaintenanceWindow>;

/** Moved before it begins; made longer or shorter until it ends. Time that has passed stays what it was. */
export const MaintenanceChange = z
  .strictObject({ from: Time.optional(), to: Time.optional(), reason, emergencyReason: reason.nullable().default(null) })
  .refine(({ from, to }) => from !== undefined || to !== undefined, "from or to")
  .meta({ id: "MaintenanceChange" });
export type MaintenanceChange = z.infer<typeof MaintenanceChange>;
export const MaintenanceCancel = z.strictObject({ reason }).meta({ id: "MaintenanceCancel" });

export const MaintenanceQuery = PageQuery.extend({
  department: Reference.optional().meta({ description: "Those that concern hosts of it or below it" }),
  state: z
    .enum([...MaintenanceState.options, "coming"])
    .optional()
    .meta({ description: "coming: announced or holding" }),
});

const policy = {
  noticeDays: z.int().min(0).max(60).meta({ description: "So many whole working days lie between announcement and start, unless it is an emergency" }),
  longestHours: z.int().min(1).max(720).meta({ description: "No window is longer" }),
};
export const MaintenancePolicy = z.object({ ...policy, revision: z.int().min(0) }).meta({ id: "MaintenancePolicy" });
export type MaintenancePolicy = z.infer<typeof MaintenancePolicy>;
export const MaintenancePolicyChange = z.strictObject(policy).meta({ id: "MaintenancePolicyChange" });
export type MaintenancePolicyChange = z.infer<typeof MaintenancePolicyChange>;
