/** `npm run bench [-- NAME…]`: prints a table and writes bench-results.json. */
import { writeFileSync } from "node:fs";
import { table } from "../../control-plane/cli/output.ts";
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
