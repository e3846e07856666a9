/** The moment of a restart that its owner agreed to: it begins, has lapsed, or comes near. */
import { sql } from "kysely";
import { specDigest } from "../../infra/approval.ts";
import { digestOf } from "../domain/digest.ts";
import { Refusal } from "../domain/refusal.ts";
import { isSoon, restartTurn } from "../domain/restarts.ts";
import type { Act } from "./act.ts";
import type { Db, Tx } from "./database.ts";
import { requireFunds } from "./fund-charges.ts";
import { sendBackToPlanning } from "./planning.ts";
import { growing, type Kept, lockRequest, move, type RequestRow, type StoredItem } from "./requests.ts";
import { tellOwner, timeOf } from "./restarts.ts";
import type { ResourceKind } from "./schema.ts";

/** Whether a maintenance window that concerns the host (h.id) holds at a moment. */
const windowHolds = (
  host: ReturnType<typeof sql>,
  now: Date,
) => sql<boolean>`exists (select from maintenance_hosts m join maintenance_windows w on w.id = m.window_id
  where m.resource_id = ${host} and m.until is null and w.from_at <= ${now} and w.to_at > ${now})`;

/** Requests of which something is to be done by now: a restart begins or has lapsed, or its owner is to be told that it comes. Read without a lock. */
export async function restartsDue(db: Db, now: Date): Promise<string[]> {
  const rows = await scheduledOf(db, now);
  return [...new Set(rows.filter((row) => row.turn !== "waits" || row.soon).map((row) => row.request_id))];
}

async function scheduledOf(db: Db, now: Date, requestId?: string) {
  const rows = await db
    .selectFrom("request_items as i")
    .innerJoin("requests as r", "r.id", "i.request_id")
    .selectAll("i")
    .select(windowHolds(sql`i.restart_need->>'host'`, now).as("window"))
    .where("i.state", "=", "scheduled")
    // Where more of it is being applied, that is done first.
    .where("r.state", "=", "scheduled")
    .$if(requestId !== undefined, (query) => query.where("r.id", "=", requestId!))
    .orderBy("i.request_id")
    .orderBy("i.position")
    .execute();
  return rows.map(({ window, ...item }) => {
    const time = timeOf(item.restart);
    const soon = item.restart !== null && time?.when === "at" && item.restart_told !== time.at && isSoon(time, new Date(item.restart.agreedAt), now);
    return { ...item, turn: restartTurn(time, now, window), soon };
  });
}

/**
 * What is due of a request becomes wanted, exactly as it was approved; where something has moved since, it goes back to its approvers.
 * @returns the request: `applying` it is to be applied, `submitted` to be planned anew; undefined: nothing was due
 */
export async function beginRestarts(tx: Tx, act: Act, id: string): Promise<RequestRow | undefined> {
  const row = await lockRequest(tx, id);
  if (row.state !== "scheduled") return undefined;
  const items = await scheduledOf(tx, act.now, id);
  for (const item of items.filter((one) => one.turn === "lapsed")) {
    await tx.updateTable("request_items").set({ restart: null, restart_told: null }).where("id", "=", item.id).execute();
    await tellOwner(tx, act, row, "restart.needed", [{ ...item, restart: null }]);
  }
  for (const item of items.filter((one) => one.soon && one.turn === "waits" && one.restart?.when === "at")) {
    await tellOwner(tx, act, row, "restart.soon", [item]);
    await tx
      .updateTable("request_items")
      .set({ restart_told: (item.restart as { at: string }).at })
      .where("id", "=", item.id)
      .execute();
  }
  const due = items.filter((one) => one.turn === "due");
  if (due.length === 0) return undefined;
  const moved = await movedSince(tx, act, row, due);
  if (moved) {
    await tx
      .updateTable("request_items")
      .set({ state: "pending", approved_digest: null })
      .where("request_id", "=", id)
      .where("state", "=", "scheduled")
      .execute();
    return sendBackToPlanning(tx, act, row, moved);
  }
  for (const item of due) {
    await tx
      .updateTable("resources")
      .set({ wanted: JSON.stringify((item.spec as Kept).wanted), updated_at: act.now, revision: sql<number>`revision + 1` })
      .where("id", "=", item.resource_id)
      .execute();
    await tx.updateTable("request_items").set({ state: "pending", restart_begun_at: act.now }).where("id", "=", item.id).execute();
  }
  return move(tx, act, row, "restart", {});
}

/** Whether what was approved can be had no more, or would undo what was changed since. Rows of the resources are locked. */
async function movedSince(tx: Tx, act: Act, row: RequestRow, due: readonly StoredItem[]): Promise<{ code: string; message: string } | undefined> {
  // The application before the project, as everywhere.
  if (due.some(growing)) {
    await tx.selectFrom("applications").select("id").where("id", "=", row.application_id).forNoKeyUpdate().execute();
    const refusal = await requireFunds(tx, act, { id: row.id, project_id: row.project_id }, false).catch((error: unknown) => {
      if (error instanceof Refusal) return error;
      throw error;
    });
    if (refusal instanceof Refusal) return { code: refusal.code, message: refusal.detail };
  }
  for (const item of due) {
    const { base, wanted } = item.spec as Kept;
    const resource = await tx.selectFrom("resources").selectAll().where("id", "=", item.resource_id).forUpdate().executeTakeFirstOrThrow();
    if (resource.phase !== "live" || digestOf(resource.wanted) !== base || specDigest(item.kind as ResourceKind, wanted) !== item.approved_digest)
      return { code: "plan-changed", message: `${resource.name} is not what it was when its restart was agreed to.` };
  }
  return undefined;
}
