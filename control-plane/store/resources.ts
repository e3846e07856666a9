/** Hosts, volumes, attachments and backup policies as they are read. */
import { sql } from "kysely";
import type { AttachmentSpec, BackupPolicySpec, HostSpec, VolumeSpec } from "../../infra/spec.ts";
import { monthStart } from "../domain/time.ts";
import type { Db } from "./database.ts";
import { hostsInMaintenance } from "./maintenance.ts";
import { page, type Page, type PageAsk } from "./page.ts";
import type { ResourceKind, Resources } from "./schema.ts";
import { countedUptime } from "./uptime.ts";

export interface ResourceFilter extends PageAsk {
  kind: ResourceKind;
  /** Only these departments; undefined: all. */
  departmentIds?: readonly string[] | undefined;
  applicationId?: string | undefined;
  phase?: Resources["phase"] | undefined;
  id?: string | undefined;
}

const base = (db: Db) =>
  db
    .selectFrom("resources")
    .innerJoin("requests", "requests.id", "resources.request_id")
    .leftJoin("pools", "pools.id", "resources.pool_id")
    .selectAll("resources")
    .select(["requests.number as request_number", "pools.code as pool_code"]);
export type ResourceView = Awaited<ReturnType<ReturnType<typeof base>["executeTakeFirstOrThrow"]>>;

export async function listResources(db: Db, filter: ResourceFilter): Promise<Page<ResourceView>> {
  let query = base(db).where("resources.kind", "=", filter.kind);
  if (filter.departmentIds) query = query.where("resources.department_id", "in", [...filter.departmentIds]);
  if (filter.applicationId) query = query.where("resources.application_id", "=", filter.applicationId);
  if (filter.phase) query = query.where("resources.phase", "=", filter.phase);
  else query = query.where("resources.phase", "not in", ["gone", "failed"]);
  return page(query, { limit: filter.limit, cursor: filter.cursor, by: "resources.id" });
}

/** One by id, also when it is gone. */
export async function getResource(db: Db, kind: ResourceKind, id: string): Promise<ResourceView | undefined> {
  return base(db).where("resources.kind", "=", kind).where("resources.id", "=", id).executeTakeFirst();
}

const time = (value: Date | null) => value?.toISOString() ?? null;
const common = (row: ResourceView) => ({
  id: row.id,
  name: row.name,
  department: row.department_id,
  application: row.application_id,
  project: row.project_id,
  phase: row.phase,
  request: row.request_id,
  requestNumber: row.request_number,
  openedAt: time(row.opened_at),
  expiresAt: time(row.expires_at),
  retiredAt: time(row.retired_at),
  observedState: row.observed_state,
  observedAt: time(row.observed_at),
  revision: row.revision,
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
});

async function attachmentsOf(db: Db, rows: readonly ResourceView[]) {
  if (rows.length === 0) return [];
  const found = await db
    .selectFrom("resources")
    .select(["id", "wanted"])
    .where("kind", "=", "attachment")
    .where("phase", "in", ["live", "wanted"])
    .where("department_id", "in", [...new Set(rows.map((row) => row.department_id))])
    .execute();
  const attachments = found.map((row) => ({ id: row.id, ...(row.wanted as Omit<AttachmentSpec, "id">) }));
  const ids = [...new Set(attachments.flatMap((one) => [one.host, one.volume]))];
  const names = ids.length === 0 ? [] : await db.selectFrom("resources").select(["id", "name"]).where("id", "in", ids).execute();
  const name = new Map(names.map((row) => [row.id, row.name]));
  return attachments.map((one) => ({ ...one, hostName: name.get(one.host) ?? "", volumeName: name.get(one.volume) ?? "" }));
}

/** Hosts as the contract shows them, with their uptime of this calendar month. */
export async function showHosts(db: Db, rows: readonly ResourceView[], now: Date) {
  const attachments = await attachmentsOf(db, rows);
  const held = rows.length === 0 ? new Set<string>() : await hostsInMaintenance(db, now);
  const uptime = await uptimeOf(
    db,
    rows.map((row) => row.id),
    monthStart(now),
    now,
  );
  return rows.map((row) => {
    const { flavour, image, power, sshKeys, addresses, ports } = row.wanted as HostSpec;
    const { up, counted, maintenance } = uptime.get(row.id) ?? { up: 0, counted: 0, maintenance: 0 };
    return {
      ...common(row),
      pool: row.pool_code ?? "",
      image,
      flavour,
      power,
      sshKeys,
      addresses,
      ports,
      attachments: attachments
        .filter((one) => one.host === row.id)
        .map((one) => ({ id: one.id, volume: one.volume, volumeName: one.volumeName, path: one.path })),
      uptimeSeconds: up,
      maintenanceSeconds: maintenance,
      inMaintenance: held.has(row.id),
      uptimeRatio: counted > 0 ? up / counted : null,
    };
  });
}

/** @param usedBytes what the observer saw last, by volume id */
export async function showVolumes(db: Db, rows: readonly ResourceView[], usedBytes: ReadonlyMap<string, number>) {
  const attachments = await attachmentsOf(db, rows);
  return rows.map((row) => {
    const { tier, sizeGib } = row.wanted as VolumeSpec;
    const at = attachments.find((one) => one.volume === row.id);
    return {
      ...common(row),
      pool: row.pool_code ?? "",
      tier,
      sizeGib,
      usedBytes: usedBytes.get(row.id) ?? null,
      attachedTo: at ? { attachment: at.id, host: at.host, hostName: at.hostName, path: at.path } : null,
    };
  });
}

export async function showPolicies(db: Db, rows: readonly ResourceView[]) {
  if (rows.length === 0) return [];
  const volumes = await db
    .selectFrom("resources")
    .select(["id", "name"])
    .where(
      "id",
      "in",
      rows.map((row) => (row.wanted as BackupPolicySpec).volume),
    )
    .execute();
  const due = await db
    .selectFrom("due_times")
    .selectAll()
    .where(
      "key",
      "in",
      rows.map((row) => `backup:${row.id}`),
    )
    .execute();
  const last = await db
    .selectFrom("backups")
    .select(["policy_id", (where) => where.fn.max("completed_at").as("at")])
    .where(
      "policy_id",
      "in",
      rows.map((row) => row.id),
    )
    .where("state", "=", "complete")
    .groupBy("policy_id")
    .execute();
  return rows.map((row) => {
    const { volume, schedule, timezone, keep } = row.wanted as BackupPolicySpec;
    return {
      ...common(row),
      pool: row.pool_code ?? "",
      volume,
      volumeName: volumes.find((one) => one.id === volume)?.name ?? "",
      schedule,
      timezone,
      keep,
      nextDueAt: time(due.find((one) => one.key === `backup:${row.id}`)?.due_at ?? null),
      lastSuccessAt: time((last.find((one) => one.policy_id === row.id)?.at as Date | undefined) ?? null),
    };
  });
}

export interface Uptime {
  /** Seconds up. */
  up: number;
  /** Seconds that count: up, down, unknown. */
  counted: number;
  /** Seconds down or unknown within maintenance windows. */
  maintenance: number;
}

/** Of hosts within [from, to). */
export async function uptimeOf(db: Db, ids: readonly string[], from: Date, to: Date): Promise<Map<string, Uptime>> {
  if (ids.length === 0) return new Map();
  const { rows } = await sql<Uptime & { resource_id: string }>`
    select resource_id, coalesce(sum(seconds) filter (where state = 'up'), 0)::float8 as up, coalesce(sum(seconds) filter (where state in ('up', 'down', 'unknown')), 0)::float8 as counted,
      coalesce(sum(seconds) filter (where state = 'maintenance'), 0)::float8 as maintenance
    from ${countedUptime(from, to, sql`u.resource_id = any(${sql.val(ids)}::text[])`)} i group by resource_id`.execute(db);
  return new Map(rows.map((row) => [row.resource_id, row]));
}
