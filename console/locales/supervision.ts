/** Words of electronic supervision. */
import { msg } from "@lit/localize";
import type {
  CardColour,
  CardEntry,
  CardState,
  CorrectionState,
  RuleKind,
  SupervisionCard,
  SupervisionStage,
} from "../../control-plane/contract/supervision.ts";

const colours: Record<CardColour, () => string> = {
  reminder: () => msg("预警", { id: "sv-reminder" }),
  yellow: () => msg("黄牌", { id: "sv-yellow" }),
  red: () => msg("红牌", { id: "sv-red" }),
};
export const colourName = (colour: CardColour): string => colours[colour]();

const states: Record<CardState, () => string> = {
  open: () => msg("待答复", { id: "sv-open" }),
  answered: () => msg("已答复，待监察审核", { id: "sv-answered" }),
  correcting: () => msg("纠错中", { id: "sv-correcting" }),
  accepted: () => msg("理由成立", { id: "sv-accepted" }),
  closed: () => msg("已办结", { id: "sv-closed" }),
  escalated: () => msg("已升级", { id: "sv-escalated" }),
  met: () => msg("已按时办理", { id: "sv-met" }),
};
export const cardStateName = (state: CardState): string => states[state]();

const kinds: Record<RuleKind, () => string> = {
  "time-limit": () => msg("时限", { id: "sv-time-limit" }),
  "skipped-step": () => msg("环节缺失", { id: "sv-skipped-step" }),
  "split-requests": () => msg("拆分申请", { id: "sv-split-requests" }),
  "same-person": () => msg("同一人申请并审批", { id: "sv-same-person" }),
};
export const ruleKindName = (kind: RuleKind): string => kinds[kind]();

const stages: Record<SupervisionStage, () => string> = {
  planning: () => msg("编制变更方案", { id: "sv-planning" }),
  waiting: () => msg("等待资源", { id: "s-waiting" }),
  "department-approval": () => msg("部门审批", { id: "sv-department" }),
  "authority-approval": () => msg("主管部门审批", { id: "sv-authority" }),
  "needs-information": () => msg("补充说明", { id: "sv-information" }),
  implementing: () => msg("实施", { id: "sv-implementing" }),
  correction: () => msg("纠错", { id: "sv-correction" }),
};
export const supervisedStage = (stage: SupervisionStage): string => stages[stage]();

const entries: Record<CardEntry["kind"], () => string> = {
  issued: () => msg("发出", { id: "sv-issued" }),
  escalated: () => msg("升级为更重的牌", { id: "sv-was-escalated" }),
  met: () => msg("已按时办理", { id: "sv-met" }),
  answer: () => msg("答复", { id: "sv-answer" }),
  addition: () => msg("补充答复", { id: "sv-addition" }),
  accepted: () => msg("理由成立", { id: "sv-accepted" }),
  "correction-ordered": () => msg("责令纠错", { id: "sv-ordered" }),
  "correction-done": () => msg("报告已纠正", { id: "sv-done" }),
  "correction-reopened": () => msg("退回重新纠正", { id: "sv-reopened" }),
  "correction-closed": () => msg("纠错办结", { id: "sv-correction-closed" }),
};
export const entryName = (kind: CardEntry["kind"]): string => entries[kind]();

const corrections: Record<CorrectionState, () => string> = {
  open: () => msg("待纠正", { id: "sv-correction-open" }),
  done: () => msg("已纠正，待监察核实", { id: "sv-correction-done" }),
  closed: () => msg("已办结", { id: "sv-closed" }),
};
export const correctionStateName = (state: CorrectionState): string => corrections[state]();

/** Whom a card names. */
export const namesOf = (card: Pick<SupervisionCard, "people">, part: "concerned" | "superior"): string =>
  card.people
    .filter((one) => one.part === part)
    .map((one) => one.name ?? one.id)
    .join(", ") || "–";
