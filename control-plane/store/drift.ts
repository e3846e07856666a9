/** Drift: what scans of the cloud found, one open finding a property. What is decided on them: drift-decisions.ts. */
import { type Selectable, sql } from "kysely";
import { type Drifted, existence, sameDrift } from "../domain/drift.ts";
import { audiences } from "../domain/notifying.ts";
import type { Act } from "./act.ts";
import { holdersOf } from "./audience.ts";
import { appendAudits } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvents } from "./events.ts";
import { newId } from "./ids.ts";
import { notify } from "./notices.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { insertRows } from "./rows.ts";
import type { DriftFindings } from "./schema.ts";

export type DriftRow = Selectable<DriftFindings>;
/** With what people call it, and what would be lost if it were made anew. */
export type ShownDrift = DriftRow & { name: string; application_id: string; lost: string | null };

/** Nothing is being applied to a department: what a reading finds then was not made by us. */
export interface Calm {
  fence: number;
}
const unsettled = ["approved", "applying"] as const;

/** undefined: something is being applied, or about to be: not the moment to look for drift. */
export async function calmOf(db: Db, departmentId: string): Promise<Calm | undefined> {
  const { rows } = await sql<{ fence: number; busy: boolean }>`
    select e.fence::float8 as fence, e.engine_pid is not null
      or exists (select from requests q where q.department_id = e.department_id and q.state = any(${sql.val([...unsettled])}::text[]))
      or exists (select from resources r where r.department_id = e.department_id and r.phase in ('wanted', 'retiring'))
      or exists (select from drift_findings f where f.department_id = e.department_id and f.state = 'putting-back') as busy
    from estates e where e.department_id = ${departmentId}`.execute(db);
  const [row] = rows;
  return row && !row.busy ? { fence: row.fence } : undefined;
}

/**
 * Writes down what one scan found. What differs still stays one finding; what is as it should be again is closed; what was left as it is by decision comes again
 * only when it has moved.
 * @param before as calmOf said before the scan @returns undefined when something was applied meanwhile: what was found counts nothing
 */
export async function recordDrift(tx: Tx, act: Act, departmentId: string, before: Calm, found: readonly Drifted[]): Promise<DriftRow[] | undefined> {
  await tx.selectFrom("estates").select("fence").where("department_id", "=", departmentId).forUpdate().executeTakeFirst();
  if ((await calmOf(tx, departmentId))?.fence !== before.fence) return undefined;
  const live = await tx
    .selectFrom("resources")
    .select(["id", "name", "unreachable_since", sql<string | null>`wanted->>'host'`.as("host")])
    .where("department_id", "=", departmentId)
    .where("phase", "=", "live")
    .execute();
  const names = new Map(live.map((row) => [row.id, row.name]));
  const away = new Set(live.filter((row) => row.unreachable_since !== null).map((row) => row.id));
  // What is attached to a host that nobody can see isn't seen either.
  const unseen = new Set(live.filter((row) => away.has(row.id) || (row.host !== null && away.has(row.host))).map((row) => row.id));
  const seen = new Map(found.filter((one) => names.has(one.resourceId)).map((one) => [`${one.resourceId} ${one.property}`, one]));
  const known = await tx
    .selectFrom("drift_findings")
    .selectAll()
    .where("department_id", "=", departmentId)
    .where("closed_at", "is", null)
    .forUpdate()
    .execute();
  const news: DriftRow[] = [];
  const gone: DriftRow[] = [];
  for (const row of known) {
    const now = seen.get(`${row.resource_id} ${row.property}`);
    seen.delete(`${row.resource_id} ${row.property}`);
    // What is being decided on or done ends by that.
    if (!now && (row.state === "putting-back" || row.state === "adopting")) continue;
    // Nobody can see it now: what was found of it stays found.
    if (!now && unseen.has(row.resource_id)) continue;
    if (!now) {
      gone.push(row);
      continue;
    }
    const moved = !sameDrift(row, now);
    const again = moved && (row.state === "accepted" || row.state === "proposed");
    const after = await tx
      .updateTable("drift_findings")
      .set({
        last_seen_at: act.now,
        wanted: JSON.stringify(now.wanted),
        actual: JSON.stringify(now.actual),
        ...(moved ? { revision: row.revision + 1 } : {}),
        ...(again ? { state: "open" as const, proposed_by: null, decided_by: null, decided_at: null, reason: null } : {}),
      })
      .where("id", "=", row.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    if (again) news.push(after);
  }
  if (gone.length > 0)
    await tx
      .updateTable("drift_findings")
      .set({ state: "gone", closed_at: act.now, revision: sql<number>`revision + 1` })
      .where(
        "id",
        "in",
        gone.map((row) => row.id),
      )
      .execute();
  for (const one of seen.values()) {
    const row = {
      id: newId("dft", act.now),
      department_id: departmentId,
      resource_id: one.resourceId,
      kind: one.kind,
      property: one.property,
      wanted: one.wanted,
      actual: one.actual,
      state: "open" as const,
      first_seen_at: act.now,
      last_seen_at: act.now,
      revision: 1,
    };
    await insertRows(tx, "drift_findings", [row]);
    news.push(await tx.selectFrom("drift_findings").selectAll().where("id", "=", row.id).executeTakeFirstOrThrow());
  }
  await tell(tx, act, departmentId, news, names, "drift.found");
  await tell(tx, act, departmentId, gone, names, "drift.gone");
  if (news.length > 0) {
    const { name_zh, name_en } = await tx.selectFrom("departments").select(["name_zh", "name_en"]).where("id", "=", departmentId).executeTakeFirstOrThrow();
    const things = [...new Set(news.map((row) => names.get(row.resource_id) ?? row.resource_id))];
    await notify(tx, act, {
      kind: "drift.found",
      to: await holdersOf(tx, audiences["drift.found"], departmentId, act.now),
      departmentId,
      requestId: null,
      subjectId: departmentId,
      data: { departmentZh: name_zh, departmentEn: name_en, count: news.length, what: things.slice(0, 5).join(", ") },
    });
  }
  return news;
}

/** Events for pages, and the audit: property by property. */
export async function tell(tx: Tx, act: Act, departmentId: string, rows: readonly DriftRow[], names: ReadonlyMap<string, string>, type: string): Promise<void> {
  await appendAudits(
    tx,
    act,
    rows.map((row) => ({
      action: type,
      subjectKind: row.kind,
      subjectId: row.resource_id,
      departmentId,
      before: { [row.property]: row.wanted },
      after: { [row.property]: row.actual, ...(row.reason === null ? {} : { reason: row.reason }), ...(row.error === null ? {} : { error: row.error }) },
    })),
  );
  await appendEvents(
    tx,
    rows.map((row) => ({
      at: act.now,
      departmentId,
      requestId: row.request_id,
      type,
      subjectId: row.resource_id,
      data: { kind: row.kind, name: names.get(row.resource_id) ?? row.resource_id, property: row.property, finding: row.id },
    })),
  );
}

export interface DriftAsk extends PageAsk {
  departmentIds?: readonly string[] | undefined;
  resourceId?: string | undefined;
  state: "open" | "closed" | "all";
}

const base = (db: Db) =>
  db
    .selectFrom("drift_findings as f")
    .innerJoin("resources as r", "r.id", "f.resource_id")
    .selectAll("f")
    .select(["r.name", "r.application_id", "r.wanted as spec"]);

/** Newest first. */
export async function listDrift(db: Db, ask: DriftAsk): Promise<Page<ShownDrift>> {
  let query = base(db);
  if (ask.departmentIds) query = query.where("f.department_id", "in", [...ask.departmentIds]);
  if (ask.resourceId !== undefined) query = query.where("f.resource_id", "=", ask.resourceId);
  if (ask.state !== "all") query = query.where("f.closed_at", ask.state === "open" ? "is" : "is not", null);
  const { items, next } = await page(query, { limit: ask.limit, cursor: ask.cursor, by: "f.id", descending: true });
  return { items: await withLosses(db, items), next };
}

export async function getDrift(db: Db, id: string): Promise<ShownDrift | undefined> {
  const row = await base(db).where("f.id", "=", id).executeTakeFirst();
  return row && (await withLosses(db, [row]))[0];
}

/** What of a thing that is gone comes back when it is made anew, and what doesn't. */
async function withLosses(db: Db, rows: readonly (DriftRow & { name: string; application_id: string; spec: unknown })[]): Promise<ShownDrift[]> {
  const gone = rows.filter((row) => row.property === existence && row.closed_at === null);
  const volumes = gone.filter((row) => row.kind === "volume").map((row) => row.resource_id);
  const backups =
    volumes.length === 0
      ? []
      : await db
          .selectFrom("backups")
          .select(["volume_id", (where) => where.fn.max("completed_at").as("at")])
          .where("volume_id", "in", volumes)
          .where("state", "=", "complete")
          .groupBy("volume_id")
          .execute();
  const lastOf = (id: string) => (backups.find((one) => one.volume_id === id)?.at as Date | undefined)?.toISOString();
  return rows.map(({ spec, ...row }) => ({ ...row, lost: gone.some((one) => one.id === row.id) ? lossOf(row, spec, lastOf(row.resource_id)) : null }));
}

function lossOf({ kind }: DriftRow, spec: unknown, last: string | undefined): string {
  if (kind === "volume") {
    const { backup } = spec as { backup?: { name: string } };
    const filled = backup ? `It is made with the content of the backup ${backup.name} again.` : "It is made empty.";
    return `Its content is lost. ${filled} ${last ? `The newest backup of it is of ${last}: restore that into it afterwards.` : "There is no backup of it."}`;
  }
  if (kind === "host") return "Its system disk and all on it is lost: it is made from its image. Volumes that are still there are attached again.";
  return "Nothing but the setting itself.";
}

/** Open findings by kind, for the metrics; what was left by decision is none. */
export async function openDrift(db: Db): Promise<{ kind: string; n: number }[]> {
  const { rows } = await sql<{ kind: string; n: number }>`
    select kind, count(*)::float8 as n from drift_findings where closed_at is null and state <> 'accepted' group by 1`.execute(db);
  return rows;
}
