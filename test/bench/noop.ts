/** noop and noop-engine: nothing has changed. By the job, which starts no engine; by an engine all the same; each against a bare up. */
import { applyDepartment } from "../../control-plane/jobs/apply.ts";
import { host } from "../setup/small-city.ts";
import type { Bare } from "./bare.ts";
import { type Figure, median, timed } from "./bench.ts";
import { expectSteps, onBothStores } from "./both-stores.ts";
import type { EnginePlane } from "./engine-plane.ts";
import { newEstate } from "./specs.ts";

const hosts = 10;
const runs = 5;

/** A department applied by the real job. @returns the job again, which fails when it runs the engine */
async function appliedDepartment({ db, books, context }: EnginePlane): Promise<() => Promise<void>> {
  const office = await db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow();
  await books.decide(
    await books.ask(
      "office",
      Array.from({ length: hosts }, (_, index) => host(`h${index}`)),
    ),
  );
  await applyDepartment(context, office.id);
  const run = () => Promise.reject(new Error("an engine was started for an unchanged spec"));
  const without = { ...context, engine: { ...context.engine, run } };
  return () => applyDepartment(without, office.id);
}

/** An engine run on an unchanged spec, in turn on both stores and bare. @returns milliseconds */
async function forcedRuns(planes: EnginePlane[], bare: Bare, size: number) {
  const unchanged = newEstate(size, planes[0]!.pool);
  await bare.up(unchanged);
  const mine = planes.map((plane) => ({ engine: plane.engine, up: plane.up, spec: newEstate(size, plane.pool), times: [] as number[] }));
  for (const { up, spec } of mine) await up(spec);
  const theirs: number[] = [];
  for (let run = 0; run < runs; run++) {
    for (const { up, spec, times } of mine) times.push(await timed(async () => expectSteps(await up(spec), "same", size)));
    theirs.push(await timed(async () => expectSteps(await bare.up(unchanged), "same", size)));
  }
  return { mine, theirs };
}

const figure = (name: string, size: number, times: number[], theirs: number[], goal: number): Figure => ({
  name,
  ratio: median(times) / median(theirs),
  goal,
  unit: "× a bare up without changes",
  detail: `${median(times).toFixed(1)} ms against ${Math.round(median(theirs))} ms, ${size} hosts, median of ${runs}`,
});

export function noopFigures(): Promise<Figure[]> {
  return onBothStores(async (planes, bare) => {
    const { mine, theirs } = await forcedRuns(planes, bare, hosts);
    const figures: Figure[] = [];
    for (const [index, plane] of planes.entries()) {
      const again = await appliedDepartment(plane);
      await again();
      const spared: number[] = [];
      for (let run = 0; run < runs; run++) spared.push(await timed(again));
      figures.push(figure(`noop-engine-${plane.engine}`, hosts, mine[index]!.times, theirs, 0.3));
      figures.push(figure(`noop-${plane.engine}`, hosts, spared, theirs, 0.05));
    }
    return figures;
  });
}

/** noop-engine-100: the share that grows with the department, which ten hosts hide behind the engine's start. */
export function noopHundredFigures(): Promise<Figure[]> {
  return onBothStores(async (planes, bare) => {
    const { mine, theirs } = await forcedRuns(planes, bare, 100);
    return mine.map(({ engine, times }) => figure(`noop-engine-100-${engine}`, 100, times, theirs, 0.3));
  });
}
