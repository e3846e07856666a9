/** What each step of a project of the annual plan (年度项目计划) needs; what may follow what is contract/project-stages.ts. Pure. */
import { stages, takenBy } from "../contract/project-stages.ts";
import type { FundKind, ProjectAdvance, ProjectEvent, ProjectStage } from "../contract/projects.ts";
import { Refusal } from "./refusal.ts";
import { yuan } from "./prices.ts";

/** Steps that decide on what somebody filed: never taken by who filed it. */
const judging: readonly ProjectEvent[] = ["review", "approve", "accept", "evaluate"];
/** Steps that may set funds. */
const funding: readonly ProjectEvent[] = ["approve", "accept", "operate"];

export interface Standing {
  stage: ProjectStage;
  filedBy: string;
  supervisor: unknown;
  /** Sum of the funds after the step. */
  budgetFen: number;
  /** Resources of the project that are asked for, run or are being removed. */
  resources: number;
}
export interface Stepper {
  actor: string;
  /** Held for the project's department. */
  roles: readonly string[];
}

/**
 * The stage that a step leads to.
 * @throws Refusal conflict for a step that doesn't follow, forbidden, self-approval, or invalid-body with what is missing
 */
export function nextStage(standing: Standing, step: ProjectAdvance, by: Stepper, thresholdFen: number): ProjectStage {
  const { event } = step;
  const next = stages[standing.stage][event];
  if (!next) {
    const able = (Object.keys(stages) as ProjectStage[]).filter((one) => stages[one][event]);
    throw new Refusal("conflict", `A project that is ${standing.stage} cannot ${event}: only one that is ${able.join(" or ")}.`);
  }
  if (!takenBy[event].some((role) => by.roles.includes(role)))
    throw new Refusal("forbidden", `To ${event} a project is for ${takenBy[event].join(" or ")} of its department.`);
  if (judging.includes(event) && by.actor === standing.filedBy) throw new Refusal("self-approval", `You filed this project: somebody else is to ${event} it.`);
  const errors = missing(standing, step, thresholdFen);
  if (errors.length > 0) throw new Refusal("invalid-body", errors[0]!.detail, { errors });
  if (event === "close" && standing.resources > 0)
    throw new Refusal("rule-broken", `The project still has ${standing.resources} resources.`, { remedy: "Retire them, or move them to another project." });
  return next;
}

function missing({ supervisor, budgetFen }: Standing, step: ProjectAdvance, thresholdFen: number): { pointer: string; detail: string }[] {
  const { event, evidence, opinions, funds } = step;
  return [
    ...(event === "review" && opinions.length === 0 ? [{ pointer: "/opinions", detail: "A review needs the opinion of at least one expert." }] : []),
    ...(event !== "review" && opinions.length > 0 ? [{ pointer: "/opinions", detail: "Experts give their opinions at the review." }] : []),
    ...((event === "accept" || event === "evaluate") && evidence.length === 0
      ? [{ pointer: "/evidence", detail: `To ${event} needs its report as evidence.` }]
      : []),
    ...(!funding.includes(event) && funds.length > 0 ? [{ pointer: "/funds", detail: `To ${event} sets no funds.` }] : []),
    ...(event === "approve" && budgetFen === 0 ? [{ pointer: "/funds", detail: "An approval needs a budget: at least one fund." }] : []),
    ...(event === "approve" ? supervisorMissing(supervisor, budgetFen, thresholdFen).map((detail) => ({ pointer: "/funds", detail })) : []),
  ];
}

/** Why a project of this budget cannot be without a third-party supervisor (监理); empty when it can. */
export function supervisorMissing(supervisor: unknown, budgetFen: number, thresholdFen: number): string[] {
  if (supervisor !== null || budgetFen < thresholdFen) return [];
  return [`A budget of ${yuan(budgetFen)} yuan (from ${yuan(thresholdFen)} on) needs a third-party supervisor (监理): name one in the project first.`];
}

/** From which purse a project of this stage pays: after acceptance from the operating fund. */
export const fundKindOf = (stage: ProjectStage): FundKind =>
  stage === "accepted" || stage === "operating" || stage === "evaluated" ? "operating" : "construction";

/** Stages whose projects have funds. */
export const isFunded = (stage: ProjectStage): boolean => stage !== "filed" && stage !== "reviewed";
