import { z } from "zod";
import { Code, Fen, Id, Reference, Revision, Time, Title } from "./common.ts";

export const ProjectStage = z.enum(["filed", "reviewed", "approved", "accepted", "operating", "evaluated", "closed"]);
/** An item of a department's annual project plan (年度项目计划). Resources are provisioned only under an approved or operating one. */
export const Project = z
  .object({
    id: Id,
    department: Id,
    code: Code,
    name: Title,
    fiscalYear: z.int().min(2000).max(2100),
    budgetFen: Fen,
    stage: ProjectStage,
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
    fiscalYear: z.int().min(2000).max(2100),
    budgetFen: Fen,
    stage: ProjectStage.default("filed"),
  })
  .meta({ id: "NewProject" });
export const ProjectChange = z.strictObject({ name: Title, budgetFen: Fen, stage: ProjectStage }).partial().meta({ id: "ProjectChange" });
