import { describe, expect, it } from "vitest";
import { type Decider, type Holder, mayDecide, type Subject } from "../../../control-plane/domain/deciding.ts";

const approver = (department: string | null = null) => ({ role: "approver", department });
const holder = (id: string, ...holds: Holder["holds"]): Holder => ({ id, holds: holds.length > 0 ? holds : [approver()] });
const person = (id: string, ...holds: Holder["holds"]): Decider => ({ ...holder(id, ...holds), standsInFor: [] });
const subject = (more: Partial<Subject> = {}): Subject => ({ authors: ["author"], departments: ["office", "bureau", "city"], decisions: [], ...more });
const anyone = { role: "approver", approver: null };
const code = (verdict: ReturnType<typeof mayDecide>) => ("code" in verdict ? verdict.code : verdict.for);

describe("who may decide", () => {
  it("whoever has the role there or above, in their own name", () => {
    expect(mayDecide(person("a"), anyone, subject())).toEqual({ for: null });
    expect(mayDecide(person("a", approver("bureau")), anyone, subject())).toEqual({ for: null });
    expect(code(mayDecide(person("a", approver("elsewhere")), anyone, subject()))).toBe("forbidden");
    expect(mayDecide(person("a", approver("elsewhere"), approver("office")), anyone, subject()), "by any of their roles").toEqual({ for: null });
    expect(code(mayDecide(person("a", { role: "authority", department: null }), anyone, subject()))).toBe("forbidden");
    expect(code(mayDecide(person("a", { role: "auditor", department: null }), anyone, subject()))).toBe("forbidden");
  });
  it("only who is named, where somebody is", () => {
    expect(mayDecide(person("a"), { role: "approver", approver: "a" }, subject())).toEqual({ for: null });
    expect(code(mayDecide(person("b"), { role: "approver", approver: "a" }, subject()))).toBe("forbidden");
  });
  it("no author, whatever role they have", () => {
    expect(code(mayDecide(person("author"), anyone, subject()))).toBe("self-approval");
    expect(code(mayDecide(person("author", { role: "applicant", department: "office" }), anyone, subject()))).toBe("self-approval");
  });
  it("nobody twice, in whoever's name", () => {
    expect(code(mayDecide(person("a"), anyone, subject({ decisions: [{ by: "a", for: null }] })))).toBe("second-decision");
    expect(code(mayDecide(person("a"), anyone, subject({ decisions: [{ by: "b", for: "a" }] })))).toBe("second-decision");
  });
});

describe("a stand-in", () => {
  const onLeave = (...holds: Holder["holds"]): Decider => ({ ...person("b"), standsInFor: [holder("a", ...holds)] });
  it("decides for who is named and on leave", () => {
    expect(mayDecide(onLeave(), { role: "approver", approver: "a" }, subject())).toEqual({ for: "a" });
  });
  it("decides in their own name where they may, unless they say for whom", () => {
    expect(mayDecide(onLeave(), anyone, subject())).toEqual({ for: null });
    expect(mayDecide(onLeave(), anyone, subject(), "a")).toEqual({ for: "a" });
  });
  it("doesn't for one who has not named them", () => {
    expect(code(mayDecide(onLeave(), anyone, subject(), "c"))).toBe("forbidden");
  });
  it("doesn't for the author of the request", () => {
    expect(code(mayDecide(onLeave(), { role: "approver", approver: "a" }, subject({ authors: ["a"] })))).toBe("self-approval");
    expect(code(mayDecide(onLeave(), anyone, subject({ authors: ["a"] }), "a"))).toBe("self-approval");
  });
  it("doesn't for one who has decided on another step, nor having done so", () => {
    expect(code(mayDecide(onLeave(), anyone, subject({ decisions: [{ by: "a", for: null }] }), "a"))).toBe("second-decision");
    expect(code(mayDecide(onLeave(), anyone, subject({ decisions: [{ by: "b", for: null }] }), "a"))).toBe("second-decision");
  });
  it("is allowed no more than they themselves may be, nor than who is on leave may", () => {
    const lesser = { ...onLeave(), holds: [approver("elsewhere")] };
    expect(code(mayDecide(lesser, { role: "approver", approver: "a" }, subject()))).toBe("forbidden");
    expect(code(mayDecide(onLeave(approver("elsewhere")), anyone, subject(), "a"))).toBe("forbidden");
    expect(code(mayDecide(onLeave({ role: "auditor", department: null }), anyone, subject(), "a"))).toBe("forbidden");
  });
});
