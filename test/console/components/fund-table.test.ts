import { html } from "lit";
import { describe, expect, it } from "vitest";
import type { Fund } from "../../../control-plane/contract/projects.ts";
import type { FundTable } from "../../../console/components/fund-table.ts";
import "../../../console/components/fund-table.ts";
import { mount, violations, words } from "../mount.ts";

const fund: Fund = { kind: "construction", fiscalYear: 2026, amountFen: 100_000, reservedFen: 10_000, committedFen: 30_001, spentFen: 9_999, leftFen: 50_000 };
const table = (funds: Fund[]) => mount<FundTable>(html`<zy-funds .funds=${funds}></zy-funds>`);
const ratios = (element: FundTable) =>
  [...element.renderRoot.querySelectorAll("zy-quota-bar")].map((bar) => (bar as unknown as { ratio: number | null }).ratio);

describe("a table of funds", () => {
  it("is accessible, empty too", async () => {
    await table([fund]);
    expect(await violations()).toEqual([]);
    expect(words(await table([]))).toContain("尚无资金");
    expect(await violations()).toEqual([]);
  });
  it("says every amount in yuan, and how much of it is held", async () => {
    const element = await table([fund]);
    for (const amount of ["1,000.00", "100.00", "300.01", "99.99", "500.00"]) expect(words(element)).toContain(amount);
    expect(ratios(element)).toEqual([0.5]);
  });
  it("shows a fund without money that is charged all the same as full, and what is below zero", async () => {
    const late = { ...fund, amountFen: 0, reservedFen: 0, spentFen: 0, committedFen: 700, leftFen: -700 };
    const element = await table([late, { ...late, committedFen: 0, leftFen: 0 }]);
    expect(ratios(element)).toEqual([1, null]);
    expect(words(element)).toContain("-7.00");
  });
});
