/** The history of a department's stack: each run of the engine that could change it. What it reported lies in `events`, by the update's id. */
import type { Selectable } from "kysely";
import type { StateUpdates } from "../state/schema.ts";
import type { Db } from "./database.ts";
import { type Page, page, type PageAsk } from "./page.ts";

export type StackUpdateRow = Pick<
  Selectable<StateUpdates>,
  "id" | "kind" | "status" | "version" | "changes" | "reason" | "fault" | "started_at" | "finished_at"
> & { department_id: string };

// A stack's name is its department's id: see state/stack-name.ts.
const updates = (db: Db) =>
  db
    .selectFrom("state_updates as u")
    .innerJoin("state_stacks as s", "s.id", "u.stack_id")
    .select(["u.id", "u.kind", "u.status", "u.version", "u.changes", "u.reason", "u.fault", "u.started_at", "u.finished_at", "s.name as department_id"])
    .where("u.kind", "<>", "preview")
    .where("u.status", "<>", "requested");

/** Newest first. */
export const listStackUpdates = (db: Db, departmentId: string, ask: PageAsk): Promise<Page<StackUpdateRow>> =>
  page(updates(db).where("s.name", "=", departmentId), { ...ask, by: "u.id", descending: true });

export const findStackUpdate = (db: Db, id: string): Promise<StackUpdateRow | undefined> => updates(db).where("u.id", "=", id).executeTakeFirst();
