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
  it("draws nothing where there is no limit", async () => {
    const element = await bar(null);
    expect(element.renderRoot.querySelector("rect")).toBeNull();
    expect(words(element)).toBe("–");
  });
});
