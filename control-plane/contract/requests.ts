/** Requests (申请): how hosts, volumes, attachments and backup policies change. */
import { z } from "zod";
import { ApprovalStep } from "./approvals.ts";
import { FundKind } from "./projects.ts";
import { Code, Count, Dimension, Fen, Id, PageQuery, Reference, Revision, Tier, Time, Title } from "./common.ts";
import { SoftWarning } from "./quotas.ts";

const hostname = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
  .meta({ description: "RFC 1123 label", example: "web-1" });
const sshKey = z
  .string()
  .max(4096)
  .regex(/^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com) [A-Za-z0-9+/]+=*( [^\r\n]*)?$/)
  .meta({ description: "OpenSSH public key, one line" });
const port = z.strictObject({ protocol: z.enum(["tcp", "udp"]).default("tcp"), port: z.int().min(1).max(65_535) });

export const NewHost = z
  .strictObject({
    name: hostname,
    flavour: Code.meta({ description: "Code of a flavour of the catalogue", example: "standard" }),
    image: z.string().min(1).max(128),
    pool: Reference.optional().meta({ description: "Code of a compute pool; left out, placement chooses" }),
    type: z.enum(["container", "vm"]).optional().meta({ description: "Left out: a container, or a virtual machine where no pool may take it as a container" }),
    sshKeys: z.array(sshKey).max(20).default([]),
    addresses: z
      .array(z.union([z.ipv4(), z.ipv6()]))
      .max(16)
      .default([]),
    ports: z.array(port).max(64).default([]),
    userData: z.string().max(65_536).optional().meta({ description: "First-boot data. A secret: never shown again", writeOnly: true }),
    expiresAt: Time.optional(),
  })
  .meta({ id: "NewHost" });
export const NewVolume = z
  .strictObject({
    name: hostname,
    sizeGib: z.int().min(1).max(65_536),
    tier: Tier.default("standard"),
    pool: Reference.optional(),
    expiresAt: Time.optional(),
    backup: Id.optional().meta({
      description: "A complete backup of the department: the volume is made with its content. At least as large, and never of a lower protection level",
    }),
  })
  .meta({ id: "NewVolume" });
export const NewAttachment = z
  .strictObject({
    host: Reference.meta({ description: "Id of a host, or name of one in this application or this request" }),
    volume: Reference.meta({ description: "Id of a volume, or name of one in this application or this request" }),
    path: z
      .string()
      .max(255)
      .regex(/^\/(mnt|srv|data)(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/)
      .default("/data"),
  })
  .meta({ id: "NewAttachment" });
export const NewBackupPolicy = z
  .strictObject({
    name: hostname,
    volume: Reference,
    schedule: z.string().max(100).default("0 2 * * *").meta({ description: "Five-field cron" }),
    timezone: z.string().max(64).default("Asia/Shanghai"),
    keep: z.int().min(1).max(1000).default(7),
    pool: Reference.optional(),
  })
  .meta({ id: "NewBackupPolicy" });

/** When a host may be restarted, where a change can't be made while it runs. Whoever says so agrees to it: somebody of the department that owns the host. */
export const RestartTime = z
  .discriminatedUnion("when", [
    z.strictObject({ when: z.literal("now") }),
    z.strictObject({ when: z.literal("at"), at: Time }),
    z.strictObject({ when: z.literal("window") }),
  ])
  .meta({
    id: "RestartTime",
    description: "now: as soon as it is approved · at: at a moment, or not at all · window: in the next maintenance window that concerns the host",
  });
export type RestartTime = z.infer<typeof RestartTime>;
const restart = RestartTime.optional().meta({
  description: "When it may be restarted, if that turns out to be needed; can be said later too (POST /requests/{id}/agree-restart)",
});

/** What one item asks for. `id` names the resource of every action but create. */
export const Item = z
  .union([
    z.strictObject({ action: z.literal("create"), kind: z.literal("host"), spec: NewHost }),
    z.strictObject({ action: z.literal("create"), kind: z.literal("volume"), spec: NewVolume }),
    z.strictObject({ action: z.literal("create"), kind: z.literal("attachment"), spec: NewAttachment }),
    z.strictObject({ action: z.literal("create"), kind: z.literal("backup-policy"), spec: NewBackupPolicy }),
    z.strictObject({
      action: z.literal("resize"),
      kind: z.literal("host"),
      id: Id,
      spec: z.strictObject({ flavour: Code.meta({ description: "Its disk never shrinks: it keeps the one it has where the flavour's is smaller" }), restart }),
    }),
    z.strictObject({ action: z.literal("resize"), kind: z.literal("volume"), id: Id, spec: z.strictObject({ sizeGib: z.int().min(1).max(65_536), restart }) }),
    z.strictObject({ action: z.literal("extend"), kind: z.enum(["host", "volume"]), id: Id, spec: z.strictObject({ expiresAt: Time }) }),
    z.strictObject({ action: z.enum(["start", "stop"]), kind: z.literal("host"), id: Id, spec: z.strictObject({}).default({}) }),
    z.strictObject({
      action: z.literal("keys"),
      kind: z.literal("host"),
      id: Id,
      spec: z.strictObject({ sshKeys: z.array(sshKey).max(20).meta({ description: "All that it is to have; those that it had and are not here go" }) }),
    }),
    z.strictObject({
      action: z.literal("redeploy"),
      kind: z.literal("host"),
      id: Id,
      spec: z.strictObject({ image: z.string().min(1).max(128).optional().meta({ description: "Another image; left out, the one that it has" }) }).default({}),
    }),
    z.strictObject({
      action: z.literal("retire"),
      kind: z.enum(["host", "volume", "attachment", "backup-policy"]),
      id: Id,
      spec: z.strictObject({}).default({}),
    }),
    z.strictObject({
      action: z.literal("transfer"),
      kind: z.literal("application"),
      id: Id.meta({ description: "Of the request's application: it passes with all that it has, and the request has no other item" }),
      spec: z.strictObject({
        department: Reference.meta({ description: "Who receives it: id or code" }),
        project: Reference.meta({ description: "Which project of the receiver pays for it from then on: id or code" }),
      }),
    }),
  ])
  .meta({ id: "Item" });
/**
 * An item of a request. Two kinds come from operations staff alone, never as a body: `adopt` takes over what somebody changed behind our back (drift),
 * and a host that is `adopted` was there before us.
 */
export type Item = z.infer<typeof Item> | AdoptItem | { action: "create"; kind: "host"; spec: AdoptedHost };
interface Sizes {
  vcpu: number;
  memoryMib: number;
  diskGib: number;
  diskMibPerSecond?: number | undefined;
  networkMbps?: number | undefined;
}
export interface AdoptItem {
  action: "adopt";
  kind: "host" | "volume";
  id: string;
  spec: { flavour?: Partial<Sizes>; power?: "running" | "stopped"; sizeGib?: number };
}
export interface AdoptedHost {
  name: string;
  pool: string;
  flavour: Sizes;
  type: "container" | "vm";
  image: string;
  power: "running" | "stopped";
  addresses: string[];
  adopted: { project: string; instance: string };
  /** What of its isolation is weaker than our own hosts'. */
  weaknesses: string[];
  expiresAt?: string | undefined;
}

export const NewRequest = z
  .strictObject({
    project: Reference,
    application: Reference,
    title: Title,
    reason: z.string().trim().max(2000).default(""),
    items: z.array(Item).min(1).max(200),
    trialDays: z
      .int()
      .min(1)
      .max(180)
      .optional()
      .meta({ description: "A trial (试运行) of so many days after what it asks for was made: accepted, or refused and retired" }),
    draft: z.boolean().default(false).meta({ description: "true: keep it as a draft; POST /requests/{id}/submit submits it" }),
    department: Reference.optional().meta({ description: "Of the application; needed only where the application's code is not unique" }),
  })
  .meta({ id: "NewRequest" });
export type NewRequest = z.infer<typeof NewRequest>;

export const RequestState = z
  .enum([
    "draft",
    "submitted",
    "needs-information",
    "planned",
    "department-approval",
    "authority-approval",
    "waiting",
    "approved",
    "applying",
    "scheduled",
    "on-trial",
    "active",
    "expiring",
    "reclaimed",
    "failed",
    "rejected",
    "withdrawn",
  ])
  .meta({
    description:
      "submitted: the change plan is being made · department-approval, authority-approval: await decisions · needs-information: an approver asked the applicant · waiting: approved, and in the queue for capacity · scheduled: approved, and what is left of it waits for the restart that its owner agrees to · on-trial: to be accepted or refused · expiring: the term of a resource ends soon or is over · reclaimed: nothing of it is left · failed: no item could be made",
  });

export const PlanStep = z
  .object({
    action: z
      .enum(["create", "adopt", "update", "replace", "delete", "transfer"])
      .meta({ description: "adopt: taken over where it is, as it is · transfer: passes to another department, as it is" }),
    kind: z.string(),
    resource: Id,
    name: z.string(),
    changes: z.array(z.object({ path: z.string(), before: z.unknown().optional(), after: z.unknown().optional() })),
  })
  .meta({ id: "PlanStep" });
/** What a request costs from its submission to the end of the fiscal year, by the price book in force then: reserved in its project's fund. */
export const RequestCost = z
  .object({
    amountFen: Fen,
    from: Time,
    to: Time,
    fund: z.object({ kind: FundKind, fiscalYear: z.int() }),
    priceBook: z.int().meta({ description: "Version of the price book" }),
    items: z.array(z.object({ resource: Id, amountFen: Fen })),
  })
  .meta({ id: "RequestCost" });
export type RequestCost = z.infer<typeof RequestCost>;

const TransferSide = z.object({ department: Id, departmentName: z.string(), project: Id, projectCode: Code });
/** What a transfer of an application means for both sides. Nothing is moved, restarted or renamed. */
export const Transfer = z
  .object({
    from: TransferSide,
    to: TransferSide,
    common: Id.meta({ description: "The nearest department above both: its quota stays as it is, and its authority decides last" }),
    resources: z.array(z.object({ id: Id, kind: z.string(), name: z.string() })),
    accounts: z
      .array(
        z.object({
          department: Id,
          departmentName: z.string(),
          side: z.enum(["giving", "receiving"]),
          charge: z.array(z.object({ dimension: Dimension, quantity: z.int() })),
        }),
      )
      .meta({ description: "What is given back, and what is charged: at either department and those above it that are not above both" }),
    fund: z
      .object({ kind: FundKind, fiscalYear: z.int() })
      .nullable()
      .meta({ description: "The giver's fund, that is given back what it costs from the transfer to the year's end; the receiver's is the request's cost" }),
  })
  .meta({ id: "Transfer" });
export type Transfer = z.infer<typeof Transfer>;

/** Where something goes, and why there. */
export const Placement = z
  .object({
    pool: Code,
    reason: z.string(),
    member: z.string().optional().meta({ description: "Of the pool's cluster, where it is made first" }),
    memberReason: z.string().optional(),
    considered: z
      .array(z.object({ pool: z.string(), member: z.string().optional(), why: z.string() }))
      .optional()
      .meta({ description: "Where else it could have gone, and why not; the first of them" }),
  })
  .meta({ id: "Placement" });
export type Placement = z.infer<typeof Placement>;
/** The change plan (变更方案): what the request would do to its own resources, by a real Pulumi preview. An approval is bound to its hash. */
export const ChangePlan = z
  .object({
    hash: z.string(),
    computedAt: Time,
    steps: z.array(PlanStep),
    charge: z.array(z.object({ dimension: Dimension, quantity: z.int() })).meta({ description: "Quota charge, negative where given back" }),
    cost: RequestCost.nullable().default(null).meta({ description: "null: it costs nothing more" }),
    warnings: z.array(SoftWarning).default([]).meta({ description: "Soft limits that are passed with it: accepted, but to be looked at" }),
    specifications: z
      .array(z.object({ resource: Id, digest: z.string() }))
      .default([])
      .meta({ description: "SHA-256 of exactly what is approved; the provider refuses anything else" }),
    placement: z
      .array(Placement.extend({ resource: Id }))
      .meta({ description: "What is approved is the pool; member and what else was considered are not part of the hash" }),
    transfer: Transfer.optional().meta({ description: "Of a transfer only" }),
    restarts: z
      .array(z.object({ resource: Id, host: Id, hostName: z.string(), why: z.string() }))
      .default([])
      .meta({ description: "What cannot be changed while a host runs: which is approved; when it is restarted, its owner says" }),
    snapshots: z
      .array(z.object({ volume: Id, volumeName: z.string(), name: z.string(), takenAt: Time.nullable() }))
      .default([])
      .meta({
        description: "Snapshots that are lost with the volumes that it retires. Not part of the hash: while it is open none is added, and one may expire",
      }),
    waits: z.array(z.string()).default([]).meta({ description: "What there is no room for now: once approved, it waits for capacity. Not part of the hash" }),
    differences: z.array(z.string()).default([]).meta({ description: "How it differs from the plan that was decided on before; not part of the hash" }),
  })
  .meta({ id: "ChangePlan" });
export type ChangePlan = z.infer<typeof ChangePlan>;

export const RequestItem = z
  .object({
    id: Id,
    position: z.int(),
    action: z.string(),
    kind: z.string(),
    resource: Id,
    name: z.string(),
    spec: z.unknown(),
    state: z
      .enum(["pending", "scheduled", "applying", "active", "failed", "cancelled"])
      .meta({ description: "scheduled: it waits for the restart that its owner agrees to" }),
    restart: z
      .object({
        why: z.string().nullable().meta({ description: "Why it takes one; null: it does not, or that is not known yet" }),
        time: RestartTime.nullable().meta({ description: "What its owner agreed to; null: nothing yet" }),
        agreedBy: z.string().nullable(),
        agreedAt: Time.nullable(),
        dueAt: Time.nullable().meta({ description: "When it will be, as far as that is known: of a window its beginning" }),
        begunAt: Time.nullable(),
      })
      .nullable()
      .meta({ description: "Of a resize: whether and when a host is restarted for it" }),
    expiresAt: Time.nullable().meta({ description: "When the term of its resource ends, as it is now; null: it has none, or is gone" }),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
  })
  .meta({ id: "RequestItem" });
export const Request = z
  .object({
    id: Id,
    number: z.string(),
    department: Id,
    project: Id,
    application: Id,
    receiver: z
      .object({ department: Id, project: Id })
      .nullable()
      .meta({ description: "Of a transfer: who the application passes to. Both sides see the request" }),
    state: RequestState,
    title: z.string(),
    reason: z.string(),
    requestedBy: z.string(),
    decidedBy: z.string().nullable(),
    decidedAt: Time.nullable(),
    decisionReason: z.string().nullable(),
    items: z.array(RequestItem),
    plan: ChangePlan.nullable(),
    cost: RequestCost.nullable(),
    origin: z.enum(["term-stop", "term-reclaim", "trial-refusal", "member-lost"]).nullable().meta({
      description:
        "Made by the system since a term is over (its hosts are stopped, then retired), since a trial was refused, or since a member of a cluster was lost (its hosts are made anew)",
    }),
    about: Id.nullable().meta({ description: "The request whose resources it is about, where it has an origin" }),
    trialDays: z.int().nullable(),
    trialUntil: Time.nullable(),
    approvals: z.array(ApprovalStep).meta({ description: "Whose decisions it needs and has, in their order; rounds that count no more included" }),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    revision: Revision,
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "Request" });
export type Request = z.infer<typeof Request>;

/** POST /requests/{id}/amend: what an approver asked about is changed; the request is submitted anew. Every item is given again. */
export const Amendment = z
  .strictObject({
    title: Title.optional(),
    reason: z.string().trim().max(2000).optional(),
    items: z.array(Item).min(1).max(200),
    text: z.string().trim().min(1).max(4000).meta({ description: "What was changed, for the approvers" }),
  })
  .meta({ id: "Amendment" });
export type Amendment = z.infer<typeof Amendment>;
/** POST /requests/{id}/agree-restart */
export const RestartAgreement = z
  .strictObject({
    time: RestartTime,
    items: z.array(Id).min(1).max(200).optional().meta({ description: "Ids of items; left out, all that take a restart which has not begun" }),
  })
  .meta({ id: "RestartAgreement" });
export type RestartAgreement = z.infer<typeof RestartAgreement>;
/** POST /requests/{id}/refuse-trial */
export const TrialRefusal = z.strictObject({ reason: z.string().trim().min(1).max(2000) }).meta({ id: "TrialRefusal" });
/** A body that says nothing more. */
export const Nothing = z.strictObject({}).meta({ id: "Nothing" });
export const RequestQuery = PageQuery.extend({ department: Reference.optional(), state: RequestState.optional(), application: Reference.optional() });
export const Charge = z.object({ dimension: Dimension, quantity: Count });

/** The last moment of a day in Beijing. */
export const endOfDay = (day: string): string => `${day}T15:59:59.999Z`;

/** The body of a request that keeps all that another one made, and that has a term, until the end of a day in Beijing. */
export function extension(row: Request, day: string, reason: string) {
  const expiresAt = endOfDay(day);
  const kept = row.items.filter((item) => item.action === "create" && item.expiresAt !== null);
  return {
    project: row.project,
    application: row.application,
    department: row.department,
    title: `延期 / Extend ${row.number}`,
    reason,
    items: kept.map((item) => ({ action: "extend", kind: item.kind, id: item.resource, spec: { expiresAt } })),
  };
}
