/**
 * The state service's tables (migration 0002). Deployments and journal entries are JSON kept as `text`: they are
 * written and read whole, and jsonb would refuse the `\u0000` that a resource's property may hold.
 */
import type { ColumnType, Generated } from "kysely";

type Json<T> = ColumnType<T, string, string>;
type Time = ColumnType<Date, Date, Date>;
type MaybeTime = ColumnType<Date | null, Date | null | undefined, Date | null>;

export type UpdateKind = "preview" | "update" | "refresh" | "destroy" | "import";
/** requested → running → settling (no more entries are taken, being folded) → one of the ends. */
export type UpdateStatus = "requested" | "running" | "settling" | "succeeded" | "failed" | "cancelled";

/** A Pulumi stack: one department. `id` is what secrets are bound to; the names may change, it doesn't. */
export interface StateStacks {
  id: string;
  organization: string;
  project: string;
  name: string;
  tags: Json<Record<string, string>>;
  /** Version of the current snapshot, 0 before the first. */
  version: Generated<number>;
  created_at: Time;
}

/** One run of the engine. At most one that may change something runs per stack (partial unique index). */
export interface StateUpdates {
  id: string;
  stack_id: string;
  kind: UpdateKind;
  status: UpdateStatus;
  /** SHA-256 of the update token, hex; null before the start. */
  token_hash: string | null;
  lease_expires_at: MaybeTime;
  /** Fencing token of the department's lease that the operation ran under. */
  fence: number;
  /** The version that the engine read at the start: what its journal's indexes mean. */
  base_version: Generated<number>;
  /** The version made of it, null until it is folded or when nothing was recorded. */
  version: number | null;
  /** Full checkpoint of an engine that doesn't write a journal: {version, features, deployment}. */
  checkpoint: string | null;
  message: string;
  environment: Json<Record<string, string>>;
  /** Counts by step kind, from the engine's summary event. */
  changes: Json<Record<string, number> | null> | null;
  /** Operations that had begun and whose end was never recorded. */
  interrupted: Json<{ type: string; urn: string }[] | null> | null;
  /** Why somebody else than its engine ended it. */
  reason: string | null;
  /** Why its state was refused. */
  fault: string | null;
  /** The control plane that runs it: host, PID and its start time. */
  owner_host: string;
  owner_pid: number;
  owner_started: string;
  /** Id of that control plane in `replicas`. */
  owner_replica: string | null;
  created_at: Time;
  started_at: MaybeTime;
  finished_at: MaybeTime;
}

/** What the engine reported since the update's base. Gone once folded into a snapshot. */
export interface StateJournal {
  update_id: string;
  sequence_id: number;
  entry: string;
}

export interface StateSnapshots {
  stack_id: string;
  version: number;
  /** Pulumi's deployment schema, 3 or 4. */
  schema_version: number;
  features: Json<string[]>;
  deployment: string;
  resources: number;
  created_at: Time;
}

/** Data keys of a stack, wrapped by the master key. The highest version encrypts, all decrypt. */
export interface StateDataKeys {
  stack_id: string;
  version: number;
  wrapped: string;
  created_at: Time;
}

/** One row: which master key this database belongs to. */
export interface StateMasterKey {
  id: number;
  fingerprint: string;
}

export interface StateTables {
  state_stacks: StateStacks;
  state_updates: StateUpdates;
  state_journal: StateJournal;
  state_snapshots: StateSnapshots;
  state_data_keys: StateDataKeys;
  state_master_key: StateMasterKey;
}
