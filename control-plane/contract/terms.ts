/** Terms (期限): how long before a resource's term ends its owner is told, and what comes after it. */
import { z } from "zod";

const days = z.int().min(0).max(3650);
const terms = {
  noticeDays: days.meta({ description: "A request is expiring from so many days before the first of its resources' terms ends" }),
  graceDays: days.meta({ description: "So many days after the term its hosts are stopped. Nothing is lost by that" }),
  stoppedDays: days.meta({ description: "So many days after they were stopped it is proposed to reclaim what is over" }),
  trialAnswerDays: days
    .nullable()
    .meta({ description: "So many days after a trial's end without an answer it counts as accepted; null: it waits for the answer" }),
};
export const TermPolicy = z.object({ ...terms, revision: z.int().min(0) }).meta({ id: "TermPolicy" });
export type TermPolicy = z.infer<typeof TermPolicy>;
export const TermPolicyChange = z.strictObject(terms).meta({ id: "TermPolicyChange" });
export type TermPolicyChange = z.infer<typeof TermPolicyChange>;
