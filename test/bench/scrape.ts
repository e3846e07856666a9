/** scrape: /metrics at 1,300 live hosts: milliseconds, bytes, and the longest block of the event loop. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createMetrics } from "../../control-plane/metrics.ts";
import { systemAct } from "../../control-plane/store/act.ts";
import { appendAudit } from "../../control-plane/store/audit.ts";
import { openBooks, smallCity } from "../setup/small-city.ts";
import { type Figure, median, timed } from "./bench.ts";
import { openBench } from "./store.ts";

const hosts = 1300;

export async function scrapeFigure(): Promise<Figure> {
  const bench = await openBench("pglite");
  try {
    const books = openBooks(bench.db);
    const city = smallCity({ hosts: 10_000 });
    for (const pool of city.pools) pool.capacity = Object.fromEntries(Object.keys(pool.capacity).map((dimension) => [dimension, 1_000_000_000]));
    for (const quota of city.quotas) quota.limits = { hosts: 10_000, vcpu: 1_000_000, memory_mib: 1_000_000_000, "storage_gib:standard": 1_000_000_000 };
    await books.import(city);
    const office = await bench.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow();
    for (let from = 0; from < hosts; from += 100) {
      const items = Array.from({ length: 100 }, (_, index) => ({
        action: "create",
        kind: "host",
        spec: { name: `h${from + index}`, flavour: "standard", image: "zhengyun-base-1" },
      }));
      await books.decide(await books.ask("office", items));
    }
    await books.apply(office.id);
    await books.observe();
    await books.change((tx) => appendAudit(tx, systemAct(new Date()), { action: "bench", subjectKind: "bench", subjectId: "scrape", departmentId: null }));
    const metrics = createMetrics(
      bench.db,
      { hosts: () => new Map(), volumes: () => new Map(), of: () => undefined },
      () => new Date(),
      () => ({ state: "closed" }),
    );
    let bytes = 0;
    const times: number[] = [];
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    for (let run = 0; run < 10; run++) {
      times.push(await timed(async () => (bytes = (await metrics.expose()).length)));
      // The histogram's timer fires only when the loop turns: a scrape that never let it turn is seen here.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    delay.disable();
    return {
      name: "scrape",
      ratio: null,
      goal: null,
      unit: "",
      detail: `${hosts} hosts: ${median(times).toFixed(1)} ms (median of 10), ${bytes} bytes, longest loop block ${(delay.max / 1e6).toFixed(1)} ms`,
    };
  } finally {
    await bench.close();
  }
}
