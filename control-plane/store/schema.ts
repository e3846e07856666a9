/**
 * The tables as Kysely sees them. Times are `timestamptz` (Date), money is integer fen, JSON is jsonb.
 * Write jsonb with `JSON.stringify` (PGlite and pg differ in what else they take).
 * The Pulumi state service's tables are in `control-plane/state/schema.ts`; both make up `Database`.
 */
import type { ColumnType, Generated } from "kysely";
import type { SessionBasis, SessionEnd } from "../contract/host-sessions.ts";
import type { BindingKind, Role } from "../contract/roles.ts";
import type { CardColour, CardEntry, CardState, RuleKind, SupervisionStage } from "../contract/supervision.ts";
import type { OperationAction, OperationKind, OperationState, OperationStepState } from "../contract/operation-plans.ts";
import type { StateTables } from "../state/schema.ts";

type Json<T> = ColumnType<T, string, string>;
type Time = ColumnType<Date, Date, Date>;
type MaybeTime = ColumnType<Date | null, Date | null | undefined, Date | null>;

export type Dimension = "hosts" | "vcpu" | "memory_mib" | "storage_gib:performance" | "storage_gib:standard" | "storage_gib:capacity" | "backup_gib";

export interface Departments {
  id: string;
  parent_id: string | null;
  code: string;
  name_zh: string;
  name_en: string;
  /** A label: province, city, county, township … */
  level: string;
  /** Line of work (条线), so that use can be summed across the tree. */
  line: string | null;
  revision: Generated<number>;
  created_at: Time;
  updated_at: Time;
}

/** Closure of the tree: one row for each department and each of its ancestors, itself (distance 0) included. */
export interface DepartmentAncestors {
  department_id: string;
  ancestor_id: string;
  distance: number;
}

export interface Projects {
  id: string;
  department_id: string;
  code: string;
  name: string;
  fiscal_year: number;
  budget_fen: number;
  stage: "filed" | "reviewed" | "approved" | "accepted" | "operating" | "evaluated" | "closed";
  /** The third-party supervisor (监理), contract/projects.ts; null: none named. */
  supervisor: ColumnType<unknown, string | null | undefined, string | null>;
  /** Token of who filed it: others decide on it. */
  filed_by: Generated<string>;
  revision: Generated<number>;
  created_at: Time;
  updated_at: Time;
}

export interface Applications {
  id: string;
  department_id: string;
  project_id: string;
  code: string;
  name: string;
  contact: string;
  /** 等级保护 level, 1 to 4. */
  protection_level: number;
  filing_number: string | null;
  zone: "extranet" | "internet";
  /** Whether its hosts must be on different members, or are where that can be. */
  anti_affinity: Generated<"preferred" | "required">;
  revision: Generated<number>;
  created_at: Time;
  updated_at: Time;
}

export interface Pools {
  id: string;
  code: string;
  name: string;
  kind: "compute" | "storage" | "backup";
  site: string;
  tier: "performance" | "standard" | "capacity";
  security_level: number;
  zone: "extranet" | "internet";
  /** vCPU sold per vCPU owned, hundredths (400 = 4.00). */
  overcommit_percent: number;
  driver: string;
  endpoint: string;
  state: "open" | "maintenance" | "closed";
  /** How hosts go to the members: evenly, or the fullest first. */
  strategy: Generated<"spread" | "pack">;
  /** Only for this department and what is below it; null: for all. */
  dedicated_department: string | null;
  /** Of that department only this application. */
  dedicated_application: string | null;
  /** Whether virtual machines can be made there, as its driver said last. */
  vm: Generated<boolean>;
  /** Whether the members share the storage of its hosts' disks, as its driver said last; null: not read yet. */
  shared_storage: Generated<boolean | null>;
  /** What becomes of its hosts when their member doesn't answer, after how long, and who settled that. */
  loss_action: Generated<"wait" | "propose" | "restart">;
  loss_after_seconds: Generated<number>;
  /** Whoever settled it has made sure that a machine that lost its cluster is off by then. */
  loss_fenced: Generated<boolean>;
  loss_set_by: Generated<string | null>;
  loss_set_at: MaybeTime;
  revision: Generated<number>;
  created_at: Time;
  updated_at: Time;
}

/** Capacity of a pool per dimension and what placement has taken of it. taken <= capacity is a check constraint. */
export interface PoolAccounts {
  pool_id: string;
  dimension: Dimension;
  /** What there is. */
  owned: number;
  /** What may be given out: of vCPU by the overcommit ratio more than there is. */
  capacity: number;
  taken: Generated<number>;
}

/** A machine behind a pool, as it was read last. Bytes. */
export interface PoolMembers {
  pool_id: string;
  name: string;
  state: "online" | "evacuated" | "offline";
  groups: Json<string[]>;
  message: string;
  vcpu: number | null;
  memory_bytes: number | null;
  memory_free_bytes: number | null;
  disk_bytes: number | null;
  disk_free_bytes: number | null;
  /** When it came into its state. */
  since: Time;
  seen_at: Time;
}

/** The quota account of a department and dimension: its own subtree's use. A null limit is no limit at this node (its ancestors govern). */
export interface QuotaAccounts {
  department_id: string;
  dimension: Dimension;
  /** A protection level; 0: all of them together, and the only one that always has a row. */
  level: Generated<number>;
  limit_value: number | null;
  /** Over it requests are accepted and flagged. */
  soft_limit: Generated<number | null>;
  /** Kept free for it within its parent's limit. */
  guaranteed: Generated<number>;
  /** How much it may borrow above its limit; null: what there is. */
  borrow_cap: Generated<number | null>;
  /** Its children may borrow from each other. */
  lends: Generated<boolean>;
  reserved: Generated<number>;
  used: Generated<number>;
  revision: Generated<number>;
}

/** One charge: what a request's item reserves and then uses, counted at the department and each ancestor. Released exactly once. */
export interface QuotaCharges {
  id: string;
  department_id: string;
  /** Who holds it: the resource that it is for. */
  resource_id: string;
  request_id: string;
  item_id: string;
  dimension: Dimension;
  /** Protection level of its application. */
  level: number;
  quantity: number;
  state: "reserved" | "used" | "released";
  /** A reservation that is not applied by then is released by housekeeping. */
  expires_at: MaybeTime;
  created_at: Time;
  settled_at: MaybeTime;
}

export type RequestState =
  | "draft"
  | "submitted"
  | "needs-information"
  | "planned"
  | "department-approval"
  | "authority-approval"
  | "waiting"
  | "approved"
  | "applying"
  | "scheduled"
  | "on-trial"
  | "active"
  | "expiring"
  | "reclaimed"
  | "failed"
  | "rejected"
  | "withdrawn";

/** term-stop: its hosts' term is over, they are stopped · term-reclaim: and now to be retired · trial-refusal: what was tried is not wanted */
export type RequestOrigin = "term-stop" | "term-reclaim" | "trial-refusal" | "member-lost";

export interface Requests {
  id: string;
  /** What people quote: 2026-000001. */
  number: string;
  department_id: string;
  project_id: string;
  application_id: string;
  state: RequestState;
  title: string;
  reason: string;
  /** Who wrote it. */
  requested_by: string;
  /** Who submitted it, null before: mostly the same. Neither may decide on it. */
  submitted_by: string | null;
  /** Everybody who wrote, submitted or changed it: none of them decides on it. */
  authors: ColumnType<string[], string | undefined, string>;
  decided_by: string | null;
  decided_at: MaybeTime;
  decision_reason: string | null;
  /** The change plan (变更方案), see contract/requests.ts; null until it has been computed. */
  plan: Json<unknown> | null;
  plan_hash: string | null;
  /** What it costs to the year's end (contract/requests.ts), null before it is submitted and for what costs nothing more. */
  cost: ColumnType<unknown, string | null | undefined, string | null>;
  /** The plan that was decided on before this one, for the difference. */
  previous_plan: ColumnType<unknown, string | null | undefined, string | null>;
  /** Why there is this request, where nobody but the terms or the trial of another one asked for it. */
  origin: ColumnType<RequestOrigin | null, RequestOrigin | null | undefined, RequestOrigin | null>;
  /** The loss of a member for which it asks for things anew. */
  loss_id: ColumnType<string | null, string | null | undefined, string | null>;
  /** The request whose resources it stops or retires, where it has an origin. */
  about_id: ColumnType<string | null, string | null | undefined, string | null>;
  /** Days of its trial (试运行); null: none. */
  trial_days: ColumnType<number | null, number | null | undefined, number | null>;
  /** When its trial ends, once it has begun. */
  trial_until: MaybeTime;
  /** Which end of a term or trial its owner was told of last. */
  term_told: ColumnType<string | null, string | null | undefined, string | null>;
  /** Of a transfer: who the application passes to, and under which project. Null: it is none, or a draft. */
  to_department_id: ColumnType<string | null, string | null | undefined, string | null>;
  to_project_id: ColumnType<string | null, string | null | undefined, string | null>;
  /** Its pools had no room when it was placed: capacity is still to be taken, after its approval. */
  waits: Generated<boolean>;
  error: Json<unknown> | null;
  revision: Generated<number>;
  created_at: Time;
  updated_at: Time;
}

export type ItemAction = "create" | "resize" | "extend" | "attach" | "detach" | "start" | "stop" | "keys" | "redeploy" | "retire" | "adopt" | "transfer";
export type ResourceKind = "host" | "volume" | "attachment" | "backup-policy";

export interface RequestItems {
  id: string;
  request_id: string;
  position: number;
  action: ItemAction;
  /** application: of a transfer, whose resource is the application. */
  kind: ResourceKind | "application";
  resource_id: string;
  /** As asked for (contract/requests.ts, ItemSpec), references resolved. userData sealed. */
  spec: Json<unknown>;
  /** scheduled: approved, and waiting for a restart. */
  state: "pending" | "scheduled" | "applying" | "active" | "failed" | "cancelled";
  /** Digest of the specification that was approved (infra/approval.ts); null before, and for what makes none. */
  approved_digest: string | null;
  error: Json<{ code: string; message: string } | null> | null;
  /** What the change plan found: it can't be made while that host runs. */
  restart_need: ColumnType<{ host: string; why: string } | null, string | null | undefined, string | null>;
  /** What its owner agreed to. */
  restart: ColumnType<AgreedRestart | null, string | null | undefined, string | null>;
  restart_begun_at: MaybeTime;
  /** Which moment its owner was told of beforehand. */
  restart_told: ColumnType<string | null, string | null | undefined, string | null>;
}
/** `at`: ISO, of the moment; `agreedAt` too. */
export type AgreedRestart = { when: "now" | "window"; by: string; agreedAt: string } | { when: "at"; at: string; by: string; agreedAt: string };

/** What of a host's time counts as planned, since its owner agreed to a restart. */
export interface PlannedRestarts {
  item_id: string;
  /** The host. */
  resource_id: string;
  from_at: Time;
  /** At most; or when it was back. */
  to_at: Time;
}

/** Every host, volume, attachment and backup policy, wanted and observed. */
export interface Resources {
  id: string;
  kind: ResourceKind;
  department_id: string;
  project_id: string;
  application_id: string;
  pool_id: string | null;
  /** What people call it; unique among the live ones of an application and kind. */
  name: string;
  /** proposed (only asked for) → wanted (approved) → live (applied and seen running) → retiring → gone; failed: was wanted, could not be made, its charge released. */
  phase: "proposed" | "wanted" | "live" | "retiring" | "gone" | "failed";
  /** The spec.ts object of this kind as wanted now. */
  wanted: Json<unknown>;
  /** The spec.ts object as last applied, null before. */
  applied: Json<unknown> | null;
  /** Last transition seen by the observer: running, stopped, crashed, missing, unknown, down (its member does not answer, for long), present. */
  observed_state: Generated<string>;
  observed_at: MaybeTime;
  physical_id: string | null;
  /** The member of its cluster that a host was seen on last. */
  member: string | null;
  /** Since when its member does not answer; null: it does, or it was not asked. */
  unreachable_since: MaybeTime;
  /** The request that opened it. */
  request_id: string;
  opened_at: MaybeTime;
  expires_at: MaybeTime;
  retired_at: MaybeTime;
  revision: Generated<number>;
  created_at: Time;
  updated_at: Time;
}

/** Operation plans (运维方案): what is to be moved on the machines behind an endpoint. */
export interface OperationPlans {
  id: string;
  kind: OperationKind;
  driver: string;
  endpoint: string;
  /** Behind that endpoint, and those of other pools (`serverOf`). */
  server: string;
  /** domain/operation-plans.ts, Ask */
  ask: Json<unknown>;
  state: OperationState;
  /** Of the steps as they were shown; null before they have been computed. */
  hash: ColumnType<string | null, string | null | undefined, string | null>;
  /** The loss of a member that it is for. */
  loss_id: ColumnType<string | null, string | null | undefined, string | null>;
  /** Lines: what was otherwise when it was to begin, so that it had to be shown again. */
  difference: ColumnType<string[], string | undefined, string>;
  reason: string;
  error: ColumnType<string | null, string | null | undefined, string | null>;
  created_by: string;
  /** Somebody else. */
  confirmed_by: ColumnType<string | null, string | null | undefined, string | null>;
  confirmed_at: MaybeTime;
  cancelled_by: ColumnType<string | null, string | null | undefined, string | null>;
  cancelled_at: MaybeTime;
  started_at: MaybeTime;
  finished_at: MaybeTime;
  revision: Generated<number>;
  created_at: Time;
  updated_at: Time;
}

/** What a resource is since an operation plan moved it to another pool: approved by that plan, not by a request. */
export interface PoolMoves {
  resource_id: string;
  plan_id: string;
  /** Of its specification (infra/approval.ts). */
  digest: string;
  at: Time;
}

export interface OperationSteps {
  id: string;
  plan_id: string;
  position: number;
  action: OperationAction;
  /** The member that is closed or opened, or the id of the host or volume. */
  subject: string;
  name: string;
  department_id: string | null;
  application_id: string | null;
  from_member: string | null;
  to_member: string | null;
  from_pool_id: string | null;
  to_pool_id: string | null;
  /** Whether it is foreseen that the host restarts. */
  restarts: boolean;
  /** At most so many are copied; null: none. */
  bytes: number | null;
  reason: string;
  /** Why it cannot be done; null: it can. */
  blocked: string | null;
  state: OperationStepState;
  error: ColumnType<{ code: string; message: string } | null, string | null | undefined, string | null>;
  /** Whether the host did restart. */
  restarted: ColumnType<boolean | null, boolean | null | undefined, boolean | null>;
  started_at: MaybeTime;
  finished_at: MaybeTime;
}

/** What a department's stack was last asked to be and has been made. Equal hashes: the engine isn't started. */
export interface Estates {
  department_id: string;
  applied_hash: string | null;
  applied_at: MaybeTime;
  /** Fencing token: goes up by one with every operation that may change something. */
  fence: Generated<number>;
  /** The engine process of the operation that runs now, to be ended at a restart. */
  engine_pid: number | null;
  engine_started: string | null;
  operation_id: string | null;
}

/** Interval [from, to) in which a resource held a quantity of a meter. The intervals of a resource and meter never overlap (exclusion constraint). */
export interface Allocations {
  id: string;
  resource_id: string;
  department_id: string;
  project_id: string;
  application_id: string;
  meter: Dimension;
  quantity: number;
  from_at: Time;
  to_at: MaybeTime;
}

/** Interval in which a host was in one state; open while to_at is null. */
export interface UptimeIntervals {
  id: string;
  resource_id: string;
  department_id: string;
  /** What it was. What counts as maintenance of it is computed from the windows: store/uptime.ts. */
  state: "up" | "down" | "unknown" | "stopped";
  from_at: Time;
  to_at: MaybeTime;
}

/** What a maintenance window is about. */
export type MaintenanceScope =
  | { kind: "pool"; pool: string }
  | { kind: "member"; pool: string; member: string }
  | { kind: "application"; application: string }
  | { kind: "hosts"; hosts: readonly string[] };

/** Holds in [from_at, to_at). One that was cancelled before it began ends where it begins. */
export interface MaintenanceWindows {
  id: string;
  scope: Json<MaintenanceScope>;
  from_at: Time;
  to_at: Time;
  reason: string;
  /** Why it was announced later than the policy asks; null: it was not. */
  emergency_reason: string | null;
  announced_by: string;
  announced_at: Time;
  /** What those concerned were told last. */
  told: Generated<"announced" | "soon" | "begun" | "ended">;
  cancelled_at: MaybeTime;
  cancelled_by: string | null;
  cancel_reason: string | null;
  revision: Generated<number>;
  updated_at: Time;
}

/** Which hosts a window concerns, from when (at the earliest its own start) until when (at the latest its end). */
export interface MaintenanceHosts {
  window_id: string;
  resource_id: string;
  since: Time;
  until: MaybeTime;
}

/** A member of a cluster that did not answer. At most one of each is open: lost, asked or confirmed. */
export interface MemberLosses {
  id: string;
  driver: string;
  endpoint: string;
  member: string;
  since: Time;
  state: "lost" | "asked" | "confirmed" | "removed" | "returned";
  /** Who asked that it is given up, and who agreed: two people. */
  asked_by: string | null;
  asked_at: MaybeTime;
  reason: string | null;
  confirmed_by: string | null;
  confirmed_at: MaybeTime;
  ended_at: MaybeTime;
  /** When what was on it was asked for anew. */
  proposed_at: MaybeTime;
  /** When a pool's policy filed that it is given up: once for a loss. */
  filed_at: MaybeTime;
  /** When it was set aside after its return, since hosts of it had been started elsewhere. */
  held_at: MaybeTime;
  error: string | null;
  revision: Generated<number>;
  updated_at: Time;
}

export interface Backups {
  id: string;
  department_id: string;
  volume_id: string;
  policy_id: string | null;
  pool_id: string;
  state: "pending" | "running" | "complete" | "failed" | "expired";
  size_bytes: number | null;
  sha256: string | null;
  error: string | null;
  requested_by: string;
  started_at: MaybeTime;
  completed_at: MaybeTime;
  created_at: Time;
  /** Of the volume's application when it was made; null: made before that was kept, of a volume that was unknown then. */
  protection_level: number | null;
  /** Size of its volume then, GiB. */
  volume_gib: number | null;
}

export interface Restores {
  id: string;
  department_id: string;
  backup_id: string;
  /** The volume whose content is replaced. */
  volume_id: string;
  state: "pending" | "running" | "complete" | "failed";
  bytes: number | null;
  error: string | null;
  requested_by: string;
  started_at: MaybeTime;
  completed_at: MaybeTime;
  created_at: Time;
}

/** A volume's content at a moment, on its own storage. The id is what the driver calls it. */
export interface Snapshots {
  id: string;
  department_id: string;
  volume_id: string;
  name: string;
  note: string;
  state: "pending" | "running" | "complete" | "failed" | "deleting" | "deleted";
  expires_at: MaybeTime;
  /** Bytes on the volume's storage; null where the driver cannot tell. */
  size_bytes: number | null;
  /** The moment of its content, by the driver. */
  taken_at: MaybeTime;
  requested_by: string;
  created_at: Time;
  completed_at: MaybeTime;
  deleted_by: string | null;
  /** When its deletion was asked for; of one that went with its volume, when that was. */
  deleted_at: MaybeTime;
  end_reason: "asked" | "expired" | "volume-gone" | null;
  error: string | null;
  revision: Generated<number>;
  updated_at: Time;
}
/** Puts a volume back to one of its snapshots: asked for by one person, decided on by another. */
export interface SnapshotReverts {
  id: string;
  department_id: string;
  snapshot_id: string;
  volume_id: string;
  state: "asked" | "refused" | "withdrawn" | "lapsed" | "pending" | "running" | "complete" | "failed";
  reason: string;
  asked_by: string;
  asked_at: Time;
  decided_by: string | null;
  decided_at: MaybeTime;
  decision_reason: string | null;
  started_at: MaybeTime;
  ended_at: MaybeTime;
  error: string | null;
  revision: Generated<number>;
  updated_at: Time;
}

/** A look at a department's Pulumi stack by the engine, asked for by a person. Changes nothing. */
export interface StackOperations {
  id: string;
  department_id: string;
  kind: "preview" | "refresh";
  state: "pending" | "running" | "complete" | "failed";
  steps: Json<unknown>;
  error: string | null;
  requested_by: string;
  created_at: Time;
  completed_at: MaybeTime;
}

/** When each backup policy is due next; kept so that a tick missed while down is caught up. */
export interface DueTimes {
  key: string;
  due_at: Time;
}

export interface AuditEntries {
  id: Generated<number>;
  at: Time;
  actor: string;
  role: string;
  /** Where from: address of the client, or "system". */
  source: string;
  /** request.submit, quota.set, backup.create … */
  action: string;
  subject_kind: string;
  subject_id: string;
  department_id: string | null;
  result: "done" | "denied" | "failed";
  before: Json<unknown> | null;
  after: Json<unknown> | null;
  correlation_id: string;
  /** Its place in the chain; these four are null until it is linked. */
  sequence: Generated<number | null>;
  /** Hash algorithm of this link, as OpenSSL names it: sha256, sm3. */
  algorithm: Generated<HashAlgorithm | null>;
  /** Hash of the entry before it. */
  previous: Generated<string | null>;
  hash: Generated<string | null>;
}

export interface Tokens {
  id: string;
  name: string;
  /** SHA-256 of the secret, hex. The secret itself is shown once and never stored. */
  secret_hash: string;
  expires_at: MaybeTime;
  revoked_at: MaybeTime;
  last_used_at: MaybeTime;
  created_at: Time;
  /** Of a personal token: it acts as this account does, never more. */
  account_id: ColumnType<string | null, string | null | undefined, string | null>;
  /** It reads and changes nothing. */
  read_only: Generated<boolean>;
}

/** A browser's session: opened by a one-time link, acts as its token does. */
export interface Sessions {
  id: string;
  secret_hash: string;
  /** Either this or account_id: whom it acts as. */
  token_id: ColumnType<string | null, string | null | undefined, string | null>;
  account_id: ColumnType<string | null, string | null | undefined, string | null>;
  /** Of an account's session: to the minute; it ends when it is idle for too long. */
  last_seen_at: MaybeTime;
  /** Address and program that opened it, so that its owner knows it again. */
  source: ColumnType<string | null, string | null | undefined, string | null>;
  agent: ColumnType<string | null, string | null | undefined, string | null>;
  /** Until the link is used: hash of its code. */
  /** The identity provider that opened it, that one's session, and its ID token, sealed. */
  provider_id: ColumnType<string | null, string | null | undefined, string | null>;
  provider_sid: ColumnType<string | null, string | null | undefined, string | null>;
  id_token_sealed: ColumnType<string | null, string | null | undefined, string | null>;
  link_hash: string | null;
  link_expires_at: MaybeTime;
  expires_at: Time;
  created_at: Time;
}

/** Logout tokens that have been used. */
export interface OidcLogouts {
  provider_id: string;
  jti_hash: string;
  expires_at: Time;
}

export interface IdempotencyKeys {
  /** Principal and key. */
  id: string;
  method_path: string;
  body_hash: string;
  status: number | null;
  headers: Json<Record<string, string>> | null;
  body: string | null;
  created_at: Time;
}

/** Control planes that share this database. */
export interface Replicas {
  id: string;
  host: string;
  pid: number;
  started_at: Generated<Date>;
  heartbeat_at: Generated<Date>;
}

/** What happened, for live pages and timelines (SSE with Last-Event-ID). */
export interface Events {
  id: Generated<number>;
  at: Time;
  department_id: string | null;
  request_id: string | null;
  /** The run of the engine that reported it (state_updates.id). */
  update_id: string | null;
  /** request.planned, step.done, host.running, backup.complete, quota.changed … */
  type: string;
  subject_id: string | null;
  data: Json<unknown>;
}

/** Images that came as files; the catalogue has those that may be asked for. */
export interface Images {
  code: string;
  name: string;
  sha256: string;
  size_bytes: number;
  created_by: string;
  created_at: Time;
  withdrawn_at: Time | null;
}

export interface ImageCopies {
  image_code: string;
  driver: string;
  endpoint: string;
  state: "imported" | "failed" | "unsupported";
  error: string | null;
  at: Time;
}

export interface Catalogue {
  /** image or flavour */
  kind: "image" | "flavour";
  code: string;
  name: string;
  spec: Json<unknown>;
}

export interface Settings {
  key: string;
  value: Json<unknown>;
}

/** A copy of the whole system; its file is `archives/<id>.tar` in the data directory. */
export interface SystemBackups {
  id: string;
  state: "pending" | "running" | "complete" | "failed";
  size_bytes: ColumnType<number | null, number | null | undefined, number | null>;
  sha256: ColumnType<string | null, string | null | undefined, string | null>;
  error: ColumnType<string | null, string | null | undefined, string | null>;
  requested_by: string;
  created_at: Time;
  completed_at: MaybeTime;
}

/** What a driver has and the database doesn't know. */
export interface UnknownThings {
  driver: string;
  endpoint: string;
  kind: ResourceKind | "backup";
  /** The driver's. */
  id: string;
  name: string;
  /** The department's id, as the driver knows it. */
  scope: string;
  /** Of the row that has its name, when that does not say that it should exist; null: there is none. */
  phase: string | null;
  seen_at: Time;
  /** Was there when a restore was acknowledged: no sweep removes it. */
  kept: Generated<boolean>;
}

/** A request to hand out the master key, encrypted to a public key; approved by another than who asked. */
export interface KeyEscrows {
  id: string;
  /** X25519, base64. */
  public_key: string;
  reason: string;
  /** Of the master key that was asked for. */
  fingerprint: string;
  requested_by: string;
  created_at: Time;
  expires_at: Time;
  approved_by: ColumnType<string | null, string | null | undefined, string | null>;
  approved_at: MaybeTime;
}

/** Who holds which role on which node, from when to when. */
export interface RoleBindings {
  id: string;
  /** An account's or a token's id. */
  subject_id: string;
  role: Role;
  department_id: string | null;
  kind: BindingKind;
  valid_from: Time;
  valid_until: Date | null;
  period_from: Date | null;
  period_to: Date | null;
  reason: string;
  granted_by: string;
  granted_at: Time;
  revoked_by: ColumnType<string | null, string | null | undefined, string | null>;
  revoked_at: MaybeTime;
  reviewed_by: ColumnType<string | null, string | null | undefined, string | null>;
  reviewed_at: MaybeTime;
  verdict: ColumnType<"justified" | "unjustified" | null, "justified" | "unjustified" | null | undefined, "justified" | "unjustified" | null>;
  review_comment: ColumnType<string | null, string | null | undefined, string | null>;
  /** By whose claims it is held. */
  provider_id: ColumnType<string | null, string | null | undefined, never>;
}

export type HashAlgorithm = "sha256" | "sm3";

/** Where the audit's hash chain ends: one row, locked by whoever links. */
export interface AuditChain {
  id: number;
  sequence: number;
  hash: string;
  linked_at: MaybeTime;
  /** The control plane that linked last. */
  linked_by: string | null;
  /** The newest checkpoint's. */
  signed_sequence: Generated<number>;
  /** When the oldest entry that no checkpoint covers was linked; null: all are covered. */
  unsigned_since: MaybeTime;
}

/** A signature over the chain up to an entry, and thereby over every entry before it. */
export interface AuditCheckpoints {
  number: number;
  sequence: number;
  hash: string;
  at: Time;
  algorithm: HashAlgorithm;
  /** Digest of the checkpoint before. */
  previous: string;
  key_id: string;
  /** Base64. */
  signature: string;
}

/** What checkpoints are signed with. */
export interface AuditKeys {
  id: string;
  algorithm: "Ed25519";
  /** SPKI, base64. */
  public_key: string;
  /** PKCS #8, sealed under the master key. */
  wrapped: string;
  created_at: Time;
}

/** A step of a project of the annual plan, with what was decided on. */
export interface ProjectSteps {
  id: string;
  project_id: string;
  event: "review" | "return" | "approve" | "accept" | "operate" | "evaluate" | "close";
  from_stage: Projects["stage"];
  to_stage: Projects["stage"];
  reason: string;
  evidence: Json<unknown>;
  opinions: Json<unknown>;
  funds: Json<unknown>;
  actor: string;
  role: string;
  at: Time;
}

/** Money of a project for one purpose and fiscal year. Its project's row is the lock of it and of its charges. */
export interface ProjectFunds {
  id: string;
  project_id: string;
  kind: "construction" | "operating";
  fiscal_year: number;
  amount_fen: number;
  reserved_fen: Generated<number>;
  committed_fen: Generated<number>;
  spent_fen: Generated<number>;
}

/** A published version never changes: the database refuses it. */
export interface PriceBooks {
  id: string;
  version: number;
  valid_from: Time;
  note: string;
  /** contract/price-books.ts, Price[] */
  prices: Json<unknown>;
  published_by: string;
  created_at: Time;
}

/** What a resource costs a fund in [from, to): reserved at the submission, committed at the apply, cut short (spent) or released once. */
export interface FundCharges {
  id: string;
  project_id: string;
  fund_id: string;
  resource_id: string;
  /** Null for what no request asked for: a new year, an acceptance. */
  request_id: string | null;
  item_id: string | null;
  price_book_id: string;
  /** domain/prices.ts, CostLine[]: quantities with the prices that they were taken at. */
  lines: Json<unknown>;
  from_at: Time;
  to_at: Time;
  amount_fen: number;
  state: "reserved" | "committed" | "spent" | "released";
  created_at: Time;
  settled_at: MaybeTime;
}

/** Versions of the approval policy (审批流程) of a department: the newest holds, for everything below it that has none of its own. */
export interface ApprovalPolicies {
  id: string;
  department_id: string;
  version: number;
  /** contract/approvals.ts, Stage[]; null: inherits again. */
  stages: Json<unknown> | null;
  note: string;
  created_by: string;
  created_at: Time;
}

/** One decision of one person on a request, asked for by its policy. */
export interface ApprovalSteps {
  id: string;
  request_id: string;
  /** Goes up when a plan that moved sends the request back to its first approver. */
  round: number;
  stage: number;
  position: number;
  name: string;
  kind: "department-approval" | "authority-approval";
  role: "approver" | "authority";
  /** Whose people it asks; null: the request's department's. */
  department_id: Generated<string | null>;
  /** Whom alone it asks; null: anybody with the role. */
  approver: string | null;
  mode: "serial" | "parallel";
  /** How many of its stage must approve. */
  needed: number;
  /** Working days that the policy gives. */
  days: number;
  /** Working days that the applicant's answers took: they are added. */
  extra_days: Generated<number>;
  state: "waiting" | "open" | "asked" | "approved" | "rejected" | "skipped";
  opened_at: MaybeTime;
  due_at: MaybeTime;
  /** Of the plan that was decided on. */
  plan_hash: string | null;
  decided_at: MaybeTime;
  decided_by: string | null;
  /** Who was on leave: decided_by decided for this one, by that delegation. */
  decided_for: string | null;
  delegation_id: string | null;
  reason: string;
  /** The plan moved: what was decided counts no more. */
  invalidated_at: MaybeTime;
  /** By what inboxes are ordered and paged: due time, once decided the time of that, and id. */
  inbox_key: string | null;
  /** The due time of which it was said that it comes near. */
  reminded_for: MaybeTime;
}

/** Decisions in another's name while that one is on leave. */
export interface Delegations {
  id: string;
  from_id: string;
  to_id: string;
  begins_at: Time;
  ends_at: Time;
  reason: string;
  /** Ended early. */
  ended_at: MaybeTime;
  created_at: Time;
}

export interface RequestComments {
  id: string;
  request_id: string;
  kind: "comment" | "question" | "answer" | "amendment";
  /** That asked, or was answered. */
  step_id: string | null;
  text: string;
  created_by: string;
  created_at: Time;
}

/** Files that people attach to a request; never changed. */
export interface RequestEvidence {
  id: string;
  request_id: string;
  name: string;
  type: string;
  size_bytes: number;
  sha256: string;
  content: ColumnType<Uint8Array, Uint8Array, never>;
  created_by: string;
  created_at: Time;
}

/** Working days of a year, as the State Council sets them. */
export interface Calendars {
  year: number;
  source: string;
  holidays: Json<string[]>;
  working_days: Json<string[]>;
  revision: Generated<number>;
  updated_at: Time;
}

/** A difference between what is accounted for and what adds up, reported by a reconciliation. Never mended by itself. */
export interface QuotaFindings {
  id: string;
  /** account: of its charges · charge: of what its resource is and its open requests ask for · pool: of its resources' charges */
  kind: "account" | "charge" | "pool";
  /** What differs; one open finding each. */
  subject: string;
  field: "reserved" | "used" | "taken";
  department_id: string | null;
  resource_id: string | null;
  pool_id: string | null;
  dimension: Dimension;
  level: number | null;
  expected: number;
  found: number;
  first_seen_at: Time;
  last_seen_at: Time;
  closed_at: MaybeTime;
  closed_by: ColumnType<string | null, string | null | undefined, string | null>;
  reason: ColumnType<string | null, string | null | undefined, string | null>;
  /** Whether the account was set right when it was closed. */
  corrected: ColumnType<boolean | null, boolean | null | undefined, boolean | null>;
  revision: Generated<number>;
}

type Note = ColumnType<string | null, string | null | undefined, string | null>;
/** A property of a live resource that is otherwise on the cloud than it was applied. */
export interface DriftFindings {
  id: string;
  department_id: string;
  resource_id: string;
  kind: ResourceKind;
  /** See domain/drift.ts. */
  property: string;
  wanted: Json<unknown>;
  actual: Json<unknown>;
  /**
   * open · proposed: somebody wants what is gone made anew, and a second person has to agree · putting-back: by the next apply · adopting: a request asks for it ·
   * accepted: left as it is, by decision · put-back, adopted, gone (by itself): closed
   */
  state: "open" | "proposed" | "putting-back" | "adopting" | "accepted" | "put-back" | "adopted" | "gone";
  first_seen_at: Time;
  last_seen_at: Time;
  proposed_by: Note;
  decided_by: Note;
  decided_at: MaybeTime;
  reason: Note;
  /** By which it is adopted. */
  request_id: Note;
  /** Why the last decision could not be done. */
  error: Note;
  closed_at: MaybeTime;
  revision: Generated<number>;
}

/** An instance that a scan found on an endpoint and that was none of ours. */
export interface FoundInstances {
  id: string;
  driver: string;
  endpoint: string;
  project: string;
  instance: string;
  /** As the driver read it. */
  facts: Json<unknown>;
  seen_at: Time;
  /** The last scan did not find it any more. */
  gone_at: MaybeTime;
  /** The host that it is, or is proposed to become. */
  resource_id: Note;
  revision: Generated<number>;
}

/** Who may sign in (a person), or act by tokens alone (a service). */
export interface Accounts {
  id: string;
  /** For signing in; lower case. */
  name: string;
  display_name: string;
  kind: "person" | "service";
  password_hash: ColumnType<string | null, string | null | undefined, string | null>;
  password_set_at: MaybeTime;
  /** Since the last success; what is under way counts as failed until it has succeeded. */
  failed_attempts: Generated<number>;
  locked_until: MaybeTime;
  /** Base32, sealed; a second factor once it is confirmed. */
  totp_sealed: ColumnType<string | null, string | null | undefined, string | null>;
  totp_confirmed_at: MaybeTime;
  /** The last half minute whose code was taken: none is taken twice. */
  totp_last_step: ColumnType<number | null, number | null | undefined, number | null>;
  disabled_at: MaybeTime;
  last_sign_in_at: MaybeTime;
  /** Where mail goes, in which language, of which kinds of notice (contract/notices.ts). */
  email: ColumnType<string | null, string | null | undefined, string | null>;
  language: Generated<"zh-CN" | "en">;
  mail_kinds: ColumnType<string[], string | undefined, string>;
  revision: Generated<number>;
  created_at: Time;
  updated_at: Time;
}

export interface PasswordHistory {
  account_id: string;
  password_hash: string;
  set_at: Time;
}

export interface RecoveryCodes {
  account_id: string;
  code_hash: string;
  used_at: MaybeTime;
}

/** One-time links: for the first administrator (bootstrap), or to set an account's password. */
export interface AccountLinks {
  code_hash: string;
  purpose: "bootstrap" | "set-up";
  account_id: string | null;
  expires_at: Time;
  created_at: Time;
}

/** How often somebody tried within a window. */
export interface RateLimits {
  key: string;
  window_start: Time;
  count: number;
}

/** What a person is told. */
export interface Notices {
  id: string;
  /** An account's id, or that of a token that is no account's. */
  person_id: string;
  /** contract/notices.ts, NoticeKind */
  kind: string;
  department_id: string | null;
  request_id: string | null;
  subject_id: string | null;
  /** contract/notices.ts, NoticeData: its texts are made of it where it is shown. */
  data: Json<unknown>;
  created_at: Time;
  read_at: MaybeTime;
}

/** Who outside is told what. */
export interface Webhooks {
  id: string;
  name: string;
  url: string;
  /** contract/notices.ts, NoticeKind[] */
  kinds: Json<string[]>;
  /** Only what happens there and below; null: everywhere. */
  department_id: string | null;
  /** What is signed with: sealed. */
  secret_sealed: string;
  /** The one before, that is signed with too until then. */
  old_secret_sealed: ColumnType<string | null, string | null | undefined, string | null>;
  old_secret_until: MaybeTime;
  state: "active" | "paused";
  paused_reason: ColumnType<string | null, string | null | undefined, string | null>;
  last_success_at: MaybeTime;
  revision: Generated<number>;
  created_by: string;
  created_at: Time;
  updated_at: Time;
}

/** Something to be sent to one receiver. */
export interface Deliveries {
  id: string;
  channel: "webhook" | "mail";
  webhook_id: ColumnType<string | null, string | null | undefined, string | null>;
  /** Of a mail: whose text is made of it. */
  notice_id: ColumnType<string | null, string | null | undefined, string | null>;
  kind: string;
  /** Of a webhook: what is signed and sent. */
  body: ColumnType<string | null, string | null | undefined, string | null>;
  /** dead: it was refused, or failed so often that it isn't tried by itself any more. */
  state: "waiting" | "delivered" | "dead";
  attempts: Generated<number>;
  due_at: Time;
  /** Until then somebody is at it. */
  taken_until: MaybeTime;
  last_status: ColumnType<number | null, number | null | undefined, number | null>;
  last_error: ColumnType<string | null, string | null | undefined, string | null>;
  created_at: Time;
  settled_at: MaybeTime;
}

/** Rules of electronic supervision (监察规则) as they hold now; every version is in supervision_rule_versions. */
export interface SupervisionRules {
  id: string;
  /** The node whose subtree it holds for; null: all. */
  department_id: string | null;
  kind: RuleKind;
  name: string;
  /** contract/supervision.ts, RuleTerms. */
  terms: Json<unknown>;
  /** Working days for the answer to a card. */
  answer_days: number;
  enabled: boolean;
  note: string;
  version: number;
  created_at: Time;
  changed_at: Time;
  changed_by: string;
}

export interface SupervisionRuleVersions {
  rule_id: string;
  version: number;
  name: string;
  terms: Json<unknown>;
  answer_days: number;
  enabled: boolean;
  note: string;
  changed_at: Time;
  changed_by: string;
}

/** Supervision cards (预警, 黄牌, 红牌): one for each rule, key and colour. */
export interface SupervisionCards {
  id: string;
  rule_id: string;
  rule_version: number;
  /** What it is about, see domain/supervision.ts. */
  key: string;
  kind: RuleKind;
  stage: SupervisionStage | null;
  colour: CardColour;
  state: CardState;
  department_id: string;
  request_id: string;
  detail: string;
  /** Of split requests: all that count. */
  requests: Json<string[]>;
  limit_at: Date | null;
  happened_at: Time;
  issued_at: Time;
  answer_due_at: Time;
  /** The card that it escalates. */
  previous_id: string | null;
  revision: Generated<number>;
}

export interface SupervisionCardPeople {
  card_id: string;
  subject_id: string;
  part: "concerned" | "superior";
}

/** What happened to a card, in its order. */
export interface SupervisionEntries {
  id: string;
  card_id: string;
  kind: CardEntry["kind"];
  at: Time;
  by_id: string;
  text: string;
}

/** Corrections (纠错) that supervision orders. */
export interface Corrections {
  id: string;
  card_id: string;
  what: string;
  assignee: string;
  state: "open" | "done" | "closed";
  due_at: Time;
  opened_by: string;
  opened_at: Time;
  /** When its present period began: opened, or reopened last. */
  since: Time;
  done_at: MaybeTime;
  closed_at: MaybeTime;
  revision: Generated<number>;
}

/** Who else signs people in, by OpenID Connect. */
export interface IdentityProviders {
  id: string;
  name_zh: string;
  name_en: string;
  issuer: string;
  client_id: string;
  secret_sealed: ColumnType<string | null, string | null | undefined, string | null>;
  scopes: string;
  makes_accounts: boolean;
  enabled: boolean;
  /** contract/identity-providers.ts, ClaimRule[] */
  mapping: ColumnType<unknown, string | undefined, string>;
  revision: Generated<number>;
  created_at: Time;
  updated_at: Time;
}

export interface Identities {
  provider_id: string;
  /** The provider's `sub`. */
  subject: string;
  account_id: string;
  created_at: Time;
}

/** A browser that has gone to a provider and will come back. */
export interface OidcAttempts {
  state_hash: string;
  browser_hash: string;
  provider_id: string;
  nonce: string;
  verifier: string;
  redirect_uri: string;
  expires_at: Time;
}

/** An owner's consent to operations, asked for and answered. */
export interface Consents {
  id: string;
  department_id: string;
  /** null: every host of the application. */
  host_id: string | null;
  application_id: string;
  /** null: whoever holds the role operations. */
  grantee_id: string | null;
  purpose: string;
  minutes: number;
  state: "asked" | "granted" | "refused" | "withdrawn" | "revoked";
  asked_by: string;
  asked_at: Time;
  decided_by: ColumnType<string | null, string | null | undefined, string | null>;
  decided_at: MaybeTime;
  reason: ColumnType<string | null, string | null | undefined, string | null>;
  valid_from: MaybeTime;
  valid_until: MaybeTime;
  ended_by: ColumnType<string | null, string | null | undefined, string | null>;
  ended_at: MaybeTime;
}

/** Somebody in a host, or about to be. */
export interface HostSessions {
  id: string;
  department_id: string;
  host_id: string;
  kind: "shell" | "exec";
  purpose: string;
  argv: ColumnType<string[] | null, string | null, string | null>;
  person_id: string;
  role: string;
  source: string;
  correlation_id: string;
  /** The console's session by which it was asked for: with it, it ends. */
  sign_in_id: string | null;
  basis: SessionBasis;
  consent_id: string | null;
  /** The elevation of break-glass. */
  binding_id: string | null;
  state: "ready" | "open" | "ended";
  ticket_hash: string | null;
  ticket_until: MaybeTime;
  /** The control plane that carries it. */
  replica_id: ColumnType<string | null, string | null | undefined, string | null>;
  cols: number;
  rows: number;
  created_at: Time;
  opened_at: MaybeTime;
  ended_at: MaybeTime;
  end_asked_by: ColumnType<string | null, string | null | undefined, string | null>;
  end_asked_at: MaybeTime;
  end_reason: ColumnType<SessionEnd | null, SessionEnd | null | undefined, SessionEnd | null>;
  exit_code: ColumnType<number | null, number | null | undefined, number | null>;
  recording_sha256: ColumnType<string | null, string | null | undefined, string | null>;
  recording_bytes: ColumnType<number, number | undefined, number>;
}

export interface HostSessionRecordings {
  session_id: string;
  seq: number;
  sealed: string;
}

export interface Database extends StateTables {
  notices: Notices;
  identity_providers: IdentityProviders;
  identities: Identities;
  oidc_attempts: OidcAttempts;
  webhooks: Webhooks;
  deliveries: Deliveries;
  accounts: Accounts;
  password_history: PasswordHistory;
  recovery_codes: RecoveryCodes;
  account_links: AccountLinks;
  rate_limits: RateLimits;
  departments: Departments;
  department_ancestors: DepartmentAncestors;
  projects: Projects;
  applications: Applications;
  pools: Pools;
  pool_accounts: PoolAccounts;
  pool_members: PoolMembers;
  quota_accounts: QuotaAccounts;
  quota_charges: QuotaCharges;
  quota_findings: QuotaFindings;
  drift_findings: DriftFindings;
  found_instances: FoundInstances;
  requests: Requests;
  request_items: RequestItems;
  resources: Resources;
  estates: Estates;
  allocations: Allocations;
  uptime_intervals: UptimeIntervals;
  maintenance_windows: MaintenanceWindows;
  maintenance_hosts: MaintenanceHosts;
  planned_restarts: PlannedRestarts;
  member_losses: MemberLosses;
  backups: Backups;
  restores: Restores;
  snapshots: Snapshots;
  snapshot_reverts: SnapshotReverts;
  stack_operations: StackOperations;
  due_times: DueTimes;
  audit_entries: AuditEntries;
  tokens: Tokens;
  sessions: Sessions;
  oidc_logouts: OidcLogouts;
  idempotency_keys: IdempotencyKeys;
  events: Events;
  catalogue: Catalogue;
  images: Images;
  image_copies: ImageCopies;
  settings: Settings;
  replicas: Replicas;
  system_backups: SystemBackups;
  unknown_things: UnknownThings;
  key_escrows: KeyEscrows;
  role_bindings: RoleBindings;
  audit_chain: AuditChain;
  audit_checkpoints: AuditCheckpoints;
  audit_keys: AuditKeys;
  project_steps: ProjectSteps;
  project_funds: ProjectFunds;
  price_books: PriceBooks;
  fund_charges: FundCharges;
  approval_policies: ApprovalPolicies;
  approval_steps: ApprovalSteps;
  delegations: Delegations;
  request_comments: RequestComments;
  request_evidence: RequestEvidence;
  calendars: Calendars;
  supervision_rules: SupervisionRules;
  supervision_rule_versions: SupervisionRuleVersions;
  supervision_cards: SupervisionCards;
  supervision_card_people: SupervisionCardPeople;
  supervision_entries: SupervisionEntries;
  corrections: Corrections;
  operation_plans: OperationPlans;
  operation_steps: OperationSteps;
  pool_moves: PoolMoves;
  consents: Consents;
  host_sessions: HostSessions;
  host_session_recordings: HostSessionRecordings;
}
