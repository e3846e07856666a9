/** Planes on both stores and the bare baseline, opened and warmed for one benchmark. */
import { engines } from "../setup/databases.ts";
import { type Bare, openBare } from "./bare.ts";
import { type EnginePlane, openEnginePlane } from "./engine-plane.ts";
import { loadDriver } from "./idle-driver.ts";
import { newEstate } from "./specs.ts";

/** Runs a benchmark on a warm plane for each store and a warm baseline; closes them however it ends. */
export async function onBothStores<T>(measure: (planes: EnginePlane[], bare: Bare) => Promise<T>): Promise<T> {
  const opened: { close(): Promise<void> }[] = [];
  const keep = <O extends { close(): Promise<void> }>(one: O): O => {
    opened.push(one);
    return one;
  };
  try {
    const planes: EnginePlane[] = [];
    for (const engine of engines) planes.push(keep(await openEnginePlane(engine)));
    const bare = keep(await openBare(loadDriver));
    for (const plane of planes) await plane.up(newEstate(3, plane.pool));
    await bare.up(newEstate(3, planes[0]!.pool));
    return await measure(planes, bare);
  } finally {
    for (const one of opened.toReversed()) await one.close();
  }
}

/** @throws Error when an engine did not do what was measured */
export function expectSteps(counts: Record<string, number>, action: "create" | "same", atLeast: number): void {
  if (!((counts[action] ?? 0) >= atLeast)) throw new Error(`expected ${atLeast} × ${action}: ${JSON.stringify(counts)}`);
}
