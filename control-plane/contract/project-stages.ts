/** The stages of a project of the annual plan (年度项目计划): one table of what may follow what, and who may take which step. */
import type { ProjectEvent, ProjectStage } from "./projects.ts";
import type { Role } from "./roles.ts";

/** Stage → event → next stage. What is not here is not allowed. */
export const stages: Record<ProjectStage, Partial<Record<ProjectEvent, ProjectStage>>> = {
  filed: { review: "reviewed", close: "closed" },
  reviewed: { approve: "approved", return: "filed", close: "closed" },
  approved: { accept: "accepted" },
  accepted: { operate: "operating" },
  operating: { evaluate: "evaluated" },
  evaluated: { operate: "operating", close: "closed" },
  closed: {},
};

/** Who may take a step, with a role held for the project's department. */
export const takenBy: Record<ProjectEvent, readonly Role[]> = {
  review: ["authority"],
  return: ["authority"],
  approve: ["authority"],
  accept: ["authority"],
  operate: ["applicant", "authority"],
  evaluate: ["authority", "finance"],
  close: ["authority", "finance"],
};
