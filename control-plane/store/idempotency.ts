/** Answers to POSTs by Idempotency-Key, written in the transaction of what the POST did. */
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
 * Takes a key. A concurrent request with the same key waits here until the first has ended.
 * @returns the first request's answer, or undefined when this is the first
 * @throws Refusal("idempotency-key-reused") when the key came with another request
 */
export async function takeKey(tx: Tx, use: KeyUse): Promise<StoredAnswer | undefined> {
  const taken = await tx
    .insertInto("idempotency_keys")
    .values({ id: use.id, method_path: use.methodPath, body_hash: use.bodyHash, status: null, headers: null, body: null, created_at: use.now })
    .onConflict((on) => on.column("id").doNothing())
    .returning("id")
    .executeTakeFirst();
  if (taken) return undefined;
  const first = await tx.selectFrom("idempotency_keys").selectAll().where("id", "=", use.id).executeTakeFirst();
  if (first && (first.method_path !== use.methodPath || first.body_hash !== use.bodyHash)) {
    throw new Refusal("idempotency-key-reused", "This Idempotency-Key came with another address or body before.", {
      remedy: "Use a new key for every new request.",
    });
  }
  if (!first || first.status === null)
    throw new Refusal("idempotency-in-progress", "The first request with this Idempotency-Key has not been answered yet.", {
      remedy: "Repeat it in a moment.",
    });
  return { status: first.status, headers: first.headers ?? {}, body: first.body };
}

export async function keepAnswer(tx: Tx, id: string, answer: StoredAnswer): Promise<void> {
  await tx
    .updateTable("idempotency_keys")
    .set({ status: answer.status, headers: JSON.stringify(answer.headers), body: answer.body })
    .where("id", "=", id)
    .execute();
}

/** Housekeeping. */
export async function forgetKeys(tx: Tx, before: Date): Promise<void> {
  await tx.deleteFrom("idempotency_keys").where("created_at", "<", before).execute();
}
