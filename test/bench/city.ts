/** noop and city-fill: the whole control plane, against bare ups. */
import { join } from "node:path";
import { City } from "../../control-plane/contract/city.ts";
import { beginApply } from "../../control-plane/store/estates.ts";
import { openDatabase } from "../../control-plane/store/database.ts";
import { loadDriver } from "../../infra/drivers/load.ts";
import { TestPlane } from "../setup/control-plane.ts";
import type { Engine } from "../setup/databases.ts";
import { startPostgres } from "../setup/postgres.ts";
import { host, openBooks, plain, smallCity } from "../setup/small-city.ts";
import { openBareUp } from "./bare-up.ts";
import { type Figure, median, timed } from "./bench.ts";
import { departmentOf } from "./engine.ts";
import * as idle from "./idle-driver.ts";

/** An apply of a department whose specification is what was applied: no engine is started. */
export async function noop(): Promise<Figure[]> {
  const bare = await openBareUp(idle.loadDriver);
  try {
    const spec = departmentOf(10);
    await bare.up(spec);
    const bares: number[] = [];
    for (let run = 0; run < 5; run++) bares.push(await timed(() => bare.up(spec)));
    const figures: Figure[] = [];
    for (const store of ["pglite", "postgres"] as const) {
      const times = await unchanged(store);
      figures.push({
        name: `noop-${store}`,
        ratio: median(times) / median(bares),
        goal: 0.05,
        unit: "× a bare up",
        detail: `${median(times).toFixed(1)} ms against ${Math.round(median(bares))} ms, 10 hosts, median of ${times.length} and ${bares.length}`,
      });
    }
    return figures;
  } finally {
    await bare.close();
  }
}

async function unchanged(store: Engine): Promise<number[]> {
  const postgres = store === "postgres" ? await startPostgres() : undefined;
  const opened = await openDatabase({ directory: "memory", url: postgres?.url });
  try {
    const books = openBooks(opened.db);
    await books.import(smallCity());
    const { id } = await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow();
    await books.decide(
      await books.ask(
        "office",
        Array.from({ length: 10 }, (_, index) => host(`h${index}`)),
      ),
    );
    await books.apply(id);
    await books.observe();
    const times: number[] = [];
    for (let run = 0; run < 21; run++)
      times.push(
        await timed(async () => {
          const begun = await books.change((tx) => beginApply(tx, books.act(), id, plain));
          if (!begun.unchanged) throw new Error("the department is not as it was applied");
        }),
      );
    return times;
  } finally {
    await opened.close();
    await postgres?.stop();
  }
}

const [departments, hostsEach, slots] = [100, 13, 2];

/** Every department of a city from approval to running hosts, against as many bare ups, so many engines at once in both. */
export async function cityFill(): Promise<Figure[]> {
  const plane = new TestPlane();
  const bare = await openBareUp((directory) => loadDriver("embedded", join(directory, "embedded")));
  try {
    await plane.start({ ZHENGYUN_LOG_LEVEL: "error", ZHENGYUN_ENGINE_SLOTS: String(slots) });
    const codes = Array.from({ length: departments }, (_, index) => `d${index}`);
    const capacity = { hosts: 2000, vcpu: 10_000, memory_mib: 10_000_000, "storage_gib:standard": 1_000_000 };
    const city = City.parse({
      name: "Bench",
      pools: [{ code: "compute", name: "Compute", kind: "compute", site: "Site A", endpoint: "", capacity }],
      departments: [
        { code: "city", parent: null, nameZh: "市", nameEn: "City", level: "city" },
        ...codes.map((code) => ({ code, parent: "city", nameZh: code, nameEn: code, level: "city" })),
      ],
      quotas: ["city", ...codes].map((department) => ({ department, limits: capacity })),
      projects: codes.map((department) => ({ department, code: "p", name: "Project", fiscalYear: 2026, budgetFen: 100, stage: "approved" })),
      applications: codes.map((department) => ({ department, project: "p", code: `${department}-app`, name: "Application", contact: "somebody" })),
    });
    await plane.fill(city);
    const items = Array.from({ length: hostsEach }, (_, index) => host(`h${index}`));
    const asked: string[] = [];
    for (const code of codes) asked.push((await plane.ask(items, code)).id);
    for (const id of asked) while ((await plane.read(id)).state === "submitted") await new Promise((resolve) => setTimeout(resolve, 50));
    const ours = await timed(async () => {
      for (const id of asked) await plane.approve(id);
      for (const id of asked) {
        const done = await plane.settled(id);
        if (done.state !== "active") throw new Error(`${done.number} is ${done.state}`);
      }
    });
    await plane.kill("SIGTERM");
    await plane.driver.purge();
    const specs = Array.from({ length: departments }, () => departmentOf(hostsEach));
    const baseline = await timed(() =>
      Promise.all(
        Array.from({ length: slots }, async () => {
          for (let spec = specs.pop(); spec; spec = specs.pop()) await bare.up(spec);
        }),
      ),
    );
    return [
      {
        name: "city-fill",
        ratio: ours / baseline,
        goal: 0.5,
        unit: "× bare ups",
        detail: `${departments} × ${hostsEach} hosts, approved to active in ${(ours / 1000).toFixed(1)} s, against ${(baseline / 1000).toFixed(1)} s for the bare ups, ${slots} at once`,
      },
    ];
  } finally {
    await bare.close();
    await plane.remove();
  }
}
