/** Tells people of what happens under supervision: one place, whoever is told by whichever way. */
import type { Act } from "./act.ts";
import type { Tx } from "./database.ts";
import { appendEvent } from "./events.ts";
import type { SupervisionCards } from "./schema.ts";

export interface Told {
  kind: "supervision.card" | "supervision.answered" | "supervision.accepted" | "supervision.correction";
  card: Pick<SupervisionCards, "id" | "colour" | "department_id" | "request_id">;
  /** Whom it reaches: accounts and tokens. */
  to: readonly string[];
}

/** Pages read again by the event, which says of itself no more than that there is something: who may see it asks the API. */
export async function tell(tx: Tx, act: Act, { kind, card }: Told): Promise<void> {
  await appendEvent(tx, {
    at: act.now,
    departmentId: card.department_id,
    requestId: null,
    type: kind,
    subjectId: card.id,
    data: { colour: card.colour },
  });
}
