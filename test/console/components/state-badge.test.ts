import { html } from "lit";
import { describe, expect, it } from "vitest";
import { RequestState } from "../../../control-plane/contract/requests.ts";
import type { StateBadge } from "../../../console/components/state-badge.ts";
import "../../../console/components/state-badge.ts";
import { mount, violations, words } from "../mount.ts";

const badge = (state: string) => mount<StateBadge>(html`<zy-state .state=${state}></zy-state>`);

describe("a state", () => {
  it.each(["running", "crashed", "unknown", "stopped"])("is accessible when %s", async (state) => {
    await badge(state);
    expect(await violations()).toEqual([]);
  });
  it("is a word beside a sign that a screen reader skips", async () => {
    const element = await badge("running");
    expect(words(element)).toBe("● 运行中");
    expect(element.renderRoot.querySelector("[aria-hidden=true]")!.textContent).toBe("●");
  });
  it("has a word of its own for each state of a request", async () => {
    const said = [];
    for (const state of RequestState.options) said.push(words(await badge(state)));
    expect(said.filter((one) => /[a-z]/.test(one))).toEqual([]);
    expect(new Set(said.map((one) => one.slice(2))).size).toBe(RequestState.options.length);
  });
  it("shows an unheard-of state as it is", async () => {
    expect(words(await badge("melting"))).toContain("melting");
  });
});
