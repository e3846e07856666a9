/** city-fill: 100 departments × 13 real hosts, approved → active through the whole control plane, against 100 bare ups at the same concurrency. */
import { settled, undecided, waitFor } from "../../control-plane/cli/wait.ts";
import { newId } from "../../control-plane/store/ids.ts";
import { TestPlane } from "../setup/control-plane.ts";
import type { Engine } from "../setup/databases.ts";
import { startPostgres } from "../setup/postgres.ts";
import { host, smallCity } from "../setup/small-city.ts";
import { openBareUp } from "./bare-up.ts";
import { type Figure, timed } from "./bench.ts";
import { hostsOf } from "./specs.ts";

const departments = 100;
const hosts = 13;
/** Engines at once: the control plane's default. */
const slots = 2;
const patience = { intervalMs: 100, timeoutMs: 900_000 };

/** A city department (the small city's) with so many below it, each with an application and room for its hosts. */
function wideCity() {
  const city = smallCity({ hosts: departments * hosts + 100 });
  const [root] = city.departments;
  const codes = Array.from({ length: departments }, (_, index) => `d${index}`);
  for (const pool of city.pools) pool.capacity = Object.fromEntries(Object.keys(pool.capacity).map((dimension) => [dimension, 1_000_000_000]));
  const limits = (many: number) => ({ hosts: hosts * many, vcpu: 1_000 * many, memory_mib: 4_000_000 * many, "storage_gib:standard": 40_000 * many });
  return {
    codes,
    city: {
      ...city,
      departments: [root!, ...codes.map((code) => ({ ...root!, code, parent: root!.code, nameZh: code, nameEn: code }))],
      quotas: [{ ...city.quotas[0]!, limits: limits(departments) }, ...codes.map((code) => ({ ...city.quotas[0]!, department: code, limits: limits(1) }))],
      projects: [city.projects[0]!, ...codes.map((code) => ({ ...city.projects[0]!, department: code }))],
      applications: [city.applications[0]!, ...codes.map((code) => ({ ...city.applications[0]!, department: code, code: `${code}-app` }))],
    },
  };
}

async function fillOurs(engine: Engine): Promise<{ planned: number; applied: number }> {
  const postgres = engine === "postgres" ? await startPostgres({ fsync: true }) : undefined;
  const plane = new TestPlane();
  try {
    await plane.start({ ZHENGYUN_LOG_LEVEL: "error", ZHENGYUN_ENGINE_SLOTS: String(slots), ...(postgres && { DATABASE_URL: postgres.url }) });
    const { city, codes } = wideCity();
    await plane.fill(city);
    const items = Array.from({ length: hosts }, (_, index) => host(`h${index}`));
    const ids: string[] = [];
    const planned = await timed(async () => {
      for (const code of codes) ids.push((await plane.ask(items, code)).id);
      for (const id of ids)
        await waitFor(
          () => plane.read(id),
          (one) => undecided(one.state) || settled(one.state),
          patience,
        );
    });
    const applied = await timed(async () => {
      for (const id of ids) await plane.approve(id);
      for (const id of ids) {
        const done = await waitFor(
          () => plane.read(id),
          (one) => settled(one.state),
          patience,
        );
        if (done.state !== "active") throw new Error(`a request is ${done.state}: ${done.error?.message}`);
      }
    });
    return { planned, applied };
  } finally {
    await plane.remove();
    await postgres?.stop();
  }
}

async function fillBare(): Promise<number> {
  const bare = await openBareUp();
  try {
    const [pool, application] = [newId("pol"), newId("app")];
    let next = 0;
    const lane = async () => {
      while (next++ < departments) {
        const names = Array.from({ length: hosts }, () => newId("hst"));
        await bare.up(hostsOf(newId("dep"), names, pool, application));
      }
    };
    return await timed(() => Promise.all(Array.from({ length: slots }, lane)));
  } finally {
    await bare.close();
  }
}

export async function cityFillFigure(engine: Engine): Promise<Figure> {
  const ours = await fillOurs(engine);
  const theirs = await fillBare();
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  return {
    name: `city-fill-${engine}`,
    ratio: ours.applied / theirs,
    goal: 0.5,
    unit: "× the same bare ups",
    detail: `${departments} × ${hosts} hosts, ${slots} at once: approved → active ${seconds(ours.applied)} against ${seconds(theirs)}; asked → planned ${seconds(ours.planned)} before`,
  };
}
