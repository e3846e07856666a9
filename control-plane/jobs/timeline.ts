/** What the engine reports, as events of the requests that it works for: readers resume by their ids, and a restart loses nothing that was written. */
import type { Progress, Step } from "../../infra/operations.ts";
import { appendEvents, type NewEvent, notifyEvents } from "../store/events.ts";
import type { JobContext } from "./context.ts";

/** Gathered for so long, so that a large apply writes a few statements and not one for each step. */
const flushMs = 200;

/** A resource of the department, by its id: what people call it and the request that asks for it now, if any. */
export type Known = ReadonlyMap<string, { name: string; requestId: string | null }>;

export class Timeline {
  readonly #context: JobContext;
  readonly #departmentId: string;
  readonly #known: Known;
  #waiting: NewEvent[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(context: JobContext, departmentId: string, known: Known) {
    this.#context = context;
    this.#departmentId = departmentId;
    this.#known = known;
  }

  accept(progress: Progress): void {
    if (progress.type === "step-started" || progress.type === "step-done") this.#add(progress.type.replace("-", "."), progress, progress.step, null);
    else if (progress.type === "step-failed") this.#add("step.failed", progress, progress.step, { code: progress.code, message: progress.message });
  }

  #add(type: string, { operation, at }: Progress, step: Step, error: { code: string; message: string } | null): void {
    const known = this.#known.get(step.name);
    this.#waiting.push({
      at: new Date(at),
      departmentId: this.#departmentId,
      requestId: known?.requestId ?? null,
      type,
      subjectId: step.name,
      updateId: operation,
      data: { action: step.action, kind: step.kind, name: known?.name ?? step.name, error },
    });
    this.#timer ??= setTimeout(() => void this.flush(), flushMs);
  }

  /** Writes what was gathered. To be awaited before the operation is settled, so that its events come before its results. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length > 0)
      this.#writing = this.#writing.then(async () => {
        try {
          await this.#context.db.transaction().execute((tx) => appendEvents(tx, events));
          notifyEvents();
        } catch (error) {
          // A timeline is not worth an apply: the results themselves are settled in their own transaction.
          this.#context.log.warn({ departmentId: this.#departmentId, error: String(error) }, "a part of a timeline could not be written");
        }
      });
    return this.#writing;
  }
}

/** Resources of a department and the requests that are being applied for them. */
export async function knownOf(context: JobContext, departmentId: string): Promise<Known> {
  const rows = await context.db
    .selectFrom("resources as r")
    .select(["r.id", "r.name"])
    .select((where) =>
      where
        .selectFrom("request_items as i")
        .innerJoin("requests as q", "q.id", "i.request_id")
        .select("q.id")
        .whereRef("i.resource_id", "=", "r.id")
        .where("q.state", "=", "applying")
        .where("i.state", "in", ["applying", "active"])
        .orderBy("i.id", "desc")
        .limit(1)
        .as("request_id"),
    )
    .where("r.department_id", "=", departmentId)
    .where("r.phase", "in", ["wanted", "live", "retiring", "failed"])
    .execute();
  return new Map(rows.map((row) => [row.id, { name: row.name, requestId: row.request_id }]));
}
