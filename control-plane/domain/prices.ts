/**
 * What quantities cost over time: flat prices per meter, exact. Everything is a whole number of fen over one denominator, divided once at the end.
 * Reservations round up and commitments round down, so that cutting a commitment in two, or joining it with what was reserved, never needs a fen more.
 */
import type { Dimension } from "../contract/common.ts";
import type { Price } from "../contract/price-books.ts";
import { Refusal } from "./refusal.ts";
import type { Quantity } from "./resources.ts";
import { monthsBetween } from "./time.ts";

/** A quantity and the price that it was taken at. */
export interface CostLine extends Price {
  quantity: number;
}
export type Rounding = "up" | "down";

const dayMs = 86_400_000n;
/** Least common multiple of 28, 29, 30 and 31: every share of a month is a whole number of these. */
const monthParts = 377_580n;
const unit = monthParts * dayMs;

/** The length of [from, to) in hours or months, in units of 1/`unit`. Nothing when it ends before it begins. */
function weight(period: Price["period"], from: Date, to: Date): bigint {
  const ms = BigInt(Math.max(0, to.getTime() - from.getTime()));
  if (period === "hour") return ms * 24n * monthParts;
  return monthsBetween(from, to).reduce((sum, part) => sum + BigInt(part.ms) * (monthParts / BigInt(part.days)), 0n);
}

const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? a : gcd(b, a % b));

/**
 * What lines cost in [from, to), in fen.
 * @throws Refusal rule-broken when that is more than can be counted exactly (about 90 trillion yuan)
 */
export function costFen(lines: readonly CostLine[], from: Date, to: Date, rounding: Rounding): number {
  const per = lines.reduce((all, line) => (all / gcd(all, BigInt(line.per))) * BigInt(line.per), 1n);
  const weights = { hour: weight("hour", from, to), month: weight("month", from, to) };
  const sum = lines.reduce((all, line) => all + BigInt(line.fen) * BigInt(line.quantity) * weights[line.period] * (per / BigInt(line.per)), 0n);
  const fen = (sum + (rounding === "up" ? unit * per - 1n : 0n)) / (unit * per);
  if (fen > BigInt(Number.MAX_SAFE_INTEGER)) throw new Refusal("rule-broken", "This costs more than can be counted.");
  return Number(fen);
}

/** Quantities at the prices of a book. */
export function linesOf(quantities: readonly Quantity[], prices: readonly Price[]): CostLine[] {
  const of = new Map<Dimension, Price>(prices.map((price) => [price.meter, price]));
  return quantities.flatMap(({ dimension, quantity }) => {
    const price = of.get(dimension);
    return price && quantity > 0 ? [{ meter: price.meter, per: price.per, period: price.period, fen: price.fen, quantity }] : [];
  });
}

/** Lines with less of some meters: what was taken last goes first, at the price that it was taken at. Never below nothing. */
export function lessOf(lines: readonly CostLine[], less: readonly Quantity[]): CostLine[] {
  const left = new Map<Dimension, number>();
  for (const { dimension, quantity } of less) left.set(dimension, (left.get(dimension) ?? 0) + quantity);
  return lines
    .toReversed()
    .map((line) => {
      const taken = Math.min(line.quantity, left.get(line.meter) ?? 0);
      left.set(line.meter, (left.get(line.meter) ?? 0) - taken);
      return { ...line, quantity: line.quantity - taken };
    })
    .filter((line) => line.quantity > 0)
    .toReversed();
}

/** The same quantities at other prices, for a new year. */
export function repriced(lines: readonly CostLine[], prices: readonly Price[]): CostLine[] {
  const sums = new Map<Dimension, number>();
  for (const line of lines) sums.set(line.meter, (sums.get(line.meter) ?? 0) + line.quantity);
  return linesOf(
    [...sums].map(([dimension, quantity]) => ({ dimension, quantity })),
    prices,
  );
}

/** Yuan for people: 123456 fen are 1,234.56. */
export function yuan(fen: number): string {
  const digits = String(Math.abs(fen)).padStart(3, "0");
  return `${fen < 0 ? "-" : ""}${digits.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, ",")}.${digits.slice(-2)}`;
}
