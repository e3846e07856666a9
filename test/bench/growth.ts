/** apply-growth: with which power of the number of resources the time of a first `up` grows, 250 to 4,000; the bare up's beside it, where it can be waited for. */
import { type Figure, timed } from "./bench.ts";
import { expectSteps, onBothStores } from "./both-stores.ts";
import { newEstate } from "./specs.ts";

const sizes = [250, 500, 1000, 2000, 4000];
/** 4,000 would take a bare up a quarter of an hour. */
const bareSizes = [125, 250, 500];
const passes = 2;

/** The exponent b of time = a × sizeᵇ, by least squares over the logarithms. */
export function exponent(points: readonly { size: number; ms: number }[]): number {
  const logs = points.map(({ size, ms }) => ({ x: Math.log(size), y: Math.log(ms) }));
  const mean = (of: (point: { x: number; y: number }) => number) => logs.reduce((sum, point) => sum + of(point), 0) / logs.length;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  return mean((point) => (point.x - x) * (point.y - y)) / mean((point) => (point.x - x) ** 2);
}

/** Each size's fastest of some passes over all sizes: a neighbour's load on one size alone would bend the exponent, either way. */
async function measured(of: readonly number[], up: (size: number) => Promise<Record<string, number>>) {
  const points = of.map((size) => ({ size, ms: Number.POSITIVE_INFINITY }));
  for (let pass = 0; pass < passes; pass++)
    for (const point of points) point.ms = Math.min(point.ms, await timed(async () => expectSteps(await up(point.size), "create", point.size)));
  return points;
}

const told = (points: readonly { size: number; ms: number }[]) => points.map(({ size, ms }) => `${size}: ${(ms / 1000).toFixed(1)} s`).join(", ");

export function growthFigures(): Promise<Figure[]> {
  return onBothStores(async (planes, bare) => {
    const theirs = await measured(bareSizes, (size) => bare.up(newEstate(size, planes[0]!.pool)));
    const figures: Figure[] = [];
    for (const plane of planes) {
      const ours = await measured(sizes, (size) => plane.up(newEstate(size, plane.pool)));
      const detail = `fastest of ${passes}: ${told(ours)}; a bare up ${exponent(theirs).toFixed(2)} (${told(theirs)})`;
      figures.push({ name: `apply-growth-${plane.engine}`, ratio: exponent(ours), goal: 1.1, unit: "exponent of the time", detail });
    }
    return figures;
  });
}
