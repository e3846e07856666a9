/** Tells people of what happens under supervision: one place, whoever is told by whichever way. */
import type { Act } from "./act.ts";
import type { Tx } from "./database.ts";
import { appendEvent } from "./events.ts";
import { notify } from "./notices.ts";
import type { SupervisionCards } from "./schema.ts";

export interface Told {
  kind: "supervision.card" | "supervision.answered" | "supervision.accepted" | "supervision.correction";
  card: Pick<SupervisionCards, "id" | "colour" | "department_id" | "request_id">;
  /** Whom it reaches: accounts and tokens. */
  to: readonly string[];
}

/**
 * Notices to whom it reaches; and an event by which pages read again, which says of itself no more than that there is something: who may see it asks
 * the API.
 */
export async function tell(tx: Tx, act: Act, { kind, card, to }: Told): Promise<void> {
  await appendEvent(tx, {
    at: act.now,
    departmentId: card.department_id,
    requestId: null,
    type: kind,
    subjectId: card.id,
    data: { colour: card.colour },
  });
  if (to.length === 0) return;
  const request = await tx.selectFrom("requests").select(["number", "title"]).where("id", "=", card.request_id).executeTakeFirst();
  await notify(tx, act, {
    kind: kind === "supervision.card" ? `supervision.${card.colour}` : kind,
    to,
    departmentId: card.department_id,
    requestId: card.request_id,
    subjectId: card.id,
    data: { number: request?.number ?? null, title: request?.title ?? null },
  });
}
