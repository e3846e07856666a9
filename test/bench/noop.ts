/** noop and noop-engine: nothing has changed. By the job, which starts no engine; by an engine all the same; each against a bare up. */
import { applyDepartment } from "../../control-plane/jobs/apply.ts";
import { host } from "../setup/small-city.ts";
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

export function noopFigures(): Promise<Figure[]> {
  return onBothStores(async (planes, bare) => {
    const unchanged = newEstate(hosts, planes[0]!.pool);
    await bare.up(unchanged);
    const mine = [];
    for (const plane of planes) {
      const spec = newEstate(hosts, plane.pool);
      await plane.up(spec);
      const again = await appliedDepartment(plane);
      await again();
      const forced: number[] = [];
      const spared: number[] = [];
      mine.push({ engine: plane.engine, spec, again, up: plane.up, forced, spared });
    }
    const theirs: number[] = [];
    for (let run = 0; run < runs; run++) {
      for (const { again, up, spec, forced, spared } of mine) {
        spared.push(await timed(again));
        forced.push(await timed(async () => expectSteps(await up(spec), "same", hosts)));
      }
      theirs.push(await timed(async () => expectSteps(await bare.up(unchanged), "same", hosts)));
    }
    const figure = (name: string, times: number[], goal: number): Figure => ({
      name,
      ratio: median(times) / median(theirs),
      goal,
      unit: "× a bare up without changes",
      detail: `${median(times).toFixed(1)} ms against ${Math.round(median(theirs))} ms, ${hosts} hosts, median of ${runs}`,
    });
    return mine.flatMap(({ engine, forced, spared }) => [figure(`noop-engine-${engine}`, forced, 0.3), figure(`noop-${engine}`, spared, 0.05)]);
  });
}
