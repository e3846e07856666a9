/** A POST does its work once for each Idempotency-Key: key, effect and answer are one transaction. */
import { createHash } from "node:crypto";
import { Refusal } from "../../domain/refusal.ts";
import type { Tx } from "../../store/database.ts";
import { notifyEvents } from "../../store/events.ts";
import { keepAnswer, type StoredAnswer, takeKey } from "../../store/idempotency.ts";
import type { ApiContext, AppDeps } from "../deps.ts";

export interface Answer {
  status: number;
  /** Left out: no content. */
  body?: unknown;
  headers?: Record<string, string>;
  /** The body holds a secret: it is not kept, and a repetition is refused instead of answered. */
  secret?: boolean;
}

const hash = (text: string) => createHash("sha256").update(text).digest("hex");

/** Runs `effect` in a transaction, or repeats the answer of the first request with this key. A refused request changes nothing and keeps no key. */
export async function idempotent(c: ApiContext, deps: AppDeps, effect: (tx: Tx) => Promise<Answer>): Promise<Response> {
  const key = c.req.header("idempotency-key");
  if (!key)
    throw new Refusal("idempotency-key-missing", "Every POST needs an Idempotency-Key.", {
      remedy: "Send a new UUID for each new request and the same one when you repeat it.",
    });
  const body = await c.req.text();
  const id = hash(`${c.get("principal").tokenId}\n${key}`);
  const methodPath = `${c.req.method} ${c.req.path}`;
  let replayed = true;
  const answer = await repeated(() =>
    deps.db.transaction().execute(async (tx): Promise<StoredAnswer> => {
      const first = await takeKey(tx, { id, methodPath, bodyHash: hash(body), now: deps.now() });
      if (first) return first;
      replayed = false;
      const done = await effect(tx);
      const fresh: StoredAnswer = { status: done.status, headers: done.headers ?? {}, body: done.body === undefined ? "" : JSON.stringify(done.body) };
      await keepAnswer(tx, id, done.secret ? { ...fresh, body: null } : fresh);
      return fresh;
    }),
  );
  if (!replayed) notifyEvents();
  if (answer.body === null) {
    throw new Refusal("conflict", "This was done already. The answer held a secret, which is shown only once.", {
      remedy: "If you don't have it, revoke what was made and make a new one with a new key.",
    });
  }
  const headers = new Headers(answer.headers);
  if (replayed) headers.set("idempotency-replayed", "true");
  if (answer.body !== "") headers.set("content-type", "application/json");
  return new Response(answer.body === "" ? null : answer.body, { status: answer.status, headers });
}

const attempts = 4;

/** PostgreSQL ends one of two transactions that wait for each other; that one has changed nothing and is tried again. */
async function repeated<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (attempt === attempts || (code !== "40P01" && code !== "40001")) throw error;
    }
  }
}
