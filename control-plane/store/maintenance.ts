/** Maintenance windows (维护窗口). What counts as maintenance is computed from their own times (uptime.ts), never from when somebody looked. */
import { type RawBuilder, type Selectable, sql } from "kysely";
import type { MaintenanceChange, MaintenanceState, NewMaintenanceWindow } from "../contract/maintenance.ts";
import { announcingFaults, changingFaults, dueTelling, type Fault, type Span, windowState } from "../domain/maintenance.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import { workingCalendar } from "./calendars.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvents } from "./events.ts";
import { newId } from "./ids.ts";
import { maintenancePolicy } from "./maintenance-policy.ts";
import { tellOfWindow } from "./maintenance-telling.ts";
import { nameOf } from "./names.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { MaintenanceScope, MaintenanceWindows } from "./schema.ts";

export type WindowRow = Selectable<MaintenanceWindows>;
export interface ConcernedHost {
  id: string;
  name: string;
  department_id: string;
  department_name: string;
  since: Date;
  until: Date | null;
}
export type ShownWindow = WindowRow & { announced_by_name: string | null; pool_code: string | null; application_name: string | null; hosts: ConcernedHost[] };

const dayMs = 86_400_000;
const spanOf = (row: WindowRow): Span => ({ from: row.from_at, to: row.to_at });
export const stateOf = (row: WindowRow, now: Date): MaintenanceState => windowState({ ...spanOf(row), cancelledAt: row.cancelled_at }, now);

const shown = (db: Db) =>
  db
    .selectFrom("maintenance_windows as w")
    .leftJoin("pools as p", (on) => on.on(sql<boolean>`p.id = w.scope->>'pool'`))
    .leftJoin("applications as a", (on) => on.on(sql<boolean>`a.id = w.scope->>'application'`))
    .selectAll("w")
    .select(["p.code as pool_code", "a.name as application_name", nameOf("w.announced_by").as("announced_by_name")]);

export interface WindowsAsk extends PageAsk {
  /** Those that concern hosts of these; undefined: all. */
  departmentIds?: readonly string[] | undefined;
  state?: MaintenanceState | "coming" | undefined;
}

const concerns = (departmentIds: readonly string[]): RawBuilder<boolean> =>
  sql`exists (select from maintenance_hosts h join resources r on r.id = h.resource_id where h.window_id = w.id and r.department_id = any(${sql.val([...departmentIds])}::text[]))`;

/** Newest first. */
export async function listWindows(db: Db, ask: WindowsAsk, now: Date): Promise<Page<ShownWindow>> {
  let query = shown(db);
  if (ask.departmentIds) query = query.where(concerns(ask.departmentIds));
  const never = sql<boolean>`w.to_at <= w.from_at`;
  if (ask.state === "announced") query = query.where("w.from_at", ">", now).where(sql<boolean>`w.to_at > w.from_at`);
  if (ask.state === "holding") query = query.where("w.from_at", "<=", now).where("w.to_at", ">", now);
  if (ask.state === "coming") query = query.where("w.to_at", ">", now).where(sql<boolean>`w.to_at > w.from_at`);
  if (ask.state === "ended") query = query.where("w.to_at", "<=", now).where(sql<boolean>`w.to_at > w.from_at`);
  if (ask.state === "cancelled") query = query.where(never);
  const { items, next } = await page(query, { limit: ask.limit, cursor: ask.cursor, by: "w.id", descending: true });
  return { items: await withHosts(db, items, ask.departmentIds), next };
}

/** @param departmentIds whose hosts are shown; undefined: all @throws Refusal not-found, also for one that concerns none of them */
export async function getWindow(db: Db, id: string, departmentIds?: readonly string[]): Promise<ShownWindow> {
  let query = shown(db).where("w.id", "=", id);
  if (departmentIds) query = query.where(concerns(departmentIds));
  const row = await query.executeTakeFirst();
  if (!row) throw notFound("maintenance window", id);
  return (await withHosts(db, [row], departmentIds))[0]!;
}

const mostHosts = 500;
async function withHosts<T extends { id: string }>(
  db: Db,
  rows: T[],
  departmentIds: readonly string[] | undefined,
): Promise<(T & { hosts: ConcernedHost[] })[]> {
  if (rows.length === 0) return [];
  let query = db
    .selectFrom("maintenance_hosts as h")
    .innerJoin("resources as r", "r.id", "h.resource_id")
    .innerJoin("departments as d", "d.id", "r.department_id")
    .select(["h.window_id", "r.id", "r.name", "r.department_id", "d.name_zh as department_name", "h.since", "h.until"])
    .select(sql<number>`row_number() over (partition by h.window_id order by r.id, h.since)::int`.as("place"))
    .where(
      "h.window_id",
      "in",
      rows.map((row) => row.id),
    );
  if (departmentIds) query = query.where(sql<boolean>`r.department_id = any(${sql.val([...departmentIds])}::text[])`);
  const found = await db.selectFrom(query.as("x")).selectAll().where("place", "<=", mostHosts).orderBy("place").execute();
  const of = Map.groupBy(found, (one) => one.window_id);
  return rows.map((row) => ({ ...row, hosts: (of.get(row.id) ?? []).map(({ window_id: _, place: __, ...host }) => host) }));
}

/** The things that it names, by id. @throws Refusal for what isn't there */
async function resolveScope(tx: Tx, scope: NewMaintenanceWindow["scope"]): Promise<MaintenanceScope> {
  const missing = (pointer: string, detail: string) => new Refusal("invalid-body", detail, { errors: [{ pointer, detail }] });
  if (scope.kind === "pool" || scope.kind === "member") {
    const pool = await tx
      .selectFrom("pools")
      .select("id")
      .where((eb) => eb.or([eb("id", "=", scope.pool), eb("code", "=", scope.pool)]))
      .executeTakeFirst();
    if (!pool) throw missing("/scope/pool", `there is no pool "${scope.pool}"`);
    return { ...scope, pool: pool.id };
  }
  if (scope.kind === "application") {
    if (!(await tx.selectFrom("applications").select("id").where("id", "=", scope.application).executeTakeFirst()))
      throw missing("/scope/application", "there is no such application");
    return scope;
  }
  const hosts = await tx
    .selectFrom("resources")
    .select("id")
    .where("kind", "=", "host")
    .where("phase", "in", ["live", "retiring"])
    .where("id", "in", scope.hosts)
    .execute();
  const known = new Set(hosts.map((host) => host.id));
  const wrong = scope.hosts.findIndex((id) => !known.has(id));
  if (wrong >= 0) throw missing(`/scope/hosts/${wrong}`, "there is no such host");
  return { kind: "hosts", hosts: [...known].toSorted() };
}

/** Hosts (r) that a scope takes in now. */
function within(scope: MaintenanceScope): RawBuilder<boolean> {
  switch (scope.kind) {
    case "pool":
      return sql`r.pool_id = ${scope.pool}`;
    case "member":
      // Pools of one cluster share its members.
      return sql`r.member = ${scope.member} and r.pool_id in (select b.id from pools a join pools b on b.driver = a.driver and split_part(b.endpoint, '?', 1) = split_part(a.endpoint, '?', 1) where a.id = ${scope.pool})`;
    case "application":
      return sql`r.application_id = ${scope.application}`;
    case "hosts":
      return sql`r.id = any(${sql.val([...scope.hosts])}::text[])`;
  }
}

/** Notes which hosts it concerns now: who comes is concerned from now on, who goes until now. */
async function followHosts(tx: Tx, now: Date, row: WindowRow): Promise<void> {
  const inScope = sql`r.kind = 'host' and r.phase in ('live', 'retiring') and ${within(row.scope)}`;
  await sql`update maintenance_hosts h set until = greatest(h.since, ${now}::timestamptz) where h.window_id = ${row.id} and h.until is null
    and not exists (select from resources r where r.id = h.resource_id and ${inScope})`.execute(tx);
  await sql`insert into maintenance_hosts (window_id, resource_id, since) select ${row.id}, r.id, ${now}::timestamptz from resources r
    where ${inScope} and not exists (select from maintenance_hosts h where h.window_id = ${row.id} and h.resource_id = r.id and h.until is null)
    on conflict do nothing`.execute(tx);
}

const refuse = (faults: readonly Fault[]) => {
  if (faults.length > 0) throw new Refusal("rule-broken", `${faults[0]!.pointer.slice(1)} ${faults[0]!.detail}.`, { errors: [...faults] });
};
const audited = (row: WindowRow) => ({
  scope: row.scope,
  from: row.from_at.toISOString(),
  to: row.to_at.toISOString(),
  reason: row.reason,
  emergencyReason: row.emergency_reason,
});

/** Live pages of the departments concerned, and of operations, read anew. */
async function appendWindowEvent(tx: Tx, act: Act, row: WindowRow, type: string): Promise<void> {
  const departments = await sql<{ id: string }>`
    select distinct r.department_id as id from maintenance_hosts h join resources r on r.id = h.resource_id where h.window_id = ${row.id} order by 1`.execute(
    tx,
  );
  const event = { at: act.now, requestId: null, type, subjectId: row.id, data: { from: row.from_at.toISOString(), to: row.to_at.toISOString() } };
  await appendEvents(
    tx,
    [null, ...departments.rows.map((one) => one.id)].map((departmentId) => ({ ...event, departmentId })),
  );
}

/** @throws Refusal rule-broken: for time that has passed, with too little notice, too long */
export async function announceWindow(tx: Tx, act: Act, ask: NewMaintenanceWindow): Promise<string> {
  const span = { from: ask.from === null ? act.now : new Date(ask.from), to: new Date(ask.to) };
  refuse(announcingFaults(span, ask.emergencyReason !== null, await maintenancePolicy(tx), await workingCalendar(tx), act.now));
  const row = await tx
    .insertInto("maintenance_windows")
    .values({
      id: newId("mwd", act.now),
      scope: JSON.stringify(await resolveScope(tx, ask.scope)),
      from_at: span.from,
      to_at: span.to,
      reason: ask.reason,
      emergency_reason: ask.emergencyReason,
      announced_by: act.actor,
      announced_at: act.now,
      cancelled_by: null,
      cancel_reason: null,
      updated_at: act.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await followHosts(tx, act.now, row);
  await appendAudit(tx, act, { action: "maintenance.announce", subjectKind: "maintenance-window", subjectId: row.id, departmentId: null, after: audited(row) });
  await appendWindowEvent(tx, act, row, "maintenance.announced");
  await tellOfWindow(tx, act, row, "maintenance.announced");
  return row.id;
}

/** @throws Refusal not-found; conflict when it is over */
async function lockWindow(tx: Tx, id: string, now: Date, check: (revision: number) => void): Promise<WindowRow> {
  const row = await tx.selectFrom("maintenance_windows").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row) throw notFound("maintenance window", id);
  check(row.revision);
  const state = stateOf(row, now);
  if (state === "ended" || state === "cancelled") throw new Refusal("conflict", `This maintenance window is ${state}: it stays as it was.`);
  return row;
}

/** Moves it, makes it longer or shorter. @param check is given the revision as it is now, the row being locked; throws to refuse */
export async function changeWindow(tx: Tx, act: Act, id: string, change: MaintenanceChange, check: (revision: number) => void): Promise<void> {
  const before = await lockWindow(tx, id, act.now, check);
  const span = { from: change.from === undefined ? before.from_at : new Date(change.from), to: change.to === undefined ? before.to_at : new Date(change.to) };
  const emergency = change.emergencyReason !== null;
  refuse(changingFaults(spanOf(before), span, emergency, await maintenancePolicy(tx), await workingCalendar(tx), act.now));
  const row = await tx
    .updateTable("maintenance_windows")
    .set({
      from_at: span.from,
      to_at: span.to,
      emergency_reason: change.emergencyReason ?? before.emergency_reason,
      // One that was put off comes near once more.
      told: before.told === "soon" && span.from.getTime() > act.now.getTime() + dayMs ? "announced" : before.told,
      revision: before.revision + 1,
      updated_at: act.now,
    })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await followHosts(tx, act.now, row);
  await appendAudit(tx, act, {
    action: "maintenance.change",
    subjectKind: "maintenance-window",
    subjectId: id,
    departmentId: null,
    before: audited(before),
    after: { ...audited(row), changeReason: change.reason },
  });
  await appendWindowEvent(tx, act, row, "maintenance.changed");
  await tellOfWindow(tx, act, row, "maintenance.changed", { reason: change.reason });
}

/** Before it begins: it never holds. While it holds: it ends now, and what has passed of it stays. */
export async function cancelWindow(tx: Tx, act: Act, id: string, reason: string, check: (revision: number) => void): Promise<void> {
  const before = await lockWindow(tx, id, act.now, check);
  const began = before.from_at < act.now;
  const row = await tx
    .updateTable("maintenance_windows")
    .set({
      to_at: began ? act.now : before.from_at,
      told: "ended",
      cancelled_at: act.now,
      cancelled_by: act.actor,
      cancel_reason: reason,
      revision: before.revision + 1,
      updated_at: act.now,
    })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "maintenance.cancel",
    subjectKind: "maintenance-window",
    subjectId: id,
    departmentId: null,
    before: audited(before),
    after: { ...audited(row), cancelReason: reason },
  });
  await appendWindowEvent(tx, act, row, "maintenance.cancelled");
  await tellOfWindow(tx, act, row, began ? "maintenance.ended" : "maintenance.cancelled", { reason });
}

/** Windows that are not over for everybody yet. */
export async function openWindows(db: Db): Promise<string[]> {
  const rows = await db.selectFrom("maintenance_windows").select("id").where("told", "<>", "ended").orderBy("id").execute();
  return rows.map((row) => row.id);
}

/** Which hosts it concerns by now, and what is to be told by now: told once, however often and by however many it is looked at. */
export async function keepWindow(tx: Tx, act: Act, id: string): Promise<void> {
  const row = await tx.selectFrom("maintenance_windows").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row || row.told === "ended") return;
  if (act.now < row.to_at) await followHosts(tx, act.now, row);
  const told = dueTelling({ ...spanOf(row), told: row.told, announcedAt: row.announced_at }, act.now);
  if (!told) return;
  await tx.updateTable("maintenance_windows").set({ told }).where("id", "=", id).execute();
  if (told !== "soon") await appendWindowEvent(tx, act, row, `maintenance.${told}`);
  await tellOfWindow(tx, act, row, `maintenance.${told}`);
}

/** Pools that a window of their own holds for now. */
export async function poolsInMaintenance(db: Db, now: Date): Promise<Set<string>> {
  const rows = await db
    .selectFrom("maintenance_windows")
    .select(sql<string>`scope->>'pool'`.as("pool"))
    .where(sql<boolean>`scope->>'kind' = 'pool'`)
    .where("from_at", "<=", now)
    .where("to_at", ">", now)
    .execute();
  return new Set(rows.map((row) => row.pool));
}

/** Ids of the hosts that are in a window now. */
export async function hostsInMaintenance(db: Db, now: Date): Promise<Set<string>> {
  const { rows } = await sql<{ id: string }>`
    select distinct h.resource_id as id from maintenance_hosts h join maintenance_windows w on w.id = h.window_id
    where w.from_at <= ${now} and w.to_at > ${now} and h.since <= ${now} and (h.until is null or h.until > ${now})`.execute(db);
  return new Set(rows.map((row) => row.id));
}
