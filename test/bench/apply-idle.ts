/** apply-N: the first `up` of N resources that cost nothing to make, as a job runs it, against a bare up; on both stores. */
import { type Figure, median, timed } from "./bench.ts";
import { expectSteps, onBothStores } from "./both-stores.ts";
import { newEstate } from "./specs.ts";

interface Size {
  hosts: number;
  goal: number;
  runs: number;
  /** Goal against a baseline with PULUMI_SKIP_CHECKPOINTS, where that is measured too. */
  skipGoal?: number;
}

export const sizes: Size[] = [
  { hosts: 10, goal: 0.4, runs: 5 },
  { hosts: 100, goal: 0.6, runs: 3 },
  { hosts: 1000, goal: 0.2, runs: 1, skipGoal: 1.2 },
];

export function applyIdleFigures({ hosts, goal, runs, skipGoal }: Size): Promise<Figure[]> {
  return onBothStores(async (planes, bare) => {
    const made = (up: () => Promise<Record<string, number>>) => timed(async () => expectSteps(await up(), "create", hosts));
    const ours = planes.map((): number[] => []);
    const [plain, skipping]: [number[], number[]] = [[], []];
    for (let run = 0; run < runs; run++) {
      for (const [index, plane] of planes.entries()) {
        const spec = newEstate(hosts, plane.pool);
        ours[index]!.push(await made(() => plane.up(spec)));
      }
      plain.push(await made(() => bare.up(newEstate(hosts, planes[0]!.pool))));
      if (skipGoal !== undefined) skipping.push(await made(() => bare.up(newEstate(hosts, planes[0]!.pool), { PULUMI_SKIP_CHECKPOINTS: "true" })));
    }
    const figure = (name: string, mine: number, theirs: number, its: number, unit: string): Figure => ({
      name,
      ratio: mine / theirs,
      goal: its,
      unit,
      detail: `${Math.round(mine)} ms against ${Math.round(theirs)} ms, median of ${runs}`,
    });
    return planes.flatMap(({ engine }, index) => {
      const mine = median(ours[index]!);
      const figures = [figure(`apply-${hosts}-${engine}`, mine, median(plain), goal, "× a bare up")];
      if (skipGoal !== undefined)
        figures.push(figure(`apply-${hosts}-vs-skip-checkpoints-${engine}`, mine, median(skipping), skipGoal, "× a bare up without checkpoints"));
      return figures;
    });
  });
}
