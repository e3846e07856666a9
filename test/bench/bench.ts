/** One figure of `npm run bench`: ours over the baseline, both measured in this run. */
export interface Figure {
  name: string;
  ratio: number | null;
  goal: number | null;
  unit: string;
  detail: string;
}

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Milliseconds that something takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** Runs two in turn (A B A B …), so that a machine that slows down slows both; the medians' ratio. */
export async function sideBySide(
  runs: number,
  ours: (run: number) => Promise<number>,
  baseline: (run: number) => Promise<number>,
): Promise<{ ours: number; baseline: number; ratio: number }> {
  const [a, b]: [number[], number[]] = [[], []];
  for (let run = 0; run < runs; run++) {
    a.push(await ours(run));
    b.push(await baseline(run));
  }
  return { ours: median(a), baseline: median(b), ratio: median(a) / median(b) };
}
