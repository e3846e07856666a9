/** What a transaction may leave to be done after its commit. The API asks by this, the jobs keep it (jobs/queue.ts). */
import type { Tx } from "./database.ts";

/** Puts work on the queue within the transaction that makes it necessary: it is there if and only if that commits. */
export interface Queue {
  plan(tx: Tx, requests: readonly { id: string; department_id: string }[]): Promise<void>;
  apply(tx: Tx, departmentId: string): Promise<void>;
  backup(tx: Tx, backupId: string, departmentId: string): Promise<void>;
  restore(tx: Tx, restoreId: string, departmentId: string): Promise<void>;
  /** Does what is to be done with a volume's snapshots, one after the other. */
  snapshots(tx: Tx, volumeId: string, departmentId: string): Promise<void>;
  stackOperation(tx: Tx, operation: { id: string; department_id: string; kind: "preview" | "refresh" }): Promise<void>;
  /** Looks for drift in a department, or for instances that are none of ours at a pool's endpoint: `dep_…` or `pol_…`. */
  look(tx: Tx, id: string): Promise<void>;
  systemBackup(tx: Tx, id: string): Promise<void>;
  /** Carries an operation plan on. */
  operation(tx: Tx, planId: string): Promise<void>;
}
