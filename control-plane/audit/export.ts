/** A stretch of the chain as lines that can be verified elsewhere, read in batches: memory doesn't grow with it. */
import {
  auditKeys,
  checkpointBefore,
  checkpointCovering,
  checkpointsBetween,
  countUnlinked,
  lastCheckpoint,
  linkedEntries,
  type LinkedRow,
  placesOf,
  readChain,
} from "../store/audit-chain.ts";
import type { Db } from "../store/database.ts";
import { chainedOf, checkpointOf } from "./records.ts";
import type { ExportLine } from "./verify.ts";

/** Places in the chain, or a period; left out: everything. */
export interface ExportAsk {
  first?: number | undefined;
  last?: number | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}
export interface Range {
  first: number;
  last: number;
}

const batch = 500;

/**
 * The stretch that holds what was asked for, from one checkpoint to another: only whole ones can be verified by themselves.
 * @returns a stretch with `last` below `first` when it is empty
 */
export async function rangeOf(db: Db, ask: ExportAsk): Promise<Range> {
  const [chain, newest] = [await readChain(db), await lastCheckpoint(db)];
  // Should the chain's end have been put back, the signature still tells how long it was.
  const end = Math.max(chain.sequence, newest?.sequence ?? 0);
  const period = ask.from || ask.to ? await placesOf(db, ask) : { first: 1, last: end };
  const nothing = { first: end + 1, last: end };
  if (!period) return nothing;
  const first = Math.max(ask.first ?? 1, period.first, 1);
  const last = Math.min(ask.last ?? end, period.last, end);
  if (first > last) return nothing;
  const [before, covering] = [await checkpointBefore(db, first), await checkpointCovering(db, last)];
  return { first: (before?.sequence ?? 0) + 1, last: covering?.sequence ?? end };
}

/** The range, the checkpoint before it, entries each followed by the checkpoint that ends with it, the end. */
export async function* exportLines(db: Db, range: Range): AsyncGenerator<ExportLine> {
  const keys = (await auditKeys(db)).map((key) => ({ id: key.id, algorithm: key.algorithm, publicKey: key.public_key }));
  yield { kind: "range", ...range, unlinked: await countUnlinked(db), keys };
  let [entries, checkpoints] = [0, 0];
  const before = range.first <= range.last ? await checkpointBefore(db, range.first) : undefined;
  if (before) {
    checkpoints++;
    yield { kind: "checkpoint", ...checkpointOf(before) };
  }
  for (let after = range.first - 1; after < range.last;) {
    const rows = await linkedEntries(db, after, range.last, batch);
    const upTo = rows.length < batch ? range.last : rows.at(-1)!.sequence;
    for (const line of inOrder(rows, await checkpointsBetween(db, after, upTo))) {
      if (line.kind === "entry") entries++;
      else checkpoints++;
      yield line;
    }
    after = upTo;
  }
  yield { kind: "end", entries, checkpoints };
}

function* inOrder(
  rows: readonly LinkedRow[],
  signed: Awaited<ReturnType<typeof checkpointsBetween>>,
): Generator<Extract<ExportLine, { kind: "entry" | "checkpoint" }>> {
  let next = 0;
  for (const row of rows) {
    while (next < signed.length && signed[next]!.sequence < row.sequence) yield { kind: "checkpoint", ...checkpointOf(signed[next++]!) };
    yield { kind: "entry", ...chainedOf(row) };
  }
  for (const row of signed.slice(next)) yield { kind: "checkpoint", ...checkpointOf(row) };
}
