/** Server-sent events: what happened since the reader's Last-Event-ID, then what happens. Routes of one request use it too. */
import { streamSSE } from "hono/streaming";
import type { Event } from "../contract/access.ts";
import { Refusal } from "../domain/refusal.ts";
import { sessionHolds } from "../store/sessions.ts";
import { eventBus, type EventRow, eventsAfter, lastEventId } from "../store/events.ts";
import type { ApiContext, AppDeps } from "./deps.ts";

export interface EventFilter {
  /** Left out: every department's. */
  departmentIds?: string[] | undefined;
  requestId?: string | undefined;
  updateId?: string | undefined;
  /** Where a reader without Last-Event-ID starts: at the first event that is kept, or at the next one. */
  start: "first" | "next";
}

const pollMs = 1000;
const keepAliveMs = 15_000;
/** Then the reader comes back by itself, and its right to see is looked at again. */
const lifeMs = 300_000;
const batch = 500;
/** Transactions commit in another order than their events' ids: this far behind the last one is looked at again. */
const lookBack = 200;

export async function eventStream(c: ApiContext, deps: AppDeps, filter: EventFilter): Promise<Response> {
  const asked = c.req.header("last-event-id");
  if (asked !== undefined && !/^[0-9]{1,15}$/.test(asked)) throw new Refusal("malformed", "Last-Event-ID is no id of an event.");
  const from = asked !== undefined ? Number(asked) : filter.start === "first" ? 0 : await lastEventId(deps.db);
  const seen = new Set<number>();
  const read = (after: number) =>
    eventsAfter(deps.db, { after, seen, departmentIds: filter.departmentIds, requestId: filter.requestId, updateId: filter.updateId, limit: batch });
  for (const event of await read(Math.max(0, from - lookBack))) if (event.id <= from) seen.add(event.id);
  c.header("cache-control", "no-store");
  c.header("x-accel-buffering", "no");
  return streamSSE(
    c,
    async (stream) => {
      const gone = new AbortController();
      stream.onAbort(() => gone.abort());
      const until = Date.now() + lifeMs;
      let last = from;
      let spoke = Date.now();
      const { sessionId } = c.get("holder");
      while (!gone.signal.aborted && Date.now() < until) {
        // A session that was ended hears nothing more.
        if (sessionId !== undefined && !(await sessionHolds(deps.db, sessionId, deps.now()))) return;
        const rows = await read(Math.max(0, last - lookBack));
        for (const row of rows) {
          await stream.writeSSE({ id: String(row.id), event: row.type, data: JSON.stringify(shown(row)) });
          seen.add(row.id);
          last = Math.max(last, row.id);
          spoke = Date.now();
        }
        for (const id of seen) if (id < last - lookBack) seen.delete(id);
        if (rows.length === batch) continue;
        if (Date.now() - spoke > keepAliveMs) {
          await stream.write(": still here\n\n");
          spoke = Date.now();
        }
        await wake(gone.signal);
      }
    },
    async (error) => deps.log.warn({ err: error, correlationId: c.get("correlationId") }, "a stream of events broke"),
  );
}

/** Until this process has new events, a second is over, or the reader has gone. */
function wake(gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      eventBus.off("events", done);
      gone.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, pollMs);
    eventBus.on("events", done);
    gone.addEventListener("abort", done);
  });
}

export function shown(row: EventRow): Event {
  return {
    id: row.id,
    at: row.at.toISOString(),
    department: row.department_id,
    request: row.request_id,
    update: row.update_id,
    type: row.type,
    subject: row.subject_id,
    data: row.data,
  };
}
