/** Electronic supervision (电子监察): rules over the lifecycle, cards (预警, 黄牌, 红牌), answers, corrections (纠错). */
import { z } from "zod";
import { Dimension, Fen, Id, PageQuery, Reference, Revision, Time, Title } from "./common.ts";

const Text = z.string().trim().min(1).max(4000);

export const SupervisionStage = z.enum(["planning", "waiting", "department-approval", "authority-approval", "needs-information", "implementing", "correction"]);
export type SupervisionStage = z.infer<typeof SupervisionStage>;
/** Stages that have a deadline of their own: an approval step by its policy, a correction by whoever ordered it. */
export const stagesWithDeadline: readonly SupervisionStage[] = ["department-approval", "authority-approval", "correction"];

const amount = (max: number) => z.int().min(1).max(max);
export const TimeLimitRule = z.strictObject({
  kind: z.literal("time-limit"),
  stage: SupervisionStage,
  unit: z
    .enum(["working-days", "hours"])
    .meta({ description: "working-days: by the calendar, a period ends with the last moment of its last day · hours: around the clock" }),
  limit: amount(1000).nullable().meta({ description: "null: the deadline that the step or the correction has itself" }),
  remindBefore: amount(1000)
    .nullable()
    .meta({ description: "A reminder (预警): hours before the limit, or with the beginning of the nth working day up to it, 1 being the last; null: none" }),
  redAfter: amount(1000).meta({ description: "A red card (红牌) so long after the limit, at which the yellow one (黄牌) is issued" }),
});
export const InstantColour = z.enum(["yellow", "red"]);
export const SkippedStepRule = z.strictObject({ kind: z.literal("skipped-step"), colour: InstantColour });
export const SplitRequestsRule = z.strictObject({
  kind: z.literal("split-requests"),
  colour: InstantColour,
  by: z.enum(["department", "project", "applicant"]).meta({ description: "Whose requests are added up" }),
  measure: z.union([z.literal("cost"), Dimension]).meta({ description: "cost in fen to the year's end, or a quantity that is asked for" }),
  windowDays: amount(366).meta({ description: "Submitted within so many days (calendar days) of each other" }),
  threshold: Fen.min(1)
    .nullable()
    .meta({ description: "Each is below it and all together are not. null: the plan policy's threshold for a third-party supervisor, of cost" }),
});
export const SamePersonRule = z.strictObject({ kind: z.literal("same-person"), colour: InstantColour });
export const RuleTerms = z.discriminatedUnion("kind", [TimeLimitRule, SkippedStepRule, SplitRequestsRule, SamePersonRule]);
export type RuleTerms = z.infer<typeof RuleTerms>;
export const RuleKind = z.enum(["time-limit", "skipped-step", "split-requests", "same-person"]);
export type RuleKind = z.infer<typeof RuleKind>;

const settled = {
  name: Title,
  terms: RuleTerms.meta({ description: "What the rule says. Its kind and its stage stay what they are" }),
  answerDays: z.int().min(1).max(90).default(3).meta({ description: "Working days for the answer to a card" }),
  enabled: z.boolean().default(true),
  note: z.string().trim().max(2000).default("").meta({ description: "Why it is so" }),
};
export const NewSupervisionRule = z
  .strictObject({ department: Reference.nullable().default(null).meta({ description: "Holds for its subtree; null: for all" }), ...settled })
  .meta({ id: "NewSupervisionRule" });
export type NewSupervisionRule = z.infer<typeof NewSupervisionRule>;
/** PUT /supervision-rules/{id}: a new version. Cards keep the version by which they were issued. */
export const SupervisionRuleChange = z.strictObject(settled).meta({ id: "SupervisionRuleChange" });
export type SupervisionRuleChange = z.infer<typeof SupervisionRuleChange>;
export const SupervisionRule = z
  .object({
    id: Id,
    department: Id.nullable(),
    departmentName: z.string().nullable(),
    name: z.string(),
    terms: RuleTerms,
    answerDays: z.int(),
    enabled: z.boolean(),
    note: z.string(),
    version: Revision,
    createdAt: Time,
    changedAt: Time,
    changedBy: z.string(),
    changedByName: z.string().nullable(),
  })
  .meta({ id: "SupervisionRule" });
export type SupervisionRule = z.infer<typeof SupervisionRule>;
export const SupervisionRuleVersion = z
  .object({ version: z.int(), name: z.string(), terms: RuleTerms, answerDays: z.int(), enabled: z.boolean(), note: z.string(), at: Time, by: z.string() })
  .meta({ id: "SupervisionRuleVersion" });
export type SupervisionRuleVersion = z.infer<typeof SupervisionRuleVersion>;

export const CardColour = z.enum(["reminder", "yellow", "red"]).meta({ description: "预警 before the limit, 黄牌 at it, 红牌 after it" });
export type CardColour = z.infer<typeof CardColour>;
export const CardState = z.enum(["open", "answered", "correcting", "accepted", "closed", "escalated", "met"]).meta({
  description:
    "open: waits for the answer of whom it concerns · answered: waits for supervision · correcting: a correction is under way · accepted: the reason was enough · closed: its corrections are closed · escalated: a graver card took its place before it was answered · met: a reminder, and the limit was kept",
});
export type CardState = z.infer<typeof CardState>;
/** States in which somebody still has to do something. */
export const openCardStates: readonly CardState[] = ["open", "answered", "correcting"];

export const CardPerson = z.object({ id: z.string(), name: z.string().nullable(), part: z.enum(["concerned", "superior"]) });
export const CardEntry = z
  .object({
    kind: z.enum([
      "issued",
      "escalated",
      "met",
      "answer",
      "addition",
      "accepted",
      "correction-ordered",
      "correction-done",
      "correction-reopened",
      "correction-closed",
    ]),
    at: Time,
    by: z.string(),
    byName: z.string().nullable(),
    text: z.string(),
  })
  .meta({ id: "SupervisionEntry" });
export type CardEntry = z.infer<typeof CardEntry>;
export const CorrectionState = z.enum(["open", "done", "closed"]);
export type CorrectionState = z.infer<typeof CorrectionState>;
export const Correction = z
  .object({
    id: Id,
    card: Id,
    cardColour: CardColour,
    department: Id,
    departmentName: z.string(),
    request: Id,
    requestNumber: z.string(),
    what: z.string(),
    assignee: z.string(),
    assigneeName: z.string().nullable(),
    state: CorrectionState,
    dueAt: Time,
    overdue: z.boolean(),
    openedBy: z.string(),
    openedByName: z.string().nullable(),
    openedAt: Time,
    doneAt: Time.nullable(),
    closedAt: Time.nullable(),
    revision: Revision,
  })
  .meta({ id: "Correction" });
export type Correction = z.infer<typeof Correction>;

export const SupervisionCard = z
  .object({
    id: Id,
    rule: Id,
    ruleName: z.string(),
    ruleVersion: z.int(),
    kind: RuleKind,
    stage: SupervisionStage.nullable().meta({ description: "Of a time limit" }),
    colour: CardColour,
    state: CardState,
    department: Id,
    departmentName: z.string(),
    request: Id,
    requestNumber: z.string(),
    requestTitle: z.string(),
    detail: z.string().meta({ description: "What was found" }),
    requests: z.array(Id).meta({ description: "Of split requests: all that count" }),
    people: z.array(CardPerson),
    limitAt: Time.nullable().meta({ description: "When the time limit ends, or ended" }),
    happenedAt: Time.meta({ description: "The moment for which it is issued" }),
    issuedAt: Time,
    answerDueAt: Time,
    answerOverdue: z.boolean(),
    previous: Id.nullable().meta({ description: "The card that it escalates" }),
    mayAnswer: z.boolean().meta({ description: "Whether it concerns the caller and still takes answers" }),
    revision: Revision,
  })
  .meta({ id: "SupervisionCard" });
export type SupervisionCard = z.infer<typeof SupervisionCard>;
export const SupervisionCardDetail = SupervisionCard.extend({ timeline: z.array(CardEntry), corrections: z.array(Correction) }).meta({
  id: "SupervisionCardDetail",
});
export type SupervisionCardDetail = z.infer<typeof SupervisionCardDetail>;

const CardFilter = {
  state: z
    .union([CardState, z.enum(["pending", "all"])])
    .optional()
    .meta({ description: "pending: open, answered or correcting" }),
  colour: CardColour.optional(),
};
export const CardQuery = PageQuery.extend({
  ...CardFilter,
  department: Reference.optional().meta({ description: "With what is below it" }),
  rule: Id.optional(),
  kind: RuleKind.optional(),
  request: Id.optional(),
});
export const OwnCardQuery = PageQuery.extend(CardFilter);
export const CardCountsQuery = z.object({ department: Reference.optional() });
export const CardCounts = z
  .object({
    colours: z.array(z.object({ colour: CardColour, pending: z.int(), all: z.int() })),
    answersOverdue: z.int(),
    correctionsOpen: z.int(),
    correctionsOverdue: z.int(),
  })
  .meta({ id: "SupervisionCounts" });
export type CardCounts = z.infer<typeof CardCounts>;
export const CorrectionQuery = PageQuery.extend({
  state: z.union([CorrectionState, z.enum(["overdue"])]).optional(),
  department: Reference.optional().meta({ description: "With what is below it" }),
});
export const OwnCorrectionQuery = PageQuery.extend({ state: CorrectionState.optional() });

/** All with If-Match of the card's, or of the correction's, revision. */
export const CardAnswer = z.strictObject({ text: Text }).meta({ id: "SupervisionAnswer" });
export const CardAcceptance = z.strictObject({ note: z.string().trim().max(4000).default("") }).meta({ id: "SupervisionAcceptance" });
/** POST /corrections, with If-Match of the card. */
export const NewCorrection = z
  .strictObject({
    card: Id,
    what: Text,
    assignee: Id.meta({ description: "One of those whom the card names" }),
    due: z.iso.date().meta({ description: "Last day, in Asia/Shanghai" }),
  })
  .meta({ id: "NewCorrection" });
export type NewCorrection = z.infer<typeof NewCorrection>;
export const CorrectionNote = z.strictObject({ note: Text }).meta({ id: "CorrectionNote" });
export const CorrectionReopening = z.strictObject({ note: Text, due: z.iso.date() }).meta({ id: "CorrectionReopening" });
