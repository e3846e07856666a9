import { expect, it } from "vitest";
import { ticks as jobs } from "../../../control-plane/jobs/ticks.ts";
import { startSchedules } from "../../../control-plane/schedules/schedules.ts";

it("ticks for every job at once at the start, and survives a queue that refuses", async () => {
  const ticked: string[] = [];
  const errors: unknown[] = [];
  const stop = await startSchedules(
    async (name) => {
      ticked.push(name);
      if (name === "waiting") throw new Error("the database is away");
    },
    (error) => errors.push(error),
  );
  await stop();
  expect(ticked.toSorted()).toEqual(Object.keys(jobs).toSorted());
  expect(errors.map(String)).toEqual(["Error: the database is away"]);
});
