/** Hosts that were made or changed but never came up: what waits for them is told so, and what they hold is given back. */
import { sql } from "kysely";
import type { Act } from "./act.ts";
import { appendAudits } from "./audit.ts";
import type { Tx } from "./database.ts";
import { finishRequests } from "./finishing.ts";
import { appendEvents } from "./events.ts";

/** Seconds after its apply until a host that no reading has seen running counts as failed. */
export const startDeadlineSeconds = 600;

/**
 * Fails items whose host did not run in time. A new host leaves the wanted state with what is attached to it, so that the next `up` removes it and
 * gives its charge back; an existing one stays as it is, and its owner sees that it is down.
 * @returns departments that need an apply
 */
export async function failOverdue(tx: Tx, act: Act): Promise<string[]> {
  const overdue = await tx
    .selectFrom("request_items as i")
    .innerJoin("requests as q", "q.id", "i.request_id")
    .innerJoin("resources as r", "r.id", "i.resource_id")
    .select(["i.id", "i.action", "i.request_id", "r.id as host", "r.name", "r.department_id", "r.observed_state"])
    .where("q.state", "=", "applying")
    .where("i.state", "=", "applying")
    .where("r.kind", "=", "host")
    .where("r.phase", "=", "live")
    .where(sql<boolean>`r.wanted = r.applied`)
    .where("r.observed_state", "<>", "running")
    .where("r.updated_at", "<", new Date(act.now.getTime() - startDeadlineSeconds * 1000))
    .forUpdate("i")
    .execute();
  if (overdue.length === 0) return [];
  const errorOf = (state: string) => ({
    code: "never-ran",
    message: `The host was not seen running within ${startDeadlineSeconds / 60} minutes; last seen: ${state}.`,
  });
  for (const one of overdue)
    await tx
      .updateTable("request_items")
      .set({ state: "failed", error: JSON.stringify(errorOf(one.observed_state)) })
      .where("id", "=", one.id)
      .execute();
  const made = overdue.filter((one) => one.action === "create");
  if (made.length > 0) {
    const hosts = made.map((one) => one.host);
    await tx
      .updateTable("resources")
      .set({ phase: "failed", updated_at: act.now })
      .where((where) =>
        where.or([
          where("id", "in", hosts),
          where.and([where("kind", "=", "attachment"), where("phase", "in", ["wanted", "live"]), where(sql<string>`wanted->>'host'`, "in", hosts)]),
        ]),
      )
      .execute();
  }
  const departments = [...new Set(overdue.map((one) => one.department_id))];
  await appendAudits(
    tx,
    act,
    overdue.map((one) => ({
      action: `host.${one.action}`,
      subjectKind: "host",
      subjectId: one.host,
      departmentId: one.department_id,
      result: "failed",
      after: errorOf(one.observed_state),
    })),
  );
  await appendEvents(
    tx,
    overdue.map((one) => ({
      at: act.now,
      departmentId: one.department_id,
      requestId: one.request_id,
      type: "item.failed",
      subjectId: one.host,
      data: { kind: "host", name: one.name, action: one.action, error: errorOf(one.observed_state) },
    })),
  );
  for (const department of departments) await finishRequests(tx, act, department);
  return [...new Set(made.map((one) => one.department_id))];
}
