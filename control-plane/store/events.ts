/** What happened, in order, for live pages: kept in the database so that a page that was away reads on where it stopped. */
import { EventEmitter } from "node:events";
import { type Selectable, sql } from "kysely";
import type { Db, Tx } from "./database.ts";
import { insertRows } from "./rows.ts";
import type { Events } from "./schema.ts";

export interface NewEvent {
  at: Date;
  departmentId: string | null;
  requestId: string | null;
  /** The run of the engine that reported it. */
  updateId?: string | null;
  /** request.planned, step.done, host.running, backup.complete, quota.changed … */
  type: string;
  subjectId: string | null;
  data: unknown;
}

export type EventRow = Selectable<Events>;

/** Wakes this process' readers; those of other replicas poll. */
export const eventBus = new EventEmitter().setMaxListeners(0);

/** To be called after the commit of a transaction that appended events. */
export function notifyEvents(): void {
  eventBus.emit("events");
}

export async function appendEvent(tx: Tx, event: NewEvent): Promise<void> {
  await appendEvents(tx, [event]);
}

/** Many at once, in their order. */
export async function appendEvents(tx: Tx, events: readonly NewEvent[]): Promise<void> {
  await insertRows(
    tx,
    "events",
    events.map((event) => ({
      at: event.at,
      department_id: event.departmentId,
      request_id: event.requestId,
      update_id: event.updateId ?? null,
      type: event.type,
      subject_id: event.subjectId,
      data: event.data ?? {},
    })),
  );
}

export interface EventsAsk {
  /** Id of the last event that the reader has; 0 for all. */
  after: number;
  /** Left out: ids that the reader has. */
  seen?: ReadonlySet<number> | undefined;
  /** Left out: every department's. */
  departmentIds?: string[] | undefined;
  requestId?: string | undefined;
  updateId?: string | undefined;
  limit: number;
}

/** In the order of ids. Transactions may commit in another order: a live reader looks back a little, see api/event-stream.ts. */
export async function eventsAfter(db: Db, ask: EventsAsk): Promise<EventRow[]> {
  let query = db.selectFrom("events").selectAll().where("id", ">", ask.after);
  if (ask.seen && ask.seen.size > 0) query = query.where(sql<boolean>`id <> all(${sql.val([...ask.seen])}::bigint[])`);
  if (ask.departmentIds) query = query.where("department_id", "in", ask.departmentIds);
  if (ask.updateId) query = query.where("update_id", "=", ask.updateId);
  if (ask.requestId) query = query.where("request_id", "=", ask.requestId);
  return query.orderBy("id").limit(ask.limit).execute();
}

/** Id of the newest event; 0 when there is none. */
export async function lastEventId(db: Db): Promise<number> {
  const row = await db
    .selectFrom("events")
    .select((eb) => eb.fn.max("id").as("id"))
    .executeTakeFirst();
  return row?.id ?? 0;
}
