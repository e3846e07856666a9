import { describe, expect, it } from "vitest";
import { planDifferences } from "../../../control-plane/domain/plan-difference.ts";

type Plan = Parameters<typeof planDifferences>[0];
const step = (more: Partial<Plan["steps"][number]> = {}): Plan["steps"][number] => ({
  action: "update",
  kind: "host",
  resource: "hst_1",
  name: "web",
  changes: [{ path: "flavour.vcpu", before: 1, after: 2 }],
  ...more,
});
const plan = (more: Partial<Plan> = {}): Plan => ({
  steps: [step()],
  charge: [{ dimension: "vcpu", quantity: 1 }],
  specifications: [{ resource: "hst_1", digest: "a" }],
  placement: [{ resource: "hst_1", pool: "compute", reason: "room" }],
  cost: null,
  ...more,
});
const cost = (amountFen: number) => ({ amountFen }) as Plan["cost"];

describe("how a plan differs from the one before", () => {
  it.each([
    ["nothing", plan(), []],
    ["another value", plan({ steps: [step({ changes: [{ path: "flavour.vcpu", before: 1, after: 4 }] })] }), ["host web: flavour.vcpu 2 → 4"]],
    ["another action", plan({ steps: [step({ action: "replace" })] }), ["host web: update → replace"]],
    ["a step that is gone", plan({ steps: [] }), ["host web: update → nothing"]],
    ["a step more", plan({ steps: [step(), step({ resource: "vol_1", kind: "volume", name: "data", action: "delete" })] }), ["volume data: nothing → delete"]],
    ["another specification", plan({ specifications: [{ resource: "hst_1", digest: "b" }] }), ["host web: another specification"]],
    ["another charge", plan({ charge: [{ dimension: "vcpu", quantity: 3 }] }), ["quota vcpu: 1 → 3"]],
    ["another cost", plan({ cost: cost(12_345) }), ["cost: 0.00 → 123.45 yuan"]],
    ["another pool", plan({ placement: [{ resource: "hst_1", pool: "other", reason: "room" }] }), ["host web: pool compute → other"]],
    ["another reason for the same pool", plan({ placement: [{ resource: "hst_1", pool: "compute", reason: "more room" }] }), []],
  ] satisfies [string, Plan, string[]][])("tells %s", (_what, after, lines) => {
    expect(planDifferences(plan(), after)).toEqual(lines);
  });

  it("doesn't take what is asked for anew under the same name for something else", () => {
    const again = plan({ steps: [step({ resource: "hst_2" })], specifications: [{ resource: "hst_2", digest: "b" }], placement: [] });
    expect(planDifferences(plan({ placement: [] }), again)).toEqual([]);
  });
});
