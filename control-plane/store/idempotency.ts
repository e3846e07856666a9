/** Answers to POSTs by Idempotency-Key, written in the transaction of what the POST did. */
import { sql } from "kysely";
import { Refusal } from "../domain/refusal.ts";
import type { Tx } from "./database.ts";

export interface StoredAnswer {
  status: number;
  headers: Record<string, string>;
  /** null: it held a secret and cannot be repeated. */
  body: string | null;
}

export interface KeyUse {
  /** Principal and key, hashed. */
  id: string;
  methodPath: string;
  bodyHash: string;
  now: Date;
}

/**
 * Takes keys. A concurrent request with one of them waits here until the first has ended.
 * @returns for each the first request's answer, or undefined when this is the first, or Refusal idempotency-key-reused when it came with another request
 */
export async function takeKeys(tx: Tx, uses: readonly KeyUse[]): Promise<(StoredAnswer | Refusal | undefined)[]> {
  // In one order, so that no two transactions wait for each other.
  const rows = uses
    .map((use) => ({ id: use.id, method_path: use.methodPath, body_hash: use.bodyHash, created_at: use.now }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const { rows: made } = await sql<{ id: string }>`
    insert into idempotency_keys (id, method_path, body_hash, created_at)
    select id, method_path, body_hash, created_at from jsonb_populate_recordset(null::idempotency_keys, ${JSON.stringify(rows)}::jsonb)
    on conflict do nothing returning id`.execute(tx);
  const first = new Set(made.map((row) => row.id));
  const others = uses.filter((use) => !first.has(use.id)).map((use) => use.id);
  const known = others.length === 0 ? [] : await tx.selectFrom("idempotency_keys").selectAll().where("id", "in", others).execute();
  return uses.map((use) => {
    if (first.has(use.id)) return undefined;
    const before = known.find((row) => row.id === use.id);
    if (before && (before.method_path !== use.methodPath || before.body_hash !== use.bodyHash)) {
      return new Refusal("idempotency-key-reused", "This Idempotency-Key came with another address or body before.", {
        remedy: "Use a new key for every new request.",
      });
    }
    if (!before || before.status === null)
      return new Refusal("idempotency-in-progress", "The first request with this Idempotency-Key has not been answered yet.", {
        remedy: "Repeat it in a moment.",
      });
    return { status: before.status, headers: before.headers ?? {}, body: before.body };
  });
}

/** Answers to be given again; undefined: the key is free again, for nothing was done. */
export async function keepAnswers(tx: Tx, answers: ReadonlyMap<string, StoredAnswer | undefined>): Promise<void> {
  const kept = [...answers].flatMap(([id, answer]) => (answer ? [{ id, ...answer }] : []));
  const dropped = [...answers].flatMap(([id, answer]) => (answer ? [] : [id]));
  if (kept.length > 0) {
    await sql`update idempotency_keys k set status = w.status, headers = w.headers, body = w.body
      from jsonb_to_recordset(${JSON.stringify(kept)}::jsonb) as w(id text, status int, headers jsonb, body text) where k.id = w.id`.execute(tx);
  }
  if (dropped.length > 0) await tx.deleteFrom("idempotency_keys").where("id", "in", dropped).execute();
}

/** Housekeeping. */
export async function forgetKeys(tx: Tx, before: Date): Promise<void> {
  await tx.deleteFrom("idempotency_keys").where("created_at", "<", before).execute();
}
