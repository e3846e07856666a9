/** Transfers of applications between departments (业务系统移交): what is common to both sides, and who decides. Pure. */
import type { Stage } from "../contract/approvals.ts";
import { defaultStages } from "./approval-policy.ts";

/** The nearest department above both, or one of them; undefined: nobody is above both. @param giving itself and what is above it, nearest first; receiving alike */
export const commonOf = (giving: readonly string[], receiving: readonly string[]): string | undefined => giving.find((one) => receiving.includes(one));

/** Those of a line that are not above both. */
export const ownOf = (line: readonly string[], common: string): readonly string[] => line.slice(0, line.indexOf(common));

/** A stage, and whose people it asks. */
export interface SidedStage extends Stage {
  department: string;
}
interface Side {
  department: string;
  departmentName: string;
  stages: readonly Stage[];
}
const longest = 200;

/** First the giver's own people, then the receiver's, each by their policy; then the authority of what is above both, by its policy. */
export function transferStages(giver: Side, receiver: Side, above: Side): SidedStage[] {
  const of = ({ department, departmentName, stages }: Side, kind: Stage["kind"], side: string): SidedStage[] => {
    const own = stages.filter((stage) => stage.kind === kind);
    const asked = own.length > 0 ? own : defaultStages.filter((stage) => stage.kind === kind);
    return asked.map((stage) => ({ ...stage, name: `${side}${departmentName} · ${stage.name}`.slice(0, longest), department }));
  };
  return [...of(giver, "department-approval", "移出方 "), ...of(receiver, "department-approval", "接收方 "), ...of(above, "authority-approval", "")];
}
