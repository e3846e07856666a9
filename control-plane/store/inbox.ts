/** The inbox (待办/已办): what a person is asked to decide, the most urgent first; and what they have decided, the newest first. */
import { sql } from "kysely";
import { isDeciding, lifecycle } from "../domain/lifecycle.ts";
import { mayDecide } from "../domain/deciding.ts";
import type { NamedStep } from "./approval-steps.ts";
import { personOf, subjectOf } from "./approving.ts";
import type { Db } from "./database.ts";
import { type Page, type PageAsk, readCursor, writeCursor } from "./page.ts";
import { nameOf, namesOf } from "./names.ts";
import type { Principal, RequestRow } from "./requests.ts";
import type { RequestState } from "./schema.ts";

/** A step with what of its request an inbox shows. */
export interface InboxRow {
  step: NamedStep;
  request: Pick<RequestRow, "id" | "number" | "title" | "state" | "department_id" | "plan_hash" | "revision">;
  departmentNameZh: string;
  departmentNameEn: string;
  /** On whose behalf one would decide. */
  for: { id: string; name: string } | null;
}

const deciding = (Object.keys(lifecycle) as RequestState[]).filter(isDeciding);
/** How many steps are looked at at once: of those that the role is asked for, one's own requests are left out. */
const batch = 200;

const steps = (db: Db) =>
  db
    .selectFrom("approval_steps as s")
    .innerJoin("requests as r", "r.id", "s.request_id")
    .innerJoin("departments as d", "d.id", "r.department_id")
    .selectAll("s")
    .select([nameOf("s.decided_by").as("decided_by_name"), nameOf("s.decided_for").as("decided_for_name"), "d.name_zh", "d.name_en"])
    .select(["r.number", "r.title", "r.state as request_state", "r.department_id", "r.plan_hash as request_plan_hash", "r.revision"])
    .select(["r.requested_by", "r.submitted_by", "r.authors"])
    .select(
      sql<string[]>`(select jsonb_agg(a.ancestor_id) from department_ancestors a where a.department_id = coalesce(s.department_id, r.department_id))`.as(
        "departments",
      ),
    )
    .select(
      sql<{ id: string; state: NamedStep["state"]; decided_by: string | null; decided_for: string | null }[]>`
        (select jsonb_agg(jsonb_build_object('id', o.id, 'state', o.state, 'decided_by', o.decided_by, 'decided_for', o.decided_for))
         from approval_steps o where o.request_id = r.id and o.invalidated_at is null)`.as("others"),
    );
type Read = Awaited<ReturnType<ReturnType<typeof steps>["execute"]>>[number];

const shown = (row: Read, standsFor: InboxRow["for"]): InboxRow => ({
  step: row,
  request: {
    id: row.request_id,
    number: row.number,
    title: row.title,
    state: row.request_state,
    department_id: row.department_id,
    plan_hash: row.request_plan_hash,
    revision: row.revision,
  },
  departmentNameZh: row.name_zh,
  departmentNameEn: row.name_en,
  for: standsFor,
});

export async function todo(db: Db, principal: Principal, now: Date, { limit = 50, cursor }: PageAsk): Promise<Page<InboxRow>> {
  const person = await personOf(db, principal.id, now);
  const found: InboxRow[] = [];
  if (person.holds.length === 0) return { items: [], next: null };
  for (let after = cursor === undefined ? "" : String(readCursor(cursor)); ;) {
    const rows = await steps(db)
      .where("s.state", "=", "open")
      .where("s.invalidated_at", "is", null)
      .where("s.role", "in", [...new Set(person.holds.map((one) => one.role as NamedStep["role"]))])
      .where("r.state", "in", deciding)
      .where("s.inbox_key", ">", after)
      .orderBy("s.inbox_key")
      .limit(batch)
      .execute();
    for (const row of rows) {
      const verdict = mayDecide(person, row, subjectOf(row, row.departments, row.others ?? [], row.id));
      if (!("code" in verdict)) found.push(shown(row, verdict.for === null ? null : { id: verdict.for, name: verdict.for }));
    }
    const last = rows.at(-1);
    if (found.length > limit || rows.length < batch || !last) break;
    after = last.inbox_key!;
  }
  const items = found.slice(0, limit);
  await nameThem(db, items);
  return { items, next: found.length > limit ? writeCursor(items.at(-1)!.step.inbox_key!) : null };
}

async function nameThem(db: Db, items: readonly InboxRow[]): Promise<void> {
  const ids = [...new Set(items.flatMap((one) => (one.for ? [one.for.id] : [])))];
  const names = await namesOf(db, ids);
  for (const one of items) if (one.for) one.for.name = names.get(one.for.id) ?? one.for.id;
}

export async function done(db: Db, principal: Principal, { limit = 50, cursor }: PageAsk): Promise<Page<InboxRow>> {
  let query = steps(db).where("s.decided_by", "=", principal.id);
  if (cursor !== undefined) query = query.where("s.inbox_key", "<", String(readCursor(cursor)));
  const rows = await query
    .orderBy("s.inbox_key", "desc")
    .limit(limit + 1)
    .execute();
  const items = rows.slice(0, limit);
  return { items: items.map((row) => shown(row, null)), next: rows.length > limit ? writeCursor(items.at(-1)!.inbox_key!) : null };
}
