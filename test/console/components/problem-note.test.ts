import { html } from "lit";
import { describe, expect, it } from "vitest";
import type { Problem } from "../../../control-plane/contract/problems.ts";
import type { ProblemNote } from "../../../console/components/problem-note.ts";
import "../../../console/components/problem-note.ts";
import { mount, violations, words } from "../mount.ts";

const refusal: Problem = {
  type: "urn:zhengyun:problem:quota-exceeded",
  code: "quota-exceeded",
  title: "超出配额",
  status: 422,
  detail: "主机配额不足",
  remedy: "请联系运维调整配额",
  correlationId: "c0ffee",
  limits: [{ department: "dep_1", departmentName: "市教委", dimension: "hosts", limit: 10, reserved: 2, used: 7, left: 1, asked: 3, raisedBy: "operations" }],
};
const note = (problem: Problem | undefined) => mount<ProblemNote>(html`<zy-problem .problem=${problem}></zy-problem>`);

describe("what went wrong", () => {
  it("is accessible", async () => {
    await note(refusal);
    expect(await violations()).toEqual([]);
  });
  it("is announced, and says which limit, how much is left, what to do and what to quote", async () => {
    const element = await note(refusal);
    expect(element.renderRoot.querySelector("[role=alert]")).not.toBeNull();
    for (const part of ["超出配额", "主机配额不足", "请联系运维调整配额", "市教委 主机", "1 / 10", "c0ffee"]) expect(words(element)).toContain(part);
  });
  it("names the place of each error in a body", async () => {
    const { limits: _, ...rest } = refusal;
    const element = await note({ ...rest, errors: [{ pointer: "/items/0/spec/name", detail: "太长" }] });
    expect(words(element)).toContain("/items/0/spec/name 太长");
  });
  it("shows markup in a message as text", async () => {
    const element = await note({ ...refusal, detail: "<img src=x>" });
    expect(element.renderRoot.querySelector("img")).toBeNull();
    expect(words(element)).toContain("<img src=x>");
  });
  it("is not there when nothing went wrong", async () => {
    expect(words(await note(undefined))).toBe("");
  });
});
