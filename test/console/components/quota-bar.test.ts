import { html } from "lit";
import { describe, expect, it } from "vitest";
import type { QuotaBar } from "../../../console/components/quota-bar.ts";
import "../../../console/components/quota-bar.ts";
import { mount, violations, words } from "../mount.ts";

const bar = (ratio: number | null) => mount<QuotaBar>(html`<zy-quota-bar .ratio=${ratio} .label=${"配额"}></zy-quota-bar>`);
const width = (element: QuotaBar) => Number(element.renderRoot.querySelector("rect")!.getAttribute("width"));

describe("a quota bar", () => {
  it.each([null, 0, 0.5, 0.95, 1.2])("is accessible at %s", async (ratio) => {
    await bar(ratio);
    expect(await violations()).toEqual([]);
  });
  it("says the share as a number and to a screen reader", async () => {
    const element = await bar(0.5);
    expect(words(element)).toContain("50%");
    expect(element.renderRoot.querySelector("[role=img]")!.getAttribute("aria-label")).toBe("配额 50%");
    expect(width(element)).toBe(50);
  });
  it("marks a nearly full quota with a sign as well as a colour", async () => {
    expect(words(await bar(0.5))).not.toContain("▲");
    expect(words(await bar(0.95))).toContain("▲");
  });
  it("never draws beyond its frame", async () => {
    const element = await bar(1.5);
    expect(width(element)).toBe(100);
    expect(words(element)).toContain("150%");
  });
  it("shows where the soft limit lies, and says when it is passed and what is borrowed", async () => {
    const shown = (ratio: number, soft: number | null, borrowed: number) =>
      mount<QuotaBar>(html`<zy-quota-bar .ratio=${ratio} .soft=${soft} .borrowed=${borrowed} .label=${"配额"}></zy-quota-bar>`);
    const below = await shown(0.5, 0.8, 0);
    expect(below.renderRoot.querySelector("line")!.getAttribute("x1")).toBe("80");
    expect(words(below)).toContain("软限额 80%");
    const over = await shown(1.25, 0.8, 3);
    expect(words(over)).toContain("已超软限额");
    expect(words(over)).toContain("借用 3");
    expect(over.renderRoot.querySelector("[role=img]")!.getAttribute("aria-label")).toContain("借用 3");
    expect(await violations()).toEqual([]);
    expect((await shown(0.5, null, 0)).renderRoot.querySelector("line")).toBeNull();
  });
  it("draws nothing where there is no limit", async () => {
    const element = await bar(null);
    expect(element.renderRoot.querySelector("rect")).toBeNull();
    expect(words(element)).toBe("–");
  });
});
