/** What waits for the reader under supervision, for the count in the header. */
import type { Event as Happened } from "../control-plane/contract/access.ts";
import type { Correction, SupervisionCard } from "../control-plane/contract/supervision.ts";
import { list } from "./client/index.ts";
import { api } from "./paths.ts";

export const isSupervision = (event: Happened): boolean => event.type.startsWith("supervision.");

/** Cards that one is to answer, and corrections that one is to make. */
export async function pendingOf(): Promise<number> {
  const [cards, corrections] = await Promise.all([
    list<SupervisionCard>(api.ownCards({ state: "open" })),
    list<Correction>(api.ownCorrections({ state: "open" })),
  ]);
  return cards.filter((card) => card.mayAnswer).length + corrections.length;
}
