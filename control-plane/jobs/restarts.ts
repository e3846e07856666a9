/** Restarts that owners agreed to: what a change plan asks the drivers, and what is begun when its time has come. */
import { DriverError } from "../../infra/drivers/driver.ts";
import { fault } from "../../infra/drivers/fault.ts";
import type { Step } from "../../infra/operations.ts";
import type { HostSpec, VolumeSpec } from "../../infra/spec.ts";
import type { Kept } from "../store/requests.ts";
import type { PlannedNeed } from "../store/restarts.ts";
import { beginRestarts, restartsDue } from "../store/restart-turns.ts";
import { change, type JobContext } from "./context.ts";

/** What of a request's changes takes a restart, as things are now. Where nobody answers, as it was known before: a driver restarts nothing that isn't agreed to. */
export async function needsOf(context: JobContext, requestId: string, steps: readonly Step[]): Promise<PlannedNeed[]> {
  const updated = new Set(steps.filter((step) => step.action === "update").map((step) => step.name));
  const items = await context.db
    .selectFrom("request_items as i")
    .innerJoin("resources as r", "r.id", "i.resource_id")
    .innerJoin("pools as p", "p.id", "r.pool_id")
    .select(["i.resource_id as resource", "i.kind", "i.spec", "i.restart_need", "p.driver", "p.endpoint"])
    .where("i.request_id", "=", requestId)
    .where("i.action", "=", "resize")
    .where("i.state", "=", "pending")
    .orderBy("i.position")
    .execute();
  const needs = items
    .filter((item) => updated.has(item.resource))
    .map(async ({ resource, kind, spec, restart_need, driver: name, endpoint }): Promise<PlannedNeed | undefined> => {
      try {
        const driver = context.driver(name, endpoint);
        const found = await driver.find(kind as "host" | "volume", resource);
        if (!found) return undefined;
        const { wanted } = spec as Kept;
        const need = await driver.needsRestart(
          kind === "host" ? { kind, id: found.id, spec: wanted as HostSpec } : { kind: "volume", id: found.id, spec: wanted as VolumeSpec },
        );
        return need && { resource, ...need };
      } catch (error) {
        if (!(error instanceof DriverError)) throw error;
        context.log.warn({ resource, code: error.code }, "whether a change takes a restart could not be asked");
        return restart_need ? { resource, ...restart_need } : undefined;
      }
    });
  return (await Promise.all(needs)).flatMap((need) => need ?? []);
}

/** Each request in a transaction of its own; what is done already is not done again, whoever looks. */
export async function keepRestarts(context: JobContext): Promise<void> {
  for (const id of await restartsDue(context.db, context.now())) {
    fault("restart.due");
    await change(context, async (tx, act) => {
      const row = await beginRestarts(tx, act, id);
      if (row?.state === "submitted") await context.queue.plan(tx, [row]);
      else if (row) await context.queue.apply(tx, row.department_id);
    });
    fault("restart.begun");
  }
}
