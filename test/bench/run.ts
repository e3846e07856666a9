/** `npm run bench [-- NAME…]`: prints a table and writes bench-results.json. */
import { writeFileSync } from "node:fs";
import { table } from "../../control-plane/cli/output.ts";
import { acceptFigure } from "./accept.ts";
import { applyFigures } from "./apply.ts";
import { applyIdleFigures, sizes } from "./apply-idle.ts";
import type { Figure } from "./bench.ts";
import { cityFillFigure } from "./city-fill.ts";
import { growthFigures } from "./growth.ts";
import { lxdFigures } from "./lxd.ts";
import { noopFigures, noopHundredFigures } from "./noop.ts";
import { placementFigures } from "./placement.ts";
import { quotaContentionFigure } from "./quota-contention.ts";
import { scrapeFigure } from "./scrape.ts";
import { engines } from "../setup/databases.ts";
import { stateBytesFigures } from "./state-bytes.ts";
import { installPackages } from "../setup/packages.ts";

/** A figure's names on the two stores. */
const onEach = (...names: string[]) => engines.flatMap((engine) => names.map((name) => `${name}-${engine}`));

/** Benchmarks by the names of the figures that they make. */
const benches: { names: string[]; run(): Promise<Figure[]> }[] = [
  { names: ["apply-overhead", "one-change"], run: applyFigures },
  { names: ["accept-pglite"], run: async () => [await acceptFigure("pglite")] },
  { names: ["accept-postgres"], run: async () => [await acceptFigure("postgres")] },
  ...sizes.map((size) => ({
    names: onEach(`apply-${size.hosts}`, ...(size.skipGoal === undefined ? [] : [`apply-${size.hosts}-vs-skip-checkpoints`])),
    run: () => applyIdleFigures(size),
  })),
  { names: onEach("noop-engine", "noop"), run: noopFigures },
  { names: onEach("noop-engine-100"), run: noopHundredFigures },
  { names: onEach("apply-growth"), run: growthFigures },
  { names: onEach("state-bytes"), run: stateBytesFigures },
  ...engines.map((engine) => ({ names: [`city-fill-${engine}`], run: async () => [await cityFillFigure(engine)] })),
  ...engines.map((engine) => ({ names: [`quota-contention-${engine}`], run: async () => [await quotaContentionFigure(engine)] })),
  { names: ["lxd-batch", "lxd-observe"], run: lxdFigures },
  { names: ["placement-spread", "placement-pack"], run: async () => placementFigures() },
  { names: ["scrape"], run: async () => [await scrapeFigure()] },
];

const asked = process.argv.slice(2);
/** `apply-10` asks for itself on every store, not for `apply-100`. */
const asksFor = (name: string, figure: string) => figure === name || figure.startsWith(`${name}-`);
const known = benches.flatMap((bench) => bench.names);
const unknown = asked.filter((name) => !known.some((one) => asksFor(name, one)));
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(", ")}; there are: ${known.join(", ")}.`);
  process.exit(2);
}
installPackages();
const figures: Figure[] = [];
for (const bench of benches) {
  if (asked.length > 0 && !bench.names.some((one) => asked.some((name) => asksFor(name, one)))) continue;
  console.error(`measuring ${bench.names.join(", ")} …`);
  figures.push(...(await bench.run()));
}
console.log(
  table(figures, [
    { title: "figure", value: (row) => row.name },
    { title: "ratio", value: (row) => (row.ratio === null ? "" : row.ratio.toFixed(row.ratio < 0.1 ? 4 : 2)) },
    { title: "goal", value: (row) => (row.goal === null ? "" : `≤ ${row.goal}`) },
    { title: "", value: (row) => (row.ratio === null || row.goal === null ? "" : row.ratio <= row.goal ? "met" : "NOT MET") },
    { title: "unit", value: (row) => row.unit },
    { title: "detail", value: (row) => row.detail },
  ]),
);
writeFileSync("bench-results.json", `${JSON.stringify(figures, null, 2)}\n`);
process.exit(0);
