/** Who does something, from where and when: every function that changes state takes one, and the audit records it. */
import { randomUUID } from "node:crypto";

export interface Act {
  /** Id of the token, or "system". */
  actor: string;
  role: string;
  /** Address of the client, or "system". */
  source: string;
  correlationId: string;
  now: Date;
}

/** What jobs and schedules act as. */
export function systemAct(now: Date, correlationId: string = randomUUID()): Act {
  return { actor: "system", role: "system", source: "system", correlationId, now };
}
