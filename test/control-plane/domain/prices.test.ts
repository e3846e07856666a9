import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dimensions } from "../../../control-plane/contract/common.ts";
import { type CostLine, costFen, lessOf, linesOf, repriced, yuan } from "../../../control-plane/domain/prices.ts";
import { fiscalYearOf, monthsBetween, yearEnd, yearStart } from "../../../control-plane/domain/time.ts";

const at = (text: string) => new Date(`${text}+08:00`);
const line = fc.record({
  meter: fc.constantFrom(...dimensions),
  per: fc.constantFrom(1, 3, 1024),
  period: fc.constantFrom("hour" as const, "month" as const),
  fen: fc.nat(1_000_000),
  quantity: fc.integer({ min: 1, max: 100_000 }),
});
const lines = fc.array(line, { maxLength: 6 });
const year = { min: yearStart(2027), max: yearStart(2028), noInvalidDate: true };
const moments = fc.tuple(fc.date(year), fc.date(year), fc.date(year)).map((all) => all.toSorted((a, b) => a.getTime() - b.getTime()));

describe("prices", () => {
  it.each([
    ["one unit-hour", [{ meter: "vcpu", per: 1, period: "hour", fen: 7, quantity: 1 }], "2026-11-01T00:00", "2026-11-01T01:00", 7],
    ["a day of hours", [{ meter: "vcpu", per: 1, period: "hour", fen: 7, quantity: 4 }], "2026-11-01T00:00", "2026-11-02T00:00", 672],
    ["a calendar month, short or long", [{ meter: "hosts", per: 1, period: "month", fen: 3100, quantity: 1 }], "2026-02-01T00:00", "2026-04-01T00:00", 6200],
    ["ten of thirty days", [{ meter: "hosts", per: 1, period: "month", fen: 3000, quantity: 1 }], "2026-11-21T00:00", "2026-12-01T00:00", 1000],
    ["per 1,024 units", [{ meter: "memory_mib", per: 1024, period: "month", fen: 1500, quantity: 4096 }], "2026-12-01T00:00", "2027-01-01T00:00", 6000],
    ["nothing before it begins", [{ meter: "hosts", per: 1, period: "hour", fen: 9, quantity: 9 }], "2026-12-02T00:00", "2026-12-01T00:00", 0],
  ] as [string, CostLine[], string, string, number][])("%s", (_what, of, from, to, fen) => {
    expect(costFen(of, at(from), at(to), "down")).toBe(fen);
    expect(costFen(of, at(from), at(to), "up")).toBe(fen);
  });

  it("counts exactly what floating point would not: a third of a fen three million times", () => {
    const third: CostLine = { meter: "memory_mib", per: 3, period: "hour", fen: 1, quantity: 3_000_001 };
    expect(costFen([third], at("2026-01-01T00:00"), at("2026-01-01T01:00"), "down")).toBe(1_000_000);
    expect(costFen([third], at("2026-01-01T00:00"), at("2026-01-01T01:00"), "up")).toBe(1_000_001);
    const huge: CostLine = { meter: "storage_gib:standard", per: 1, period: "month", fen: 999_999_999, quantity: 750_599 };
    expect(costFen([huge], at("2026-01-01T00:00"), at("2027-01-01T00:00"), "down")).toBe(999_999_999 * 750_599 * 12);
    expect(() => costFen([{ ...huge, quantity: 9_000_000_000 }], at("2026-01-01T00:00"), at("2027-01-01T00:00"), "down")).toThrow(/more than can be counted/);
  });

  it("never needs more for two parts than for the whole, and never loses more than a fen", () => {
    fc.assert(
      fc.property(lines, moments, (of, [a, b, c]) => {
        const whole = costFen(of, a!, c!, "down");
        const parts = costFen(of, a!, b!, "down") + costFen(of, b!, c!, "down");
        expect(parts).toBeLessThanOrEqual(whole);
        expect(parts).toBeGreaterThanOrEqual(whole - 1);
        expect(costFen(of, a!, c!, "up") - whole).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("never needs more for what is joined than was committed and reserved", () => {
    fc.assert(
      fc.property(lines, lines, moments, (had, more, [a, b, c]) => {
        const held = costFen(had, a!, c!, "down") + costFen(more, b!, c!, "up");
        expect(costFen(had, a!, b!, "down") + costFen([...had, ...more], b!, c!, "down")).toBeLessThanOrEqual(held);
      }),
    );
  });

  it("takes away what was added last, and never below nothing", () => {
    fc.assert(
      fc.property(lines, line, (of, extra) => {
        expect(lessOf([...of, extra], [{ dimension: extra.meter, quantity: extra.quantity }])).toEqual(of);
        expect(
          lessOf(
            of,
            dimensions.map((dimension) => ({ dimension, quantity: 10_000_000 })),
          ),
        ).toEqual([]);
      }),
    );
  });

  it("prices the same quantities anew", () => {
    const prices = dimensions.map((meter, index) => ({ meter, per: 1, period: "month" as const, fen: index }));
    const had = linesOf([{ dimension: "vcpu", quantity: 2 }], prices);
    expect(repriced([...had, ...had], [{ meter: "vcpu", per: 2, period: "hour", fen: 9 }])).toEqual([
      { meter: "vcpu", per: 2, period: "hour", fen: 9, quantity: 4 },
    ]);
  });

  it("writes yuan", () => expect([0, 5, 123456, 100_000_000, -7].map(yuan)).toEqual(["0.00", "0.05", "1,234.56", "1,000,000.00", "-0.07"]));
});

describe("the fiscal year", () => {
  it("is the calendar year in Shanghai", () => {
    expect(fiscalYearOf(new Date("2026-12-31T15:59:59.999Z"))).toBe(2026);
    expect(fiscalYearOf(new Date("2026-12-31T16:00:00.000Z"))).toBe(2027);
    expect(yearEnd(new Date("2026-12-31T15:59:59.999Z"))).toEqual(new Date("2026-12-31T16:00:00.000Z"));
  });
  it("has twelve months, whole, whose lengths add up", () => {
    const parts = monthsBetween(yearStart(2028), yearStart(2029));
    expect(parts.map((part) => part.days)).toEqual([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]);
    expect(parts.reduce((sum, part) => sum + part.ms, 0)).toBe(366 * 86_400_000);
  });
});
