import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NewRoleBinding, Role } from "../../../control-plane/contract/roles.ts";
import { type Binding, capacityOf, faultsOf } from "../../../control-plane/domain/authority.ts";

const now = new Date("2026-11-23T08:00:00Z");
const hours = (count: number) => new Date(now.getTime() + count * 3_600_000);
const binding = (more: Partial<Binding> = {}): Binding => ({
  role: "approver",
  kind: "standing",
  department: "a",
  validFrom: hours(-1),
  validUntil: null,
  period: null,
  ...more,
});

describe("the capacity in which somebody acts", () => {
  it("is of the roles that a route asks for, on the nodes where they are held", () => {
    const held = [binding(), binding({ department: "b" }), binding({ role: "finance", department: "c" })];
    expect(capacityOf(held, ["approver"], now)).toEqual({ role: "approver", nodes: ["a", "b"], period: null });
    expect(capacityOf(held, ["approver", "finance"], now)).toEqual({ role: "approver,finance", nodes: ["a", "b", "c"], period: null });
    expect(capacityOf(held, ["authority"], now)).toBeUndefined();
  });

  it("is everywhere for whoever holds one of the roles everywhere, and names that one", () => {
    expect(capacityOf([binding(), binding({ role: "authority", department: null })], ["approver", "authority"], now)).toEqual({
      role: "authority",
      nodes: null,
      period: null,
    });
  });

  it("knows neither what is over, nor what has not begun, nor what one is only eligible for", () => {
    for (const one of [binding({ validUntil: now }), binding({ validFrom: hours(1) }), binding({ kind: "eligible" })])
      expect(capacityOf([one], ["approver"], now)).toBeUndefined();
    expect(capacityOf([binding({ kind: "elevated", validUntil: hours(1) })], ["approver"], now)).toBeDefined();
  });

  it("holds an auditor to the auditor's period, and nobody else", () => {
    const period = { from: hours(-100), to: hours(-50) };
    const auditor = binding({ role: "auditor", period });
    expect(capacityOf([auditor], ["auditor", "approver"], now)?.period).toEqual(period);
    expect(capacityOf([auditor, binding()], ["auditor", "approver"], now)?.period).toBeNull();
  });

  it("never grows by taking a binding away", () => {
    const any = fc.array(
      fc.record({ role: fc.constantFrom(...Role.options), department: fc.constantFrom("a", "b", null), until: fc.constantFrom(null, hours(-1), hours(1)) }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(any, fc.subarray([...Role.options]), (held, roles) => {
        const all = held.map(({ role, department, until }) => binding({ role, department, validUntil: until }));
        const whole = capacityOf(all, roles, now);
        const less = capacityOf(all.slice(1), roles, now);
        if (!less) return;
        expect(whole).toBeDefined();
        if (whole!.nodes !== null) for (const node of less.nodes ?? ["everywhere"]) expect(whole!.nodes).toContain(node);
      }),
    );
  });
});

describe("a grant", () => {
  const faults = (grant: Partial<NewRoleBinding>, grantor = "tok_security") =>
    faultsOf(NewRoleBinding.parse({ subject: "tok_01hzzzzzzzzzzzzzzzzzzzzzzz", role: "approver", reason: "r", ...grant }), grantor, now).map(
      ({ pointer }) => pointer,
    );

  it("is faultless for an approver of a department", () => expect(faults({ department: "a" })).toEqual([]));
  it.each([
    ["to oneself", { subject: "tok_security00000000000000000000" }, ["/subject"]],
    ["of an administrator for a part of the tree", { role: "security-admin", department: "a" }, ["/department"]],
    ["of an applicant without a department", { role: "applicant" }, ["/department"]],
    ["that is over", { validUntil: hours(-1).toISOString() }, ["/validUntil", "/validUntil"]],
    ["of an auditor without end and period", { role: "auditor" }, ["/validUntil", "/periodFrom"]],
    ["of a period to somebody else", { periodFrom: hours(-9).toISOString() }, ["/periodFrom"]],
  ] as const)("%s is faulty", (_what, grant, pointers) => {
    const { subject = "tok_01hzzzzzzzzzzzzzzzzzzzzzzz", ...rest } = grant as Partial<NewRoleBinding>;
    expect(
      faultsOf(
        { ...NewRoleBinding.parse({ subject: "tok_01hzzzzzzzzzzzzzzzzzzzzzzz", role: "approver", reason: "r", ...rest }), subject },
        "tok_security00000000000000000000",
        now,
      ).map(({ pointer }) => pointer),
    ).toEqual(pointers);
  });
});
