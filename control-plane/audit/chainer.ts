/**
 * The chainer: links what was committed within a second. Every control plane runs one; whoever holds the chain's row links, in one
 * transaction a batch, so that a kill at any point leaves the chain as it was before the batch or after it.
 */
import { chainNeeds, takeChain } from "../store/audit-chain.ts";
import type { Db } from "../store/database.ts";
import { type HashAlgorithm, isSupported } from "./chain.ts";
import { type Sealer, signEnd } from "./checkpoint.ts";
import { linkWaiting } from "./link.ts";

/** The named points of a batch, for the tests that kill there. */
export const chainSteps = ["audit.taken", "audit.linked", "audit.signed", "audit.committed"] as const;
export type ChainStep = (typeof chainSteps)[number];

export interface ChainerOptions {
  db: Db;
  sealer: Sealer;
  now: () => Date;
  /** Which control plane this is. */
  by: string;
  algorithm: HashAlgorithm;
  /** A checkpoint after so many entries, or so many seconds after the first that none covers. */
  checkpointEntries: number;
  checkpointSeconds: number;
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  onStep?: (step: ChainStep) => void;
}

export interface Chainer {
  /** Links what waits, signs what is due. @returns how many entries were linked */
  round(): Promise<number>;
  /** Links and signs what there is, and stops. */
  close(): Promise<void>;
}

const pollMs = 250;
const afterErrorMs = 1_000;
/** As many as are hashed and written in some ten milliseconds: on PGlite everybody else waits for so long. */
const batch = 200;

/** @throws Error when this OpenSSL hasn't the algorithm */
export function startChainer(options: ChainerOptions): Chainer {
  if (!isSupported(options.algorithm)) throw new Error(`This Node's OpenSSL has no ${options.algorithm}: set ZHENGYUN_AUDIT_HASH to sha256.`);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closed = false;
  let running: Promise<number> = Promise.resolve(0);
  const round = (everything = false) => (running = running.catch(() => 0).then(() => chainWaiting(options, everything)));

  const next = (ms: number) => {
    timer = setTimeout(() => {
      round().then(
        () => closed || next(pollMs),
        (error: unknown) => {
          options.log.warn({ error: String(error) }, "audit entries could not be linked; it will be tried again");
          if (!closed) next(afterErrorMs);
        },
      );
    }, ms);
  };
  next(0);
  return {
    round,
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await round(true);
    },
  };
}

/** @param everything signs also what isn't due yet */
async function chainWaiting(options: ChainerOptions, everything: boolean): Promise<number> {
  let linked = 0;
  for (;;) {
    const needs = await chainNeeds(options.db);
    if (!needs.unlinked && !signatureDue(options, needs, everything)) return linked;
    const done = await oneBatch(options, everything);
    // Another control plane is at it, or was.
    if (!done) return linked;
    linked += done.linked;
    // Whoever waits for PGlite's one connection comes first.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function signatureDue(options: ChainerOptions, needs: { unsigned: number; unsignedSince: Date | null }, everything: boolean): boolean {
  if (needs.unsigned <= 0) return false;
  const since = needs.unsignedSince?.getTime() ?? 0;
  return everything || needs.unsigned >= options.checkpointEntries || options.now().getTime() - since >= options.checkpointSeconds * 1000;
}

/** @returns undefined when another has the chain, or has done it already */
async function oneBatch(options: ChainerOptions, everything: boolean): Promise<{ linked: number } | undefined> {
  const { db, algorithm, by, sealer, onStep = () => {} } = options;
  const now = options.now();
  const done = await db.transaction().execute(async (tx) => {
    const chain = await takeChain(tx);
    if (!chain) return undefined;
    onStep("audit.taken");
    const end = await linkWaiting(tx, chain, { algorithm, most: batch, now, by });
    onStep("audit.linked");
    const needs = { unsigned: end.sequence - chain.signed_sequence, unsignedSince: chain.unsigned_since ?? now };
    // At the end only the last batch is signed out of turn.
    const due = signatureDue(options, needs, everything && end.linked < batch);
    const signed = due ? await signEnd(tx, end, { algorithm, now, sealer }) : undefined;
    if (signed) onStep("audit.signed");
    return { linked: end.linked, signed };
  });
  if (!done) return undefined;
  onStep("audit.committed");
  // In the log, which is kept elsewhere: a copy of the signature's gist that nobody can change in the database.
  if (done.signed) options.log.info({ ...done.signed }, "audit checkpoint");
  return done.linked > 0 || done.signed ? done : undefined;
}
