/** `npm run bench [-- NAME…]`: prints a table and writes bench-results.json. */
import { writeFileSync } from "node:fs";
import { table } from "../../control-plane/cli/output.ts";
import { applyGrowth, applyMany, applySkippingCheckpoints, noopEngine, stateBytes } from "./engine.ts";
import { cityFill, noop } from "./city.ts";
import { acceptFigure } from "./accept.ts";
import { applyFigures } from "./apply.ts";
import type { Figure } from "./bench.ts";
import { scrapeFigure } from "./scrape.ts";
import { installPackages } from "../setup/packages.ts";

/** Benchmarks by the names of the figures that they make. */
const benches: { names: string[]; run(): Promise<Figure[]> }[] = [
  { names: ["apply-overhead", "one-change"], run: applyFigures },
  { names: ["accept-pglite"], run: async () => [await acceptFigure("pglite")] },
  { names: ["accept-postgres"], run: async () => [await acceptFigure("postgres")] },
  { names: ["apply-10-pglite", "apply-10-postgres"], run: () => applyMany(10, 0.4, 7) },
  { names: ["apply-100-pglite", "apply-100-postgres"], run: () => applyMany(100, 0.6, 5) },
  { names: ["apply-1000-pglite", "apply-1000-postgres"], run: () => applyMany(1000, 0.2, 1) },
  { names: ["apply-1000-vs-skip-checkpoints-pglite", "apply-1000-vs-skip-checkpoints-postgres"], run: applySkippingCheckpoints },
  { names: ["noop-engine-pglite", "noop-engine-postgres"], run: () => noopEngine(10) },
  { names: ["noop-engine-100-pglite", "noop-engine-100-postgres"], run: () => noopEngine(100) },
  { names: ["noop-pglite", "noop-postgres"], run: noop },
  { names: ["city-fill"], run: cityFill },
  { names: ["apply-growth-pglite", "apply-growth-postgres"], run: applyGrowth },
  { names: ["state-bytes-pglite", "state-bytes-postgres"], run: stateBytes },
  { names: ["scrape"], run: async () => [await scrapeFigure()] },
];

const asked = process.argv.slice(2);
const known = benches.flatMap((bench) => bench.names);
const unknown = asked.filter((name) => !known.some((one) => one.startsWith(name)));
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(", ")}; there are: ${known.join(", ")}.`);
  process.exit(2);
}
installPackages();
const figures: Figure[] = [];
for (const bench of benches) {
  if (asked.length > 0 && !bench.names.some((one) => asked.some((name) => one.startsWith(name)))) continue;
  console.error(`measuring ${bench.names.join(", ")} …`);
  figures.push(...(await bench.run()));
}
console.log(
  table(figures, [
    { title: "figure", value: (row) => row.name },
    { title: "ratio", value: (row) => (row.ratio === null ? "" : row.ratio.toFixed(2)) },
    { title: "goal", value: (row) => (row.goal === null ? "" : `≤ ${row.goal}`) },
    { title: "", value: (row) => (row.ratio === null || row.goal === null ? "" : row.ratio <= row.goal ? "met" : "NOT MET") },
    { title: "unit", value: (row) => row.unit },
    { title: "detail", value: (row) => row.detail },
  ]),
);
writeFileSync("bench-results.json", `${JSON.stringify(figures, null, 2)}\n`);
process.exit(0);
