import { html } from "lit";
import { describe, expect, it } from "vitest";
import type { UsageChart } from "../../../console/components/usage-chart.ts";
import "../../../console/components/usage-chart.ts";
import { mount, violations } from "../mount.ts";

const chart = (count: number) => {
  const bars = Array.from({ length: count }, (_, index) => ({ name: `部门${index}`, used: index, limit: 20 }));
  return mount<UsageChart>(html`<zy-usage-chart .bars=${bars}></zy-usage-chart>`);
};
/** Whether anything was painted on the canvas. */
const painted = (canvas: HTMLCanvasElement) =>
  canvas
    .getContext("2d")!
    .getImageData(0, 0, canvas.width, canvas.height)
    .data.some((value) => value !== 0);

describe("the chart of usage", () => {
  it("is accessible", async () => {
    await chart(5);
    expect(await violations()).toEqual([]);
  });
  it("draws its bars and says that the table has the same figures", async () => {
    const element = await chart(5);
    await expect.poll(() => painted(element.renderRoot.querySelector("canvas")!)).toBe(true);
    expect(element.renderRoot.querySelector("[role=img]")!.getAttribute("aria-label")).toContain("数据同下表");
  });
  it("draws anew instead of twice when figures change", async () => {
    const element = await chart(5);
    element.bars = [{ name: "一", used: 1, limit: 2 }];
    await element.updateComplete;
    expect(element.renderRoot.querySelectorAll("canvas")).toHaveLength(1);
  });
  it("draws nothing without figures", async () => {
    const element = await chart(0);
    expect(element.renderRoot.querySelector("canvas")).toBeNull();
  });
});
