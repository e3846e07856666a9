/** Annual project plans (年度项目计划): projects with their stages, funds and what was decided about them. */
import { z } from "zod";
import { Code, Fen, Id, Reference, Revision, Time, Title } from "./common.ts";

export const ProjectStage = z
  .enum(["filed", "reviewed", "approved", "accepted", "operating", "evaluated", "closed"])
  .meta({ description: "申报, 评审, 立项, 验收, 运维, 绩效评价, 关闭" });
export type ProjectStage = z.infer<typeof ProjectStage>;
export const ProjectEvent = z
  .enum(["review", "return", "approve", "accept", "operate", "evaluate", "close"])
  .meta({ description: "review: experts' opinions · return: back to who filed it · approve: with its funds · operate: after acceptance, or another year" });
export type ProjectEvent = z.infer<typeof ProjectEvent>;

export const FundKind = z.enum(["construction", "operating"]).meta({ description: "建设资金, 运维资金" });
export type FundKind = z.infer<typeof FundKind>;
const FiscalYear = z.int().min(2000).max(2100).meta({ description: "Calendar year in Asia/Shanghai" });

/** Money of a project for one purpose and one year. left = amount − reserved − committed − spent; below zero where what runs costs more. */
export const Fund = z
  .object({ kind: FundKind, fiscalYear: FiscalYear, amountFen: Fen, reservedFen: Fen, committedFen: Fen, spentFen: Fen, leftFen: z.int() })
  .meta({ id: "Fund" });
export type Fund = z.infer<typeof Fund>;
export const NewFund = z.strictObject({ kind: FundKind, fiscalYear: FiscalYear, amountFen: Fen }).meta({ id: "NewFund" });
export type NewFund = z.infer<typeof NewFund>;
export const FundPath = z.object({ id: Id, kind: FundKind, year: z.coerce.number().int().min(2000).max(2100) });
export const FundChange = z.strictObject({ amountFen: Fen, reason: z.string().trim().min(1).max(2000) }).meta({ id: "FundChange" });

/** The third-party project supervisor (监理). */
export const Supervisor = z
  .strictObject({
    name: Title,
    creditCode: z
      .string()
      .regex(/^[0-9A-HJ-NPQRTUWXY]{18}$/)
      .nullable()
      .default(null)
      .meta({ description: "统一社会信用代码" }),
  })
  .meta({ id: "Supervisor" });

export type Supervisor = z.infer<typeof Supervisor>;

/** An item of a department's annual project plan. Resources are provisioned only under an approved or operating one. */
export const Project = z
  .object({
    id: Id,
    department: Id,
    code: Code,
    name: Title,
    fiscalYear: FiscalYear,
    budgetFen: Fen.meta({ description: "As filed; once approved the sum of its funds" }),
    stage: ProjectStage,
    supervisor: Supervisor.nullable(),
    funds: z.array(Fund),
    filedBy: z.string(),
    revision: Revision,
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "Project" });
export type Project = z.infer<typeof Project>;
export const NewProject = z
  .strictObject({
    department: Reference,
    code: Code,
    name: Title,
    fiscalYear: FiscalYear,
    budgetFen: Fen,
    supervisor: Supervisor.nullable().default(null),
  })
  .meta({ id: "NewProject" });
export type NewProject = z.infer<typeof NewProject>;
/** What a city file brings along was decided elsewhere: a project comes at its stage, with its funds. */
export const CityProject = NewProject.extend({
  stage: ProjectStage.default("filed"),
  funds: z.array(NewFund).max(200).default([]).meta({ description: "None: the budget is the fund of its fiscal year once it is approved" }),
}).meta({ id: "CityProject" });
export type CityProject = z.infer<typeof CityProject>;
export const ProjectChange = z.strictObject({ name: Title, budgetFen: Fen, supervisor: Supervisor.nullable() }).partial().meta({ id: "ProjectChange" });

/** What proves it: a document's name, where it is kept and its digest. */
export const Evidence = z
  .strictObject({
    name: Title,
    reference: z.string().trim().max(500).default("").meta({ description: "File number or address" }),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .nullable()
      .default(null),
  })
  .meta({ id: "ProjectEvidence" });
export const Opinion = z
  .strictObject({
    expert: Title,
    organisation: Title,
    verdict: z.enum(["support", "support-with-changes", "oppose"]),
    opinion: z.string().trim().min(1).max(5000),
  })
  .meta({ id: "ExpertOpinion" });
export const ProjectAdvance = z
  .strictObject({
    event: ProjectEvent,
    reason: z.string().trim().min(1).max(2000),
    evidence: z.array(Evidence).max(50).default([]).meta({ description: "Needed to accept and to evaluate" }),
    opinions: z.array(Opinion).max(50).default([]).meta({ description: "Needed to review" }),
    funds: z.array(NewFund).max(200).default([]).meta({ description: "Set by approve, accept and operate" }),
  })
  .meta({ id: "ProjectAdvance" });
export type ProjectAdvance = z.infer<typeof ProjectAdvance>;
export const ProjectStep = z
  .object({
    id: Id,
    project: Id,
    event: ProjectEvent,
    from: ProjectStage,
    to: ProjectStage,
    reason: z.string(),
    evidence: z.array(Evidence),
    opinions: z.array(Opinion),
    funds: z.array(NewFund),
    actor: z.string(),
    role: z.string(),
    at: Time,
  })
  .meta({ id: "ProjectStep" });
export type ProjectStep = z.infer<typeof ProjectStep>;

/** A table of projects to be filed, all or none. Projects are known by department and code; what is filed and equal is left alone, what differs is changed. */
export const ProjectImport = z
  .strictObject({
    dryRun: z.boolean().default(false).meta({ description: "true: only say what would be done" }),
    projects: z.array(NewProject).min(1).max(10_000),
  })
  .meta({ id: "ProjectImport" });
export type ProjectImport = z.infer<typeof ProjectImport>;
export const ProjectImported = z.object({ dryRun: z.boolean(), created: z.int(), changed: z.int(), unchanged: z.int() }).meta({ id: "ProjectImported" });

export const PlanPolicy = z
  .object({
    supervisorThresholdFen: Fen.meta({ description: "From this budget on a third-party supervisor must be named before approval" }),
    revision: z.int().min(0),
  })
  .meta({ id: "PlanPolicy" });
export type PlanPolicy = z.infer<typeof PlanPolicy>;
export const PlanPolicyChange = z.strictObject({ supervisorThresholdFen: Fen }).meta({ id: "PlanPolicyChange" });
