/** A POST does its work once for each Idempotency-Key: key, effect and answer are one transaction. */
import { createHash } from "node:crypto";
import { Refusal } from "../../domain/refusal.ts";
import { inBatches } from "../../store/batches.ts";
import type { Tx } from "../../store/database.ts";
import { notifyEvents } from "../../store/events.ts";
import { keepAnswers, type KeyUse, type StoredAnswer, takeKeys } from "../../store/idempotency.ts";
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

/** A POST with its key. */
interface Keyed<T> {
  use: KeyUse;
  ask: T;
}
type Kept = { answer: StoredAnswer; replayed: boolean };

/** Runs `effect` in a transaction, or repeats the answer of the first request with this key. A refused request changes nothing and keeps no key. */
export async function idempotent(c: ApiContext, deps: AppDeps, effect: (tx: Tx) => Promise<Answer>): Promise<Response> {
  const [done] = await runKeyed(deps, [{ use: await keyUse(c, deps), ask: undefined }], async (tx) => [await effect(tx)]);
  return respond(done!);
}

/** The same for POSTs that come in numbers: those that arrive while a transaction runs share the next one. */
export function idempotentInBatches<T>(deps: AppDeps, effect: (tx: Tx, asks: readonly T[]) => Promise<readonly (Answer | Refusal)[]>) {
  const submit = inBatches((batch: readonly Keyed<T>[]) => runKeyed(deps, batch, effect));
  return async (c: ApiContext, ask: T): Promise<Response> => respond(await submit({ use: await keyUse(c, deps), ask }));
}

async function keyUse(c: ApiContext, deps: AppDeps): Promise<KeyUse> {
  const key = c.req.header("idempotency-key");
  if (!key)
    throw new Refusal("idempotency-key-missing", "Every POST needs an Idempotency-Key.", {
      remedy: "Send a new UUID for each new request and the same one when you repeat it.",
    });
  return {
    id: hash(`${c.get("holder").id}\n${key}`),
    methodPath: `${c.req.method} ${c.req.path}`,
    bodyHash: hash(await c.req.text()),
    now: deps.now(),
  };
}

async function runKeyed<T>(
  deps: AppDeps,
  batch: readonly Keyed<T>[],
  effect: (tx: Tx, asks: readonly T[]) => Promise<readonly (Answer | Refusal)[]>,
): Promise<(Kept | Refusal)[]> {
  // A key that comes twice at once: the second is answered after the first.
  const firstOf = new Map(batch.toReversed().map((one) => [one.use.id, one]));
  const firsts = batch.filter((one) => firstOf.get(one.use.id) === one);
  let anyFresh = false;
  const outcomes = await repeated(() =>
    deps.db.transaction().execute(async (tx): Promise<(Kept | Refusal)[]> => {
      const known = await takeKeys(
        tx,
        firsts.map((one) => one.use),
      );
      const fresh = firsts.filter((_, index) => known[index] === undefined);
      anyFresh = fresh.length > 0;
      const done = anyFresh
        ? await effect(
            tx,
            fresh.map((one) => one.ask),
          )
        : [];
      const answers = new Map(fresh.map((one, index) => [one, done[index]!]));
      await keepAnswers(tx, new Map([...answers].map(([one, answer]) => [one.use.id, answer instanceof Refusal ? undefined : stored(answer, false)])));
      return firsts.map((one, index) => {
        const before = known[index];
        if (before) return before instanceof Refusal ? before : { answer: before, replayed: true };
        const answer = answers.get(one)!;
        return answer instanceof Refusal ? answer : { answer: stored(answer, true), replayed: false };
      });
    }),
  );
  if (anyFresh) notifyEvents();
  if (firsts.length === batch.length) return outcomes;
  const repeats = batch.filter((one) => firstOf.get(one.use.id) !== one);
  const later = await runKeyed(deps, repeats, effect);
  return batch.map((one) => outcomes[firsts.indexOf(one)] ?? later[repeats.indexOf(one)]!);
}

/** @param shown to whom it was made for, once: with its secret */
const stored = (answer: Answer, shown: boolean): StoredAnswer => ({
  status: answer.status,
  headers: answer.headers ?? {},
  body: answer.secret && !shown ? null : answer.body === undefined ? "" : JSON.stringify(answer.body),
});

function respond(done: Kept | Refusal): Response {
  if (done instanceof Refusal) throw done;
  const { answer, replayed } = done;
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
