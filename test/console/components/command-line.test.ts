import { html } from "lit";
import { describe, expect, it, vi } from "vitest";
import type { CommandLine } from "../../../console/components/command-line.ts";
import "../../../console/components/command-line.ts";
import { mount, violations, words } from "../mount.ts";

const line = () => mount<CommandLine>(html`<zy-command .command=${"zhengyun usage --depth 1"}></zy-command>`);

describe("the equal command", () => {
  it("is accessible", async () => {
    await line();
    expect(await violations()).toEqual([]);
  });
  it("is copied whole, and says so to a screen reader", async () => {
    const copied: string[] = [];
    // The clipboard belongs to the machine; a headless browser may not have it.
    vi.spyOn(navigator.clipboard, "writeText").mockImplementation(async (text) => void copied.push(text));
    const element = await line();
    element.renderRoot.querySelector("button")!.click();
    await expect.poll(() => element.renderRoot.querySelector("[role=status]")!.textContent).toContain("已复制");
    expect(copied).toEqual(["zhengyun usage --depth 1"]);
    element.command = "zhengyun hosts list";
    await element.updateComplete;
    expect(words(element)).not.toContain("已复制");
  });
});
