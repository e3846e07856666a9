/** Every metric, declared once. Figures of departments, hosts and pools are read at the scrape, so that series of deleted things disappear. */
import { sql } from "kysely";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { CardColour } from "./contract/supervision.ts";
import { lossFigures } from "./store/loss-figures.ts";
import { chainFigures } from "./store/audit-chain.ts";
import { lifecycle } from "./domain/lifecycle.ts";
import { dayOf } from "./domain/working-days.ts";
import { calendarsMissing } from "./store/calendars.ts";
import { borrowedOf, heldOf } from "./domain/ledger.ts";
import { openDrift } from "./store/drift.ts";
import { deliveryFigures } from "./store/deliveries.ts";
import type { Db } from "./store/database.ts";
import { reconciledKey } from "./store/reconciliation.ts";
import { supervisedKey } from "./store/supervising.ts";
import { hostsInMaintenance, poolsInMaintenance } from "./store/maintenance.ts";
import { countedUptime } from "./store/uptime.ts";
import { countCards } from "./store/supervision-cards.ts";

/** What the observer saw last. */
export interface Readings {
  hosts(): Map<string, { state: string; cpuSeconds?: number | undefined; memoryBytes?: number | undefined }>;
  volumes(): Map<string, { usedBytes: number }>;
  of(driver: string, endpoint: string): { disk?: { totalBytes: number; freeBytes: number } } | undefined;
}

/** Whether an endpoint is asked now. */
export type CircuitOf = (driver: string, endpoint: string) => { state: "closed" | "half-open" | "open" };
const circuitStates = { closed: 0, "half-open": 1, open: 2 };

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics(db: Db, readings: Readings, now: () => Date, circuitOf: CircuitOf) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // prom-client names these gauges like counters; promtool refuses that.
  for (const name of ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"]) registry.removeSingleMetric(name);
  const registers = [registry];
  const department = ["department", "code"] as const;
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge({ name: `zhengyun_${name}`, help, labelNames: [...labelNames], registers });

  const quotaLimit = gauge("department_quota_limit", "Quota limit of a department and its subtree, in the dimension's unit (pieces, vCPU, MiB, GiB).", [
    ...department,
    "dimension",
  ]);
  const quotaReserved = gauge("department_quota_reserved", "Reserved by open requests, in the dimension's unit.", [...department, "dimension"]);
  const quotaUsed = gauge("department_quota_used", "Used by live resources, in the dimension's unit.", [...department, "dimension"]);
  const quotaLabels = [...department, "dimension", "level"] as const;
  const quotaSoft = gauge(
    "department_quota_soft_limit",
    "Soft limit: over it requests are accepted and flagged. Level 0 counts all protection levels.",
    quotaLabels,
  );
  const quotaOverSoft = gauge("department_quota_over_soft_limit", "1 when more than the soft limit is reserved and used.", quotaLabels);
  const quotaBorrowed = gauge(
    "department_quota_borrowed",
    "Held above the department's own limit, out of its siblings' unused shares, in the dimension's unit.",
    quotaLabels,
  );
  const quotaLevelLimit = gauge("department_quota_level_limit", "Quota limit for one protection level, in the dimension's unit.", quotaLabels);
  const quotaLevelHeld = gauge(
    "department_quota_level_held",
    "Reserved and used at one protection level that has a limit, in the dimension's unit.",
    quotaLabels,
  );
  const findings = gauge("quota_findings_open", "Differences between quota accounts and resources that nobody has closed.", ["kind"]);
  const reconciledAge = gauge("quota_reconciled_age_seconds", "Seconds since the quota accounts were last compared with resources and open requests.", []);
  const drift = gauge("drift_open", "Properties that are otherwise on the cloud than they were applied, and that nobody has decided to leave so.", ["kind"]);
  const cards = gauge("supervision_cards_open", "Supervision cards that wait for an answer, for supervision or for a correction.", ["colour"]);
  const answersLate = gauge("supervision_answers_overdue", "Supervision cards whose answer is late.", []);
  const correctionsOpen = gauge("supervision_corrections_open", "Corrections that are not closed.", []);
  const correctionsLate = gauge("supervision_corrections_overdue", "Corrections that were not made in time.", []);
  const supervisedAge = gauge("supervision_looked_age_seconds", "Seconds since the rules of supervision were last looked at.", []);
  const calendarMissing = gauge(
    "working_calendar_missing",
    "1 while the calendar of working days of the present year, or from 1 December on of the next one, has not been imported: deadlines there are provisional.",
    ["year"],
  );
  const hosts = gauge("department_hosts", "Live hosts of a department by observed state.", [...department, "state"]);
  const uptime = new Counter({
    name: "zhengyun_department_host_uptime_seconds_total",
    help: "Seconds that a department's hosts have been up, from stored intervals.",
    labelNames: [...department],
    registers,
  });
  const maintained = new Counter({
    name: "zhengyun_department_host_maintenance_seconds_total",
    help: "Seconds that a department's hosts were down or unknown within maintenance windows, which is no downtime.",
    labelNames: [...department],
    registers,
  });
  const cpu = gauge("department_cpu_usage_seconds", "CPU time used by a department's running hosts since their start, in seconds.", department);
  const memory = gauge("department_memory_usage_bytes", "Memory used by a department's running hosts, in bytes.", department);
  const storage = gauge("department_storage_usage_bytes", "Bytes really used by a department's volumes.", department);
  const backupAge = gauge("department_backup_age_seconds", "Seconds since the oldest last successful backup among a department's backup policies.", department);
  const backupSuccess = gauge(
    "department_backup_last_success_timestamp_seconds",
    "When the newest successful backup of a department was completed, seconds since 1970.",
    department,
  );
  const backupFailed = gauge("department_backup_last_failed", "1 when the newest backup of any of a department's volumes failed.", department);
  const hostUp = gauge("host_up", "1 when the host was seen running.", ["host", "name", "department", "code"]);
  const hostMaintenance = gauge("host_in_maintenance", "1 while a maintenance window holds for the host; no series otherwise.", ["host"]);
  const poolMaintenance = gauge("pool_in_maintenance", "1 while a maintenance window holds for the whole pool; no series otherwise.", ["pool"]);
  const poolCapacity = gauge("pool_capacity", "Capacity of a pool, in the dimension's unit.", ["pool", "dimension"]);
  const poolTaken = gauge("pool_taken", "Taken of a pool by placement, in the dimension's unit.", ["pool", "dimension"]);
  const poolDiskSize = gauge("pool_disk_size_bytes", "Size of the disk under a pool, as its driver reads it. Pools of one endpoint share it.", ["pool"]);
  const poolDiskFree = gauge("pool_disk_free_bytes", "Free on the disk under a pool.", ["pool"]);
  const poolCircuit = gauge(
    "pool_circuit_state",
    "Whether the control plane asks the endpoint of a pool: 0 it does, 2 it has given it up for a moment since it did not answer, 1 it is trying again.",
    ["pool"],
  );
  const membersAway = gauge("pool_members_away", "Members behind a pool that do not answer, as their cluster says itself.", ["pool"]);
  const lossHosts = gauge("member_loss_hosts", "Live hosts of a pool whose member does not answer, by what they count as: unknown, then down.", [
    "pool",
    "state",
  ]);
  const lossesWaiting = gauge("member_losses_waiting", "Lost members that wait for people: asked (one has to agree), filed (by a policy: two have to agree).", [
    "state",
  ]);
  const lossOldest = gauge("member_loss_oldest_age_seconds", "Seconds since the member that has been lost longest stopped answering; 0: none is.", []);
  const lossRestarts = new Counter({
    name: "zhengyun_member_loss_restarts_total",
    help: "Hosts that a pool's policy had started on another member, by how that ended: done, failed, or blocked, since storage or placement did not allow it.",
    labelNames: ["result"],
    registers,
  });
  const queued = gauge("jobs_queued", "Jobs that wait.", ["queue"]);
  const oldest = gauge("jobs_oldest_age_seconds", "Age of the oldest job that waits, in seconds.", ["queue"]);
  const auditUnlinked = gauge("audit_unlinked_entries", "Audit entries that wait for their place in the chain.", []);
  const auditUnlinkedAge = gauge("audit_unlinked_oldest_age_seconds", "Age of the oldest audit entry that is not in the chain yet, in seconds.", []);
  const auditUnsignedAge = gauge("audit_unsigned_oldest_age_seconds", "Seconds since the oldest entry was linked that no checkpoint covers yet.", []);
  const auditCheckpointAge = gauge("audit_checkpoint_age_seconds", "Seconds since the newest signed checkpoint of the audit chain.", []);
  const auditEntries = new Counter({ name: "zhengyun_audit_entries_total", help: "Audit entries in the chain.", registers });
  const jobs = new Histogram({
    name: "zhengyun_job_duration_seconds",
    help: "Duration of jobs, in seconds.",
    labelNames: ["queue", "result"],
    buckets: [0.05, 0.2, 0.5, 1, 2, 5, 15, 60, 300],
    registers,
  });
  const requestsByState = gauge("requests", "Requests by state.", ["state"]);
  const queueAge = gauge(
    "capacity_queue_oldest_age_seconds",
    "Seconds since the approval of the request that has waited for capacity longest; 0: none waits.",
    [],
  );
  const deliveriesWaiting = gauge("deliveries_waiting", "Webhook deliveries and mails that wait to be sent, or to be sent again.", ["channel"]);
  const deliveriesOldest = gauge("deliveries_oldest_age_seconds", "Age of the oldest that waits, in seconds.", ["channel"]);
  const deliveriesDead = gauge("deliveries_dead", "Dead letters: not tried any more until somebody asks for it.", ["channel"]);
  const deliveries = new Counter({
    name: "zhengyun_delivery_attempts_total",
    help: "Attempts to deliver: delivered, failed (tried again later) or dead.",
    labelNames: ["channel", "result"],
    registers,
  });
  const requests = new Histogram({
    name: "zhengyun_http_request_duration_seconds",
    help: "Duration of API requests, in seconds.",
    labelNames: ["method", "route", "status"],
    buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    registers,
  });

  async function collect(): Promise<void> {
    const at = now();
    const [
      departments,
      quotas,
      found,
      reconciled,
      live,
      ups,
      policies,
      successes,
      failed,
      pools,
      waiting,
      chain,
      outbox,
      supervision,
      supervised,
      states,
      hostsHeld,
      poolsHeld,
      maintenance,
    ] = await Promise.all([
      db.selectFrom("departments").select(["id", "code"]).execute(),
      db.selectFrom("quota_accounts").selectAll().execute(),
      sql<{ kind: string; n: number }>`select kind, count(*)::float8 as n from quota_findings where closed_at is null group by 1`.execute(db),
      db.selectFrom("settings").select("value").where("key", "=", reconciledKey).executeTakeFirst(),
      db
        .selectFrom("resources")
        .select(["id", "kind", "name", "department_id", "observed_state"])
        .where("phase", "=", "live")
        .where("kind", "in", ["host", "volume"])
        .execute(),
      sql<{
        department_id: string;
        seconds: number;
      }>`select department_id, sum(extract(epoch from coalesce(to_at, ${at}) - from_at))::float8 as seconds from uptime_intervals where state = 'up' group by 1`.execute(
        db,
      ),
      sql<{ department_id: string; age: number }>`
        select r.department_id, max(extract(epoch from ${at} - coalesce((select max(b.completed_at) from backups b where b.volume_id = r.wanted->>'volume' and b.state = 'complete'), r.opened_at)))::float8 as age
        from resources r where r.kind = 'backup-policy' and r.phase = 'live' group by 1`.execute(db),
      sql<{
        department_id: string;
        at: number;
      }>`select department_id, extract(epoch from max(completed_at))::float8 as at from backups where state = 'complete' group by 1`.execute(db),
      sql<{
        department_id: string;
      }>`select distinct department_id from (select distinct on (volume_id) department_id, state from backups where state in ('complete', 'failed') order by volume_id, created_at desc) b where state = 'failed'`.execute(
        db,
      ),
      db
        .selectFrom("pool_accounts as a")
        .innerJoin("pools as p", "p.id", "a.pool_id")
        .select(["p.id", "p.code", "p.driver", "p.endpoint", "a.dimension", "a.capacity", "a.taken"])
        .execute(),
      sql<{
        name: string;
        n: number;
        age: number;
      }>`select name, count(*)::float8 as n, max(extract(epoch from ${at} - created_on))::float8 as age from pgboss.job where state in ('created', 'retry') group by 1`.execute(
        db,
      ),
      chainFigures(db, at),
      deliveryFigures(db, at),
      countCards(db, {}, at),
      db.selectFrom("settings").select("value").where("key", "=", supervisedKey).executeTakeFirst(),
      sql<{
        state: string;
        n: number;
        age: number | null;
      }>`select state, count(*)::float8 as n, max(extract(epoch from ${at} - decided_at))::float8 as age from requests group by 1`.execute(db),
      hostsInMaintenance(db, at),
      poolsInMaintenance(db, at),
      sql<{
        department_id: string;
        seconds: number;
      }>`select department_id, sum(seconds)::float8 as seconds from ${countedUptime(new Date(0), at)} x where state = 'maintenance' group by 1`.execute(db),
    ]);
    for (const metric of [
      quotaLimit,
      quotaReserved,
      quotaUsed,
      quotaSoft,
      quotaOverSoft,
      quotaBorrowed,
      quotaLevelLimit,
      quotaLevelHeld,
      findings,
      reconciledAge,
      supervisedAge,
      hosts,
      uptime,
      maintained,
      hostMaintenance,
      poolMaintenance,
      membersAway,
      lossHosts,
      lossRestarts,
      cpu,
      memory,
      storage,
      backupAge,
      backupSuccess,
      backupFailed,
      hostUp,
      poolCapacity,
      poolTaken,
      poolDiskSize,
      poolDiskFree,
      poolCircuit,
      queued,
      oldest,
      auditEntries,
      auditCheckpointAge,
    ])
      metric.reset();
    const code = new Map(departments.map((row) => [row.id, row.code]));
    const of = (id: string) => ({ department: id, code: code.get(id) ?? "" });
    for (const row of quotas) {
      // Hundreds of accounts that nobody has set or used would be series without a story.
      if (row.limit_value === null && row.reserved === 0 && row.used === 0) continue;
      const labels = { ...of(row.department_id), dimension: row.dimension };
      const levelled = { ...labels, level: String(row.level) };
      if (row.soft_limit !== null) {
        quotaSoft.set(levelled, row.soft_limit);
        quotaOverSoft.set(levelled, heldOf(row) > row.soft_limit ? 1 : 0);
      }
      if (borrowedOf(row) > 0) quotaBorrowed.set(levelled, borrowedOf(row));
      if (row.level !== 0) {
        if (row.limit_value === null) continue;
        quotaLevelLimit.set(levelled, row.limit_value);
        quotaLevelHeld.set(levelled, heldOf(row));
        continue;
      }
      if (row.limit_value !== null) quotaLimit.set(labels, row.limit_value);
      quotaReserved.set(labels, row.reserved);
      quotaUsed.set(labels, row.used);
    }
    for (const kind of ["account", "charge", "pool"]) findings.set({ kind }, found.rows.find((row) => row.kind === kind)?.n ?? 0);
    if (reconciled) reconciledAge.set(Math.max(0, (at.getTime() - Date.parse((reconciled.value as { at: string }).at)) / 1000));
    const drifted = await openDrift(db);
    for (const kind of ["host", "volume", "attachment", "backup-policy"]) drift.set({ kind }, drifted.find((row) => row.kind === kind)?.n ?? 0);
    for (const colour of CardColour.options) cards.set({ colour }, supervision.colours.find((row) => row.colour === colour)?.pending ?? 0);
    answersLate.set(supervision.answersOverdue);
    correctionsOpen.set(supervision.correctionsOpen);
    correctionsLate.set(supervision.correctionsOverdue);
    const missing = await calendarsMissing(db, at);
    const thisYear = Number(dayOf(at).slice(0, 4));
    calendarMissing.set({ year: "present" }, missing.includes(thisYear) ? 1 : 0);
    calendarMissing.set({ year: "next" }, missing.includes(thisYear + 1) ? 1 : 0);
    if (supervised) supervisedAge.set(Math.max(0, (at.getTime() - Date.parse((supervised.value as { at: string }).at)) / 1000));
    const [seenHosts, seenVolumes] = [readings.hosts(), readings.volumes()];
    for (const row of live) {
      const labels = of(row.department_id);
      if (row.kind === "volume") {
        const used = seenVolumes.get(row.id)?.usedBytes;
        if (used !== undefined) storage.inc(labels, used);
        continue;
      }
      hosts.inc({ ...labels, state: row.observed_state });
      hostUp.set({ host: row.id, name: row.name, ...labels }, row.observed_state === "running" ? 1 : 0);
      if (hostsHeld.has(row.id)) hostMaintenance.set({ host: row.id }, 1);
      const seen = seenHosts.get(row.id);
      cpu.inc(labels, seen?.cpuSeconds ?? 0);
      memory.inc(labels, seen?.memoryBytes ?? 0);
    }
    for (const row of maintenance.rows) maintained.inc(of(row.department_id), Math.max(0, row.seconds));
    for (const row of ups.rows) uptime.inc(of(row.department_id), Math.max(0, row.seconds));
    for (const row of policies.rows) {
      backupAge.set(of(row.department_id), Math.max(0, row.age));
      backupFailed.set(of(row.department_id), 0);
    }
    for (const row of successes.rows) backupSuccess.set(of(row.department_id), row.at);
    for (const row of failed.rows) backupFailed.set(of(row.department_id), 1);
    for (const row of pools) {
      poolCapacity.set({ pool: row.code, dimension: row.dimension }, row.capacity);
      if (poolsHeld.has(row.id)) poolMaintenance.set({ pool: row.code }, 1);
      poolTaken.set({ pool: row.code, dimension: row.dimension }, row.taken);
      poolCircuit.set({ pool: row.code }, circuitStates[circuitOf(row.driver, row.endpoint).state]);
      const disk = readings.of(row.driver, row.endpoint)?.disk;
      if (!disk) continue;
      poolDiskSize.set({ pool: row.code }, disk.totalBytes);
      poolDiskFree.set({ pool: row.code }, disk.freeBytes);
    }
    const losses = await lossFigures(db, at);
    for (const row of losses.away) membersAway.set({ pool: row.pool }, row.n);
    for (const row of losses.hosts) lossHosts.set({ pool: row.pool, state: row.state }, row.n);
    for (const state of ["asked", "filed"] as const) lossesWaiting.set({ state }, losses[state]);
    for (const result of ["done", "failed", "blocked"] as const) lossRestarts.inc({ result }, losses.restarts[result]);
    lossOldest.set(losses.oldestSeconds);
    auditEntries.inc(chain.linked);
    auditUnlinked.set(chain.unlinked);
    auditUnlinkedAge.set(chain.unlinkedAge ?? 0);
    auditUnsignedAge.set(chain.unsignedAge ?? 0);
    if (chain.checkpointAge !== null) auditCheckpointAge.set(chain.checkpointAge);
    for (const channel of ["webhook", "mail"]) {
      const figures = outbox.find((row) => row.channel === channel);
      deliveriesWaiting.set({ channel }, figures?.waiting ?? 0);
      deliveriesOldest.set({ channel }, figures?.oldest ?? 0);
      deliveriesDead.set({ channel }, figures?.dead ?? 0);
    }
    const inState = new Map(states.rows.map((row) => [row.state, row]));
    for (const state of Object.keys(lifecycle)) requestsByState.set({ state }, inState.get(state)?.n ?? 0);
    queueAge.set(Math.max(0, inState.get("waiting")?.age ?? 0));
    for (const row of waiting.rows) {
      queued.set({ queue: row.name }, row.n);
      oldest.set({ queue: row.name }, Math.max(0, row.age));
    }
  }

  let collecting: Promise<string> | undefined;
  return {
    contentType: registry.contentType,
    /** The exposition. Scrapes at the same moment share one collection. */
    expose(): Promise<string> {
      collecting ??= collect()
        .then(() => registry.metrics())
        .finally(() => (collecting = undefined));
      return collecting;
    },
    request: (method: string, route: string, status: number, seconds: number) => requests.observe({ method, route, status: String(status) }, seconds),
    delivery: (channel: string, result: "delivered" | "failed" | "dead") => deliveries.inc({ channel, result }),
    job: (queue: string, result: "done" | "failed", seconds: number) => jobs.observe({ queue, result }, seconds),
  };
}
