/**
 * Restarts that owners agree to. A change that can't be made while a host runs (the change plan says which) is approved like any other, and waits, `scheduled`,
 * for the moment that somebody of the owning department names: with the request, or later. Until it begins, what is wanted stays as it was.
 */
import { sql } from "kysely";
import type { RestartAgreement, RestartTime } from "../contract/requests.ts";
import type { NoticeKind } from "../contract/notices.ts";
import { digestOf } from "../domain/digest.ts";
import { undecidedStates } from "../domain/lifecycle.ts";
import { audiences } from "../domain/notifying.ts";
import { Refusal } from "../domain/refusal.ts";
import { plannedUntil, restartTurn, timeFault } from "../domain/restarts.ts";
import type { Act } from "./act.ts";
import { holdersOf } from "./audience.ts";
import { appendAudit } from "./audit.ts";
import { requireOwner } from "./consents.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvents } from "./events.ts";
import { notifyOfRequest } from "./request-notices.ts";
import { type Kept, lockRequest, type RequestRow, type StoredItem } from "./requests.ts";
import type { AgreedRestart } from "./schema.ts";

/** What of a plan takes a restart: by resource. */
export interface PlannedNeed {
  resource: string;
  host: string;
  why: string;
}

export const timeOf = (restart: AgreedRestart | null): RestartTime | null =>
  restart === null ? null : restart.when === "at" ? { when: "at", at: restart.at } : { when: restart.when };
export const agreedBy = (act: Act, time: RestartTime): AgreedRestart => ({ ...time, by: act.actor, agreedAt: act.now.toISOString() });

/** @throws Refusal invalid-body, and forbidden for who doesn't speak for the owning department */
export async function requireAgreeing(tx: Tx, act: Act, departmentId: string, times: readonly { pointer: string; time: RestartTime }[]): Promise<void> {
  if (times.length === 0) return;
  const errors = times.flatMap(({ pointer, time }) => {
    const fault = timeFault(time, act.now);
    return fault === undefined ? [] : [{ pointer, detail: fault }];
  });
  if (errors.length > 0) throw new Refusal("invalid-body", `The time of the restart ${errors[0]!.detail}.`, { errors });
  await requireOwner(tx, act, { department_id: departmentId });
}

/** Notes with each open item what the plan found. */
export async function noteNeeds(tx: Tx, requestId: string, needs: readonly PlannedNeed[]): Promise<void> {
  await sql`update request_items i set restart_need = w.need from (
      select x.id, (select jsonb_build_object('host', n.host, 'why', n.why) from jsonb_to_recordset(${JSON.stringify(needs)}::jsonb) as n(resource text, host text, why text)
        where n.resource = x.resource_id limit 1) as need
      from request_items x where x.request_id = ${requestId} and x.action = 'resize' and x.state = 'pending') w
    where i.id = w.id`.execute(tx);
}

/** Those of what was approved that wait for their restart; the rest is to be wanted at once. */
export async function scheduleRestarts(tx: Tx, act: Act, row: RequestRow, items: readonly StoredItem[]): Promise<Set<string>> {
  const waiting = items.filter((item) => item.restart_need !== null && item.restart?.when !== "now");
  if (waiting.length === 0) return new Set();
  for (const item of waiting) {
    // While it waited for its approval the moment went by: that is another one to agree to.
    const lapsed = restartTurn(timeOf(item.restart), act.now, false) === "lapsed";
    const { wanted } = await tx.selectFrom("resources").select("wanted").where("id", "=", item.resource_id).executeTakeFirstOrThrow();
    await tx
      .updateTable("request_items")
      .set({
        state: "scheduled",
        spec: JSON.stringify({ ...(item.spec as Kept), base: digestOf(wanted) } satisfies Kept),
        ...(lapsed ? { restart: null } : {}),
      })
      .where("id", "=", item.id)
      .execute();
    await tellOwner(tx, act, row, lapsed || item.restart === null ? "restart.needed" : "restart.scheduled", [lapsed ? { ...item, restart: null } : item]);
  }
  return new Set(waiting.map((item) => item.id));
}

/**
 * When hosts may be restarted for what takes that: said for the first time, or changed, until it begins.
 * @throws Refusal forbidden, invalid-body, conflict when nothing waits for a restart
 */
export async function agreeRestart(tx: Tx, act: Act, id: string, { time, items: named }: RestartAgreement): Promise<RequestRow> {
  const row = await lockRequest(tx, id);
  await requireAgreeing(tx, act, row.department_id, [{ pointer: "/time/at", time }]);
  const all = await tx
    .selectFrom("request_items")
    .selectAll()
    .where("request_id", "=", id)
    .where("action", "=", "resize")
    .orderBy("position")
    .forUpdate()
    .execute();
  const open: readonly string[] = [...undecidedStates, "waiting"];
  const changeable = all.filter((item) => item.state === "scheduled" || (item.state === "pending" && open.includes(row.state)));
  const unknown = named?.findIndex((one) => !changeable.some((item) => item.id === one)) ?? -1;
  if (unknown >= 0)
    throw new Refusal("conflict", "This item waits for no restart: it takes none, or that has begun.", {
      errors: [{ pointer: `/items/${unknown}`, detail: "waits for no restart" }],
    });
  const needing = changeable.filter((item) => item.restart_need !== null);
  const chosen = named ? changeable.filter((item) => named.includes(item.id)) : needing.length > 0 ? needing : changeable;
  if (chosen.length === 0) throw new Refusal("conflict", `The request is ${row.state}: nothing of it waits for a restart.`);
  const restart = agreedBy(act, time);
  await tx
    .updateTable("request_items")
    .set({ restart: JSON.stringify(restart), restart_told: null })
    .where(
      "id",
      "in",
      chosen.map((item) => item.id),
    )
    .execute();
  await appendAudit(tx, act, {
    action: "request.agree-restart",
    subjectKind: "request",
    subjectId: id,
    departmentId: row.department_id,
    before: chosen.map((item) => ({ item: item.id, resource: item.resource_id, restart: item.restart })),
    after: chosen.map((item) => ({ item: item.id, resource: item.resource_id, restart })),
  });
  await tellOwner(
    tx,
    act,
    row,
    "restart.scheduled",
    chosen.map((item) => ({ ...item, restart })),
  );
  return tx
    .updateTable("requests")
    .set({ revision: row.revision + 1, updated_at: act.now })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Of requests that are being applied, what may restart a host; from now on that counts as planned time. */
export async function restartsAgreed(tx: Tx, now: Date, requestIds: readonly string[]): Promise<string[]> {
  if (requestIds.length === 0) return [];
  const items = await tx
    .selectFrom("request_items")
    .selectAll()
    .where("request_id", "in", [...requestIds])
    .where("state", "=", "applying")
    .where("action", "=", "resize")
    .where((where) => where.or([where("restart_begun_at", "is not", null), where(sql<string>`restart->>'when'`, "=", "now")]))
    .execute();
  for (const item of items.filter((one) => one.restart_need !== null))
    await tx
      .insertInto("planned_restarts")
      .values({ item_id: item.id, resource_id: item.restart_need!.host, from_at: now, to_at: plannedUntil(now) })
      // Begun once more after a kill: it counts from where it began, and no longer.
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  return items.map((item) => item.resource_id);
}

/** These hosts run: what was planned of their time is over. */
export async function endPlanned(tx: Tx, now: Date, hostIds: readonly string[]): Promise<void> {
  if (hostIds.length === 0) return;
  await sql`update planned_restarts p set to_at = greatest(p.from_at, ${now}::timestamptz) where p.resource_id = any(${sql.val([...hostIds])}::text[]) and p.to_at > ${now}`.execute(
    tx,
  );
}

/** Its owner is told what came of a restart. @param failed resources that could not be changed */
export async function tellRestarted(tx: Tx, act: Act, items: readonly StoredItem[], failed: (item: StoredItem) => boolean): Promise<void> {
  const restarted = items.filter((item) => item.restart_need !== null && item.restart !== null);
  for (const [requestId, of] of Map.groupBy(restarted, (item) => item.request_id)) {
    const row = await tx.selectFrom("requests").selectAll().where("id", "=", requestId).executeTakeFirstOrThrow();
    for (const [kind, some] of [
      ["restart.done", of.filter((item) => !failed(item))],
      ["restart.failed", of.filter(failed)],
    ] as const)
      if (some.length > 0) await tellOwner(tx, act, row, kind, some);
  }
}

/** To whoever asks for the department's hosts. */
export async function tellOwner(
  tx: Tx,
  act: Act,
  row: RequestRow,
  kind: Extract<NoticeKind, `restart.${string}`>,
  items: readonly StoredItem[],
): Promise<void> {
  const ids = [...new Set(items.map((item) => item.restart_need?.host ?? item.resource_id))];
  const named = await tx.selectFrom("resources").select(["id", "name"]).where("id", "in", ids).orderBy("name").execute();
  const time = timeOf(items[0]!.restart);
  const data = { hosts: named.map((one) => one.name).join(", "), when: time?.when ?? null, at: time?.when === "at" ? time.at : null };
  await notifyOfRequest(tx, act, kind, row, data, await holdersOf(tx, audiences[kind], row.department_id, act.now));
  await appendEvents(
    tx,
    named.map((one) => ({
      at: act.now,
      departmentId: row.department_id,
      requestId: row.id,
      type: kind,
      subjectId: one.id,
      data: { number: row.number, name: one.name, when: data.when, at: data.at },
    })),
  );
}

/** When each item will be restarted, as far as that is known: of a window, the beginning of the next one that concerns its host. */
export async function dueTimes(db: Db, items: readonly Pick<StoredItem, "id" | "restart" | "restart_need">[], now: Date): Promise<Map<string, Date>> {
  const found = new Map<string, Date>();
  for (const item of items) if (item.restart?.when === "at") found.set(item.id, new Date(item.restart.at));
  const windowed = items.filter((item) => item.restart?.when === "window" && item.restart_need !== null);
  if (windowed.length === 0) return found;
  const hosts = [...new Set(windowed.map((item) => item.restart_need!.host))];
  const { rows } = await sql<{
    host: string;
    at: Date;
  }>`select m.resource_id as host, min(w.from_at) as at from maintenance_hosts m join maintenance_windows w on w.id = m.window_id
    where m.resource_id = any(${sql.val(hosts)}::text[]) and m.until is null and w.to_at > ${now} and w.to_at > w.from_at group by 1`.execute(db);
  const next = new Map(rows.map((row) => [row.host, row.at]));
  for (const item of windowed) {
    const at = next.get(item.restart_need!.host);
    if (at) found.set(item.id, at);
  }
  return found;
}
