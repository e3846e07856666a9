/** Gives committed entries their places in the chain. Runs in the transaction that holds the chain. */
import type { Tx } from "../store/database.ts";
import { type ChainRow, moveChain, unlinkedEntries, writeLinks } from "../store/audit-chain.ts";
import { type HashAlgorithm, hashOf } from "./chain.ts";
import { contentOf } from "./records.ts";

/** Where the chain ends. */
export type ChainEnd = Pick<ChainRow, "sequence" | "hash">;

/**
 * Links the oldest of what waits, by id: the order of linking is the chain's order, whatever the order of the commits was.
 * @param most entries at once
 * @returns the new end, and how many were linked
 */
export async function linkWaiting(
  tx: Tx,
  end: ChainEnd,
  { algorithm, most, now, by }: { algorithm: HashAlgorithm; most: number; now: Date; by: string },
): Promise<ChainEnd & { linked: number }> {
  const waiting = await unlinkedEntries(tx, most);
  if (waiting.length === 0) return { ...end, linked: 0 };
  let { sequence, hash } = end;
  const links = waiting.map((row) => {
    const link = { sequence: ++sequence, algorithm, previous: hash };
    hash = hashOf(contentOf(row), link);
    return { id: row.id, ...link, hash };
  });
  await writeLinks(tx, links);
  await moveChain(tx, { sequence, hash, at: now, by });
  return { sequence, hash, linked: links.length };
}
