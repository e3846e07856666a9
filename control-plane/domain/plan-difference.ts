/** How a change plan differs from the one before it, for those who decide anew. Pure. */
import type { ChangePlan } from "../contract/requests.ts";
import { differingPaths } from "./difference.ts";

type Plan = Pick<ChangePlan, "steps" | "charge" | "placement" | "specifications" | "cost">;

/** Lines such as `web create: ram 2 → 4`; empty when nothing that is approved differs. */
export function planDifferences(before: Plan, after: Plan): string[] {
  const names = new Map([...before.steps, ...after.steps].map((step) => [step.resource, `${step.kind} ${step.name}`]));
  const nameOf = (resource: string) => names.get(resource) ?? resource;
  const both = <T>(of: (plan: Plan) => readonly T[], key: (one: T) => string, tell: (key: string, before: T | undefined, after: T | undefined) => string[]) => {
    const [had, has] = [new Map(of(before).map((one) => [key(one), one])), new Map(of(after).map((one) => [key(one), one]))];
    return [...new Set([...had.keys(), ...has.keys()])].toSorted().flatMap((one) => tell(one, had.get(one), has.get(one)));
  };
  const steps = both(
    (plan) => plan.steps,
    (step) => nameOf(step.resource),
    (name, was, is) => {
      if (!was || !is) return [`${name}: ${was?.action ?? "nothing"} → ${is?.action ?? "nothing"}`];
      const asObject = (changes: ChangePlan["steps"][number]["changes"]) => Object.fromEntries(changes.map((one) => [one.path, one.after]));
      const action = was.action === is.action ? [] : [`${was.action} → ${is.action}`];
      return [...action, ...differingPaths(asObject(was.changes), asObject(is.changes))].map((line) => `${name}: ${line}`);
    },
  );
  const told = new Set(steps.map((line) => line.split(": ")[0]));
  const specifications = both(
    (plan) => plan.specifications ?? [],
    (one) => nameOf(one.resource),
    // What the steps tell already is not told twice; what was asked for anew has another id, and with it another digest.
    (name, was, is) => (!was || !is || was.digest === is.digest || was.resource !== is.resource || told.has(name) ? [] : [`${name}: another specification`]),
  );
  const charge = both(
    (plan) => plan.charge,
    (one) => one.dimension,
    (dimension, was, is) => (was?.quantity === is?.quantity ? [] : [`quota ${dimension}: ${was?.quantity ?? 0} → ${is?.quantity ?? 0}`]),
  );
  const placement = both(
    (plan) => plan.placement,
    (one) => nameOf(one.resource),
    (name, was, is) => (was?.pool === is?.pool ? [] : [`${name}: pool ${was?.pool ?? "none"} → ${is?.pool ?? "none"}`]),
  );
  const yuan = (plan: Plan) => ((plan.cost?.amountFen ?? 0) / 100).toFixed(2);
  const cost = yuan(before) === yuan(after) ? [] : [`cost: ${yuan(before)} → ${yuan(after)} yuan`];
  return [...steps, ...specifications, ...charge, ...cost, ...placement];
}
