/** Approval (审批): policies, steps, delegations, the inbox; comments and evidence; calendars of working days. */
import { z } from "zod";
import { Id, PageQuery, Reference, Time, Title } from "./common.ts";

const Text = z.string().trim().min(1).max(4000);
const Day = z.iso.date().meta({ description: "A day in Asia/Shanghai", example: "2026-10-01" });
/** Roles that decide on requests. */
export const DecidingRole = z.enum(["approver", "authority"]);
export const StageKind = z.enum(["department-approval", "authority-approval"]);

export const Stage = z
  .strictObject({
    name: Title,
    kind: StageKind.meta({ description: "department-approval: the department's own · authority-approval: the competent authority's (主管部门), after it" }),
    role: DecidingRole.meta({ description: "Whom it asks, at the request's department or above it" }),
    approvers: z.array(Id).max(20).default([]).meta({ description: "Whom alone it asks, in this order; empty: anybody with the role" }),
    mode: z.enum(["serial", "parallel"]).default("serial").meta({ description: "One after the other, or all at once" }),
    needed: z
      .int()
      .min(1)
      .max(20)
      .nullable()
      .default(null)
      .meta({ description: "How many must approve, each a different person; null: all who are named, or one. One rejection rejects the request" }),
    days: z.int().min(1).max(90).default(3).meta({ description: "Working days (工作日) for each decision" }),
  })
  .meta({ id: "ApprovalStage" });
export type Stage = z.infer<typeof Stage>;

/** The stages in force for a department. `version` 0: the built-in default. */
export const ApprovalPolicy = z
  .object({
    department: Id.meta({ description: "For which it was asked" }),
    inheritedFrom: Id.nullable().meta({ description: "The department above that it comes from; null: the department's own, or the built-in default" }),
    version: z.int().min(0).meta({ description: "Of the department's own policy; 0: it has had none. The ETag is this number in quotes" }),
    stages: z.array(Stage),
    note: z.string(),
    changedBy: z.string().nullable(),
    changedAt: Time.nullable(),
  })
  .meta({ id: "ApprovalPolicy" });
export type ApprovalPolicy = z.infer<typeof ApprovalPolicy>;
export const ApprovalPolicyVersion = z
  .object({
    department: Id,
    version: z.int().min(1),
    stages: z.array(Stage).nullable().meta({ description: "null: inherits again" }),
    note: z.string(),
    changedBy: z.string(),
    changedAt: Time,
  })
  .meta({ id: "ApprovalPolicyVersion" });
export const NewApprovalPolicy = z
  .strictObject({
    stages: z.array(Stage).min(1).max(10).nullable().meta({ description: "null: inherit again" }),
    note: z.string().trim().max(2000).default(""),
  })
  .meta({ id: "NewApprovalPolicy" });

export const StepState = z
  .enum(["waiting", "open", "asked", "approved", "rejected", "skipped"])
  .meta({ description: "waiting: its turn has not come · asked: the approver asked the applicant something · skipped: enough others have decided" });
export const ApprovalStep = z
  .object({
    id: Id,
    round: z.int().min(1).meta({ description: "Goes up when a plan that moved sends the request back to its first approver" }),
    position: z.int(),
    name: z.string(),
    kind: StageKind,
    role: z.string(),
    approver: z.string().nullable(),
    state: StepState,
    openedAt: Time.nullable(),
    dueAt: Time.nullable().meta({ description: "Last moment of the last working day" }),
    provisional: z.boolean().meta({ description: "The time until then reaches into a year whose holidays are not known yet: it may move when they are" }),
    decidedAt: Time.nullable(),
    decidedBy: z.string().nullable(),
    decidedByName: z.string().nullable(),
    onBehalfOf: z.string().nullable().meta({ description: "Who was on leave: decidedBy decided for this one" }),
    onBehalfOfName: z.string().nullable(),
    reason: z.string(),
    planHash: z.string().nullable().meta({ description: "Of the change plan that was decided on" }),
    invalidatedAt: Time.nullable().meta({ description: "When the plan moved: the decision counts no more" }),
  })
  .meta({ id: "ApprovalStep" });
export type ApprovalStep = z.infer<typeof ApprovalStep>;

const onBehalfOf = Id.optional().meta({ description: "Whoever on leave has delegated to the caller; left out, oneself where that is allowed" });
const planHash = z.string().min(1).max(128);
/** POST /requests/{id}/approve, /reject and /return, with If-Match. `planHash` is the plan that was looked at. */
export const Approval = z.strictObject({ planHash, reason: z.string().trim().max(2000).default(""), onBehalfOf }).meta({ id: "Approval" });
export const Rejection = z
  .strictObject({ reason: z.string().trim().min(1).max(2000), planHash: planHash.optional(), onBehalfOf })
  .meta({ id: "Rejection", description: "planHash: left out, the plan of the revision that If-Match names" });
export const Question = z.strictObject({ question: Text, planHash: planHash.optional(), onBehalfOf }).meta({ id: "Question" });
export const Answer = z.strictObject({ text: Text }).meta({ id: "Answer" });

/** GET /requests/{id}/decision: whether the caller may decide now, and why not. */
export const DecisionOffer = z
  .object({
    step: Id.nullable().meta({ description: "The step that the caller may decide; null: none" }),
    onBehalfOf: z.object({ id: Id, name: z.string() }).nullable(),
    code: z.string().nullable().meta({ description: "Code of the problem that a decision would meet" }),
    why: z.string().nullable(),
    overdue: z.boolean(),
    workingDaysLeft: z.int().nullable(),
    provisional: z.boolean().meta({ description: "The deadline reaches into a year whose holidays are not known yet" }),
  })
  .meta({ id: "DecisionOffer" });
export type DecisionOffer = z.infer<typeof DecisionOffer>;

export const InboxQuery = PageQuery.extend({ state: z.enum(["todo", "done"]).default("todo").meta({ description: "todo 待办, done 已办" }) });
export const InboxItem = z
  .object({
    step: ApprovalStep,
    request: z.object({
      id: Id,
      number: z.string(),
      title: z.string(),
      state: z.string(),
      department: Id,
      departmentNameZh: z.string(),
      departmentNameEn: z.string(),
      planHash: z.string().nullable(),
      revision: z.int(),
    }),
    overdue: z.boolean(),
    workingDaysLeft: z.int().nullable().meta({ description: "After today; 0: today is the last. null: decided, or overdue" }),
    provisional: z.boolean(),
    /** Of whom one would decide on behalf; null: in one's own name. */
    onBehalfOf: z.object({ id: Id, name: z.string() }).nullable(),
  })
  .meta({ id: "InboxItem" });
export type InboxItem = z.infer<typeof InboxItem>;

export const Comment = z
  .object({
    id: Id,
    request: Id,
    kind: z.enum(["comment", "question", "answer", "amendment"]),
    text: z.string(),
    author: z.string(),
    authorName: z.string().nullable(),
    createdAt: Time,
  })
  .meta({ id: "Comment" });
export type Comment = z.infer<typeof Comment>;
export const NewComment = z.strictObject({ text: Text }).meta({ id: "NewComment" });

/** Types that evidence may have. Nothing of it is ever shown by the browser itself: it is saved. */
export const evidenceTypes = {
  "application/pdf": [".pdf"],
  "application/ofd": [".ofd"],
  "image/png": [".png"],
  "image/jpeg": [".jpg", ".jpeg"],
  "text/plain": [".txt"],
  "text/csv": [".csv"],
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": [".docx"],
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": [".xlsx"],
} as const;
export const EvidenceType = z.enum(Object.keys(evidenceTypes) as [keyof typeof evidenceTypes]);
export type EvidenceType = z.infer<typeof EvidenceType>;
/** Bytes of one file. */
export const evidenceLimit = 4 * 1024 * 1024;
export const Evidence = z
  .object({
    id: Id,
    request: Id,
    name: z.string(),
    type: z.string(),
    sizeBytes: z.int(),
    sha256: z.string(),
    author: z.string(),
    authorName: z.string().nullable(),
    createdAt: Time,
  })
  .meta({ id: "Evidence" });
export type Evidence = z.infer<typeof Evidence>;
export const NewEvidence = z
  .strictObject({
    name: z
      .string()
      .trim()
      .min(1)
      .max(200)
      // eslint-disable-next-line no-control-regex
      .regex(/^[^/\\\u0000-\u001f\u007f]+$/, "a file's name, without a path"),
    type: EvidenceType,
    content: z
      .base64()
      .min(1)
      .max(Math.ceil(evidenceLimit / 3) * 4)
      .meta({ description: "The file in base64; at most 4 MiB" }),
  })
  .meta({ id: "NewEvidence" });

export const Delegation = z
  .object({
    id: Id,
    from: z.string(),
    fromName: z.string().nullable(),
    to: z.string(),
    toName: z.string().nullable(),
    begins: Time,
    ends: Time,
    reason: z.string(),
    endedAt: Time.nullable().meta({ description: "When it was ended early" }),
    createdAt: Time,
  })
  .meta({ id: "Delegation" });
export type Delegation = z.infer<typeof Delegation>;
/** POST /delegations: the caller goes on leave and names who decides meanwhile. */
export const NewDelegation = z.strictObject({ to: Id, begins: Time, ends: Time, reason: Text }).meta({ id: "NewDelegation" });

const days = z.array(Day).max(366);
/** What the State Council says of a year: which days are free beside the weekends, and which days of weekends are worked (调休). */
export const Calendar = z
  .object({
    year: z.int(),
    source: z.string(),
    holidays: z.array(Day),
    workingDays: z.array(Day),
    revision: z.int().min(1),
    updatedAt: Time,
  })
  .meta({ id: "Calendar" });
export type Calendar = z.infer<typeof Calendar>;
const Year = z.int().min(2000).max(2100);
export const NewCalendar = z.strictObject({ year: Year, source: Title, holidays: days, workingDays: days }).meta({ id: "NewCalendar" });
export const CalendarChange = NewCalendar.omit({ year: true }).meta({ id: "CalendarChange" });
export const CalendarPath = z.object({ year: z.coerce.number().int().min(2000).max(2100) });
export const PolicyPath = z.object({ department: Reference });
export const PolicyQuery = PageQuery.extend({ department: Reference.optional() });
